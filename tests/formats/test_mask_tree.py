"""The rules of mask folders, the same for conversion and for scoring."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.evaluation.mask_trees import find_sequences
from covos.formats.mask_tree import pictures_near, places_of
from covos.masks import write_label_map
from covos.runs.reading import read_masks


def put(folder: Path, name: str, *, row: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.zeros((8, 9), np.uint8)
    labels[row] = 1
    write_label_map(folder / name, labels)


def stems(path: Path) -> tuple[list[str | None], tuple[str, ...]]:
    (sequence,) = find_sequences(path).values()
    return [frame.stem for frame in read_masks(path).frames], sequence.stems


def test_pictures_beside_masks_are_no_masks(tmp_path: Path) -> None:
    for stem in ("f2", "f10"):
        put(tmp_path, f"{stem}.png")
        Image.new("RGB", (9, 8)).save(tmp_path / f"{stem}.jpg")
    assert stems(tmp_path) == (["f2", "f10"], ("f2", "f10"))


def test_jpeg_alone_is_refused_with_the_reason(tmp_path: Path) -> None:
    Image.new("RGB", (9, 8)).save(tmp_path / "0.jpg")
    with pytest.raises(AnnotationError, match="it is a JPEG"):
        read_masks(tmp_path)


def test_the_order_is_that_of_the_frames_names(tmp_path: Path) -> None:
    for name in ("a.png", "a-1.png", "a-10.png", "a-2.png"):
        put(tmp_path, name)
    assert stems(tmp_path)[0] == ["a", "a-1", "a-2", "a-10"] == list(stems(tmp_path)[1])


@pytest.mark.parametrize(
    ("stems", "places"),
    [
        (("00300", "00301", "00310"), [0, 1, 10]),
        (("f7_mask", "f9_mask"), [0, 2]),
        (("a1", "b3"), [0, 1]),
        (("a", "a-1", "a-5"), [0, 1, 2]),
        (("01", "1", "5"), [0, 1, 2]),
        (("20240101120000", "20250101120000"), [0, 1]),
        (("7",), [0]),
        ((), []),
    ],
)
def test_a_number_in_the_names_is_the_place_in_time(stems: tuple[str, ...], places: list[int]) -> None:
    assert places_of(stems) == places


@pytest.mark.parametrize("objects", [False, True])
def test_masks_of_some_frames_know_their_distance(tmp_path: Path, objects: bool) -> None:
    for name in ("8.png", "10.png", "13.png"):
        put(tmp_path / "1" if objects else tmp_path, name)
    assert [each.index for each in read_masks(tmp_path).frames] == [0, 2, 5]


def test_the_pictures_of_masks_are_looked_for_beside_them(tmp_path: Path) -> None:
    masks = tmp_path / "Annotations" / "480p" / "bear"
    for name in ("3.png", "8.png"):
        put(masks, name)
    assert pictures_near(masks) is None
    (tmp_path / "Annotations" / "480p" / "bear.mp4").touch()
    assert pictures_near(masks) == f"{masks}.mp4"
    for name in ("3.png", "8.png"):
        put(tmp_path / "Annotations" / "480p" / "bear-older", name)
    assert pictures_near(masks) == f"{masks}.mp4", "other masks are no pictures"
    shots = tmp_path / "JPEGImages" / "480p" / "bear"
    shots.mkdir(parents=True)
    for name in ("3.jpg", "4.jpg", "8.jpg"):
        (shots / name).touch()
    assert pictures_near(masks) == str(shots), "its names fit, which says more than a video"
    for name in ("3.jpg", "8.jpg"):
        (masks / name).touch()
    assert pictures_near(masks) is None, "two are as near"
    (shots / "8.jpg").unlink()
    assert pictures_near(masks) == f"{masks}/*.jpg"


@pytest.mark.parametrize("within", ["masks", "Annotations/480p", "Annotations"])
def test_folders_in_between_are_passed(tmp_path: Path, within: str) -> None:
    put(tmp_path / within, "0.png")
    assert read_masks(tmp_path).path == tmp_path / within
    assert stems(tmp_path) == (["0"], ("0",))


def test_several_sets_are_refused(tmp_path: Path) -> None:
    for name in ("480p", "1080p"):
        put(tmp_path / name, "0.png")
    for read in (read_masks, find_sequences):
        with pytest.raises(AnnotationError, match="several sets of masks"):
            read(tmp_path)


def test_two_masks_of_a_frame_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "0.png")
    Image.new("L", (9, 8)).save(tmp_path / "0.bmp")
    for read in (read_masks, find_sequences):
        with pytest.raises(AnnotationError, match=r"two masks of frame 0\n"):
            read(tmp_path)


def test_two_folders_of_an_object_are_refused(tmp_path: Path) -> None:
    for name in ("1", "01"):
        put(tmp_path / "clip" / name, "0.png")
    with pytest.raises(AnnotationError, match="two folders of object 1"):
        read_masks(tmp_path / "clip")
    with pytest.raises(AnnotationError, match="two folders of object 1"):
        find_sequences(tmp_path)


def test_objects_of_a_frame_have_one_size(tmp_path: Path) -> None:
    put(tmp_path / "clip" / "1", "0.png")
    (tmp_path / "clip" / "2").mkdir()
    write_label_map(tmp_path / "clip" / "2" / "0.png", np.ones((4, 4), np.uint8))
    (sequence,) = find_sequences(tmp_path).values()
    for read in (lambda: read_masks(tmp_path / "clip"), lambda: list(sequence.read(["0"]))):
        with pytest.raises(AnnotationError, match="differ in size"):
            read()


def test_objects_in_folders_below_a_wrapper(tmp_path: Path) -> None:
    for number, row in ((3, 2), (12, 5)):
        put(tmp_path / "masks" / str(number), "0.png", row=row)
    (frame,) = read_masks(tmp_path).frames
    assert {number: rle.bbox[1] for number, rle in frame.objects.items()} == {3: 2, 12: 5}
