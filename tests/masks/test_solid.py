"""The inside of a mask is solid where the network doubts it: no discs, no scallops; gaps keep their soft edges."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from covos.masks.matte import opacity_of, stretched
from covos.masks.solid import SPECK, doubted_holes, solidity

SIZE = (480, 640)
MIDDLE = 240, 320
DOUBT = 0.6


def disc(radius: float, *, at: tuple[int, int] = MIDDLE) -> NDArray[np.bool_]:
    rows, columns = np.indices(SIZE)
    return np.asarray(np.hypot(rows - at[0], columns - at[1]) < radius, np.bool_)


def square(area: int) -> NDArray[np.bool_]:
    side = round(area**0.5)
    found = np.zeros(SIZE, np.bool_)
    found[MIDDLE[0] : MIDDLE[0] + side, MIDDLE[1] : MIDDLE[1] + side] = True
    return found


@pytest.mark.parametrize("area", [1, 9, 25, 400])
@pytest.mark.parametrize("size", [1, 2])
def test_a_speck_in_a_doubtful_interior_leaves_nothing_behind(area: int, size: int) -> None:
    """By distances from it, a hole of one pixel left 69 that were not opaque."""
    hole = square(area)
    probability = np.where(disc(120), np.float32(DOUBT), 0).astype(np.float32)
    probability[hole] = 0.45
    if size > 1:
        probability = cv2.resize(probability, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)
    labels = (probability > 0.5).astype(np.uint8)
    inner = disc(110)
    if size > 1:
        inner = cv2.resize(inner.view(np.uint8), None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST) > 0
    assert (opacity_of(probability, labels)[inner] == 1).all()


@pytest.mark.parametrize("area", [1, 9, 25])
def test_a_hole_in_a_sure_interior_is_no_larger_than_it_is(area: int) -> None:
    hole = square(area)
    sharp = np.where(disc(120) & ~hole, np.float32(0.97), np.float32(0.1))
    for probability in (sharp, cv2.GaussianBlur(sharp, (0, 0), 1)):
        labels = (probability > 0.5).astype(np.uint8)
        found = opacity_of(probability, labels)
        near = (labels == 0) & disc(123)
        np.testing.assert_allclose(found[near], stretched(probability)[near], atol=0.01)
        assert (found >= stretched(probability))[labels > 0].all()
        seen_through = (found < 1) & disc(110)
        assert not (seen_through & ~(cv2.dilate(hole.view(np.uint8), np.ones((9, 9), np.uint8)) > 0)).any()


def test_what_is_large_or_dark_or_open_is_a_hole() -> None:
    hole = square(441)
    probability = np.where(disc(120), np.float32(DOUBT), 0).astype(np.float32)
    probability[hole] = 0.45
    labels = (probability > 0.5).astype(np.uint8)
    assert int(hole.sum()) > SPECK
    assert not doubted_holes(probability, labels).any()

    probability[hole] = DOUBT
    probability[square(25)] = DOUBT - 0.25  # as at the rim of a gap
    assert not doubted_holes(probability, (probability > 0.5).astype(np.uint8)).any()

    border = np.full(SIZE, DOUBT, np.float32)
    border[100:103, :3] = 0.45
    assert not doubted_holes(border, (border > 0.5).astype(np.uint8)).any()


def test_a_gap_keeps_its_soft_edge_on_both_sides() -> None:
    """One as between arm and body, 12 pixels wide, in a probability that has a soft edge around it."""
    hard = disc(120).astype(np.float32)
    hard[200:280, 314:326] = 0
    probability = cv2.GaussianBlur(hard, (0, 0), 2)
    labels = (probability > 0.5).astype(np.uint8)
    found, before = opacity_of(probability, labels)[240], stretched(probability)[240]
    np.testing.assert_allclose(found[308:332], before[308:332], atol=0.02)
    assert found[320] < 0.01
    assert 4 <= np.count_nonzero((found[300:320] > 0.02) & (found[300:320] < 0.98)) <= 8


def test_the_rim_of_a_doubtful_region_has_no_scallops() -> None:
    """The line at which it becomes solid is as smooth as the contour without its roughness, and its steps are small."""
    rng = np.random.default_rng(3)
    angle = np.arctan2(*(place - middle for place, middle in zip(np.indices(SIZE), MIDDLE, strict=True)))
    bins = np.floor((angle + np.pi) / (2 * np.pi) * 180).astype(int) % 180
    radius = 100 + rng.integers(-1, 2, 180)[bins]  # bites of a pixel, four pixels wide
    labels = disc(1e-9).astype(np.uint8)
    rows, columns = np.indices(SIZE)
    labels[np.hypot(rows - MIDDLE[0], columns - MIDDLE[1]) < radius] = 1
    probability = np.where(labels > 0, np.float32(DOUBT), np.float32(0.42)).astype(np.float32)
    line = (opacity_of(probability, labels) > 0.85).astype(np.uint8)
    (contour,), _ = cv2.findContours(line, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    away = np.hypot(*(contour[:, 0] - np.array(MIDDLE[::-1])).T)
    assert away.std() < 0.6
    assert away.max() - away.min() < 3.1


def test_it_is_as_deep_for_a_feather_of_any_width() -> None:
    for feather in (0.0, 3.0, 40.0):
        inside = np.zeros(SIZE, np.bool_)
        inside[:, 100:] = True
        depth = solidity(inside, feather=feather)[240]
        assert depth[:100].max() == 0
        assert depth[100 + int(feather) + 1] < 0.001
        assert depth[100 + int(feather) + 6 :].min() == pytest.approx(1)
        assert depth[-1] == 1, "the frame's border is no contour"
        assert (np.diff(depth) >= -1e-6).all()


def test_a_thing_of_one_pixel_is_not_solid() -> None:
    assert solidity(square(1)).max() == 0
