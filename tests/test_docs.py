"""The documents say what the program does."""

from __future__ import annotations

import ast
import inspect
import io
import re
import tokenize
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from covos import cli
from covos.evaluation.protocols import DAVIS2016_VAL
from covos.formats.table import FORMATS
from covos.models.cosnet.convert import our_name, recognise

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def commands(page: Path) -> list[list[str]]:
    """The words of each `covos` command in the page's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.split("#")[0].split() for block in blocks for line in block.splitlines()]
    return [words for words in lines if words and words[0] == "covos"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_have_verbs_and_options_that_exist(page: Path) -> None:
    for words in commands(page):
        command: Any = cli.command(cli.app)
        rest = words[1:]
        while hasattr(command, "commands") and rest:
            assert rest[0] in command.commands, " ".join(words)
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in rest if word.startswith("-") and word != "-"} <= known, " ".join(words)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    """The names by which links reach the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    words = (re.sub(r"[^\w\s-]", "", re.sub(r"\]\(.*?\)", "", each).lower()) for each in headings)
    return {re.sub(r"\s+", "-", each.strip()) for each in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_headings_that_are_there(page: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#]*)#([^)]+)\)", page.read_text()):
        to = page.parent / target if target else page
        if to.suffix == ".md" and not target.startswith("http"):
            assert heading in anchors(to), f"{target}#{heading}"


def test_published_rows_are_those_of_the_code() -> None:
    page = (ROOT / "docs" / "evaluation.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    for row in DAVIS2016_VAL:
        numbers = ("" if value is None else f"{value:g}" for value in (row.jf, row.j, row.f))
        assert [row.method, *numbers, row.source] in rows


def test_the_words_of_the_glossary_are_in_order() -> None:
    words = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs" / "glossary.md").read_text(), re.MULTILINE)
    assert len(words) > 50
    assert words == sorted(set(words), key=str.casefold)


def test_names_of_tensors_are_those_of_the_conversion() -> None:
    page = (ROOT / "docs" / "from-cosnet.md").read_text()
    rows = re.findall(r"^\| `([\w.]+)` \| `([\w.]+)` \|$", page, re.MULTILINE)
    assert len(rows) == 10
    for theirs, ours in rows:
        layout = recognise([theirs]) or "cosnet"
        assert our_name(theirs, layout=layout) == ours


def prose(file: Path) -> Iterator[str]:
    """The text of a page; of a module, each docstring, string below a field, and comment."""
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        yield text
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value
    yield from (
        token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.COMMENT
    )


def find_file(path: str) -> Path | None:
    """A file as it is named in text: below the root of the repository, or of the package."""
    places = (ROOT / folder / path for folder in ("", "src", "src/covos"))
    return next((place for place in places if place.is_file()), None)


def names_something(dotted: str) -> bool:
    """Whether a name such as `covos.data.Video.frames` leads to a module, or to what is in one."""
    value: Any = import_module("covos")
    for number, name in enumerate(dotted.split(".")[1:], start=2):
        if not hasattr(value, name) and hasattr(value, "__path__"):
            try:
                import_module(".".join(dotted.split(".")[:number]))
            except ModuleNotFoundError:
                return False
        if not hasattr(value, name):
            return inspect.isclass(value) and bool(re.search(rf"\b{name}(:| =)", inspect.getsource(value)))
        value = getattr(value, name)
    return True


@pytest.mark.parametrize("file", [*PAGES, *SOURCES], ids=lambda file: str(file.relative_to(ROOT)))
def test_modules_files_and_names_exist(file: Path) -> None:
    for text in prose(file):
        for dotted in re.findall(r"(?<![\w./-])covos(?:\.[A-Za-z_]\w*)+(?!\w*/)", text):
            assert dotted == "covos.json" or names_something(dotted), dotted
        for path in re.findall(r"(?<![\w./<])(?:[\w-]+/)+[\w-]+\.py\b", text):
            assert find_file(path), path
        for name, path in re.findall(r"`(\w+)` in `([\w/]+\.py)`", text):
            assert re.search(rf"^(?:class |def )?{name}\b", find_file(path).read_text(), re.MULTILINE), (name, path)


def test_parts_of_cosnet_are_where_the_page_says() -> None:
    parts = re.findall(
        r"`((?:cosnet\.network|coattention)\.[A-Z][\w.]+)`", (ROOT / "docs" / "from-cosnet.md").read_text()
    )
    assert len(parts) >= 6
    assert all(names_something(f"covos.models.{part}") for part in parts), parts


def test_the_table_of_readers_has_every_format_and_tests_that_name_it() -> None:
    text = (ROOT / "docs" / "formats.md").read_text()
    section = text.partition("## Which reader opens it")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    found = {name: re.findall(r"`(.*?)`", tests) for names, _, tests in rows for name in re.findall(r"`(.*?)`", names)}
    assert set(found) == set(FORMATS)
    for name, tests in found.items():
        assert tests
        for test in tests:
            assert re.search(rf'["\'(]{name}\b', (ROOT / test).read_text()), (name, test)
