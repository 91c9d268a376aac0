from __future__ import annotations

import pickle

import pytest

from covos.core.errors import SourceError, UsageError
from covos.data import NoSubsetError, open_collection, open_dataset

from .conftest import Tree


def test_the_error_says_what_was_looked_for(tree):
    tree.text("readme.txt", "x")
    with pytest.raises(SourceError) as caught:
        open_dataset(tree.root)
    for name in ("davis", "youtube-vos", "tianchi", "image-mask", "masks/<name>.png", "readme.txt"):
        assert name in str(caught.value)


def test_refusals(tree):
    with pytest.raises(SourceError, match="no such folder"):
        open_dataset(tree.root)
    file = tree.text("file", "x")
    with pytest.raises(SourceError, match="a file, not a folder"):
        open_dataset(file)
    with pytest.raises(UsageError, match="no layout 'coco'"):
        open_dataset(tree.root, layout="coco")
    with pytest.raises(SourceError, match="has no video"):
        open_dataset(tree.root, layout="tianchi")


def test_a_layout_can_be_forced(tree):
    tree.davis("bear")
    with pytest.raises(SourceError, match="images or image or imgs"):
        open_dataset(tree.root, layout="image-mask")
    assert open_dataset(str(tree.root), layout="davis").layout == "davis"


def test_a_collection_opens_what_it_finds_and_says_what_it_skips(tree):
    Tree(tree.root / "davis").davis("bear")
    Tree(tree.root / "pictures").pictures("a")
    Tree(tree.root / "clips").text("clip.mp4", "x")
    tree.text("README.md", "x")
    collection = open_collection(tree.root)
    assert [(dataset.name, dataset.layout) for dataset in collection] == [
        ("davis", "davis"),
        ("pictures", "image-mask"),
    ]
    assert (len(collection), collection[1].name, len(collection[:1])) == (2, "pictures", 1)
    assert list(collection.skipped) == ["clips"]


def test_a_collection_of_one_is_the_data_set_at_the_root(tree):
    tree.davis("bear")
    assert [dataset.name for dataset in open_collection(tree.root)] == ["set"]


def test_a_subset_of_a_collection_never_opens_what_other_lists_name(tree):
    listed = Tree(tree.root / "listed")
    listed.davis("bear", "camel")
    listed.text("ImageSets/2017/train.txt", "bear\n")
    listed.text("ImageSets/2017/val.txt", "camel\n")
    Tree(tree.root / "other").davis("dog")
    (tree.root / "other/ImageSets/2017/train.txt").rename(tree.root / "other/ImageSets/2017/val.txt")
    Tree(tree.root / "pictures").pictures("a")
    collection = open_collection(tree.root, subset="train")
    assert {dataset.name: [video.name for video in dataset] for dataset in collection} == {
        "listed": ["bear"],
        "pictures": ["a"],
    }
    assert "no subset 'train'" in collection.skipped["other"]
    assert [dataset.notes for dataset in collection] == [
        (),
        ("pictures is opened whole: it has no lists, so none that is called train",),
    ]


def test_a_subset_that_no_data_set_has_opens_nothing(tree):
    """Else what was trained on would be measured on, under the name of a list."""
    Tree(tree.root / "pictures").pictures("a")
    Tree(tree.root / "videos").video("JPEGImages/v", "Annotations/v")
    Tree(tree.root / "listed").davis("bear")
    for name in ("pictures", "videos", "listed"):
        with pytest.raises(NoSubsetError, match=r"the subset 'nonsense' does not exist"):
            open_collection(tree.root / name, subset="nonsense")
    tree.text("pictures/ImageSets/val.txt", "a\n")
    with pytest.raises(NoSubsetError, match="pictures with masks have no lists"):
        open_collection(tree.root / "pictures", subset="val")
    with pytest.raises(NoSubsetError, match="no data set there has the subset 'nonsense'") as caught:
        open_collection(tree.root, subset="nonsense")
    assert "pictures: pictures with masks have no lists" in caught.value.why
    assert "listed: the lists in ImageSets are: train" in caught.value.why


def test_a_folder_without_data_sets_is_an_error(tree):
    tree.text("clips/a.mp4", "x")
    with pytest.raises(SourceError, match="clips: no data set"):
        open_collection(tree.root)


def test_a_data_set_that_is_broken_is_not_skipped(tree):
    Tree(tree.root / "good").pictures("a")
    Tree(tree.root / "broken").image("images/a.jpg")
    Tree(tree.root / "broken").binary("masks/b.png")
    with pytest.raises(SourceError, match="none of the 1 pictures"):
        open_collection(tree.root)


def test_a_data_set_goes_to_loader_processes(tree):
    tree.youtube("train", "0a1b")
    dataset = open_dataset(tree.root)
    assert dataset["0a1b"] == pickle.loads(pickle.dumps(dataset))["0a1b"]


def test_videos_by_name(tree):
    tree.davis("bear", "camel", "dog")
    dataset = open_dataset(tree.root)
    assert "bear" in dataset
    assert [video.name for video in dataset.subset(["dog", "bear"])] == ["bear", "dog"]
    with pytest.raises(UsageError, match="the closest names are camel"):
        dataset["camle"]
    with pytest.raises(UsageError, match="no video yak, zebra"):
        dataset.subset(["zebra", "bear", "yak"])
