"""A subject that is solid in the plain alpha is solid in its matte, though a network doubts it; edges and gaps stay."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from covos.engines.doubts import without_doubts
from covos.engines.ladder import Ladder
from covos.engines.matting import load_matte_engine
from covos.masks.matte import opacity_of, stretched

SIZE = (320, 426)
REACH = 4.0
Soft = NDArray[np.float32]


def disc(*, blur: float = 2) -> Soft:
    found = np.zeros(SIZE, np.float32)
    cv2.circle(found, (213, 160), 110, 1.0, -1)
    return np.asarray(np.clip(cv2.GaussianBlur(found, (0, 0), blur), 0, 1), np.float32)


def doubted(depth: float = 0.55) -> Soft:
    """As between the head and the arm of a cat: a notch, and behind it a patch that is hardly believed in."""
    found = disc()
    found[230:275, 206:220] = 0.02  # the notch is open at the rim
    found[196:232, 198:228] = depth
    return np.asarray(cv2.GaussianBlur(found, (0, 0), 2), np.float32)


def solid(probability: Soft) -> NDArray[np.bool_]:
    """The pixels that are solid in the plain alpha, two pixels of its rim left out."""
    plain = opacity_of(probability, (probability > 0.5).astype(np.uint8))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    return np.asarray(cv2.erode((plain > 250 / 255).astype(np.uint8), ellipse) > 0, np.bool_)


def test_a_matte_keeps_what_is_solid_in_the_plain_alpha() -> None:
    """The subject and the ground have one colour, so colours tell nothing of what lies between."""
    rng = np.random.default_rng(0)
    image = np.clip(220 + 6 * rng.standard_normal((*SIZE, 3)), 0, 255).astype(np.uint8)
    engine = load_matte_engine(ladder=Ladder(device=torch.device("cpu"), precision=torch.float32))
    for index in range(2):
        probability = doubted()
        matte = engine.find(image, probability, index=index)
        kept = solid(probability)
        assert kept[214, 213], "the plain alpha has no hole there"
        assert np.count_nonzero(kept & (matte < 0.7)) < 10
        assert matte[250, 213] < 0.2, "the notch is open"


@pytest.mark.parametrize("blur", [1, 2, 4, 6])
def test_a_soft_edge_stays_as_wide_as_it_is(blur: float) -> None:
    probability = disc(blur=blur)
    np.testing.assert_array_equal(without_doubts(probability, reach=REACH), stretched(probability))


def test_a_small_hole_that_is_only_doubted_is_closed_in_the_first_frame_too() -> None:
    probability = disc()
    probability[150:170, 200:220] = 0.6
    probability[158:162, 208:212] = 0.45
    assert without_doubts(probability, reach=REACH)[140:180, 190:230].min() > 0.99


def test_gaps_and_what_is_outside_of_the_contour_stay() -> None:
    probability = disc()
    probability[120:200, 200:212] = 0.02  # a gap through which the background is seen
    probability = np.asarray(cv2.GaussianBlur(probability, (0, 0), 2), np.float32)
    probability[5:20, 205:220] = 0.3  # a strand that the mask lacks
    np.testing.assert_array_equal(without_doubts(probability, reach=REACH), stretched(probability))


def test_it_is_the_same_in_a_larger_frame() -> None:
    small = cv2.resize(doubted(), None, fx=1.5, fy=1.5, interpolation=cv2.INTER_LINEAR)
    large = cv2.resize(small, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    found = without_doubts(large, reach=12)
    again = cv2.resize(without_doubts(small, reach=6), None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    assert np.abs(found - again).mean() < 3e-4
    assert np.abs(found - stretched(large)).mean() > 2e-3
