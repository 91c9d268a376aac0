from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from covos.core.types import Box, Frame, MaskArray, Point, ProbabilityArray
from covos.engines.close_up import parts_at
from covos.engines.motion import Observed
from covos.engines.prompt import RelayPrompter


class Marker:
    """Adds one column of its own to what was there, and remembers what it was asked."""

    def __init__(self, name: str, column: int) -> None:
        self.name = name
        self.column = column
        self.asked: list[tuple[int, bool, bool]] = []

    def mask(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        largest: int | None = None,
    ) -> MaskArray:
        self.asked.append((len(points), box is not None, previous is not None))
        mask = np.zeros(observed.frame.size, bool) if previous is None else previous.copy()
        mask[:, self.column] = True
        return mask

    def probability(self, observed: Observed, *, points: Sequence[Point]) -> ProbabilityArray:
        """By itself, it is sure of its own column alone, and gives little to all others."""
        self.asked.append((len(points), False, False))
        probability = np.full(observed.frame.size, 0.1, np.float32)
        probability[:, self.column] = 0.9
        return probability


POINTS = (Point(x=1, y=1),)
BOX = Box(x0=0, y0=0, x1=3, y1=3)


@pytest.mark.parametrize(
    ("points", "box", "earlier", "columns", "first", "then"),
    [
        (POINTS, None, False, {1}, [(1, False, False)], [(1, False, True), (1, False, False)]),
        (POINTS, BOX, False, {0, 1}, [(1, True, False)], [(1, True, True)]),
        ((), BOX, False, {0}, [(0, True, False)], []),
        (POINTS, None, True, {1, 4}, [], [(1, False, True)]),
    ],
    ids=["a click that means less than the first answer", "a click in a box", "a box alone", "a correction"],
)
def test_the_network_goes_on_from_the_first_answer(
    points: tuple[Point, ...], box: Box | None, earlier: bool, columns: set[int], first: list, then: list
) -> None:
    a, b = Marker("a", 0), Marker("b", 1)
    image = np.zeros((4, 6, 3), np.uint8)
    observed = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    previous = np.zeros((4, 6), bool)
    previous[:, 4] = True
    relay = RelayPrompter(a, b)
    mask = relay.mask(observed, points=points, box=box, previous=previous if earlier else None)
    assert set(np.flatnonzero(mask[0])) == columns
    assert (a.asked, b.asked) == (first, then)
    assert relay.name == "a+b"


class Alone(Marker):
    """By itself, it finds what it is told to find."""

    def __init__(self, *columns: float) -> None:
        super().__init__("b", 1)
        self.columns = columns

    def probability(self, observed: Observed, *, points: Sequence[Point]) -> ProbabilityArray:
        return np.tile(np.array(self.columns, np.float32), (observed.frame.size[0], 1))


@pytest.mark.parametrize(
    ("alone", "columns"),
    [
        ((0.4, 0.9, 0.9, 0.9, 0.9, 0.9), {0, 1}),
        ((0.1, 0.9, 0.1, 0.1, 0.9, 0.9), {1}),
    ],
    ids=["no part is surely another thing: the whole answer", "a half is: what the click hangs together with"],
)
def test_a_click_means_one_of_several_things(alone: tuple[float, ...], columns: set[int]) -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    observed = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    mask = RelayPrompter(Marker("a", 0), Alone(*alone)).mask(observed, points=POINTS, box=None, previous=None)
    assert set(np.flatnonzero(mask[0])) == columns


def test_a_few_pixels_that_are_surely_not_meant_are_left_out() -> None:
    class Most(Marker):
        def mask(
            self,
            observed: Observed,
            *,
            points: Sequence[Point],
            box: Box | None,
            previous: MaskArray | None,
            largest: int | None = None,
        ) -> MaskArray:
            return np.ones(observed.frame.size, bool)

        def probability(self, observed: Observed, *, points: Sequence[Point]) -> ProbabilityArray:
            probability = np.full(observed.frame.size, 0.4, np.float32)
            probability[3, :2] = 0.1
            return probability

    image = np.zeros((4, 6, 3), np.uint8)
    observed = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    mask = RelayPrompter(Most("a", 0), Most("b", 1)).mask(observed, points=POINTS, box=None, previous=None)
    assert mask.sum() == 22
    assert not mask[3, :2].any()


def test_parts_are_those_of_positive_points() -> None:
    mask = np.zeros((5, 9), bool)
    mask[:, :2] = mask[:, 4:5] = mask[:, 7:] = True
    points = [Point(x=0, y=0), Point(x=8, y=4), Point(x=4, y=0, positive=False)]
    assert set(np.flatnonzero(parts_at(mask, points)[0])) == {0, 1, 7, 8}


@pytest.mark.parametrize(
    ("alone", "columns"),
    [
        ((0.9, 0.9, 0.1, 0.1, 0.1, 0.9), {0, 1}),
        ((0.9, 0.9, 0.65, 0.55, 0.55, 0.1), {0, 1, 2}),
        ((0.9, 0.9, 0.9, 0.9, 0.9, 0.9), {0, 1, 2, 3, 4, 5}),
    ],
    ids=["the network tells the part", "it tells it where it is surer", "it cannot tell"],
)
def test_a_click_inside_another_object_means_a_part_of_it(alone: tuple[float, ...], columns: set[int]) -> None:
    image = np.zeros((4, 6, 3), np.uint8)
    observed = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    whole = np.zeros((4, 6), bool)
    whole[:, :5] = True
    first = Marker("a", 0)
    part = RelayPrompter(first, Alone(*alone)).part(observed, whole, points=POINTS)
    assert set(np.flatnonzero(part[0])) == columns
    assert not first.asked


@pytest.mark.parametrize(
    ("largest", "found"),
    [(None, {0, 1, 2, 3}), (16, {0, 1, 2, 3}), (8, {1, 2}), (4, {1}), (1, {1})],
    ids=["not known", "large enough", "two columns", "one column", "as little as there is"],
)
def test_a_mask_that_is_larger_than_its_object_can_be_keeps_what_is_surer(largest: int | None, found: set[int]) -> None:
    """A surer column that does not hang together with the click goes, too."""
    image = np.zeros((4, 6, 3), np.uint8)
    observed = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    points = [Point(x=1, y=2)]

    class Wide(Alone):
        def mask(self, *args: object, **kwargs: object) -> MaskArray:
            return np.tile(np.arange(6) < 4, (4, 1))

    relay = RelayPrompter(Marker("a", 0), Wide(0.65, 0.99, 0.85, 0.55, 0.1, 0.1))
    mask = relay.mask(observed, points=points, box=None, previous=None, largest=largest)
    assert set(np.flatnonzero(mask[0])) == found
    whole = np.ones((4, 6), bool)
    part = relay.part(observed, whole, points=points, largest=None if largest is None else min(largest, 8))
    assert set(np.flatnonzero(part[0])) == ({0, 1, 2} if largest is None else found if largest <= 8 else {1, 2})
