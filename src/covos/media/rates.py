"""Frame rates as people write them: 29.97 stands for 30000/1001, which no decimal number is."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from covos.core.errors import UsageError
from covos.core.guarded import parse_fraction

_NEAR = Fraction(5, 1000)
"""Frames a second by which a rate is written off: 23.98 stands for 24000/1001."""
_TELEVISED = tuple(Fraction(1000 * whole, 1001) for whole in (24, 30, 48, 60, 120, 240))
_FINEST = 1001
"""The largest denominator that a decimal number stands for."""
_SLOWEST, _FASTEST = Fraction(1, 1_000_000), 1_000_000  # frames a second
_LARGEST = 2**31 - 1
"""Of the two numbers of a rate; FFmpeg keeps each in 32 bits."""


def simple_rate(rate: Fraction) -> Fraction:
    """Return the rate that a rounded one stands for: 29.97 is 30000/1001, 12.5 is 25/2."""
    if rate.denominator == 1:
        return rate
    near = next((each for each in _TELEVISED if abs(rate - each) < _NEAR), None)
    if near is not None:
        return near
    return rate.limit_denominator(_FINEST) if rate >= 1 or rate <= 0 else 1 / (1 / rate).limit_denominator(_FINEST)


def written_rate(given: object) -> object:
    """Return the fraction that a decimal number stands for, a float or text such as ``"29.97"``; all else as it is."""
    if isinstance(given, float) and math.isfinite(given):
        return simple_rate(Fraction(given))
    if isinstance(given, str) and "." in given:
        try:
            return simple_rate(parse_fraction(given))
        except ValueError:  # who reads it says so
            return given
    return given


def read_rate(given: Fraction | float | str) -> Fraction:
    """Return a frame rate as a fraction.

    Raises:
        TypeError: It is no number.
        ValueError: It is text of no number, or no finite one.
        ArithmeticError: It is infinite, or a fraction of zero.
    """
    known: Any = written_rate(given)
    return parse_fraction(known) if isinstance(known, str) else Fraction(known)


def checked_rate(given: Fraction | float | str | None) -> Fraction | None:
    """Return a frame rate as a fraction; a UsageError if it is none that a source can have."""
    if given is None:
        return None
    try:
        rate = read_rate(given)
    except (TypeError, ValueError, ArithmeticError) as error:  # NaN, infinity, text
        raise UsageError(f"frame rate {given} is no number", why=str(error), fix="give 25, say") from error
    check_rate(rate)
    return rate


def check_rate(rate: Fraction) -> None:
    """Refuse what is no number of frames a second, with a UsageError."""
    if rate <= 0:
        raise UsageError(f"frame rate {rate} is not positive", why="time runs forward", fix="give 25, say")
    if not _SLOWEST <= rate <= _FASTEST:
        raise UsageError(
            f"frame rate {rate} cannot be used", why=f"it is not from {_SLOWEST} to {_FASTEST}", fix="give 25, say"
        )
    if max(rate.numerator, rate.denominator) > _LARGEST:
        raise UsageError(
            f"frame rate {rate} cannot be used",
            why=f"no video file holds a number above {_LARGEST}",
            fix=f"give {simple_rate(rate)}",
        )
