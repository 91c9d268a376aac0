"""Show the events of a job on a terminal: a bar for each stage, warnings, notes."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import typer

if TYPE_CHECKING:
    from covos.core.progress import Progress
    from covos.core.types import SourceInfo
    from covos.job import Event, Job


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
        self._end(kind, error)

    def __call__(self, job: Job, event: Event) -> None:
        """Show an event of a job."""
        from covos.job import Advanced, FrameDone, Started

        if isinstance(event, Started):
            self._end()
            if event.info is not None and event.total is not None:
                self._begin(event.info, stage=event.stage, total=event.total)
            if event.stage == "ready" and event.info is not None:
                self.ready(job, event.info)
        elif isinstance(event, FrameDone | Advanced) and self._bar is not None:
            self._bar.advance()

    def ready(self, job: Job, info: SourceInfo) -> None:
        """Do what is to be done when a job's source is open and its model loaded; nothing here."""

    def end(self, *, failed: bool) -> None:
        """End the bar, if there is one: the job is over."""
        self._end(Exception if failed else None)

    def _begin(self, info: SourceInfo, *, stage: str, total: int) -> None:
        from covos.core.progress import Progress

        what = Path(info.path).name if stage == "frames" else f"{Path(info.path).name}, {stage}"
        self._bar = Progress(what, total=total, quiet=self.quiet).__enter__()

    def _end(self, kind: type[BaseException] | None = None, error: BaseException | None = None) -> None:
        if self._bar is not None:
            self._bar.__exit__(kind, error, None)
            self._bar = None
