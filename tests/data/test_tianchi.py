from __future__ import annotations

import pytest

from covos.core.errors import SourceError
from covos.data import guided_clip, open_dataset, read_image, read_labels


def test_real_frames_are_opened_by_list(tianchi):
    dataset = open_dataset(tianchi)
    assert dataset.layout == "tianchi"
    assert dataset.splits == {"train": ("600101", "600102"), "test": ("600103",)}
    assert {video.name: (len(video.frames), video.coverage) for video in dataset} == {
        "600101": (5, "every"),
        "600102": (6, "every"),
        "600103": (4, "first"),
    }
    assert {video.encoding for video in dataset} == {"ids"}


def test_the_list_really_has_windows_line_ends(tianchi):
    assert (tianchi / "ImageSets" / "train.txt").read_bytes() == b"600101\r\n600102\r\n"
    assert [video.name for video in open_dataset(tianchi, subset="train")] == ["600101", "600102"]


def test_ids_stay_with_their_objects(tianchi):
    video = open_dataset(tianchi)["600102"]
    ids = [set(read_labels(video, record).ravel().tolist()) for record in video.frames]
    assert ids == [{0, 1}] + [{0, 1, 2}] * 5, "the second car appears late"
    for record in video.frames[2:]:
        image, labels = read_image(record).astype(int), read_labels(video, record)
        redness = (image[..., 0] - image[..., 2])[labels == 2].mean()
        assert redness > 20 > (image[..., 0] - image[..., 2])[labels == 1].mean(), "object 2 is the red car"


def test_a_test_video_gives_its_first_annotation_and_what_follows(tianchi):
    video = open_dataset(tianchi, subset="test")["600103"]
    clip = guided_clip(video)
    assert clip.first.stem == "00000"
    assert read_labels(video, clip.first).max() == 1
    assert [frame.stem for frame in clip.following] == ["00001", "00002", "00003"]


def test_text_is_an_older_name_of_the_test_list(tree):
    for name in ("123456", "234567"):
        tree.video(f"JPEGImages/{name}", f"Annotations/{name}", annotated=[0])
    tree.text("ImageSets/train.txt", "123456\r")
    tree.text("ImageSets/text.txt", "234567\r")
    assert open_dataset(tree.root).splits == {"train": ("123456",), "test": ("234567",)}
    assert [video.name for video in open_dataset(tree.root, subset="test")] == ["234567"]
    assert [video.name for video in open_dataset(tree.root, subset="text")] == ["234567"]


def test_a_tree_without_lists_is_opened_whole(tree):
    tree.video("JPEGImages/a", "Annotations/a")
    dataset = open_dataset(tree.root)
    assert (dataset.layout, dataset.splits, dataset["a"].subset) == ("tianchi", {}, None)


def test_a_video_without_annotations_is_kept(tree):
    tree.video("JPEGImages/a", "Annotations/a")
    tree.video("JPEGImages/b", "Annotations/b", annotated=[])
    assert open_dataset(tree.root)["b"].coverage == "none"


def test_a_list_that_is_not_text_is_refused(tree):
    tree.video("JPEGImages/a", "Annotations/a")
    tree.text("ImageSets/train.txt", b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="cannot be read"):
        open_dataset(tree.root)
