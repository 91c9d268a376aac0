from __future__ import annotations

import io

import pytest

from covos.core.progress import LINE_EVERY, Progress, _pace, counted


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(turns: int, *, seconds: float, total: int | None) -> list[str]:
    clock, stream = Clock(), io.StringIO()
    with Progress("segment", total=total, stream=stream, clock=clock) as progress:
        for _ in progress.track(range(turns)):
            clock.now += seconds
    assert progress.done == turns
    return stream.getvalue().splitlines()


def test_plain_lines_give_count_speed_and_time_left() -> None:
    assert run(4, seconds=LINE_EVERY / 2, total=4) == [
        "segment: 2/4 frames, 0.4 frames/s, 5 s left",
        "segment: 4/4 frames, 0.4 frames/s, 0 s left",
        "segment: 4/4 frames, 0.4 frames/s, 10.0 s",
    ]


def test_without_a_total_no_time_left_is_claimed() -> None:
    assert run(3, seconds=4, total=None) == [
        "segment: 2 frames, 0.2 frames/s",
        "segment: 3 frames, 0.2 frames/s, 12.0 s",
    ]


def test_a_source_that_gives_more_than_it_promised() -> None:
    assert run(3, seconds=LINE_EVERY, total=1)[1] == "segment: 2/1 frames, 0.2 frames/s, 0 s left"


def test_no_frames_and_no_time() -> None:
    assert run(0, seconds=1, total=None) == ["segment: 0 frames, 0.0 frames/s, 0.0 s"]


def test_quiet_shows_nothing_and_still_counts() -> None:
    stream = Terminal()
    with Progress("segment", total=2, quiet=True, stream=stream) as progress:
        assert list(progress.track("ab")) == ["a", "b"]
    assert progress.done == 2
    assert stream.getvalue() == ""


def test_a_dumb_terminal_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    with Progress("segment", stream=stream):
        pass
    assert stream.getvalue().startswith("segment: 0 frames")


def test_a_terminal_gets_a_bar_with_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    stream = Terminal()
    with Progress("cut [bold]x[/]", total=9, stream=stream) as progress:
        list(progress.track(range(4)))
    shown = stream.getvalue()
    assert "cut [bold]x[/]" in shown  # a file's name is no markup
    assert "4/4" in shown  # the promise of the header gives way to what came out
    assert "frames/s" in shown


def test_stderr_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("score", unit="sequences") as progress:
        progress.advance(2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("score: 2 sequences, ")


def advance_and_fail(progress: Progress, clock: Clock) -> None:
    with progress:
        clock.now += 1
        progress.advance()
        raise ValueError("x")


def test_a_failure_claims_no_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with pytest.raises(ValueError, match="x"):
        advance_and_fail(Progress("segment", total=4, stream=stream, clock=clock), clock)
    assert stream.getvalue() == "segment: 1/4 frames, 1.0 frames/s, 3 s left\n"


@pytest.mark.parametrize(("count", "text"), [(0, "0 frames"), (1, "1 frame"), (2, "2 frames")])
def test_one_has_no_s(count: int, text: str) -> None:
    assert counted(count, "frame") == text


def test_few_things_are_counted_by_the_minute_or_the_hour() -> None:
    assert _pace(2.0, "clips") == "2.0 clips/s"
    assert _pace(0.05, "clips") == "3.0 clips/min"
    assert _pace(0.001, "clips") == "3.6 clips/h"
    assert _pace(0, "clips") == "0.0 clips/s"
