"""The rules of mask folders, the same for conversion and for scoring."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.evaluation.mask_trees import find_sequences
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
