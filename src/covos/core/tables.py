"""Cells of tables that spreadsheets open."""

from __future__ import annotations

import re

from covos.core.errors import printable

_FORMULA = re.compile(r"'*[=+@-]")
"""Beginning of a cell that a spreadsheet computes; and of one that would be taken for such a cell's text."""


def cell(value: object) -> object:
    """Return a cell that no spreadsheet takes for a formula: a clip may be named ``=HYPERLINK(...)``.

    Such a text has an apostrophe before it, and so has one that begins with apostrophes and then as a formula does.
    Without the first apostrophe, each is what it was. A number is what `float` takes, but for ``1_000``.
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) is not None and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
