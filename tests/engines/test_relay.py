from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from covos.core.types import Box, Frame, MaskArray, Point
from covos.engines.motion import Observed
from covos.engines.prompt import RelayPrompter


class Marker:
    """Adds one column of its own to what was there, and remembers what it was asked."""

    def __init__(self, name: str, column: int) -> None:
        self.name = name
        self.column = column
        self.asked: list[tuple[int, bool, bool]] = []

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        self.asked.append((len(points), box is not None, previous is not None))
        mask = np.zeros(observed.frame.size, bool) if previous is None else previous.copy()
        mask[:, self.column] = True
        return mask


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


def test_about_as_much_as_the_first_answer_is_the_whole_of_it() -> None:
    class Alone(Marker):
        def mask(
            self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
        ) -> MaskArray:
            mask = super().mask(observed, points=points, box=box, previous=previous)
            mask[:, 2:] |= previous is None  # by itself, five of six columns; the relay's answer has two
            return mask

    a, b = Marker("a", 0), Alone("b", 1)
    image = np.zeros((4, 6, 3), np.uint8)
    observed = Observed(frame=Frame(index=0, stem="00000", image=image, pts=0, time_base=Fraction(1, 25)), motion=None)
    mask = RelayPrompter(a, b).mask(observed, points=POINTS, box=None, previous=None)
    assert set(np.flatnonzero(mask[0])) == {0, 1}
