"""The table of faults: no row lacks a test, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

TABLE = Path(__file__).with_name("README.md")
TESTS = TABLE.parents[1]
ROWS = 38
_LINK = re.compile(r"\[(?P<file>[\w/]+\.py)::(?P<name>\w+)\]\(\.\./(?P<target>[\w/]+\.py)\)")


def rows() -> dict[int, str]:
    lines = (line for line in TABLE.read_text().splitlines() if re.match(r"\| \d+ \|", line))
    return {int(line.split("|")[1]): line for line in lines}


def names_in(file: Path) -> set[str]:
    found = ast.walk(ast.parse(file.read_text()))
    return {node.name for node in found if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_row_is_there_and_has_a_test() -> None:
    table = rows()
    assert list(table) == list(range(1, ROWS + 1))
    without = {number for number, line in table.items() if not _LINK.search(line)}
    assert without == set()


def test_every_test_that_is_named_is_there() -> None:
    named = list(_LINK.finditer(TABLE.read_text()))
    assert len(named) > ROWS
    assert all(link["file"] == link["target"] for link in named)
    missing = [link[0] for link in named if link["name"] not in names_in(TESTS / link["file"])]
    assert missing == []


def test_nothing_that_looks_like_a_link_is_passed_over() -> None:
    text = TABLE.read_text()
    assert text.count(".py::") == len(list(_LINK.finditer(text)))
