"""The help speaks of what a user writes: words for values, none for flags, each option in one group."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from covos import cli
from covos.cli.options import PANELS

MADE = cli.command(cli.app)


def verbs(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from verbs(inner, f"{path} {name}")


VERBS = dict(verbs(MADE, "covos"))


def parameters(path: str) -> list[Any]:
    return list(VERBS[path].get_params(typer.Context(VERBS[path])))


@pytest.mark.parametrize("path", VERBS)
def test_values_have_words_and_flags_have_none(path: str) -> None:
    for each in parameters(path):
        if getattr(each, "is_flag", False):
            assert each.metavar == "", each.opts
        else:
            assert each.metavar, each.opts
            assert not {*each.metavar} & {*"<>{}"}, each.opts


@pytest.mark.parametrize("path", VERBS)
def test_no_type_of_python_is_shown(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*path.split()[1:], "--help"]) == 0
    said = capsys.readouterr().out
    assert not re.findall(r"<[\w\[\] ]+>|\bBOOLEAN\b|\bINTEGER\b", said)
    assert not re.findall(r"\{[^}]*[a-z][^}]*\}", said.partition("╭")[0])


@pytest.mark.parametrize("option", ["--overwrite", "--skip-existing", "--keep", "--device", "--precision", "--matte"])
def test_an_option_stands_in_one_group_in_the_help_of_every_verb(option: str) -> None:
    groups = {path: each.rich_help_panel for path in VERBS for each in parameters(path) if option in each.opts}
    assert len(groups) > 1
    assert len({*groups.values()}) == 1, groups


def test_groups_come_in_the_same_order_in_every_verb() -> None:
    for path in VERBS:
        groups = [*dict.fromkeys(each.rich_help_panel for each in parameters(path) if each.rich_help_panel)]
        assert groups == [name for name in PANELS if name in groups], path


def test_the_help_of_corrections_speaks_of_them() -> None:
    helps = {each.opts[0]: each.help for each in parameters("covos correct")}
    assert "subfolder" not in helps["-o"]
    for option in ("--point", "--not-point", "--box", "--mask"):
        assert not helps[option].startswith("Follow")
        assert helps[option] != {each.opts[0]: each.help for each in parameters("covos segment")}[option]


def test_a_missing_argument_of_choices_names_them_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["reproduce", "--data", "x", "-o", "y"]) == 2
    assert "Missing argument 'BENCHMARK'. Choose from: davis2016\n" in capsys.readouterr().err
