"""Which maps are taken for interpolated ones."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.masks import davis_palette, read_binary_mask, read_label_map, write_label_map
from covos.masks.object_ids import looks_interpolated

SMOOTH = (cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC)


def blobs(seed: int, ids: list[int], size: tuple[int, int] = (480, 854)) -> np.ndarray:
    """Ellipses with thin limbs, over one another."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(size, np.uint8)
    for value in ids:
        centre = rng.integers((100, 100), (size[1] - 100, size[0] - 100))
        axes = rng.integers(30, 130, 2)
        cv2.ellipse(labels, tuple(map(int, centre)), tuple(map(int, axes)), float(rng.integers(180)), 0, 360, value, -1)
        for _ in range(6):
            end = centre + rng.integers(-170, 170, 2)
            cv2.line(labels, tuple(map(int, centre)), tuple(map(int, end)), value, int(rng.integers(1, 12)))
    return labels


@pytest.mark.parametrize("size", [(854, 480), (320, 180), (1920, 1080), (64, 48)])
@pytest.mark.parametrize("ids", [[1], [255], [1, 2], [3, 1, 2], [5, 1, 255, 3, 2], [8, 3, 5, 1, 2, 7, 4, 6]])
def test_clean_maps_pass_at_any_size(ids: list[int], size: tuple[int, int]) -> None:
    for seed in range(8):
        clean = cv2.resize(blobs(seed, ids), size, interpolation=cv2.INTER_NEAREST)
        assert not looks_interpolated(clean)


@pytest.mark.parametrize("mode", SMOOTH)
@pytest.mark.parametrize("ids", [[255], [5, 9, 14], [8, 3, 5, 1, 2, 7, 4, 6]])
def test_smoothed_maps_are_seen(ids: list[int], mode: int) -> None:
    for seed in range(8):
        assert looks_interpolated(cv2.resize(blobs(seed, ids), (640, 360), interpolation=mode))


def test_a_soft_mask_of_a_few_pixels_is_seen() -> None:
    labels = np.zeros((480, 854), np.uint8)
    cv2.circle(labels, (400, 200), 4, 255, -1, cv2.LINE_AA)
    assert looks_interpolated(labels)


def test_noise_and_trifles_pass() -> None:
    assert not looks_interpolated(np.zeros((5, 5), np.uint8))
    tiny = np.zeros((200, 200), np.uint8)
    tiny[50, 50:54], tiny[51, 50:54] = 1, 2
    assert not looks_interpolated(tiny)
    assert not looks_interpolated(np.array([[0, 1, 2]], np.uint8))


def test_reading_refuses_them(tmp_path) -> None:
    path = tmp_path / "soft.png"
    cv2.imwrite(str(path), cv2.GaussianBlur(blobs(0, [255]), (5, 5), 1.5))
    for read in (read_label_map, read_binary_mask):
        with pytest.raises(AnnotationError, match="looks resized with interpolation") as caught:
            read(path)
        assert "nearest" in caught.value.fix
        assert "split" not in caught.value.fix


def test_a_map_of_every_value_may_be_one_of_objects(tmp_path) -> None:
    cv2.imwrite(str(tmp_path / "all.png"), (np.arange(48 * 64).reshape(48, 64) // 12).astype(np.uint8))
    with pytest.raises(AnnotationError, match="256 values") as caught:
        read_label_map(tmp_path / "all.png")
    assert "split the map: 254 are the most" in caught.value.fix


def rimmed(*, rim: int, whole: int) -> np.ndarray:
    """Two objects that lie apart, and a line of the one's id round the other."""
    labels = np.zeros((240, 416), np.uint8)
    cv2.circle(labels, (300, 120), 61, rim, -1)
    cv2.circle(labels, (300, 120), 60, whole, -1)
    cv2.circle(labels, (90, 120), 50, rim, -1)
    return labels


@pytest.mark.parametrize("ids", [(1, 2), (3, 9), (1, 254)])
def test_a_thin_rim_of_one_id_round_another_is_clean(ids, tmp_path) -> None:
    labels = rimmed(rim=ids[0], whole=ids[1])
    write_label_map(tmp_path / "palette.png", labels)
    cv2.imwrite(str(tmp_path / "grey.png"), labels)
    for name in ("palette", "grey"):
        np.testing.assert_array_equal(read_label_map(tmp_path / f"{name}.png"), labels)
        np.testing.assert_array_equal(read_binary_mask(tmp_path / f"{name}.png"), labels > 0)


READERS = (read_label_map, read_binary_mask)


@pytest.mark.parametrize("palette", [davis_palette(), davis_palette()[::-1]], ids=["DAVIS", "other"])
def test_ids_that_were_resized_are_refused_whatever_their_palette(tmp_path, palette: np.ndarray) -> None:
    labels = cv2.resize(blobs(0, [5, 9, 14]), (640, 360), interpolation=cv2.INTER_LINEAR)
    resized = Image.fromarray(labels)
    resized.putpalette(palette.tobytes())
    resized.save(tmp_path / "palette.png")
    for read in READERS:
        with pytest.raises(AnnotationError, match="is not a clean label map"):
            read(tmp_path / "palette.png")


def test_a_soft_mask_with_a_palette_of_greys_is_refused(tmp_path) -> None:
    soft = Image.fromarray(cv2.GaussianBlur(blobs(0, [255]), (5, 5), 1.5))
    soft.putpalette([value for value in range(256) for _ in range(3)])
    soft.save(tmp_path / "grey.png")
    with pytest.raises(AnnotationError, match="looks like a soft picture"):
        read_label_map(tmp_path / "grey.png")


def soft_disc() -> np.ndarray:
    y, x = np.mgrid[:120, :160]
    return (np.clip((40 - np.hypot(y - 60, x - 80)) / 8 + 0.5, 0, 1) * 255).astype(np.uint8)


def cut_out(alpha: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([np.full_like(alpha, value) for value in (200, 30, 40)] + [alpha]))


def with_transparency(path: Path, indices: np.ndarray, colours: list[int], alpha: bytes) -> Path:
    picture = Image.fromarray(indices.astype(np.uint8))
    picture.putpalette(colours)
    picture.save(path, transparency=alpha)
    return path


@pytest.mark.filterwarnings("error")
def test_a_soft_cut_out_of_few_colours_is_refused(tmp_path) -> None:
    cut_out(soft_disc()).quantize(32).save(tmp_path / "quantized.png")
    levels = soft_disc() // 16
    colours = [value for level in range(16) for value in (200, 30 + level, 40)]
    with_transparency(tmp_path / "levels.png", levels, colours, bytes(range(0, 256, 17)))
    for name in ("quantized", "levels"):
        for read in READERS:
            with pytest.raises(AnnotationError, match="half-transparent pixels"):
                read(tmp_path / f"{name}.png")


def test_colours_that_blend_in_any_order_of_their_indices_are_refused(tmp_path) -> None:
    order = np.array([0, 9, 4, 13, 2, 11, 6, 15, 1, 8, 5, 12, 3, 10, 7, 14])
    colours = np.zeros((16, 3), np.uint8)
    colours[order, 0] = range(0, 256, 17)
    picture = Image.fromarray(order[soft_disc() // 16].astype(np.uint8))
    picture.putpalette(colours.tobytes())
    picture.save(tmp_path / "red.png")
    for read in READERS:
        with pytest.raises(AnnotationError, match="is not a clean label map"):
            read(tmp_path / "red.png")


@pytest.mark.filterwarnings("error")
def test_colours_that_are_fully_transparent_are_background(tmp_path) -> None:
    hard = soft_disc() > 128
    cut_out(hard * np.uint8(255)).quantize(2).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_binary_mask(tmp_path / "a.png"), hard)
    labels = hard * np.uint8(2)
    labels[:20, :20] = 1
    colours = davis_palette()[:3].ravel().tolist()
    shown = with_transparency(tmp_path / "b.png", labels, colours, bytes([255, 0, 255]))
    np.testing.assert_array_equal(read_label_map(shown), hard * np.uint8(2))
    np.testing.assert_array_equal(read_binary_mask(shown), hard)
    shown = with_transparency(tmp_path / "c.png", labels, colours, bytes([0, 255, 255]))
    np.testing.assert_array_equal(read_label_map(shown), labels)
    shown = with_transparency(tmp_path / "d.png", hard, [128, 0, 0, 0, 128, 0], bytes([255, 0]))
    np.testing.assert_array_equal(read_label_map(shown), ~hard * np.uint8(1))
    np.testing.assert_array_equal(read_binary_mask(shown), ~hard)


def test_more_transparent_colours_than_a_palette_has(tmp_path) -> None:
    labels = soft_disc() // 128
    write_label_map(tmp_path / "a.png", labels)
    chunk = b"tRNS" + bytes([0, *[255] * 298, 9])
    content = (tmp_path / "a.png").read_bytes()
    at = content.index(b"IDAT") - 4
    whole = content[:at] + struct.pack(">I", 300) + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[at:]
    (tmp_path / "a.png").write_bytes(whole)
    np.testing.assert_array_equal(read_label_map(tmp_path / "a.png"), labels)
