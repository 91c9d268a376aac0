"""Bring frames to a constant rate by their times, as editing programs do: some are repeated, others dropped."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Annotated, Generic, TypeAlias, TypeVar

from pydantic import BeforeValidator, ValidationInfo

from covos.core.errors import UsageError
from covos.core.guarded import parse_fraction
from covos.core.records import spoken
from covos.media.rates import simple_rate

if TYPE_CHECKING:
    from collections.abc import Iterator

_T = TypeVar("_T")
_SLOWEST, _FASTEST = 1, 1000


def constant_rate(text: str) -> Fraction:
    """Return frames a second, 1 to 1000: ``25``, ``30000/1001``, or ``29.97``, which stands for the same.

    Raises:
        ValueError: It is no such number.
        ZeroDivisionError: Its denominator is zero.
    """
    rate = parse_fraction(text)
    if not _SLOWEST <= rate <= _FASTEST:
        raise ValueError(f"it is not from {_SLOWEST} to {_FASTEST}")
    return simple_rate(rate)


def _said(given: object, info: ValidationInfo) -> str:
    """Return a rate in the one way in which it is written: ``25``, ``29.97``, ``12.5``, ``100/3``."""
    text = given.strip() if isinstance(given, str) else "" if isinstance(given, bool) else str(given)
    try:
        rate = constant_rate(text)
    except (ValueError, ZeroDivisionError):
        raise UsageError(
            f"{spoken(info.field_name)} {given!r} is no frame rate",
            why=f"it takes a number of frames a second, from {_SLOWEST} to {_FASTEST}",
            fix="write 25, 29.97 or 30000/1001",
        ) from None
    decimal = f"{float(rate):.3f}".rstrip("0").rstrip(".")
    return decimal if constant_rate(decimal) == rate else str(rate)


ConstantRate: TypeAlias = Annotated[str, BeforeValidator(_said, json_schema_input_type=str | float)]
"""Frames a second of a video whose frames all last equally long: ``25``, ``"29.97"``, ``"30000/1001"``."""


class Conformed(Generic[_T]):
    """Frames at a constant rate: each output frame is a moment, and shows the frame that is nearest to it.

    A frame belongs to the moment nearest to its own time, so that it is at most half an output frame early or late.
    Times that waver around the rate therefore change nothing. If several belong to one moment, the nearest is shown
    and the others are dropped. If none does, the latest before it is shown again.
    """

    def __init__(self, rate: Fraction) -> None:
        self._rate = rate
        self._first, self._moment = 0, 0
        self._shown: tuple[_T, Fraction] | None = None  # at this moment, and how far its time is from it
        self._latest: _T | None = None

    def push(self, frame: _T, *, time: Fraction) -> Iterator[tuple[_T, int]]:
        """Take a frame and its time in seconds; give the frames that are now known, with their numbers at the rate.

        Times must rise.
        """
        moment = _nearest(time * self._rate)
        if self._shown is None or moment > self._moment:
            yield from self._before(moment)
            self._first = moment if self._shown is None else self._first
            self._moment, self._shown = moment, (frame, abs(time * self._rate - moment))
        elif (distance := abs(time * self._rate - moment)) < self._shown[1]:
            self._shown = frame, distance
        self._latest = frame

    def end(self, time: Fraction) -> Iterator[tuple[_T, int]]:
        """Give the frames up to a time in seconds, at which the last one ends: one at the least."""
        yield from self._before(max(_nearest(time * self._rate), self._first + 1))

    def _before(self, end: int) -> Iterator[tuple[_T, int]]:
        """Give the frames of the moments before one."""
        if self._shown is None or self._latest is None or end <= self._moment:
            return
        yield self._shown[0], self._moment
        for moment in range(self._moment + 1, end):
            yield self._latest, moment


def _nearest(number: Fraction) -> int:
    """Round, a half downwards: what begins between two moments, and ends with the second, is not shown."""
    return -((1 - 2 * number) // 2)
