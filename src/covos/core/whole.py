"""Whole numbers of any type that a caller or a file may give."""

from __future__ import annotations

import operator
from typing import Any


def whole_number(given: Any, *, digits: bool = False) -> int | None:
    """Return a whole number of any type, such as NumPy's, as Python's int, which JSON takes; None for anything else.

    If ``digits`` is true, so is a text of 0 to 9, as JSON has keys.
    """
    try:
        return int(given) if digits and _is_digits(given) else operator.index(given)
    except (TypeError, ValueError):  # the latter of thousands of digits
        return None


def _is_digits(given: object) -> bool:
    return isinstance(given, str) and given.strip().isascii() and given.strip().isdigit()
