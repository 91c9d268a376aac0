"""Folders of pictures: every entry that is named like a frame has its row, and what is passed over is told."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as Pillow

from covos.core.errors import SourceError
from covos.core.limits import Limits
from covos.media.jpeg import is_damaged
from covos.media.opening import open_source

Draw = Callable[..., NDArray[np.uint8]]


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Callable[..., Path]:
    def write(suffix: str = ".png", *, count: int = 6) -> Path:
        for index in range(count):
            Pillow.fromarray(draw(index)).save(tmp_path / f"{index:05d}{suffix}", quality=95)
        return tmp_path

    return write


def jpeg(image: NDArray[np.uint8], **options: object) -> bytes:
    content = io.BytesIO()
    Pillow.fromarray(image).save(content, "JPEG", **{"quality": 95, **options})
    return content.getvalue()


def statuses(path: Path) -> tuple[list[str], tuple[str, ...], bool]:
    with open_source(path) as source:
        found = [frame.status for frame in source]
        source.content()
        return found, source.health.warnings, source.health.complete


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.mkdir()


def as_dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def as_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("become", [as_pipe, as_folder, as_dangling, as_loop])
@pytest.mark.parametrize("index", [0, 3])
def test_what_is_named_like_a_frame_and_is_no_file_has_its_row(
    folder: Callable[..., Path], become: Callable[[Path], None], index: int
) -> None:
    path = folder() / f"{index:05d}.png"
    path.unlink()
    become(path)
    found, warnings, complete = statuses(path.parent)
    assert [at for at, status in enumerate(found) if status == "unreadable"] == [index]
    assert len(found) == 6
    assert not complete
    assert any(path.name in text for text in warnings)


def test_the_content_tells_a_picture_without_its_suffix(folder: Callable[..., Path], draw: Draw) -> None:
    path = folder()
    (path / "00001.png").rename(path / "00001")
    (path / "00003.png").rename(path / "00003.part")
    (path / "00006.jfif").write_bytes(jpeg(draw(6)))
    (path / "00002.json").write_text("{}")
    (path / "00004.thm").write_bytes(jpeg(draw(4)))  # a camera's preview beside the picture
    (path / "notes.txt").write_text("BMP files are in the other folder")
    found, warnings, complete = statuses(path)
    assert (found, warnings, complete) == (["ok"] * 7, (), True)


def test_pictures_that_are_no_frames_are_told(folder: Callable[..., Path]) -> None:
    path = folder()
    for name in ("00006.jp2", "00007.dpx", "00008.xyz", "cover.psd"):
        (path / name).write_bytes(b"x")
    found, warnings, _ = statuses(path)
    assert len(found) == 6
    assert any("4 files passed over: 00006.jp2" in text for text in warnings)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (
            [1, 2, 3, 5, 6, 10, 11, 12],
            "leaves out 4: 4, 7 to 9; videos are 4 frames shorter than the series, and what follows 3 comes earlier",
        ),
        ([0, 5, 10, 20, 25], "leaves out 1: 15; videos are 1 frame shorter than the series, and what follows 10 comes"),
        ([0, 5, 10, 15, 20], ""),
        ([1, 7, 8, 12, 19, 40], ""),
        ([1, 2, 10], ""),
    ],
)
def test_holes_in_the_numbering_are_told_once(tmp_path: Path, draw: Draw, numbers: list[int], said: str) -> None:
    for number in numbers:
        Pillow.fromarray(draw(number)).save(tmp_path / f"shot {number}.png")
    found, warnings, complete = statuses(tmp_path)
    assert len(found) == len(numbers)
    assert complete
    told = [text for text in warnings if "numbering" in text]
    assert len(told) == bool(said)
    assert all(said in text for text in told)


def damaged(content: bytes, kind: str) -> bytes:
    half = len(content) // 2
    return {
        "zeros": content[:half] + bytes(200) + content[half + 200 :],
        "noise": content[:half] + np.random.default_rng(1).bytes(200) + content[half + 200 :],
        "cut": content[:half] + b"\xff\xd9",
    }[kind]


@pytest.mark.parametrize("kind", ["zeros", "noise", "cut"])
def test_a_damaged_jpeg_that_decodes_all_the_same_is_marked(folder: Callable[..., Path], draw: Draw, kind: str) -> None:
    path = folder(".jpg") / "00004.jpg"
    path.write_bytes(damaged(path.read_bytes(), kind))
    found, warnings, complete = statuses(path.parent)
    assert found == ["ok"] * 4 + ["concealed", "ok"]
    assert not complete
    assert any("painted over: 00004.jpg" in text for text in warnings)


def test_a_jpeg_that_lacks_only_the_mark_of_its_end_is_whole(folder: Callable[..., Path]) -> None:
    path = folder(".jpg") / "00004.jpg"
    path.write_bytes(path.read_bytes()[:-2])
    assert statuses(path.parent) == (["ok"] * 6, (), True)
    path.write_bytes(path.read_bytes()[:-400])
    assert statuses(path.parent)[0][4] == "unreadable"


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"optimize": True},
        {"quality": 100, "subsampling": 0},
        {"quality": 1},
        {"restart_marker_blocks": 3},
    ],
)
@pytest.mark.parametrize("behind", [b"", bytes(300), b"ftypmp42" * 20])
def test_an_intact_jpeg_is_not_called_damaged(draw: Draw, mode: str, options: dict[str, object], behind: bytes) -> None:
    content = io.BytesIO()
    Pillow.fromarray(draw(3, (203, 301))).convert(mode).save(content, "JPEG", **options)
    assert not is_damaged(content.getvalue() + behind)


def test_flat_pictures_are_runs_of_zeros() -> None:
    for options in ({"optimize": True}, {}, {"progressive": True}):
        for value in (0, 128, 255):
            assert not is_damaged(jpeg(np.full((600, 800, 3), value, np.uint8), **options))


def header_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    start = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", start) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("index", [0, 3])
@pytest.mark.parametrize("kind", ["size", "turned", "huge"])
def test_one_of_another_size_costs_its_row(folder: Callable[..., Path], draw: Draw, index: int, kind: str) -> None:
    path = folder() / f"{index:05d}.png"
    turned = Pillow.Exif()
    turned[0x112] = 6
    if kind == "huge":
        path.write_bytes(header_of(30_000, 30_000))
    else:
        Pillow.fromarray(draw(3, (40, 64) if kind == "size" else (48, 64))).save(
            path, exif=turned if kind == "turned" else None
        )
    if kind == "turned":
        path.unlink()
        path.with_suffix(".jpg").write_bytes(jpeg(draw(3), exif=turned))
    found, warnings, _ = statuses(path.parent)
    assert [at for at, status in enumerate(found) if status == "unreadable"] == [index]
    assert any(path.stem in text for text in warnings)


def test_pictures_of_two_sizes_are_refused(folder: Callable[..., Path], draw: Draw) -> None:
    path = folder()
    for index in (1, 4):
        Pillow.fromarray(draw(index, (40, 64))).save(path / f"{index:05d}.png")
    with pytest.raises(SourceError, match="64x40"):
        open_source(path)


def test_the_limit_on_pixels_lifts_that_of_the_library(
    tmp_path: Path, limited: Callable[..., Limits], recwarn: pytest.WarningsRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library refuses twice its own limit.
    monkeypatch.setattr(Pillow, "MAX_IMAGE_PIXELS", 89_000)
    limited(pixels=150_000)
    path = tmp_path / "wide.png"
    Pillow.new("1", (1900, 100)).save(path)
    with pytest.raises(SourceError, match="1900x100"):
        open_source(path)
    limited(pixels=200_000)
    before = Pillow.MAX_IMAGE_PIXELS
    with open_source(path) as source:
        assert (source.info.width, source.info.height) == (1900, 100)
    assert before == Pillow.MAX_IMAGE_PIXELS
    assert not recwarn.list


def test_reasons_are_no_words_of_pythons(folder: Callable[..., Path], recwarn: pytest.WarningsRecorder) -> None:
    path = folder(".tiff") / "00003.tiff"
    whole = path.read_bytes()
    for content, why in ((b"", "the file is empty"), (whole[:16], "its beginning is damaged")):
        path.write_bytes(content)
        found, warnings, _ = statuses(path.parent)
        assert found[3] == "unreadable"
        assert why in " ".join(warnings)
        assert "Errno" not in " ".join(warnings)


def test_a_png_whose_pixels_have_a_wrong_checksum_is_marked(folder: Callable[..., Path]) -> None:
    """Its decoder stops at the last pixel, before the checksum."""
    path = folder() / "00003.png"
    content = path.read_bytes()
    at = content.index(b"IDAT") - 4
    size = int.from_bytes(content[at : at + 4], "big")
    lines = bytearray(zlib.decompress(content[at + 8 : at + 8 + size]))
    lines[-30:] = bytes(30)
    packed = zlib.compress(bytes(lines))
    path.write_bytes(
        content[:at] + struct.pack(">I", len(packed)) + b"IDAT" + packed + bytes(4) + content[at + 12 + size :]
    )
    found, warnings, complete = statuses(path.parent)
    assert found[3] in {"concealed", "unreadable"}
    assert not complete
    assert any("00003.png" in text for text in warnings)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_deep_pictures_keep_their_depth(tmp_path: Path, suffix: str, bits: int) -> None:
    samples = np.random.default_rng(5).integers(0, 1 << bits, (12, 16, 3)).astype(np.uint16)
    for index in range(2):
        assert cv2.imwrite(str(tmp_path / f"{index}.{suffix}"), samples[..., ::-1])
    with open_source(tmp_path) as source:
        assert source.info.tags.bits == bits
        for frame in source:
            assert frame.image.dtype == np.uint8
            np.testing.assert_array_equal(frame.image, samples >> (bits - 8))
            assert frame.deep is not None
            np.testing.assert_allclose(frame.deep(), samples * (65535 / ((1 << bits) - 1)), atol=0.51)


def test_a_picture_of_8_bits_among_deep_ones_and_one_that_is_gone(tmp_path: Path) -> None:
    samples = np.random.default_rng(5).integers(0, 65536, (12, 16, 3)).astype(np.uint16)
    for index, pixels in enumerate((samples, (samples >> 8).astype(np.uint8), samples)):
        assert cv2.imwrite(str(tmp_path / f"{index}.png"), pixels[..., ::-1])
    with open_source(tmp_path) as source:
        deep, flat, gone = source
        (tmp_path / "2.png").unlink()
        assert deep.deep is not None
        assert flat.deep is not None
        assert gone.deep is not None
        np.testing.assert_array_equal(deep.deep(), samples)
        np.testing.assert_array_equal(flat.deep(), (samples >> 8) * 257)
        np.testing.assert_array_equal(gone.deep(), (samples >> 8) * 257)


def test_pictures_of_8_bits_have_no_others(folder: Callable[..., Path]) -> None:
    with open_source(folder()) as source:
        assert source.info.tags.bits == 8
        assert all(frame.deep is None for frame in source)
