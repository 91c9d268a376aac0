"""Cells of tables that spreadsheets open."""

from __future__ import annotations

import re

from covos.core.errors import printable

_FORMULA = ("=", "+", "-", "@")
"""First characters of a cell that a spreadsheet computes."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


def cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: a clip may be named ``=HYPERLINK(...)``."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(_FORMULA) and _NUMBER.fullmatch(text) is None else text
