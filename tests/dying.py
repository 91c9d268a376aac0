"""A listener that ends its process: a module by itself, for a worker process has to find it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from covos.cli.progress import JobDisplay
from covos.events import Event, FrameDone
from covos.job import Job


class Dying(JobDisplay):
    """Ends its process, in some way, at the second frame of an input called ``bad``."""

    def __init__(self, way: str) -> None:
        super().__init__(quiet=True)
        self.way = way

    def __call__(self, job: Job, event: Event) -> None:
        super().__call__(job, event)
        if isinstance(event, FrameDone) and event.index == 1 and Path(job.plan.name).stem == "bad":
            if self.way == "abort":
                os.abort()
            if self.way == "raise":
                raise ZeroDivisionError("a bug")
            if self.way == "memory":
                raise MemoryError
            os.kill(os.getpid(), signal.SIGKILL)
