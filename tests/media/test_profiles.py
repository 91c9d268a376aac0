"""Pictures that state a colour profile come out in sRGB."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from covos.core.types import Colour, Tags
from covos.formats.profile import profile_of
from covos.formats.tiff import write_tiff
from covos.media.images import read_image, read_picture
from covos.media.opening import open_source
from covos.media.profiles import deep_in_srgb

COLOUR = (200, 60, 40)


def profile(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def wide(picture: Image.Image) -> tuple[Image.Image, bytes]:
    """Return a picture in a profile whose first channel is blue, as no viewer may ignore, and that profile."""
    found = bytearray(profile("sRGB"))
    table = {bytes(found[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(found[128:132], "big"), 12)}
    red, blue = table[b"rXYZ"], table[b"bXYZ"]
    found[red + 4 : red + 12], found[blue + 4 : blue + 12] = found[blue + 4 : blue + 12], found[red + 4 : red + 12]
    start = int.from_bytes(found[table[b"desc"] + 4 : table[b"desc"] + 8], "big")
    size = int.from_bytes(found[table[b"desc"] + 8 : table[b"desc"] + 12], "big")
    found[start : start + size] = bytes(found[start : start + size]).replace(b"\0s\0R\0G\0B", b"\0w\0i\0d\0e")
    red_channel, green, blue_channel, *alpha = picture.split()
    return Image.merge(picture.mode, (blue_channel, green, red_channel, *alpha)), bytes(found)


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_another_profile(tmp_path: Path, suffix: str, mode: str) -> None:
    picture = Image.new(mode, (8, 6), (*COLOUR, 128) if mode == "RGBA" else COLOUR)
    stored, icc = wide(picture)
    stored.save(tmp_path / f"p.{suffix}", icc_profile=icc, **({"lossless": True} if suffix == "webp" else {}))
    found = read_picture(tmp_path / f"p.{suffix}")
    colours = found.image if found.bare is None else found.bare
    assert np.abs(colours.astype(int) - COLOUR).max() <= 3
    assert (found.alpha is not None) == (mode == "RGBA")


@pytest.mark.parametrize("icc", [b"", b"rubbish", profile("sRGB"), profile("LAB"), profile("sRGB")[:300]])
def test_srgb_damage_and_other_channels_change_nothing(tmp_path: Path, icc: bytes) -> None:
    Image.new("RGB", (8, 6), COLOUR).save(tmp_path / "p.png", icc_profile=icc)
    assert (read_image(tmp_path / "p.png") == COLOUR).all()


def deep_file(path: Path, samples: np.ndarray, icc: bytes) -> Path:
    """A TIFF of 16 bits, or a PNG by OpenCV into which the profile is put behind the head."""
    if path.suffix == ".tif":
        write_tiff(path, samples, profile=icc)
        return path
    content = cv2.imencode(".png", samples[..., [2, 1, 0, 3][: samples.shape[2]]])[1].tobytes()
    body = b"iCCPp\0\0" + zlib.compress(icc)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    path.write_bytes(content[:33] + chunk + content[33:])
    return path


@pytest.mark.parametrize("suffix", ["tif", "png"])
@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("primaries", [5, 6, 11, 12])
def test_sixteen_bits_come_out_as_little_cms_has_eight(
    tmp_path: Path, suffix: str, channels: int, primaries: int
) -> None:
    icc = profile_of(Tags(colour=Colour(primaries=primaries, transfer=1, matrix=1)))
    eight = np.random.default_rng(3).integers(60, 190, (40, 50, channels)).astype(np.uint8)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(eight[..., :3]), ImageCms.ImageCmsProfile(BytesIO(icc)), ImageCms.createProfile("sRGB")
    )
    with open_source(deep_file(tmp_path / f"p.{suffix}", eight.astype(np.uint16) * 257, icc)) as source:
        (frame,) = source
    assert frame.deep is not None
    deep = frame.deep() / 257
    assert np.abs(deep - np.asarray(wanted).astype(float)).max() <= 1
    assert np.abs(frame.colours - deep).max() <= 1
    assert not np.allclose(deep, np.rint(deep)), "more than eight bits are kept"
    if channels == 4:
        assert frame.alpha is not None
        assert np.abs(frame.alpha.astype(int) - eight[..., 3]).max() <= 1


@pytest.mark.parametrize(
    "curve",
    [
        b"curv" + bytes(4) + struct.pack(">I", 0),
        b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256)),
        b"curv" + bytes(4) + struct.pack(">I5H", 5, 0, 2000, 11000, 30000, 65535),
        b"para" + bytes(4) + struct.pack(">HHi", 0, 0, round(2.2 * 65536)),
        b"para" + bytes(4) + struct.pack(">HH3i", 1, 0, 2 << 16, round(0.9 * 65536), round(0.1 * 65536)),
        b"para" + bytes(4) + struct.pack(">HH4i", 2, 0, 2 << 16, round(0.8 * 65536), round(0.1 * 65536), 6000),
    ],
)
def test_every_kind_of_curve(curve: bytes) -> None:
    own = bytearray(profile_of(Tags(colour=Colour(primaries=12, transfer=1, matrix=1))))
    start = len(own)
    own += curve
    for place in range(int.from_bytes(own[128:132], "big")):
        at = 132 + 12 * place
        if bytes(own[at : at + 4]) in {b"rTRC", b"gTRC", b"bTRC"}:
            own[at + 4 : at + 12] = struct.pack(">II", start, len(curve))
    own[:4] = struct.pack(">I", len(own))
    eight = np.random.default_rng(3).integers(70, 180, (20, 30, 3)).astype(np.uint8)
    wanted = ImageCms.profileToProfile(
        Image.fromarray(eight),
        ImageCms.ImageCmsProfile(BytesIO(bytes(own))),
        ImageCms.createProfile("sRGB"),
        renderingIntent=1,  # the others of Little CMS move the black
    )
    found = deep_in_srgb(eight.astype(np.uint16) * 257, bytes(own))
    assert found is not None
    assert np.abs(found / 257 - np.asarray(wanted).astype(float)).max() <= 2


@pytest.mark.parametrize("icc", [b"", b"rubbish", profile("sRGB"), profile("LAB"), profile("sRGB")[:300], None])
def test_sixteen_bits_of_srgb_and_of_damaged_profiles_stay(icc: bytes | None) -> None:
    assert deep_in_srgb(np.zeros((4, 5, 3), np.uint16), icc) is None


@pytest.mark.parametrize("numbers", [(2.4, 0, 0.05, 0.07, 0.04), (-1, 1, 0, 0.1, 0), (3000, 2, 0.1, 0.1, 0.1)])
def test_a_curve_that_leads_nowhere_is_no_curve(numbers: tuple[float, ...]) -> None:
    own = bytearray(profile_of(Tags(colour=Colour(primaries=12, transfer=1, matrix=1))))
    at = own.index(b"para") + 12
    own[at : at + 20] = struct.pack(">5i", *(round(65536 * each) for each in numbers))
    found = deep_in_srgb(np.full((300, 2, 3), 3000, np.uint16), bytes(own))
    assert found is None or found.shape == (300, 2, 3)


@given(st.binary(max_size=80), st.integers(128, 500))
def test_no_profile_breaks_reading(noise: bytes, at: int) -> None:
    own = bytearray(profile_of(Tags(colour=Colour(primaries=12, transfer=1, matrix=1))))
    own[at : at + len(noise)] = noise
    found = deep_in_srgb(np.full((2, 2, 3), 3000, np.uint16), bytes(own))
    assert found is None or found.shape == (2, 2, 3)


def test_greys(tmp_path: Path) -> None:
    content = BytesIO()
    Image.new("L", (8, 6), 100).save(content, "PNG", icc_profile=profile("sRGB"))
    (tmp_path / "p.png").write_bytes(content.getvalue())
    assert (read_image(tmp_path / "p.png") == 100).all()
