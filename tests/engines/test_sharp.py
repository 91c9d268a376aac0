"""A mask whose own edge is sharp, and lies on an edge of the picture, keeps it; others change no alpha."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from covos.engines.ladder import Ladder
from covos.engines.matting import load_matte_engine
from covos.engines.sharp import with_sharp_edges

SIZE = (240, 320)
REACH = 4.0
Soft = NDArray[np.float32]


def teeth(*, blur: float, shift: int = 0) -> Soft:
    """A comb: teeth 5 pixels wide with gaps of 4 between them, on a block."""
    found = np.zeros(SIZE, np.float32)
    found[120:200, 60:260] = 1
    for left in range(60, 256, 9):
        found[60:120, left : left + 5] = 1
    found = np.roll(found, shift, axis=1)
    return np.asarray(np.clip(cv2.GaussianBlur(found, (0, 0), blur), 0, 1), np.float32)


def picture(alpha: Soft) -> NDArray[np.uint8]:
    return np.rint(alpha[..., None] * [200, 180, 150] + (1 - alpha[..., None]) * [60, 80, 120]).astype(np.uint8)


def sharpened(alpha: Soft, guide: Soft, image: NDArray[np.uint8]) -> Soft:
    return with_sharp_edges(alpha, guide, image, reach=REACH, scale=1.0)


def error(found: Soft, truth: Soft) -> float:
    return float(np.abs(found - truth).mean())


def test_a_nearly_right_mask_stays_nearly_right() -> None:
    truth = teeth(blur=0.7)
    worse = np.asarray(cv2.GaussianBlur(truth, (0, 0), 4), np.float32)
    assert error(sharpened(worse, truth, picture(truth)), truth) < 0.5 * error(worse, truth)


def test_a_soft_mask_and_one_beside_the_edge_change_nothing() -> None:
    truth, found = teeth(blur=0.7), teeth(blur=1.5)
    np.testing.assert_array_equal(sharpened(found, teeth(blur=5), picture(truth)), found)
    plain = np.full((*SIZE, 3), 128, np.uint8)  # no edge that the mask could lie on
    np.testing.assert_array_equal(sharpened(found, truth, plain), found)
    block = np.zeros(SIZE, np.float32)
    block[100:200, 60:260] = 1
    beside = np.roll(block, 8, axis=0)
    kept = sharpened(block, beside, picture(block))
    assert error(kept, block) < 0.2 * error(beside, block)


@pytest.mark.parametrize("times", [2, 4])
def test_a_large_frame_is_as_a_small_one(times: int) -> None:
    def large(values: NDArray[np.generic]) -> NDArray[np.generic]:
        return np.asarray(cv2.resize(values, None, fx=times, fy=times, interpolation=cv2.INTER_CUBIC).clip(0, 255))

    truth = teeth(blur=0.7)
    worse = np.asarray(cv2.GaussianBlur(truth, (0, 0), 4), np.float32)
    image = np.asarray(large(picture(truth)), np.uint8)
    small = sharpened(worse, truth, picture(truth))
    guide, alpha = (np.clip(large(each), 0, 1).astype(np.float32) for each in (truth, worse))
    found = with_sharp_edges(alpha, guide, image, reach=REACH * times, scale=float(times))
    assert error(found, guide) == pytest.approx(error(small, truth), rel=0.2)
    soft = np.clip(large(teeth(blur=5)), 0, 1).astype(np.float32)
    np.testing.assert_array_equal(with_sharp_edges(alpha, soft, image, reach=REACH * times, scale=float(times)), alpha)


def test_the_matte_of_a_nearly_right_mask_is_nearer_to_it() -> None:
    """As `covos convert --matte` finds it for masks of another program: gaps between fingers were smeared."""
    rng, truth = np.random.default_rng(0), teeth(blur=0.7)
    image = np.clip(picture(truth) + 12 * rng.standard_normal((*SIZE, 3)), 0, 255).astype(np.uint8)
    engine = load_matte_engine(ladder=Ladder(device=torch.device("cpu"), precision=torch.float32))
    found = engine.find(image, truth)
    known = np.zeros(SIZE, np.bool_)
    known[60:120, 60:260] = True
    assert error(found[known], truth[known]) < 0.1
