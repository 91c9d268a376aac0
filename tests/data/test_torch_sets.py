from __future__ import annotations

import pickle
from itertools import combinations
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from covos.core.errors import AnnotationError, UsageError
from covos.data import (
    FrameDataset,
    GroupDataset,
    PairDataset,
    open_collection,
    open_dataset,
    read_foreground,
    read_image,
    read_labels,
)
from covos.masks.label_files import write_label_map
from covos.training import augment


@pytest.fixture
def train(tianchi):
    return open_dataset(tianchi, subset="train")


def test_frames_are_what_is_read(tianchi):
    frames = FrameDataset(open_dataset(tianchi))
    assert len(frames) == 12, "those without annotation are left out"
    assert repr(frames) == "FrameDataset(12 items of 3 videos)"
    for index in (0, 7, -1):
        image, mask = frames[index]
        video, record = frames.frames[index]
        assert (image.dtype, mask.dtype) == (torch.uint8, torch.uint8)
        np.testing.assert_array_equal(image.permute(1, 2, 0), read_image(record))
        np.testing.assert_array_equal(mask, read_labels(video, record))
    assert len(list(frames)) == 12
    assert len(FrameDataset(open_collection(tianchi))) == 12, "those of several data sets"
    with pytest.raises(IndexError, match="of 12 there are"):
        frames[12]


def test_the_subject_has_void_marked(tree):
    labels = np.zeros((12, 16), np.uint8)
    labels[2:6, 2:6], labels[6:8] = 3, 255
    tree.image("JPEGImages/a/0.jpg")
    path = tree.root / "Annotations/a/0.png"
    path.parent.mkdir(parents=True)
    write_label_map(path, labels)
    tree.soft("Annotations/a/1.png")
    video = open_dataset(tree.root, encoding="ids")["a"]
    (item,) = FrameDataset(video, mask="subject")
    assert item.mask.dtype == torch.float32
    np.testing.assert_array_equal(item.mask, np.where(labels == 255, 255, labels != 0))
    (small,) = FrameDataset(video, mask="subject", size=(6, 8))
    share, valid = read_foreground(video, video.frames[0], size=(6, 8))
    np.testing.assert_array_equal(small.mask, np.where(valid, share, 255))


def test_pairs_are_all_combinations(train):
    pairs = PairDataset(train)
    expected = [(video.name, {one.stem, two.stem}) for video in train for one, two in combinations(video.annotated, 2)]
    found = [(video.name, {one.stem, two.stem}) for video, one, two in (pairs.pairs[k] for k in range(len(pairs)))]
    assert len(pairs) == len(expected) == 25
    assert all(pair in found for pair in expected)
    image, mask = pairs[24]
    assert (image.shape, mask.shape) == ((2, 3, 90, 160), (2, 90, 160))
    video, one, two = pairs.pairs[24]
    np.testing.assert_array_equal(image[0].permute(1, 2, 0), read_image(one))
    np.testing.assert_array_equal(mask[1], read_labels(video, two))
    assert one.stem < two.stem


def test_millions_of_pairs_take_no_memory(train):
    from dataclasses import replace

    long = replace(train[0], frames=train[0].frames * 1000)
    pairs = PairDataset([long, long])
    assert len(pairs) == 2 * (5000 * 4999 // 2)
    assert pairs[len(pairs) - 1].image.shape == (2, 3, 90, 160)
    assert len(pickle.dumps(pairs)) < 2_000_000


def test_groups_repeat_by_seed_and_place(train):
    groups, again, others = (GroupDataset(train, frames=3, per_video=4, seed=seed, size=(45, 80)) for seed in (0, 0, 1))
    assert len(groups) == 8
    assert groups[0].image.shape == (3, 3, 45, 80)
    same = [torch.equal(groups[k].image, again[k].image) for k in range(8)]
    assert all(same)
    assert all(torch.equal(groups[k].image, groups[k].image) for k in range(8))
    assert not all(torch.equal(groups[k].image, others[k].image) for k in range(8))
    assert not all(torch.equal(groups[0].image, groups[k].image) for k in (2, 4, 6)), "groups of one video differ"


def test_without_a_seed_torch_draws(train):
    groups = GroupDataset(train, frames=2)
    torch.manual_seed(5)
    first = [groups[0].image for _ in range(6)]
    torch.manual_seed(5)
    assert all(torch.equal(one, groups[0].image) for one in first)
    assert not all(torch.equal(first[0], one) for one in first)


def test_a_group_of_more_frames_than_there_are(train):
    assert GroupDataset(train, frames=9)[0].image.shape[0] == 9


def mirrored(image, mask, rng):
    return (image[:, ::-1], mask[:, ::-1]) if rng.random() < 0.5 else (image, mask)


def test_a_transform_changes_both_together(train):
    def flipped(image, mask):
        return {"image": image[::-1], "mask": mask[::-1]}

    plain, changed = FrameDataset(train)[3], FrameDataset(train, transform=flipped)[3]
    assert torch.equal(changed.image, plain.image.flip(1))
    assert torch.equal(changed.mask, plain.mask.flip(0))
    as_tensors = FrameDataset(
        train, transform=lambda image, mask: (torch.zeros(3, 8, 8, dtype=torch.float32), torch.ones(8, 8))
    )[0]
    assert (as_tensors.image.dtype, as_tensors.mask.dtype) == (torch.float32, torch.float32)


def test_draws_are_shared_or_not(train):
    plain = PairDataset(train)

    def turns(pairs):
        found = []
        for index in range(len(pairs)):
            found.append(
                tuple(not torch.equal(a, b) for a, b in zip(pairs[index].image, plain[index].image, strict=True))
            )
        return set(found)

    assert turns(PairDataset(train, transform=mirrored, seed=0, same_draws=True)) == {(True, True), (False, False)}
    assert (True, False) in turns(PairDataset(train, transform=mirrored, seed=0))


@pytest.mark.parametrize("returned", [None, 5, (1, 2, 3), {"image": 1}, "same", "small"])
def test_transforms_that_return_something_else(train, returned):
    def broken(image, mask):
        match returned:
            case "same":
                return image, image
            case "small":
                return image[:4], mask
        return returned

    with pytest.raises(UsageError, match=r"(?s)the transform broken does not return.*return \(image, mask\)"):
        FrameDataset(train, transform=broken)[0]


def test_an_error_of_the_transform_itself_is_not_hidden(train):
    def broken(image, mask):
        raise ValueError("mine")

    with pytest.raises(ValueError, match=r"^mine$"):
        FrameDataset(train, transform=broken)[0]


def test_refusals(tree, train, tianchi):
    tree.pictures(*"ab")
    stills = open_dataset(tree.root)
    assert len(FrameDataset(stills)) == 2
    assert GroupDataset(stills, frames=2)[0].image.shape == (2, 3, 12, 16)
    with pytest.raises(AnnotationError, match="no pairs"):
        PairDataset(stills)
    with pytest.raises(AnnotationError, match="no frames with an annotation"):
        FrameDataset(open_dataset(tianchi)["600103"][1:])
    for kind, wrong in (
        (FrameDataset, {"mask": "colours"}),
        (FrameDataset, {"seed": -1}),
        (GroupDataset, {"frames": 0}),
        (GroupDataset, {"max_gap": 0}),
        (GroupDataset, {"per_video": 0}),
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            kind(train, **wrong)
    with pytest.raises(UsageError, match="a str is no video"):
        FrameDataset("DAVIS")


def test_frames_of_several_sizes(tree):
    tree.video("JPEGImages/a", "Annotations/a", frames=2)
    tree.image("JPEGImages/a/00002.jpg", size=(20, 16))
    tree.labels("Annotations/a/00002.png", size=(20, 16))
    video = open_dataset(tree.root)["a"]
    with pytest.raises(UsageError, match=r"(?s)several sizes.*size=\(480, 854\)"):
        GroupDataset(video, frames=3)[0]
    assert GroupDataset(video, frames=3, size=(12, 16))[0].image.shape == (3, 3, 12, 16)


@pytest.mark.slow
def test_loaders_with_workers(train):
    drawn = augment.Chain(augment.Window(size=(32, 48)), augment.Light(), augment.Spoil(share=0.5))
    context = get_context("forkserver")
    for dataset, lead in (
        (FrameDataset(train, transform=drawn, seed=0), ()),
        (PairDataset(train, transform=drawn, seed=0), (2,)),
        (GroupDataset(train, transform=drawn, seed=0), (3,)),
    ):
        alone = list(DataLoader(dataset, batch_size=2))
        loaded = list(DataLoader(dataset, batch_size=2, num_workers=2, multiprocessing_context=context))
        assert len(loaded) == len(alone)
        assert loaded[0].image.shape == (2, *lead, 3, 32, 48)
        assert loaded[0].mask.shape == (2, *lead, 32, 48)
        for one, two in zip(alone, loaded, strict=True):
            assert torch.equal(one.image, two.image)
            assert torch.equal(one.mask, two.mask)
