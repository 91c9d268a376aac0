"""Show the progress of a loop: a bar on a terminal, a line every few seconds elsewhere, always on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Self, TextIO, TypeVar

from covos.core.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import Task
    from rich.text import Text

T = TypeVar("T")

LINE_EVERY = 5.0
"""Seconds between two plain lines."""


def counted(count: int, noun: str) -> str:
    """Return the number and the noun, which takes an s unless the number is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


class Progress:
    """Counts the turns of a loop and shows count, speed and, if the total is known, the time left.

    >>> with Progress("segment", total=100) as progress:
    ...     for frame in progress.track(frames):
    ...         ...

    ``what`` names the work at the front of every line, ``unit`` what is counted; ``done`` are the turns so far.
    """

    def __init__(
        self,
        what: str,
        *,
        total: int | None = None,
        unit: str = "frames",
        quiet: bool = False,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.done = 0
        self._what, self._total, self._unit, self._quiet = printable(what), total, unit, quiet
        self._stream = sys.stderr if stream is None else stream
        self._clock = clock
        self._bar: Bar | None = None
        if not quiet and self._stream.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _bar(unit, self._stream)

    def __enter__(self) -> Self:
        self._began = self._last_line = self._clock()
        if self._bar is not None:
            self._bar.start()
            self._task = self._bar.add_task(self._what, total=self._total)
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        finished = kind is None
        if self._bar is not None:
            # A header may promise more frames than come out; a bar that stops short would look like a failure.
            self._bar.update(self._task, completed=self.done, total=self.done if finished else self._total)
            self._bar.stop()
        elif not self._quiet and (finished or self.done):  # an error that came before the first turn stands alone
            self._print_line(finished=finished)

    def advance(self, turns: int = 1) -> None:
        """Count turns."""
        self.done += turns
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done)
        elif not self._quiet and (now := self._clock()) - self._last_line >= LINE_EVERY:
            self._last_line = now
            self._print_line(finished=False)

    def describe(self, what: str) -> None:
        """Say what the work is now at the front of every line."""
        self._what = printable(what)
        if self._bar is not None:
            self._bar.update(self._task, description=self._what)

    def announce(self, what: str) -> None:
        """Say at once what the work is now, from any thread: a bar by its front, else a line of its own."""
        if self._bar is not None:
            self._bar.update(self._task, description=printable(what))
        elif not self._quiet:
            print(printable(what), file=self._stream, flush=True)

    def track(self, turns: Iterable[T]) -> Iterator[T]:
        """Pass an iterable on, counting each item once its turn of the loop is over."""
        for turn in turns:
            yield turn
            self.advance()

    def _print_line(self, *, finished: bool) -> None:
        seconds = self._clock() - self._began
        speed = self.done / seconds if seconds > 0 else 0.0
        total = "" if self._total is None else f"/{self._total}"
        line = f"{self._what}: {self.done}{total} {self._unit}, {_pace(speed, self._unit)}"
        if finished:
            line += f", {seconds:.1f} s"
        elif speed > 0 and self._total is not None:
            line += f", {max(0, self._total - self.done) / speed:.0f} s left"
        print(line, file=self._stream, flush=True)


def _pace(speed: float, unit: str) -> str:
    """Say a speed in things a second; where that rounds to nothing, as of clips, a minute or an hour."""
    if speed >= 0.1 or speed == 0:
        return f"{speed:.1f} {unit}/s"
    return f"{speed * 60:.1f} {unit}/min" if speed * 60 >= 1 else f"{speed * 3600:.1f} {unit}/h"


def _bar(unit: str, stream: TextIO) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(_pace(task.completed / task.elapsed, unit) if task.elapsed else "")

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Speed())
    return Bar(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=Console(file=stream))
