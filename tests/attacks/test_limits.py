"""The limits: their names and numbers are those of the documents, and a wrong one is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

import covos as package
from attacks.results import Run
from covos.core.errors import UsageError
from covos.core.limits import Limits, limits, parse_limit, raising, set_limits


def test_they_are_those_of_the_page() -> None:
    page = (Path(__file__).parents[2] / "SECURITY.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\d+) \|$", page, re.MULTILINE)
    assert {name: int(number) for name, number in rows} == asdict(Limits())


def test_setting_and_bringing_back(limited: Callable[..., Limits]) -> None:
    before = limited(frames=7, depth=3)
    assert (limits().frames, limits().depth, limits().pixels) == (7, 3, before.pixels)
    assert package.set_limits(**asdict(before)).frames == 7
    assert limits() == before
    assert raising("frames", 9).command.endswith("--limit frames=9")
    assert raising("frames", 9).python.endswith("covos.set_limits(frames=9)")
    assert raising("frames", 9).page.endswith("start the server with --limit frames=9")


@pytest.mark.parametrize("values", [{"frame": 1}, {"frames": 0}, {"frames": -1}, {"frames": 1.5}, {"frames": True}])
def test_what_is_no_limit(values: dict[str, int]) -> None:
    before = limits()
    with pytest.raises(UsageError):
        set_limits(**values)
    assert limits() == before


@pytest.mark.parametrize("text", ["", "frames", "frames=", "frames=x", "frames=-1", "frames=1e9", "=1", "frames=٣"])
def test_what_is_none_on_the_command_line(covos: Run, text: str) -> None:
    assert covos("models", "list", f"--limit={text}")[0] == 2
    assert parse_limit("frames=2_000_000") == ("frames", 2_000_000)


def test_the_command_line_leaves_the_limits_as_they_were(covos: Run) -> None:
    before = limits()
    assert covos("--limit", "frames=5", "models", "list")[0] == 0
    assert covos("models", "list", "--limit")[0] == 2
    assert limits() == before
