"""Pictures that state a colour profile come out in sRGB."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from covos.media.images import read_image, read_picture

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


def test_greys(tmp_path: Path) -> None:
    content = BytesIO()
    Image.new("L", (8, 6), 100).save(content, "PNG", icc_profile=profile("sRGB"))
    (tmp_path / "p.png").write_bytes(content.getvalue())
    assert (read_image(tmp_path / "p.png") == 100).all()
