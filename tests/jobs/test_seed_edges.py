"""The edge of a frame that was shown, or corrected, does not pop out among its neighbours, which a network found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import covos
from covos.masks.matte import opacity_of
from covos.media.opening import open_source
from covos.model import Model
from covos.results.segmentation import Segmentation

AT_FULL_SIZE = True

EXAMPLE = Path(__file__).parents[2] / "examples" / "car.mp4"
FRAMES = range(24, 28)
HEIGHTS = 432, 1080
"""That of the example, and a larger one."""


@pytest.fixture(scope="module", params=HEIGHTS)
def pictures(request: pytest.FixtureRequest) -> NDArray[np.uint8]:
    """Some frames of the example, T x H x W x 3."""
    height = request.param
    with open_source(EXAMPLE) as source:
        images = [frame.image for frame in source if frame.index in FRAMES]
    size = height * images[0].shape[1] // images[0].shape[0], height
    return np.stack([np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_CUBIC), np.uint8) for each in images])


@pytest.fixture(scope="module")
def found(pictures: NDArray[np.uint8], model: Model) -> Segmentation:
    return covos.segment(pictures[:2], model=model)


@pytest.fixture(scope="module")
def followed(pictures: NDArray[np.uint8], found: Segmentation, model: Model) -> Segmentation:
    """The cars, followed from a mask that a network has found."""
    return covos.segment(pictures, model=model, masks={0: found[0].labels})


def width(frame: covos.FrameMask) -> float:
    """Return the pixels that are neither opaque nor transparent, for each pixel of contour."""
    opacity = opacity_of(frame.probability, frame.labels)
    contours, _ = cv2.findContours(frame.mask.view(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return float(((opacity > 0) & (opacity < 1)).sum() / sum(cv2.arcLength(each, True) for each in contours))


def test_the_edge_of_a_shown_frame_is_as_wide_as_those_around_it(followed: Segmentation) -> None:
    """With an edge of three pixels to each side, it was twice as wide."""
    shown, *others = (width(frame) for frame in followed)
    assert 0.7 < shown / np.mean(others) < 1.5, (shown, others)


def test_its_mask_stays_as_it_was_shown(found: Segmentation, followed: Segmentation) -> None:
    np.testing.assert_array_equal(followed[0].mask, found[0].mask)
    np.testing.assert_array_equal(followed[0].probability > 0.5, found[0].mask)


def test_a_frame_that_was_changed_by_hand_is_like_them(followed: Segmentation) -> None:
    """It has no probability, and gets its edge when it is shown or written."""
    drawn = [width(replace(frame, soft=None).with_soft_edge()) for frame in followed[1:]]
    others = [width(frame) for frame in followed[1:]]
    assert 0.7 < np.mean(drawn) / np.mean(others) < 1.5
