"""Show the events of a job on a terminal: a bar for each stage, warnings, notes."""

from __future__ import annotations

from pathlib import Path
from threading import Timer
from types import TracebackType
from typing import TYPE_CHECKING, Self

from covos.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from covos.core.progress import Progress
    from covos.events import Event
    from covos.job import Job

CLOSING_AFTER = 1.0
"""Seconds after the last frame from which on the display says so: frames may wait for a writer, or in an encoder."""


class JobDisplay:
    """Listens to jobs, one after another; a context manager, for a bar must not outlive its job.

    Args:
        quiet: Show no progress.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Progress | None = None
        self._what, self._total, self._writes = "", 0, False
        self._closing: Timer | None = None
        self._expected: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end(failed=error is not None)

    def __call__(self, job: Job, event: Event) -> None:
        """Show an event of a job."""
        from covos.events import Advanced, Cancelled, Finished, FrameDone, Noted, Started, SteppedDown, Warned

        name = Path(job.plan.name).name
        match event:
            case Started(stage=stage, total=int(total)):
                writes = stage == "frames"
                self._begin(name if writes else f"{name}, {stage}", total=total, writes=writes)
            case FrameDone() | Advanced():
                self._advance()
            case Finished() | Cancelled() | Started():
                self.end(failed=isinstance(event, Cancelled))
            case SteppedDown(text=text):  # in the midst of a stage, above whose bar it is shown
                say(f"warning: {job.plan.name}: {text}", err=True)
            case Warned(text=text):
                self.end()
                say(f"warning: {job.plan.name}: {text}", err=True)
            case Noted(text=text) if not self.quiet:
                self.end()
                say(f"note: {name}: {text}", err=True)

    def frames(self, name: str, *, before: tuple[str, ...] = (), writes: bool = False) -> Callable[[int, int], None]:
        """Return a listener for work that counts its frames itself: it gets how many are done, and of how many.

        Another bar begins when it counts from 1 again.

        Args:
            name: Of the work.
            before: Names of the phases that come first, each of which counts all frames.
            writes: True if the last of its frames may still have to be written when it is counted.
        """
        self.expect(*before)

        def listen(done: int, total: int) -> None:
            if self._bar is None or done == 1:
                last = not self._expected
                what = name if last else f"{name}, {self._expected.pop(0)}"
                self._begin(what, total=total, writes=writes and last)
            self._advance()

        return listen

    def expect(self, *phases: str) -> None:
        """Name the phases of `frames` that come next, each of which counts its frames from 1."""
        self._expected = [*phases]

    def end(self, *, failed: bool = False) -> None:
        """End the bar, if there is one: its stage is over."""
        if self._closing is not None:
            self._closing.cancel()
            self._closing.join()
            self._closing = None
        if self._bar is not None:
            self._bar.describe(self._what)
            self._bar.__exit__(Exception if failed else None, None, None)
            self._bar = None

    def _begin(self, what: str, *, total: int, writes: bool) -> None:
        from covos.core.progress import Progress

        self.end()
        self._what, self._total, self._writes = what, total, writes
        self._bar = Progress(what, total=total, quiet=self.quiet).__enter__()

    def _advance(self) -> None:
        assert self._bar is not None, "a counted stage has begun"
        self._bar.advance()
        if self._writes and self._bar.done == self._total:
            self._closing = Timer(CLOSING_AFTER, self._bar.announce, (f"{self._what}, closing the files",))
            self._closing.daemon = True
            self._closing.start()
