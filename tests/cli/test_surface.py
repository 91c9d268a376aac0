"""The verbs and options that scripts rely on change only on purpose.

After a change that is meant:  UPDATE_SURFACE=1 .venv/bin/pytest tests/cli/test_surface.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from covos import cli

SURFACE = Path(__file__).with_name("surface.txt")


def lines(command: Any, path: str) -> Iterator[str]:
    """One line a verb: its arguments in order, then its options by name; those that are required end with ``!``."""
    parameters = [(parameter, "!" if parameter.required else "") for parameter in command.params]
    arguments = [
        f"<{parameter.name}>{mark}" for parameter, mark in parameters if parameter.param_type_name == "argument"
    ]
    options = [
        "/".join([*parameter.opts, *parameter.secondary_opts]) + mark
        for parameter, mark in parameters
        if parameter.param_type_name == "option"
    ]
    yield " ".join([path, *arguments, *sorted(options)])
    for name, inner in sorted(getattr(command, "commands", {}).items()):
        yield from lines(inner, f"{path} {name}")


def test_the_verbs_and_options_are_those_of_the_golden_file() -> None:
    now = "".join(f"{line}\n" for line in lines(typer.main.get_command(cli.app), "covos"))
    if "UPDATE_SURFACE" in os.environ:
        SURFACE.write_text(now)
    assert now == SURFACE.read_text()
