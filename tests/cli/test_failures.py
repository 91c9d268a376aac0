"""Every end of a command: its exit code, and what it says on stderr."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from covos import cli
from covos.core.errors import (
    AnnotationError,
    CheckpointError,
    CovosError,
    EnvironmentProblem,
    IncompleteError,
    SourceError,
    UsageError,
)
from covos.core.words import OVERWRITE

Fail = Callable[[BaseException], int]


@pytest.fixture
def fail(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """Run a command line whose verb raises the given error."""

    def run(error: BaseException, *options: str) -> int:
        app = typer.Typer(pretty_exceptions_enable=False)

        @app.command()
        def verb(name: str = "x") -> None:
            raise error

        monkeypatch.setattr(cli, "app", app)
        return cli.main(list(options))

    return run


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (UsageError, 2),
        (SourceError, 3),
        (AnnotationError, 3),
        (CheckpointError, 3),
        (IncompleteError, 4),
        (EnvironmentProblem, 5),
    ],
)
def test_our_errors_are_three_lines(
    fail: Fail, capsys: pytest.CaptureFixture[str], kind: type[CovosError], code: int
) -> None:
    assert fail(kind("clip.mp4 cannot be read", why="it is a text file", fix="give a video")) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: clip.mp4 cannot be read\n  why: it is a text file\n  fix: give a video\n"


def test_a_nasty_file_name_stays_on_its_line(fail: Fail, capsys: pytest.CaptureFixture[str]) -> None:
    fail(SourceError("a\nb\x1b[31m é日😀\udcff.mp4 cannot be read", why="w", fix="f"))
    assert capsys.readouterr().err.splitlines()[0] == "error: a\\nb\\x1b[31m é日😀\\udcff.mp4 cannot be read"


def test_the_command_line_names_its_options(fail: Fail, capsys: pytest.CaptureFixture[str]) -> None:
    fix = "choose another name, or give " + OVERWRITE + " to replace it"
    assert fail(UsageError("this", why="that", fix=fix)) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "  fix: choose another name, or give -y to replace it"


def test_a_bug_says_so_and_how_to_see_more(fail: Fail, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(ZeroDivisionError("division by zero")) == 1
    shown = capsys.readouterr().err
    assert shown.startswith("error: ZeroDivisionError: division by zero\n  why: this is a bug of ours")
    assert "--debug" in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("error", [ZeroDivisionError("x"), SourceError("x", why="y", fix="z")])
def test_debug_shows_the_traceback_and_keeps_the_code(
    fail: Fail, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    without = fail(error)
    assert "Traceback" not in capsys.readouterr().err
    assert fail(error, "--debug") == without
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "raise error" in shown


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    ],
)
def test_out_of_memory(fail: Fail, capsys: pytest.CaptureFixture[str], error: BaseException) -> None:
    assert fail(error) == 5
    assert capsys.readouterr().err.startswith("error: out of memory\n")


@pytest.mark.parametrize(
    ("code", "exit_code"), [(errno.ENOSPC, 5), (errno.EACCES, 5), (errno.EROFS, 5), (errno.ENOENT, 1)]
)
def test_errors_of_the_system(fail: Fail, capsys: pytest.CaptureFixture[str], code: int, exit_code: int) -> None:
    assert fail(OSError(code, os.strerror(code), "out/report.json")) == exit_code
    shown = capsys.readouterr().err
    assert "out/report.json" in shown
    assert os.strerror(code) in shown


def test_ctrl_c(fail: Fail, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_sigterm(fail: Fail, capsys: pytest.CaptureFixture[str]) -> None:
    assert fail(SystemExit(143)) == 143
    assert capsys.readouterr().err == "terminated\n"


@pytest.mark.parametrize("given", [7, typer.Exit(7)])
def test_a_code_of_the_verb_is_kept(fail: Fail, given: int | BaseException) -> None:
    assert fail(given if isinstance(given, BaseException) else SystemExit(given)) == 7


VERBS = ", ".join(each.name for each in typer.main.get_command(cli.app).commands.values())


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        (["no-such-verb"], "No such command 'no-such-verb'", f"use one of: {VERBS}; see covos --help"),
        (["doctor", "--jsn"], "No such option: --jsn", "see covos doctor --help"),
        (["doctor", "surplus"], "unexpected extra argument", "see covos doctor --help"),
        (["models", "lst"], "No such command 'lst'", "use one of: list, convert, average; see covos models --help"),
        (
            ["evaluate", "pred", "gt"],
            "Missing option '--protocol'",
            "add --protocol: davis2016, davis2016-all, davis2017-semi, davis2017-unsup or youtube-vos; "
            "see covos evaluate --help",
        ),
        (
            ["serve", "--port", "99999999"],
            "Invalid value for '--port'",
            "its help says: Port; 0 takes a free one; see covos serve --help",
        ),
    ],
)
def test_a_wrong_command_line(capsys: pytest.CaptureFixture[str], line: list[str], what: str, fix: str) -> None:
    assert cli.main(line) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    first, second, third = captured.err.splitlines()
    assert first.startswith("error: ")
    assert what in first
    assert second.startswith("  why: the usage is: covos ")
    assert third == f"  fix: {fix}"


def test_a_part_of_what_is_scored_whole_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["predict", "data", "-o", "out", "--start", "5"]) == 2
    first, second, _ = capsys.readouterr().err.splitlines()
    assert (first, second) == ("error: --start of covos predict", "  why: a challenge scores all frames of a video")


@pytest.mark.parametrize("line", [[], ["models"]])
def test_nothing_to_do_shows_the_help(capsys: pytest.CaptureFixture[str], line: list[str]) -> None:
    assert cli.main(line) == 2
    captured = capsys.readouterr()
    assert "Usage: covos" in captured.out
    assert captured.err == ""


def test_a_word_that_is_no_choice_is_answered_with_the_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["segment", "clip.mp4", "-o", "out", "--refine", "foo"]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "error: --refine cannot be foo",
        "  why: it is none of the choices",
        "  fix: use one of: none, crf",
    ]


@pytest.mark.parametrize("verb", ["segment", "correct"])
def test_trust_without_a_prompt_file_is_refused(
    verb: str, tmp_path: Path, make_clip: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    line = [verb, str(make_clip()), "-o", str(tmp_path / "out"), "--point", "5,5", "--trust-prompts"]
    assert cli.main(line) == 2
    assert "--trust-prompts without --prompts" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
