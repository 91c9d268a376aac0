"""Cells of tables that people open in a spreadsheet."""

from __future__ import annotations

import pytest

from covos.core.tables import cell


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1+cmd", "@SUM(A1)", "-", "--1"])
def test_a_formula_becomes_a_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1", "-2.5", "clip = 1.mp4", "", 7, 0.5, None])
def test_all_else_stays(value: object) -> None:
    assert cell(value) == value


def test_what_moves_the_cursor_is_no_part_of_a_cell() -> None:
    assert "\x1b" not in str(cell("\x1b[31mred"))
