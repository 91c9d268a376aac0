"""An opacity of a probability: solid inside of the mask, soft at its edge."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from covos.formats.compose import ComposedResult
from covos.masks.distance import distance_to
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask
from covos.masks.matte import opacity_of, stretched

SIZE = (480, 640)


def doubted() -> tuple[np.ndarray, np.ndarray]:
    """Return the probability of a disc that the network doubts from the middle to the contour, and its mask."""
    disc = np.zeros(SIZE, np.float32)
    cv2.circle(disc, (320, 240), 120, 1.0, -1)
    probability = cv2.GaussianBlur(disc, (0, 0), 2)
    labels = (probability > 0.5).astype(np.uint8)
    probability[200:280, 300:] = np.where(labels[200:280, 300:] > 0, 0.6, probability[200:280, 300:])
    return probability, labels


def test_inside_of_the_mask_nothing_is_see_through_and_the_edge_stays_soft() -> None:
    probability, labels = doubted()
    found, before = opacity_of(probability, labels), stretched(probability)
    depth = distance_to(labels == 0)
    assert (before[240, 350] < 0.7).all()
    assert (found[depth > 5] == 1).all()
    np.testing.assert_array_equal(found[depth <= 1.5], before[depth <= 1.5])
    np.testing.assert_allclose(found[depth <= 2], before[depth <= 2], atol=0.07)
    assert (found >= before).all()
    between = found[(depth > 3) & (depth < 4)]
    assert (between < 1).any(), "it is a soft step"


def test_outside_of_the_mask_a_veil_fades_and_the_edge_stays_soft() -> None:
    probability, labels = doubted()
    labels[200:280, 300:400] = 0  # a hole in the mask itself
    probability[200:280, 300:400] = 0.4
    probability[:, 480:] = 0.3  # far away
    found, before = opacity_of(probability, labels), stretched(probability)
    away = distance_to(labels > 0)
    near = (away > 0) & (away < 3)
    np.testing.assert_allclose(found[near], before[near], atol=0.02)
    assert not found[away > 12].any()
    assert found[240, 350] == 0, "in the midst of a hole, too"
    assert (found <= before)[labels == 0].all()
    between = found[(away > 5) & (away < 8)]
    assert ((between > 0.05) & (between < 0.3)).any(), "it is a soft step"
    probability[labels > 0] = 0.3
    assert not opacity_of(probability, np.zeros_like(labels)).any(), "without a mask, nothing is seen"


def test_beside_a_feathered_edge_a_veil_fades_farther_out() -> None:
    disc = np.zeros(SIZE, np.float32)
    cv2.circle(disc, (320, 240), 120, 1.0, -1)
    wide = cv2.GaussianBlur(disc, (0, 0), 8)
    labels = (wide > 0.5).astype(np.uint8)
    away = distance_to(labels > 0)
    ring = (away > 9) & (away < 11)
    assert opacity_of(wide, labels)[ring].max() < 0.02
    np.testing.assert_allclose(opacity_of(wide, labels, feather=30)[ring], stretched(wide)[ring], atol=0.01)


def test_the_step_grows_with_the_frame() -> None:
    large, mask = (cv2.resize(each, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST) for each in doubted())
    depth = distance_to(mask == 0)
    assert (opacity_of(large, mask)[depth > 10] == 1).all()
    np.testing.assert_array_equal(opacity_of(large, mask)[depth <= 3], stretched(large)[depth <= 3])
    np.testing.assert_allclose(opacity_of(large, mask)[depth <= 4], stretched(large)[depth <= 4], atol=0.07)


def test_a_filled_hole_is_solid_with_a_matte_and_without(result) -> None:
    probability, labels = doubted()
    labels[200:280, 300:400] = 0
    probability[200:280, 300:400] = 0.4
    shown = result()
    frame = replace(shown.frame, image=np.zeros((*SIZE, 3), np.uint8))
    plain = replace(shown, frame=frame, probability=probability, labels=labels)
    for given in (plain, replace(plain, matte=stretched(probability))):
        filled = ComposedResult.of(Edges(fill_holes="all").changed(given)).opacity
        assert (filled[195:285, 295:405] == 1).all()


def test_an_edge_that_is_feathered_keeps_all_of_its_width(result) -> None:
    _, labels = doubted()
    shown = result()
    frame = replace(shown.frame, image=np.zeros((*SIZE, 3), np.uint8))
    hard = replace(shown, frame=frame, probability=labels.astype(np.float32), labels=labels)
    soft = Edges(feather=40).changed(hard)
    kept = FrameMask.of(soft).onto(hard)
    for each in (soft, kept):
        opacity = ComposedResult.of(each).opacity
        np.testing.assert_allclose(opacity, stretched(soft.probability), atol=0.01)
        assert opacity[240, 320 + 110] < 0.95
