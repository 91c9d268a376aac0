"""A mask of one object as a caller gives it: bool, or 0 and one other value; nothing soft, and no map of several."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import source_info
from covos.core.errors import UsageError
from covos.masks import decode
from covos.prompts.seeds import Seeds

INFO = source_info(frame_count=8, duration=None)
SIZE = (INFO.height, INFO.width)


def box(top: int, left: int, side: int = 14) -> np.ndarray:
    mask = np.zeros(SIZE, bool)
    mask[top : top + side, left : left + side] = True
    return mask


@pytest.fixture
def prompts() -> Seeds:
    return Seeds(INFO)


@pytest.mark.parametrize("values", [(1,), (255,), (7,), (0, 1), (0, 255), (False, True), (0.0, 1.0)])
def test_a_mask_is_taken_where_each_pixel_is_of_the_object_or_not(prompts: Seeds, values: tuple[float, ...]) -> None:
    mask = np.where(box(12, 0), values[-1], values[0])
    assert prompts.add_mask(0, mask, identity=None, resize=False) == 1
    (seed,) = prompts.current
    np.testing.assert_array_equal(decode(seed.mask), mask != 0)


@pytest.mark.parametrize("soft", [np.float32(0.3), np.float64("nan"), np.float32(255), np.uint8(128)])
def test_a_soft_mask_is_refused_and_not_taken_whole(prompts: Seeds, soft: np.generic) -> None:
    mask = box(12, 0).astype(soft.dtype)
    mask[0, 0] = soft
    with pytest.raises(UsageError, match="threshold it first"):
        prompts.add_mask(0, mask, identity=None, resize=False)
    assert not prompts.objects


def test_a_mask_of_text_is_refused(prompts: Seeds) -> None:
    with pytest.raises(UsageError, match="the mask of object 1 on frame 0 cannot be read"):
        prompts.add_mask(0, np.full(SIZE, "x"), identity=None, resize=False)
