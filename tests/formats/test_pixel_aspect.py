"""Pixels that are not square: pictures say so, or a warning does."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import covos
from covos.media.range import WHOLE, Range
from media.conftest import film  # noqa: F401 - the fixture
from stub_model import bright_model

WIDE = Fraction(16, 11)
ONE = Range(start="f0", end="f1")


@pytest.fixture
def wide(film: Callable[..., Path]) -> Path:  # noqa: F811
    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = WIDE

    return film(count=2, prepare=prepare)


def chunks_of(path: Path) -> dict[bytes, bytes]:
    """Return the chunks of a PNG, whose sums have to be right, by their names."""
    content, at, found = path.read_bytes(), 8, {}
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        name, data = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", content, at + 8 + size)[0] == zlib.crc32(name + data)
        found[name] = data
        at += 12 + size
    return found


@pytest.mark.parametrize(
    ("name", "part"),
    [
        *((name, WHOLE) for name in ("rgba", "rgba=16", "matte", "matte=16", "cutout", "green=png", "blur=2%,png")),
        ("prores", ONE),
        ("overlay", ONE),
    ],
)
def test_a_png_states_its_pixel_aspect(wide: Path, tmp_path: Path, name: str, part: Range) -> None:
    saved = covos.segment(wide, model=bright_model(), range=part).save(tmp_path / "out", formats=[name])
    paths = [each for path in saved.outputs for each in ([path] if path.is_file() else path.rglob("*.png"))]
    assert paths
    for path in paths:
        chunks = chunks_of(path)
        assert list(chunks).index(b"pHYs") < list(chunks).index(b"IDAT")
        assert chunks[b"pHYs"] == struct.pack(">IIB", 11, 16, 0)  # more pixels down than across: they are wide
        with Image.open(path) as image:
            image.load()
            assert image.info["aspect"] == (11, 16)
    assert not any("aspect" in each for each in saved.warnings)


@pytest.mark.parametrize("name", ["rgba=webp", "green=webp", "green=jpeg"])
def test_a_picture_that_cannot_state_it_is_told(wide: Path, tmp_path: Path, name: str) -> None:
    saved = covos.segment(wide, model=bright_model()).save(tmp_path / "out", formats=[name])
    assert sum("the pixel aspect 16/11 is not kept" in each for each in saved.warnings) == 1


@pytest.mark.parametrize("name", ["rgba", "rgba=webp"])
def test_square_pixels_need_no_word(film: Callable[..., Path], tmp_path: Path, name: str) -> None:  # noqa: F811
    saved = covos.segment(film(count=2), model=bright_model()).save(tmp_path / "out", formats=[name])
    assert not any("aspect" in each for each in saved.warnings)
    pictures = sorted((tmp_path / "out").rglob("*.png"))
    assert len(pictures) == (2 if name == "rgba" else 0)
    assert all(b"pHYs" not in chunks_of(path) for path in pictures)
