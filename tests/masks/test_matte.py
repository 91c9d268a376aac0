"""A picture and its soft mask fit one another, or are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import AnnotationError, UsageError
from covos.masks.matte import check_pair, is_plain_picture, read_alpha, read_soft_mask

IMAGE = np.zeros((4, 6, 3), np.uint8)
SOFT = np.zeros((4, 6), np.float32)


def test_what_fits_is_taken() -> None:
    check_pair(IMAGE, SOFT)
    check_pair(IMAGE, SOFT + 1)


@pytest.mark.parametrize(
    ("image", "soft", "said"),
    [
        (IMAGE[..., 0], SOFT, "H x W x 3 uint8, not 4 x 6 uint8"),
        (IMAGE.astype(np.float32), SOFT, "not 4 x 6 x 3 float32"),
        (np.zeros((4, 6, 4), np.uint8), SOFT, "not 4 x 6 x 4 uint8"),
        (IMAGE, SOFT.astype(np.float64), "not 4 x 6 float64"),
        (IMAGE, SOFT[None], "not 1 x 4 x 6 float32"),
        (IMAGE, SOFT.T.copy(), r"\(4, 6\), the soft mask \(6, 4\)"),
        (IMAGE[:0], SOFT[:0], "empty"),
        (IMAGE, SOFT - 0.1, r"in \[0, 1\]"),
        (IMAGE, SOFT + 1.1, r"in \[0, 1\]"),
        (IMAGE, np.where(np.eye(4, 6), np.nan, SOFT).astype(np.float32), r"in \[0, 1\]"),
    ],
)
def test_what_does_not_fit_is_refused(image: NDArray[np.generic], soft: NDArray[np.generic], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        check_pair(image, soft)


def test_floating_point_greys_are_taken_as_they_are(tmp_path: Path) -> None:
    grey = np.linspace(0, 1, 24, dtype=np.float32).reshape(4, 6)
    Image.fromarray(grey).save(tmp_path / "matte.tif")
    np.testing.assert_array_equal(read_soft_mask(tmp_path / "matte.tif"), grey)


@pytest.mark.parametrize("value", [-0.1, 1.5, 255, np.nan, np.inf])
def test_other_floating_point_numbers_are_no_matte(value: float, tmp_path: Path) -> None:
    grey = np.zeros((4, 6), np.float32)
    grey[1, 2] = value
    Image.fromarray(grey).save(tmp_path / "matte.tif")
    with pytest.raises(AnnotationError, match="outside 0 to 1"):
        read_soft_mask(tmp_path / "matte.tif")


@pytest.mark.parametrize("how", ["palette", "grey", "colour"])
def test_alpha_without_a_channel_is_alpha(how: str, tmp_path: Path) -> None:
    """Programs that make pictures smaller keep the alpha in the palette, or name one value as transparent."""
    path, alpha = tmp_path / "cutout.png", np.zeros((8, 8), np.uint8)
    alpha[2:6, 2:6] = 255
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[alpha > 0] = (200, 30, 30, 255)
    if how == "palette":
        Image.fromarray(rgba).quantize(4).save(path)
    elif how == "grey":
        Image.fromarray(rgba[..., 0]).save(path, transparency=0)
    else:
        Image.fromarray(rgba[..., :3]).save(path, transparency=(0, 0, 0))
    with Image.open(path) as saved:
        assert saved.mode in {"P", "L", "RGB"}
    np.testing.assert_array_equal(read_alpha(path), alpha)
    np.testing.assert_array_equal(read_soft_mask(path), alpha > 0)
    assert not is_plain_picture(path)
