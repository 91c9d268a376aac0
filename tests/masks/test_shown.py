"""Masks that a user shows: one object with soft edges is cut at half, several are read as strictly as data is."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.masks import davis_palette, read_binary_mask, read_label_map, read_objects, read_shown_map

SIZE = (120, 160)


def brush() -> np.ndarray:
    """Draw an anti-aliased white ellipse on black."""
    grey = np.zeros(SIZE, np.uint8)
    cv2.ellipse(grey, (70, 60), (40, 25), 20, 0, 360, 255, -1, cv2.LINE_AA)
    return grey


def matte() -> np.ndarray:
    return np.asarray(cv2.GaussianBlur(brush(), (0, 0), 2))


def saved(path: Path, pixels: np.ndarray | Image.Image) -> Path:
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(path)
    return path


def refused(path: Path, match: str) -> None:
    with pytest.raises(AnnotationError, match=match):
        read_shown_map(path)


@pytest.mark.parametrize("soft", [brush(), matte()], ids=["brush", "matte"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_a_soft_grey_mask_is_one_object_cut_at_half(tmp_path: Path, soft: np.ndarray, mode: str) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(soft).convert(mode))
    with pytest.raises(AnnotationError):
        read_label_map(path)
    shown = read_shown_map(path)
    assert set(np.unique(shown.labels)) == {0, 255}
    np.testing.assert_array_equal(shown.labels == 255, soft >= 128)
    assert f"{path}: its edge is soft; the object is taken from 128 of 255 on" == shown.note
    objects, note = read_objects(path, size=SIZE)
    assert (list(objects), note) == ([0], shown.note)


def deep(grey: np.ndarray, kind: str) -> np.ndarray:
    return grey.astype(np.uint16) * 257 if kind == "16 bits" else grey.astype(np.float32) / 255


@pytest.mark.parametrize("soft", [brush(), matte()], ids=["brush", "matte"])
@pytest.mark.parametrize(("kind", "suffix"), [("16 bits", ".png"), ("16 bits", ".tif"), ("floating", ".tif")])
def test_a_grey_mask_of_more_bits_is_read_as_one_of_8(tmp_path: Path, soft: np.ndarray, kind: str, suffix: str) -> None:
    path, hard = tmp_path / f"a{suffix}", tmp_path / f"hard{suffix}"
    assert cv2.imwrite(str(path), deep(soft, kind))
    shown = read_shown_map(path)
    np.testing.assert_array_equal(shown.labels == 255, soft >= 128)
    assert shown.note == f"{path}: its edge is soft; the object is taken from 128 of 255 on"
    assert cv2.imwrite(str(hard), deep((soft >= 128).astype(np.uint8) * 255, kind))
    shown = read_shown_map(hard)
    np.testing.assert_array_equal(shown.labels == 255, soft >= 128)
    assert shown.note == ""


def test_ids_of_16_bits_and_light_beyond_white_stay_refused(tmp_path: Path) -> None:
    for labels in (two(1, 2).astype(np.uint16) * 300, two(1, 2).astype(np.uint16) * 30000):
        assert cv2.imwrite(str(tmp_path / "a.png"), labels)
        refused(tmp_path / "a.png", "holds the value")
    for light in (2.0, -1.0, float("nan")):
        floating = np.where(two(1, 1) > 0, light, 0).astype(np.float32)
        refused(saved(tmp_path / "a.tif", floating), "holds no object ids")


def test_a_palette_of_greys_is_read_by_its_greys(tmp_path: Path) -> None:
    soft = Image.fromarray(255 - matte())
    soft.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
    shown = read_shown_map(saved(tmp_path / "a.png", soft))
    np.testing.assert_array_equal(shown.labels == 255, matte() >= 128)


@pytest.mark.parametrize("photo", [True, False], ids=["cut-out", "brush"])
def test_the_alpha_of_a_cut_out_is_cut_at_half(tmp_path: Path, photo: bool) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3)).astype(np.uint8)
    colours = noise if photo else np.broadcast_to(np.array([200, 30, 40], np.uint8), (*SIZE, 3))
    shown = read_shown_map(saved(tmp_path / "a.png", np.dstack([colours, matte()])))
    np.testing.assert_array_equal(shown.labels == 255, matte() >= 128)
    assert "its alpha is the mask" in shown.note
    hard = (matte() >= 128).astype(np.uint8) * 255
    shown = read_shown_map(saved(tmp_path / "hard.png", np.dstack([colours, hard])))
    np.testing.assert_array_equal(shown.labels, hard)
    few = Image.fromarray(np.dstack([colours, matte()])).quantize(32)
    shown = read_shown_map(saved(tmp_path / "b.png", few))
    np.testing.assert_array_equal(shown.labels == 255, np.asarray(few.convert("RGBA"))[..., 3] >= 128)


def test_a_matte_that_is_nowhere_sure_is_cut_at_half(tmp_path: Path) -> None:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    veil = 22 * np.exp(-(((rows - 90) / 25) ** 2) - ((columns - 120) / 25) ** 2)
    soft = np.maximum(matte() * (240 / 255), np.where(veil < 3, 0, veil)).astype(np.uint8)
    shown = read_shown_map(saved(tmp_path / "a.png", soft))
    np.testing.assert_array_equal(shown.labels == 255, soft >= 128)


def test_what_is_clean_is_read_as_before_and_says_nothing(tmp_path: Path) -> None:
    labels = np.zeros(SIZE, np.uint8)
    labels[10:50, 10:50], labels[60:100, 60:100] = 3, 7
    for pixels in (labels, davis_palette()[labels], (labels > 0).view(np.uint8) * np.uint8(255)):
        path = saved(tmp_path / "a.png", pixels)
        shown = read_shown_map(path)
        np.testing.assert_array_equal(shown.labels, read_label_map(path))
        assert shown.note == ""


def two(first: int, second: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    cv2.circle(labels, (45, 60), 30, first, -1)
    cv2.circle(labels, (110, 60), 35, second, -1)
    return labels


@pytest.mark.parametrize("ids", [(1, 2), (5, 9), (128, 255), (3, 255), (255, 60)])
def test_smoothed_maps_of_several_ids_stay_refused(tmp_path: Path, ids: tuple[int, int]) -> None:
    smooth = cv2.GaussianBlur(two(*ids), (0, 0), 2)
    path = saved(tmp_path / "a.png", smooth)
    if ids == (1, 2):  # one value in between is not seen, here as in data
        assert read_shown_map(path).note == ""
    else:
        refused(path, "is not a clean label map")


def test_ids_that_were_resized_beside_void_stay_refused(tmp_path: Path) -> None:
    labels = two(5, 9)
    rim = cv2.morphologyEx(labels, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    labels[rim] = 255
    refused(saved(tmp_path / "a.png", cv2.resize(labels, (240, 180))), "is not a clean label map")


def test_several_colours_with_soft_edges_stay_refused(tmp_path: Path) -> None:
    alpha = cv2.GaussianBlur((two(1, 1) * 255).astype(np.uint8), (0, 0), 2)
    refused(saved(tmp_path / "a.png", np.dstack([davis_palette()[two(1, 2)], alpha])), "half-transparent")
    smooth = cv2.GaussianBlur(davis_palette()[two(1, 2)], (0, 0), 2)
    refused(saved(tmp_path / "b.png", smooth), "colours are not of the DAVIS palette")


def test_greys_that_are_no_edge_stay_refused(tmp_path: Path) -> None:
    photo = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, SIZE).astype(np.float32), (0, 0), 3)
    photo = ((photo - photo.min()) / np.ptp(photo) * 255).astype(np.uint8)
    refused(saved(tmp_path / "photo.png", photo), "is not a clean label map")
    dim = (matte() // 2).astype(np.uint8)  # white is not there: which object would it be?
    refused(saved(tmp_path / "dim.png", dim), "is not a clean label map")
    Image.fromarray(brush()).save(tmp_path / "brush.jpg")
    refused(tmp_path / "brush.jpg", "JPEG")


def test_data_is_read_strictly(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", brush())
    for read in (read_label_map, read_binary_mask):
        with pytest.raises(AnnotationError, match="looks resized with interpolation"):
            read(path)
