from __future__ import annotations

import pytest

from covos.core.errors import SourceError
from covos.data import NoSubsetError, open_dataset


def test_each_picture_is_a_video_of_one_frame(tree):
    tree.pictures("a2", "a10")
    tree.image("images/b.webp")
    tree.soft("masks/b.png")
    dataset = open_dataset(tree.root)
    assert dataset.layout == "image-mask"
    assert [video.name for video in dataset] == ["a2", "a10", "b"]
    assert {video.kind for video in dataset} == {"image"}
    assert [len(video.frames) for video in dataset] == [1, 1, 1]
    assert dataset["b"].frames[0].image == tree.root / "images" / "b.webp"


@pytest.mark.parametrize(
    ("images", "masks"),
    [("JPEGImages", "Annotations"), ("DUTS-TR-Image", "DUTS-TR-Mask"), ("Imgs", "ground_truth_mask"), ("image", "GT")],
)
def test_folder_names(tree, images, masks):
    tree.pictures("a", images=images, masks=masks)
    assert len(open_dataset(tree.root)["a"].annotated) == 1


def test_grey_masks_are_read_soft_even_if_those_looked_at_are_binary(tree):
    tree.pictures("a", "b")
    assert open_dataset(tree.root)["a"].encoding == "soft"
    assert open_dataset(tree.root, encoding="binary")["a"].encoding == "binary"


def test_palette_masks_are_ids(tree):
    tree.image("images/a.jpg")
    tree.labels("masks/a.png", (1, 3))
    assert open_dataset(tree.root)["a"].encoding == "ids"


def test_what_has_no_partner_is_kept_apart(tree):
    tree.pictures("a")
    tree.image("images/alone.jpg")
    tree.binary("masks/orphan.png")
    dataset = open_dataset(tree.root)
    assert dataset["alone"].coverage == "none"
    assert "orphan" not in dataset
    assert dataset.notes == ("1 masks have no picture: orphan.png",)


def test_refusals(tree):
    tree.pictures("a")
    with pytest.raises(NoSubsetError, match="no lists"):
        open_dataset(tree.root, subset="train")
    tree.binary("more_masks/a.png")
    with pytest.raises(SourceError, match="found: masks, more_masks"):
        open_dataset(tree.root)


def test_no_pair_at_all(tree):
    tree.image("images/a.jpg")
    tree.binary("masks/a_mask.png")
    with pytest.raises(SourceError, match="none of the 1 pictures has a mask"):
        open_dataset(tree.root)
