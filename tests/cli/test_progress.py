"""The display of a job says what it does: the phase, and the closing of files where that takes long."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from covos.cli import progress
from covos.cli.progress import JobDisplay

Capture = pytest.CaptureFixture[str]


class Waiting(threading.Timer):
    """A timer whose time the test lets pass."""

    made: list[Waiting] = []  # noqa: RUF012 - of the class on purpose

    def start(self) -> None:
        self.made.append(self)

    def join(self, timeout: float | None = None) -> None:
        assert self.finished.is_set(), "ended before it is waited for"


@pytest.fixture
def timers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Waiting]]:
    monkeypatch.setattr(progress, "Timer", Waiting)
    yield Waiting.made
    Waiting.made.clear()


def test_the_closing_of_files_is_said_where_it_takes_long(timers: list[Waiting], capsys: Capture) -> None:
    with JobDisplay(quiet=False) as display:
        listen = display.frames("run", before=("matte",), writes=True)
        for done in (1, 2, 3):
            listen(done, 3)
        assert timers == [], "a phase without files"
        for done in (1, 2, 3):
            listen(done, 3)
        (timer,) = timers
        assert timer.interval == progress.CLOSING_AFTER
        timer.function(*timer.args)
        lines = capsys.readouterr().err.splitlines()
        assert [line.partition(":")[0] for line in lines] == ["run, matte", "run, closing the files"]
    assert timer.finished.is_set()
    assert capsys.readouterr().err.startswith("run: 3/3 frames")


def test_nothing_is_said_of_files_that_close_at_once(timers: list[Waiting], capsys: Capture) -> None:
    with JobDisplay(quiet=False) as display:
        display.frames("run", writes=True)(1, 1)
    assert [timer.finished.is_set() for timer in timers] == [True]
    assert "closing" not in capsys.readouterr().err


def test_a_display_that_ends_stops_its_timer() -> None:
    before = threading.active_count()
    with JobDisplay(quiet=True) as display:
        display.frames("run", writes=True)(1, 1)
        assert threading.active_count() == before + 1
    assert threading.active_count() == before
