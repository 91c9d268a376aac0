"""Show the events of a job on a terminal: a bar for each stage, warnings, notes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from covos.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from covos.core.progress import Progress
    from covos.events import Event
    from covos.job import Job


class JobDisplay:
    """Listens to jobs, one after another; a context manager, for a bar must not outlive its job.

    Args:
        quiet: Show no progress.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self._bar: Progress | None = None

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
                self._begin(name if stage == "frames" else f"{name}, {stage}", total=total)
            case FrameDone() | Advanced():
                assert self._bar is not None, "a counted stage has begun"
                self._bar.advance()
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

    def frames(self, name: str) -> Callable[[int, int], None]:
        """Return a listener for work that counts its frames itself: it gets how many are done, and of how many.

        Another bar begins when it counts from 1 again.
        """

        def listen(done: int, total: int) -> None:
            if self._bar is None or done == 1:
                self._begin(name, total=total)
            assert self._bar is not None, "it has begun"
            self._bar.advance()

        return listen

    def end(self, *, failed: bool = False) -> None:
        """End the bar, if there is one: its stage is over."""
        if self._bar is not None:
            self._bar.__exit__(Exception if failed else None, None, None)
            self._bar = None

    def _begin(self, what: str, *, total: int) -> None:
        from covos.core.progress import Progress

        self.end()
        self._bar = Progress(what, total=total, quiet=self.quiet).__enter__()
