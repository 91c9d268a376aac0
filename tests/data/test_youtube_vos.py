from __future__ import annotations

import pytest

from covos.core.errors import AnnotationError, SourceError
from covos.data import NoSubsetError, ObjectInfo, guided_clip, open_dataset, read_labels


def test_subsets_are_folders_and_objects_carry_categories(tree):
    tree.youtube("train", "0a1b")
    tree.youtube("valid", "0c2d")
    dataset = open_dataset(tree.root)
    assert dataset.layout == "youtube-vos"
    assert dataset.splits == {"train": ("0a1b",), "valid": ("0c2d",)}
    video = dataset["0a1b"]
    assert video.coverage == "some"
    assert video.objects == {
        1: ObjectInfo(category="person", frames=("00000", "00010")),
        2: ObjectInfo(category="dog", frames=("00010",)),
    }


def test_an_object_that_appears_late_comes_with_a_following_frame(tree):
    tree.youtube("valid", "0c2d", late="00010")
    video = open_dataset(tree.root)["0c2d"]
    clip = guided_clip(video)
    late = [record for record in clip.following if record.annotation is not None]
    assert [record.stem for record in late] == [video.objects[2].frames[0]]
    assert read_labels(video, clip.first).max() == 1
    assert read_labels(video, late[0]).max() == 2


def test_one_subset_folder_is_a_root_too(tree):
    tree.youtube("train", "0a1b")
    dataset = open_dataset(tree.root / "train")
    assert (dataset.layout, dataset.splits) == ("youtube-vos", {"train": ("0a1b",)})


def test_all_frames_are_opened_only_by_name(tree):
    tree.youtube("valid", "0c2d")
    for number in range(10):
        tree.image(f"valid_all_frames/JPEGImages/0c2d/{number:05}.jpg")
    dataset = open_dataset(tree.root)
    assert len(dataset["0c2d"].frames) == 4
    assert "valid_all_frames" in dataset.notes[0]
    every = open_dataset(tree.root, subset="valid_all_frames")["0c2d"]
    assert (len(every.frames), every.coverage) == (10, "none")


def test_listed_videos_that_are_missing_are_noted(tree):
    tree.youtube("train", "0a1b")
    meta = tree.root / "train" / "meta.json"
    tree.text("train/meta.json", meta.read_text().replace('"0a1b"', '"gone"'))
    dataset = open_dataset(tree.root)
    assert dataset["0a1b"].objects == {}
    assert "gone" in dataset.notes[0]


@pytest.mark.parametrize("content", ["{", "[]", '{"videos": []}', '{"videos": {"0a1b": {"objects": {"x": {}}}}}'])
def test_a_broken_meta_file_is_named(tree, content):
    tree.youtube("train", "0a1b")
    path = tree.text("train/meta.json", content)
    with pytest.raises(AnnotationError, match=path.name):
        open_dataset(tree.root)


def test_refusals(tree):
    tree.youtube("train", "0a1b")
    with pytest.raises(NoSubsetError, match="folders with JPEGImages: train"):
        open_dataset(tree.root, subset="test")
    tree.youtube("valid", "0a1b")
    with pytest.raises(SourceError, match="lie in two subsets: 0a1b"):
        open_dataset(tree.root)
