"""Recordings that were joined byte by byte: all are read, or it is told that the second is not."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from covos.media.joined import second_file, second_picture
from covos.media.opening import open_source
from loaded import damage_inputs

INPUTS: Any = damage_inputs()
COUNT = 8


def twice(name: str, folder: Path) -> tuple[Path, int]:
    clip: Path = INPUTS.make_clip(INPUTS.KINDS[name], folder, count=COUNT)
    content, path = clip.read_bytes(), clip.with_stem("twice")
    path.write_bytes(2 * content)
    return path, len(content)


@pytest.mark.parametrize("name", ["mp4", "mp4, index last", "mov, png", "apng", "nut", "wmv", "flv", "ivf"])
def test_a_second_recording_that_is_not_read_is_told(name: str, tmp_path: Path) -> None:
    path, size = twice(name, tmp_path)
    assert second_file(path) == size
    with open_source(path) as source:
        frames, health = list(source), source.health
    assert len(frames) >= COUNT
    assert health.at_least
    assert not health.complete
    assert any(f"another file begins in it, at byte {size}," in text for text in health.warnings)


@pytest.mark.parametrize("name", ["mkv", "webm", "ts, sound", "mpg", "gif", "h264", "mjpeg", "ogg"])
def test_others_go_on(name: str, tmp_path: Path) -> None:
    path, _ = twice(name, tmp_path)
    assert second_file(path) is None
    with open_source(path) as source:
        assert (len(list(source)), source.health.complete) == (2 * COUNT, True)


def test_fragments_that_are_passed_over_at_a_join_are_counted(tmp_path: Path) -> None:
    path, _ = twice("mp4, fragments", tmp_path)
    with open_source(path) as source:
        frames, health = list(source), source.health
    assert len(frames) + health.missing == 2 * COUNT
    assert health.complete == (len(frames) == 2 * COUNT)


def test_a_photograph_with_a_film_behind_it_is_a_photograph(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "motion.jpg"
    Image.fromarray(INPUTS.picture(0, (48, 64))).save(path)
    clip = INPUTS.make_clip(INPUTS.KINDS["mp4"], tmp_path, count=COUNT)
    path.write_bytes(path.read_bytes() + clip.read_bytes())
    with open_source(path) as source:
        assert (len(list(source)), source.info.kind, source.health.complete) == (1, "image", True)


def still(kind: str, size: tuple[int, int], **options: Any) -> bytes:
    from PIL import Image

    content = io.BytesIO()
    pixels = np.random.default_rng(size[0]).integers(0, 255, (*size, 3), np.uint8)
    Image.fromarray(pixels).save(content, format=kind, **options)
    return content.getvalue()


STILLS: dict[str, tuple[str, dict[str, Any]]] = {
    "png": ("PNG", {}),
    "jpg": ("JPEG", {}),
    "webp": ("WEBP", {}),
    "avif": ("AVIF", {}),
    "bmp": ("BMP", {}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "exif.tif": ("TIFF", {"exif": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x01\0\0\0\0\0\0\0"}),
}


@pytest.mark.parametrize("name", STILLS)
def test_a_second_still_is_told(name: str, tmp_path: Path) -> None:
    kind, options = STILLS[name]
    first, second = still(kind, (48, 64), **options), still(kind, (40, 50), **options)
    path = tmp_path / f"joined.{name}"
    path.write_bytes(first + second)
    assert second_picture(path) == len(first)
    with open_source(path) as source:
        (frame,), health = list(source), source.health
    assert frame.image.shape == (48, 64, 3)
    assert health.at_least
    assert not health.complete
    said = f"another picture begins in joined.{name}, at byte {len(first)}, which is not read: split it there"
    assert said in health.warnings
    path.write_bytes(first)
    with open_source(path) as source:
        assert (len(list(source)), source.health.complete, source.health.warnings) == (1, True, ())


def test_a_joined_picture_among_the_frames_of_a_folder(tmp_path: Path) -> None:
    for index in range(3):
        (tmp_path / f"{index}.png").write_bytes(still("PNG", (48, 64)) * (1 + (index == 1)))
    with open_source(tmp_path) as source:
        frames, health = list(source), source.health
    assert (len(frames), health.complete) == (3, False)
    assert any(text.startswith("another picture begins in 1.png, at byte ") for text in health.warnings)


@pytest.mark.parametrize(
    "behind",
    ["a preview", "pictures that it names", "zeros", "rubbish"],
)
def test_other_things_behind_a_photograph_are_its_own(behind: str, tmp_path: Path) -> None:
    from PIL import Image

    photograph, small = still("JPEG", (48, 64)), still("JPEG", (12, 16))
    bare = small[:2] + small[20:]  # without the header of a file
    views, (left, right) = io.BytesIO(), (Image.new("RGB", (64, 48), shade) for shade in ("red", "blue"))
    left.save(views, format="MPO", save_all=True, append_images=[right])
    content = {
        "a preview": photograph + bare,
        "pictures that it names": views.getvalue(),
        "zeros": photograph + bytes(100),
        "rubbish": photograph + b"SEFT" + bytes(30),
    }
    path = tmp_path / "photo.jpg"
    path.write_bytes(content[behind])
    assert second_picture(path) is None
    with open_source(path) as source:
        assert (len(list(source)), source.health.complete) == (1, True)


def test_a_damaged_tiff_has_no_second(tmp_path: Path) -> None:
    """Its directories are not believed, and end."""
    content = bytearray(still("TIFF", (48, 64)))
    path = tmp_path / "a.tif"
    for at in range(8, len(content), 7):
        path.write_bytes(bytes(content[:at]) + b"\xff\xff\xff\xff" + bytes(content[at + 4 :]))
        second_picture(path)
    many = bytes(content) + bytes(1 << 20)
    (start,) = struct.unpack_from("<I", content, 4)
    for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", content, start)[0], 12):
        if struct.unpack_from("<H", content, entry) == (273,):  # as many strips as the file has numbers
            stated = struct.pack("<HHII", 273, 4, 1 << 18, len(content))
            path.write_bytes(many[:entry] + stated + many[entry + 12 :] + bytes(content))
            assert second_picture(path) is None
    (count,) = struct.unpack_from("<H", content, start)
    content[start + 2 + 12 * count : start + 6 + 12 * count] = struct.pack("<I", start)  # the next one is itself
    path.write_bytes(bytes(content))
    assert second_picture(path) is None
