"""Times of a live video rise, whatever its clock does."""

from __future__ import annotations

from fractions import Fraction

import pytest

from covos.media.live_video import LiveClock


def passed(stated: list[float | None], *, pause: int = 3600) -> list[float]:
    clock = LiveClock(rate=Fraction(25), pause=Fraction(pause))
    return [float(clock.seconds(None if each is None else Fraction(round(each * 1000), 1000))) for each in stated]


@pytest.mark.parametrize(
    ("stated", "out"),
    [
        ([5, 5.1, 5.2, 5.3], [0, 0.1, 0.2, 0.3]),
        ([0, 0.1, 0.2, 0, 0.1, 0.2], [0, 0.1, 0.2, 0.3, 0.4, 0.5]),  # a recording that was joined
        ([0, 0.1, 0.2, 0.15, 0.25], [0, 0.1, 0.2, 0.3, 0.4]),
        ([0, 0.1, 0.1, 0.2], [0, 0.1, 0.2, 0.3]),  # the same time twice
        ([0, 0.1, 30, 30.1], [0, 0.1, 30, 30.1]),  # a pause
        ([0, 0.1, 90000, 90000.1], [0, 0.1, 0.2, 0.3]),  # another clock
        ([95443, 95443.1, 0.1, 0.2], [0, 0.1, 0.2, 0.3]),  # it turns over
        ([None, None, 7, 7.1], [0, 0.04, 0.08, 0.18]),
        ([0, 0.1, None, 0.3], [0, 0.1, 0.2, 0.3]),
        ([None, None, None], [0, 0.04, 0.08]),
    ],
)
def test_jumps_are_closed(stated: list[float | None], out: list[float]) -> None:
    assert passed(stated) == pytest.approx(out)
