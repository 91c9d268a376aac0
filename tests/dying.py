"""Listeners that end processes: a module by itself, for a worker process has to find it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType

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


class Stopping(JobDisplay):
    """Sends a process a signal at the fifth frame of an input called ``a``, and waits until this one has it, too."""

    def __init__(self, *, quiet: bool, pid: int, number: int) -> None:
        super().__init__(quiet=quiet)
        self.pid, self.number = pid, number
        self._came = False

    def __call__(self, job: Job, event: Event) -> None:
        super().__call__(job, event)
        if isinstance(event, FrameDone) and event.index == 4 and Path(job.plan.name).stem == "a":
            handler = signal.getsignal(self.number)
            assert callable(handler)

            def noting(number: int, frame: FrameType | None) -> None:
                self._came = True
                handler(number, frame)

            signal.signal(self.number, noting)
            os.kill(self.pid, self.number)
            while not self._came:
                time.sleep(0.01)
