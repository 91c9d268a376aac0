from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from covos.cli.reproduce import reproduce
from covos.cli.segment import segment
from covos.core.errors import UsageError
from covos.masks.foreground import foreground_colours
from covos.models.choices import Refinement, check_refinement
from covos.models.cosnet.crf import crf_filter


def pair(height: int = 20, width: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), rng.random((height, width), dtype=np.float32)


def test_the_input_is_not_changed() -> None:
    image, probability = pair()
    kept, kept_probability = image.copy(), probability.copy()
    image.flags.writeable = probability.flags.writeable = False
    refined = crf_filter(image, probability)
    assert refined.dtype == np.float32
    assert refined.shape == probability.shape
    np.testing.assert_array_equal(image, kept)
    np.testing.assert_array_equal(probability, kept_probability)


def test_names() -> None:
    assert [check_refinement(name) for name in get_args(Refinement)] == ["none", "crf"]
    with pytest.raises(UsageError, match=r"unknown refinement 'crff'.*\n.*\n.*none, crf"):
        check_refinement("crff")


@pytest.mark.parametrize("verb", [segment, reproduce])
def test_the_commands_offer_what_there_is(verb: Any) -> None:
    offered = get_type_hints(verb, include_extras=False, globalns={**inspect.getmodule(verb).__dict__})["refine"]
    assert get_args(offered) == get_args(Refinement)


BAD = {
    "sizes differ": ((20, 30, 3), np.uint8, (20, 31), np.float32, 0.5, r"\(20, 30\), the soft mask \(20, 31\)"),
    "swapped axes": ((20, 30, 3), np.uint8, (30, 20), np.float32, 0.5, r"\(20, 30\), the soft mask \(30, 20\)"),
    "grey image": ((20, 30), np.uint8, (20, 30), np.float32, 0.5, r"H x W x 3 uint8.*, not 20 x 30 uint8"),
    "image with alpha": ((20, 30, 4), np.uint8, (20, 30), np.float32, 0.5, "not 20 x 30 x 4 uint8"),
    "float image": ((20, 30, 3), np.float32, (20, 30), np.float32, 0.5, "not 20 x 30 x 3 float32"),
    "one channel": ((20, 30, 3), np.uint8, (20, 30, 1), np.float32, 0.5, "H x W float32, not 20 x 30 x 1 float32"),
    "bytes": ((20, 30, 3), np.uint8, (20, 30), np.uint8, 1, "not 20 x 30 uint8"),
    "doubles": ((20, 30, 3), np.uint8, (20, 30), np.float64, 0.5, "not 20 x 30 float64"),
    "NaN": ((20, 30, 3), np.uint8, (20, 30), np.float32, np.nan, r"in \[0, 1\], not in \[nan"),
    "infinite": ((20, 30, 3), np.uint8, (20, 30), np.float32, np.inf, r"in \[0, 1\], not in"),
    "percent": ((20, 30, 3), np.uint8, (20, 30), np.float32, 50, r"in \[0, 1\], not in"),
    "log-odds": ((20, 30, 3), np.uint8, (20, 30), np.float32, -2, r"in \[0, 1\], not in"),
    "empty": ((0, 30, 3), np.uint8, (0, 30), np.float32, 0, "are empty"),
}


@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("function", [crf_filter, foreground_colours])
def test_what_is_no_picture_with_a_soft_mask_is_refused(function: Any, what: str) -> None:
    image_shape, image_type, shape, kind, value, message = BAD[what]
    soft = np.full(shape, 0.5).astype(kind)
    soft[3:4] = value  # one bad row is enough
    with pytest.raises(UsageError, match=message):
        function(np.zeros(image_shape, image_type), soft)
