from __future__ import annotations

import pytest

from covos.core.errors import SourceError
from covos.data import NoSubsetError, open_dataset


def test_2017_pairs_frames_with_ids_by_stem(tree):
    tree.davis("bear", "camel")
    dataset = open_dataset(tree.root)
    assert (dataset.layout, dataset.name, [video.name for video in dataset]) == ("davis", "set", ["bear", "camel"])
    video = dataset["bear"]
    assert (video.kind, video.encoding, video.subset, video.coverage) == ("video", "ids", "train", "every")
    for frame in video.frames:
        assert frame.image == tree.root / f"JPEGImages/480p/bear/{frame.stem}.jpg"
        assert frame.annotation == tree.root / f"Annotations/480p/bear/{frame.stem}.png"


def test_frames_are_in_natural_order_whatever_the_extension_case(tree):
    for stem in ("frame10", "frame9", "frame1"):
        tree.image(f"JPEGImages/480p/bear/{stem}.JPG")
        tree.labels(f"Annotations/480p/bear/{stem}.PNG")
    video = open_dataset(tree.root)["bear"]
    assert [frame.stem for frame in video.frames] == ["frame1", "frame9", "frame10"]
    assert len(video.annotated) == 3


def test_2016_masks_of_0_and_255_are_one_object(tree):
    tree.image("JPEGImages/480p/bear/00000.jpg")
    tree.binary("Annotations/480p/bear/00000.png")
    assert open_dataset(tree.root)["bear"].encoding == "binary"


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_2016_lists_of_file_pairs_name_each_video_once(tree, end):
    for name in ("bear", "camel", "dog"):
        tree.video(f"JPEGImages/480p/{name}", f"Annotations/480p/{name}")
    lines = [
        f"/JPEGImages/480p/{name}/{number:05}.jpg /Annotations/480p/{name}/{number:05}.png"
        for name in ("camel", "bear")
        for number in range(4)
    ]
    tree.text("ImageSets/480p/val.txt", end.join(lines) + end)
    assert [video.name for video in open_dataset(tree.root, subset="val")] == ["bear", "camel"]


def test_lists_with_a_byte_order_mark_and_empty_lines(tree):
    tree.davis("bear")
    tree.text("ImageSets/2017/val.txt", b"\xef\xbb\xbfbear \n\n")
    assert [video.name for video in open_dataset(tree.root, subset="val")] == ["bear"]


def test_without_a_subset_every_video_has_its_shortest_list_and_gaps_are_noted(tree):
    tree.davis("bear", "camel", "dog")
    tree.text("ImageSets/2017/val.txt", "dog\ngone\n")
    tree.text("ImageSets/2017/trainval.txt", "bear\ncamel\ndog\nmore\nand-more\n")
    tree.text("ImageSets/2017/train.txt", "bear\n")
    dataset = open_dataset(tree.root)
    assert dataset.splits == {"train": ("bear",), "trainval": ("camel",), "val": ("dog",)}
    assert dataset.notes == (
        "2 of the 5 videos of 'trainval' are missing: more, and-more",
        "1 of the 2 videos of 'val' are missing: gone",
    )


def test_the_year_of_a_list_can_be_told(tree):
    tree.davis("bear", "camel", year="2016")
    tree.davis("camel", "dog", year="2017")
    tree.text("ImageSets/2016/val.txt", "dog\n")
    assert [video.name for video in open_dataset(tree.root, subset="train")] == ["camel", "dog"]
    assert [video.name for video in open_dataset(tree.root, subset="2016/train")] == ["bear", "camel"]
    assert [video.name for video in open_dataset(tree.root, subset="val")] == ["dog"]


def test_a_listed_video_that_is_missing_is_named(tree):
    tree.davis("bear")
    tree.text("ImageSets/2017/val.txt", "bear\nzebra\n../bear\n")
    with pytest.raises(SourceError, match=r"2 of the 3 videos of 'val' are missing: zebra, \.\."):
        open_dataset(tree.root, subset="val")


def test_an_unknown_subset_names_the_lists(tree):
    tree.davis("bear")
    tree.text("ImageSets/2016/train.txt", "bear\n")
    for unknown in ("val", "2019/train", "mine/val.txt"):
        with pytest.raises(NoSubsetError, match=f"{unknown}' does not exist\n.*are: train, 2016/train") as caught:
            open_dataset(tree.root, subset=unknown)
        assert "name one of them as it stands there" in caught.value.fix


def test_an_empty_list_is_an_error(tree):
    tree.davis("bear")
    tree.text("ImageSets/2017/val.txt", "\n")
    with pytest.raises(SourceError, match="names no video"):
        open_dataset(tree.root, subset="val")


def test_the_unsupervised_annotations_are_read_where_there_are_no_others(tree):
    tree.video("JPEGImages/480p/bear", "Annotations_unsupervised/480p/bear")
    frame = open_dataset(tree.root)["bear"].frames[0]
    assert frame.annotation == tree.root / "Annotations_unsupervised/480p/bear/00000.png"


def test_resolution(tree):
    tree.davis("bear", resolution="Full-Resolution")
    assert len(open_dataset(tree.root)) == 1, "there is only one"
    tree.davis("bear", "camel", resolution="480p")
    assert len(open_dataset(tree.root)) == 2, "480p goes first"
    assert len(open_dataset(tree.root, resolution="Full-Resolution")["bear"].frames) == 4
    with pytest.raises(SourceError, match="JPEGImages and Annotations have: 480p, Full-Resolution"):
        open_dataset(tree.root, resolution="1080p")


def test_annotations_alone_are_frames_without_image(tree):
    tree.labels("Annotations/480p/bear/00000.png")
    frame = open_dataset(tree.root)["bear"].frames[0]
    assert frame.image is None
    assert frame.annotation is not None


def test_annotations_without_image_and_other_files_are_set_apart(tree):
    tree.davis("bear")
    orphan = tree.labels("Annotations/480p/bear/00099.png")
    for name in (".DS_Store", "._00000.jpg", "Thumbs.db", "notes.txt"):
        tree.text(f"JPEGImages/480p/bear/{name}", "x")
    video = open_dataset(tree.root)["bear"]
    assert len(video.frames) == 4
    assert video.extra == (orphan,)


def test_two_files_of_one_name_are_refused(tree):
    tree.davis("bear")
    tree.image("JPEGImages/480p/bear/00001.png")
    with pytest.raises(SourceError, match="share the name '00001'"):
        open_dataset(tree.root)
