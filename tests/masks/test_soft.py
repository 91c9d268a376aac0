import numpy as np
import pytest
from PIL import Image

from covos.core.errors import AnnotationError
from covos.masks import davis_palette, read_soft_mask

RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def check(path, expected) -> None:
    result = read_soft_mask(path)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, atol=1e-7)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_grey(tmp_path, mode: str) -> None:
    Image.fromarray(RAMP).convert(mode).save(tmp_path / "a.png")
    check(tmp_path / "a.png", RAMP / 255)


def test_grey_palette_and_jpeg(tmp_path) -> None:
    image = Image.fromarray(RAMP)
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[::-1], 3).tobytes())
    image.save(tmp_path / "a.png")
    check(tmp_path / "a.png", 1 - RAMP / 255)
    Image.fromarray(np.full((8, 8), 51, np.uint8)).save(tmp_path / "a.jpg")
    check(tmp_path / "a.jpg", np.full((8, 8), 0.2))


def test_sixteen_bits_and_one(tmp_path) -> None:
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(tmp_path / "a.png")
    check(tmp_path / "a.png", RAMP / 255)
    Image.fromarray(RAMP > 99).save(tmp_path / "b.png")
    check(tmp_path / "b.png", RAMP > 99)


def test_alpha_wins_over_colour(tmp_path) -> None:
    Image.fromarray(np.dstack([davis_palette()[RAMP], RAMP])).save(tmp_path / "a.png")
    check(tmp_path / "a.png", RAMP / 255)


def test_colours_are_refused(tmp_path) -> None:
    Image.fromarray(davis_palette()[RAMP]).save(tmp_path / "a.png")
    with pytest.raises(AnnotationError, match="colours"):
        read_soft_mask(tmp_path / "a.png")
