"""Cells of tables that people open in a spreadsheet."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from covos.core.tables import cell


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1+cmd", "@SUM(A1)", "-", "--1"])
def test_a_formula_becomes_a_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["-1", "-2.5", "-1e-05", "+3.2E+4", "-inf", "clip = 1.mp4", "", "'a'", 7, 0.5, None])
def test_all_else_stays(value: object) -> None:
    assert cell(value) == value


@pytest.mark.parametrize("text", ["=1+1", "-x", "'=1+1", "''-x", "'a", "a", "-1e5"])
def test_a_cell_is_read_back_as_the_page_on_batches_says(text: str) -> None:
    said = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
    pattern = r"^'(?='*[=+@-])"
    assert f"""re.sub(r"{pattern}", "", text)""" in said
    assert re.sub(pattern, "", str(cell(text))) == text


def test_what_moves_the_cursor_is_no_part_of_a_cell() -> None:
    assert "\x1b" not in str(cell("\x1b[31mred"))
