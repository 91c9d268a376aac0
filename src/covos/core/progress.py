"""Show how far a loop over frames is: a bar on a terminal, a line every few seconds elsewhere, always on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import Task
    from rich.text import Text


T = TypeVar("T")

LINE_EVERY = 5.0
"""Seconds between two plain lines."""


class _Display(Protocol):
    def start(self) -> None: ...
    def update(self, done: int) -> None: ...
    def stop(self, done: int, *, finished: bool) -> None: ...


class Progress:
    """Counts the turns of a loop and shows count, speed and time left.

    >>> with Progress("segment", total=100) as progress:
    ...     for frame in progress.track(frames):
    ...         ...

    Args:
        what: Name of the work, at the front of every line.
        total: Turns expected; None if unknown: then no time left is given.
        unit: What is counted.
        quiet: Show nothing.
        stream: Where to; stderr if not given.
        clock: Gives the time in seconds.

    Attributes:
        done: Turns counted so far.
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
        stream = sys.stderr if stream is None else stream
        self._display: _Display | None
        if quiet:
            self._display = None
        elif stream.isatty() and os.environ.get("TERM") != "dumb":
            self._display = _Terminal(what, total, unit, stream)
        else:
            self._display = _Lines(what, total, unit, stream, clock)

    def __enter__(self) -> Self:
        if self._display:
            self._display.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if self._display:
            self._display.stop(self.done, finished=kind is None)

    def advance(self, turns: int = 1) -> None:
        """Count turns."""
        self.done += turns
        if self._display:
            self._display.update(self.done)

    def track(self, turns: Iterable[T]) -> Iterator[T]:
        """Pass an iterable on, counting each item once its turn of the loop is over."""
        for turn in turns:
            yield turn
            self.advance()


class _Lines:
    """Plain lines, for logs."""

    def __init__(self, what: str, total: int | None, unit: str, stream: TextIO, clock: Callable[[], float]) -> None:
        self._what, self._total, self._unit = what, total, unit
        self._stream, self._clock = stream, clock
        self._began = self._last = clock()

    def start(self) -> None:
        self._began = self._last = self._clock()

    def update(self, done: int) -> None:
        now = self._clock()
        if now - self._last >= LINE_EVERY:
            self._last = now
            self._print(done, left=True)

    def stop(self, done: int, *, finished: bool) -> None:
        self._print(done, left=not finished)

    def _print(self, done: int, *, left: bool) -> None:
        seconds = self._clock() - self._began
        speed = done / seconds if seconds > 0 else 0.0
        total = "" if self._total is None else f"/{self._total}"
        line = f"{self._what}: {done}{total} {self._unit}, {speed:.1f} {self._unit}/s"
        if left and speed > 0 and self._total is not None:
            line += f", {max(0, self._total - done) / speed:.0f} s left"
        elif not left:
            line += f", {seconds:.1f} s"
        print(line, file=self._stream, flush=True)


class _Terminal:
    """A bar, drawn by rich."""

    def __init__(self, what: str, total: int | None, unit: str, stream: TextIO) -> None:
        self._what, self._total, self._unit, self._stream = what, total, unit, stream

    def start(self) -> None:
        self._bar = _bar(self._unit, self._stream)
        self._bar.start()
        self._task = self._bar.add_task(self._what, total=self._total)

    def update(self, done: int) -> None:
        self._bar.update(self._task, completed=done)

    def stop(self, done: int, *, finished: bool) -> None:
        # A header may promise more frames than come out; a bar that stops short would look like a failure.
        self._bar.update(self._task, completed=done, total=done if finished else self._total)
        self._bar.stop()


def _bar(unit: str, stream: TextIO) -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.text import Text

    class Speed(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.completed / task.elapsed:.1f} {unit}/s" if task.elapsed else "")

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), Speed())
    return Bar(*columns, TimeRemainingColumn(elapsed_when_finished=True), console=Console(file=stream))


# Words for numbers.


def counted(count: int, noun: str) -> str:
    """The number and the noun, which takes an s unless the number is 1."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
