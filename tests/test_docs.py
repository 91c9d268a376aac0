"""The documents say what the program does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

from covos import cli
from covos.evaluation.protocols import DAVIS2016_VAL
from covos.models.cosnet.convert import our_name, recognise

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[list[str]]:
    """The words of each `covos` command in the page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    return [words for words in lines if words and words[0] == "covos"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_verbs_and_options_that_exist(page: Path) -> None:
    for words in commands(page):
        command: Any = typer.main.get_command(cli.app)
        rest = words[1:]
        while hasattr(command, "commands") and rest:
            assert rest[0] in command.commands, " ".join(words)
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in rest if word.startswith("-")} <= known, " ".join(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_published_rows_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    for row in DAVIS2016_VAL:
        numbers = ("" if value is None else f"{value:g}" for value in (row.jf, row.j, row.f))
        assert [row.method, *numbers, row.source] in rows


def test_names_of_tensors_are_those_of_the_conversion() -> None:
    page = (ROOT / "docs" / "from-cosnet.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", page, re.MULTILINE)
    assert len(rows) == 10
    for theirs, ours in rows:
        layout = recognise([theirs]) or "cosnet"
        assert our_name(theirs, layout=layout) == ours
