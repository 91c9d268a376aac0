"""``covos doctor``: check an installation."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from covos.cli.terminal import say_lines
from covos.core.errors import EnvironmentProblem


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check this installation: libraries, codecs, device, weights, and a short self-test."""
    from rich.console import Console
    from rich.table import Table

    from covos.cli.checks import run_checks

    checks = run_checks()
    if as_json:
        say_lines(json.dumps([asdict(check) for check in checks], indent=2) + "\n")
    else:
        table = Table("check", "", "found", box=None, pad_edge=False)
        for check in checks:
            table.add_row(check.name, "ok" if check.ok else "[bold red]FAIL[/]", check.found)
        Console().print(table)
    failed = [check.name for check in checks if not check.ok]
    if failed:
        raise EnvironmentProblem(
            f"{len(failed)} of {len(checks)} checks failed",
            why=", ".join(failed),
            fix="install covos again in a fresh environment, or see what each check found",
        )
