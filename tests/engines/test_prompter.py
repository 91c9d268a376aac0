"""What is pointed at is found, on pictures whose truth is known."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from covos.core.types import Box, Frame, Point
from covos.engines.grabcut import GrabCutPrompter, _FrameFeatures
from covos.engines.motion import Observed
from covos.engines.prompt import Prompter, corrected, refined
from covos.model import load_model

SIZE = (120, 200)
LEFT, RIGHT = (60, 55), (60, 150)
"""Centres (row, column) of two discs of one colour."""


@pytest.fixture(scope="module")
def prompter() -> Prompter:
    return GrabCutPrompter(load_model(device="cpu", precision="fp32").engine.encoder)


@pytest.fixture
def _encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture is encoded once in a test, however often it is pointed at."""
    find, kept = GrabCutPrompter._features_of, dict[bytes, _FrameFeatures]()

    def features_of(self: GrabCutPrompter, observed: Observed, size: tuple[int, int]) -> _FrameFeatures:
        picture = observed.frame.image.tobytes()
        if picture not in kept:
            kept[picture] = find(self, observed, size)
        return kept[picture]

    monkeypatch.setattr(GrabCutPrompter, "_features_of", features_of)


def disc(centre: tuple[int, int], radius: int = 25) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    return np.hypot(rows - centre[0], columns - centre[1]) <= radius


def picture(*objects: np.ndarray) -> Observed:
    """Yellow things on a textured blue-grey ground."""
    draw = np.random.default_rng(0)
    ground = cv2.resize(draw.integers(30, 110, (15, 25, 3), dtype=np.uint8), SIZE[::-1]) + np.array(
        [0, 20, 60], np.uint8
    )
    for mask in objects:
        ground[mask] = (220, 190, 30)
    image = np.clip(ground + draw.normal(0, 6, (*SIZE, 3)), 0, 255).astype(np.uint8)
    frame = Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25))
    return Observed(frame=frame, motion=None)


def at(centre: tuple[int, int], *, positive: bool = True) -> Point:
    return Point(x=centre[1], y=centre[0], positive=positive)


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_one_click_finds_a_disc(prompter: Prompter) -> None:
    found = prompter.mask(picture(disc(LEFT)), points=[at(LEFT)], box=None, previous=None)
    assert found.dtype == bool
    assert jaccard(found, disc(LEFT)) > 0.9


def test_grain_that_is_finer_than_the_encoded_frame_does_not_hide_a_disc(
    prompter: Prompter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: GrabCutPrompter, observed: Observed, size: tuple[int, int]) -> _FrameFeatures:
        return _FrameFeatures(subject=np.zeros(size, np.float32), features=torch.ones(1, 2, 2))

    # Without a subject the colours in the box decide alone.
    monkeypatch.setattr(GrabCutPrompter, "_features_of", nothing)
    large = (SIZE[1] * 6, SIZE[0] * 6)
    grain = np.random.default_rng(1).normal(0, 120, (*large[::-1], 3))
    image = np.clip(cv2.resize(picture(disc(LEFT)).frame.image, large) + grain, 0, 255).astype(np.uint8)
    seen = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    found = prompter.mask(seen, points=[], box=Box(x0=120, y0=150, x1=546, y1=576), previous=None)
    assert jaccard(found, cv2.resize(disc(LEFT).astype(np.uint8), large) > 0) > 0.9


def test_a_negative_click_removes_the_second_disc_and_leaves_the_first(prompter: Prompter) -> None:
    both = disc(LEFT) | disc(RIGHT)
    seen = picture(both)
    found = prompter.mask(seen, points=[at(LEFT), at(RIGHT, positive=False)], box=None, previous=both)
    assert not (found & disc(RIGHT)).any()
    assert jaccard(found, disc(LEFT)) > 0.9
    alone = prompter.mask(seen, points=[at(RIGHT, positive=False)], box=None, previous=both)
    assert jaccard(alone, disc(LEFT)) > 0.9


def test_a_negative_click_at_the_edge_of_a_mask_does_not_take_it_all(prompter: Prompter) -> None:
    spilled = disc(LEFT) | disc((60, 85), 12)
    click = Point(x=90, y=60, positive=False)
    found = prompter.mask(picture(disc(LEFT)), points=[click], box=None, previous=spilled)
    assert jaccard(found, disc(LEFT)) > max(0.9, jaccard(spilled, disc(LEFT)))


def test_a_positive_click_adds_the_second_disc(prompter: Prompter) -> None:
    both = disc(LEFT) | disc(RIGHT)
    found = prompter.mask(picture(both), points=[at(LEFT), at(RIGHT)], box=None, previous=disc(LEFT))
    assert jaccard(found, both) > 0.9


def test_points_that_a_mask_agrees_with_leave_it_as_it_is(prompter: Prompter) -> None:
    # Not the disc: what is not pointed at is not touched.
    own = disc((60, 60), 30)
    points = [at(LEFT), at((5, 190), positive=False)]
    assert jaccard(prompter.mask(picture(disc(LEFT)), points=points, box=None, previous=own), own) > 0.95


def test_a_box_finds_what_is_in_it_and_nothing_else(prompter: Prompter) -> None:
    box = Box(x0=25, y0=30, x1=86, y1=91)
    found = prompter.mask(picture(disc(LEFT), disc(RIGHT)), points=[], box=box, previous=None)
    assert jaccard(found, disc(LEFT)) > 0.9
    assert not found[:, 90:].any()


def test_the_same_click_gives_the_same_mask(prompter: Prompter) -> None:
    seen = picture(disc(LEFT), disc(RIGHT))
    first = prompter.mask(seen, points=[at(LEFT)], box=None, previous=None)
    cv2.setRNGSeed(7)
    np.testing.assert_array_equal(prompter.mask(seen, points=[at(LEFT)], box=None, previous=None), first)


def test_the_random_numbers_of_the_caller_are_left_alone(prompter: Prompter) -> None:
    def draws(between: Callable[[], object]) -> list[np.ndarray]:
        cv2.setRNGSeed(7)
        np.random.seed(7)
        torch.manual_seed(7)
        between()
        return [
            cv2.randu(np.zeros((1, 8), np.float32), 0, 1),
            np.random.rand(8),
            torch.rand(8).numpy(),
        ]

    undisturbed = draws(lambda: None)
    disturbed = draws(lambda: prompter.mask(picture(disc(LEFT)), points=[at(LEFT)], box=None, previous=None))
    for one, other in zip(undisturbed, disturbed, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_same_click_gives_the_same_mask_whatever_the_caller_draws(prompter: Prompter) -> None:
    found = []
    for seed in (1, 2):
        cv2.setRNGSeed(seed)
        found.append(prompter.mask(picture(disc(LEFT)), points=[at(LEFT)], box=None, previous=None))
    np.testing.assert_array_equal(*found)


@pytest.mark.usefixtures("_encoded_once")
def test_a_picture_of_one_colour_is_answered(prompter: Prompter) -> None:
    frame = Frame(index=0, stem="0", image=np.zeros((*SIZE, 3), np.uint8), pts=0, time_base=Fraction(1, 25))
    found = prompter.mask(Observed(frame=frame, motion=None), points=[at(LEFT)], box=None, previous=None)
    assert found[LEFT]
    box = Box(x0=20, y0=20, x1=60, y1=60)
    boxed = prompter.mask(Observed(frame=frame, motion=None), points=[], box=box, previous=None)
    assert boxed.any()
    assert not boxed[:, 64:].any()


point = st.builds(
    Point, x=st.floats(0, SIZE[1], exclude_max=True), y=st.floats(0, SIZE[0], exclude_max=True), positive=st.booleans()
)


@pytest.mark.usefixtures("_encoded_once")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(points=st.lists(point, min_size=1, max_size=5, unique_by=lambda each: (int(each.x), int(each.y))))
def test_every_point_is_obeyed_wherever_it_is(prompter: Prompter, points: list[Point]) -> None:
    found = prompter.mask(picture(disc(LEFT), disc(RIGHT)), points=points, box=None, previous=disc(RIGHT))
    assert found.shape == SIZE
    for each in points:
        assert found[int(each.y), int(each.x)] == each.positive


@pytest.mark.parametrize("positive", [True, False], ids=["missing", "excess"])
def test_a_click_that_corrects_changes_the_whole_part_round_it_and_nothing_else(positive: bool) -> None:
    previous = np.zeros((40, 60), bool)
    previous[:, :30] = True
    expected = previous.copy()
    expected[5:35, 20:40] = True
    mask = expected.copy()
    mask[:3, 55:], mask[37:, :3] = True, False  # far from the click
    if not positive:
        previous, mask, expected = ~previous, ~mask, ~expected
    found = corrected(previous, mask, points=[Point(x=35, y=20, positive=positive)])
    np.testing.assert_array_equal(found, expected)


def test_a_click_that_agrees_with_a_mask_changes_nothing() -> None:
    previous, mask = np.ones((4, 6), bool), np.eye(4, 6, dtype=bool)
    assert (corrected(previous, mask, points=[Point(x=1, y=1)]) == previous).all()
    assert (corrected(~previous, mask, points=[Point(x=1, y=1, positive=False)]) == ~previous).all()


def test_negative_points_only_take_away_and_positive_ones_only_add() -> None:
    previous, mask = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    previous[:, :3], mask[:, 1:5] = True, True
    less = refined(previous, mask, points=[Point(x=0, y=0, positive=False)])
    more = refined(previous, mask, points=[Point(x=4, y=0)])
    both = refined(previous, mask, points=[Point(x=4, y=0), Point(x=0, y=0, positive=False)])
    assert [set(np.flatnonzero(each[0])) for each in (less, more, both)] == [{1, 2}, {0, 1, 2, 3, 4}, {1, 2, 3, 4}]
