"""The part of a data set that a training measures on can be opened by itself."""

from __future__ import annotations

import pytest

from covos.core.errors import UsageError
from covos.data import NoSubsetError, open_collection, open_dataset
from covos.data.subsets import open_subset
from covos.training.gather import gather

from .conftest import Tree


def names(dataset):
    return [] if dataset is None else [video.name for video in dataset]


def videos(tree, count=9):
    for number in range(count):
        tree.video(f"JPEGImages/v{number}", f"Annotations/v{number}", frames=3)
    tree.video("JPEGImages/bare", "Annotations/bare", frames=3, annotated=())


@pytest.mark.parametrize("lists", [{}, {"train": range(7), "test": range(7, 9)}, {"train": range(7), "val": (7, 8)}])
@pytest.mark.parametrize(("ratio", "seed"), [(0.8, 0), (0.5, 3)])
def test_it_is_the_part_that_a_training_has(tree, lists, ratio, seed):
    videos(tree)
    for name, members in lists.items():
        tree.text(f"ImageSets/{name}.txt", "\n".join(f"v{number}" for number in members))
    trained = gather([tree.root], seed=seed, ratio=ratio)
    opened = {name: open_dataset(tree.root, subset=name, ratio=ratio, seed=seed) for name in ("train", "val")}
    assert names(opened["train"]) == names(trained.train[0])
    assert names(opened["val"]) == names(trained.validation[0])
    assert not set(names(opened["train"])) & set(names(opened["val"]))
    (collected,) = open_collection(tree.root.parent, subset="val", ratio=ratio, seed=seed)
    assert names(collected) == names(opened["val"])


@pytest.mark.parametrize("opened", [open_dataset, open_collection])
def test_a_seed_divides_nothing_without_a_ratio(tianchi, opened):
    with pytest.raises(UsageError, match=r"a seed of a division \(0\) without a ratio"):
        opened(tianchi, seed=0)


def test_the_error_says_how_to_get_it(tianchi):
    with pytest.raises(NoSubsetError) as caught:
        open_dataset(tianchi, subset="val")
    assert "subset='val', ratio=0.8, seed=0" in str(caught.value)
    with pytest.raises(NoSubsetError) as caught:
        open_dataset(tianchi, subset="mine")
    assert "ratio" not in str(caught.value)


def test_val_is_the_list_that_a_training_measures_on_whatever_its_name(tree):
    videos(tree)
    tree.text("ImageSets/train.txt", "v0\nv1\nv2")
    tree.text("ImageSets/val_open.txt", "v3\nv4")
    plain = open_dataset(tree.root, subset="val")
    assert names(plain) == ["v3", "v4"]
    assert "val is this data set's list val_open" in plain.notes
    divided = open_dataset(tree.root, subset="val", ratio=0.5)
    assert names(divided) == names(plain)
    assert divided.notes[-1].startswith("val is this data set's list val_open; the ratio divides nothing")
    assert open_dataset(tree.root, subset="train", ratio=0.5).notes[-1].startswith("the ratio divides nothing")
    tree.text("ImageSets/val.txt", "v5\nv6")
    assert names(open_dataset(tree.root, subset="val")) == ["v5", "v6"]
    assert not open_dataset(tree.root, subset="val_open").notes


def test_a_list_without_annotations_is_not_measured_on(tree):
    videos(tree)
    tree.text("ImageSets/train.txt", "\n".join(f"v{number}" for number in range(6)))
    tree.text("ImageSets/val.txt", "bare")
    parts = {name: open_dataset(tree.root, subset=name, ratio=0.5) for name in ("train", "val")}
    assert sorted(names(parts["train"]) + names(parts["val"])) == [f"v{number}" for number in range(6)]
    for part in parts.values():
        assert part.notes[-1] == (
            "the ratio divides the videos to train on, as this data set's list val has no annotations"
        )
    assert names(gather([tree.root], seed=0, ratio=0.5).validation[0]) == names(parts["val"])


def test_refusals(tianchi, tree):
    for subset in ("test", None):
        with pytest.raises(UsageError, match="no part of a division"):
            open_dataset(tianchi, subset=subset, ratio=0.8)
    for ratio in (0, 1, 80):
        with pytest.raises(UsageError, match="between 0 and 1"):
            open_dataset(tianchi, subset="val", ratio=ratio)
    tree.pictures(*"abc")
    with pytest.raises(NoSubsetError, match=r"dataset\.split\(0\.8, seed=0\)"):
        open_dataset(tree.root, subset="val", ratio=0.8)
    assert len(open_dataset(tree.root, subset="train", ratio=0.8)) == 3
    for opened in (open_dataset, open_subset):
        with pytest.raises(NoSubsetError) as caught:
            opened(tree.root, subset="val")
        assert "ratio" not in str(caught.value), "no ratio divides still pictures"
        assert "move them to another folder" in caught.value.fix


def test_still_pictures_of_a_collection_are_left_to_the_training(tree):
    videos(Tree(tree.root / "videos"))
    Tree(tree.root / "pictures").pictures(*"abc")
    assert [len(part) for part in open_collection(tree.root, subset="train", ratio=0.8)] == [3, 7]
    measured = open_collection(tree.root, subset="val", ratio=0.8)
    assert [part.name for part in measured] == ["videos"]
    assert "still pictures whole" in measured.skipped["pictures"]
