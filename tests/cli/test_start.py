"""`covos --help` answers at once, because nothing heavy is imported before a verb runs."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise, takewhile
from pathlib import Path

import pytest

from covos.__main__ import run
from covos.cli import main

_SURFACE = Path(__file__).with_name("surface.txt")
VERBS = [
    " ".join(takewhile(lambda word: word[0] not in "-<", line.split()[1:]))
    for line in _SURFACE.read_text().splitlines()
]

_HELP = """
import contextlib, io, json, sys
from covos.cli import main
for verb in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = main([*verb.split(), "--help"])
    heavy = sorted({"av", "cv2", "numpy", "scipy", "tensorboard", "torch"} & set(sys.modules))
    print(json.dumps([code, "Usage: covos" in said.getvalue(), heavy]))
"""


@pytest.fixture(scope="module")
def helped() -> dict[str, list[object]]:
    """The exit code of each verb's help, whether it has a usage, and what is loaded by then: in one process for all."""
    command = [sys.executable, "-c", _HELP, json.dumps(VERBS)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return dict(zip(VERBS, map(json.loads, done.stdout.splitlines()), strict=True))


@pytest.mark.parametrize("verb", VERBS)
def test_help_imports_nothing_heavy(verb: str, helped: dict[str, list[object]]) -> None:
    assert helped[verb] == [0, True, []]


def test_the_package_is_light_too() -> None:
    code = "import sys, covos; print(*sorted({'av', 'cv2', 'numpy', 'rich', 'torch', 'typer'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


class _Interrupted:
    """Ctrl-C comes while the command line is imported."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "covos.cli":
            raise KeyboardInterrupt


def test_ctrl_c_while_the_program_loads_ends_it_in_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "covos.cli")
    monkeypatch.setattr(sys, "meta_path", [_Interrupted(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        run()
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_the_help_of_a_large_verb_is_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", "--help"]) == 0
    _, *groups = capsys.readouterr().out.split("─ ")
    options = {group.split(" ─")[0]: {word for word in group.split() if word.startswith("--")} for group in groups}
    assert {"--output", "--format"} <= options["Options"]
    assert options["Edges"] >= {"--grow", "--feather", "--matte"}
    assert options["The machine"] == {"--device", "--precision", "--runtime"}


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("verb", ["segment", "convert"])
def test_sentences_of_the_help_break_where_the_terminal_ends(
    verb: str, width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", width)
    assert main([verb, "--help"]) == 0
    _, _, _, *paragraphs = capsys.readouterr().out.partition("╭")[0].replace(" \n", "\n").split("\n")
    lines = [line.strip() for line in paragraphs]
    assert sum(bool(line) for line in lines) >= 3
    for line, following in pairwise(lines):
        if line and following:
            assert len(line) + 1 + len(following.split()[0]) > width - 2, f"{line} | {following}"
