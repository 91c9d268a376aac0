"""Jobs that are killed, or meet a full disk: each in a fork of the tests' process, which has loaded what they need.

Moments are the points at which a run may be killed: every record of the journal, half written, and every file that is
about to take its final name.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from children import in_child
from covos.core import files as atomic
from covos.core.errors import CovosError
from covos.core.types import FrameResult
from covos.formats.base import Format
from covos.formats.table import TABLE
from covos.job import Job
from covos.model import Model
from covos.plan import Plan
from covos.runs.journal import Journal


class Raw(Format):
    """A format that keeps every bit of the probabilities."""

    name = output = "raw"

    def _add(self, result: FrameResult) -> None:
        with atomic.atomic_path(self._folder.file(f"raw/{result.frame.stem}.bin")) as temporary:
            temporary.write_bytes(np.ascontiguousarray(result.probability).tobytes())


class Moments:
    """Counts the moments of a run, and kills it at one."""

    def __init__(self, kill_at: int) -> None:
        self.count = 0
        self._kill_at = kill_at
        flush, append = atomic._flush, Journal.append

        def flushed(path: Path) -> None:
            self.pass_one()
            flush(path)

        def appended(journal: Journal, record: object) -> None:
            if self.count + 1 == self._kill_at:
                with journal._path.open("ab") as file:
                    file.write(b'{"index": %d, "stem": "0' % journal.count)
            self.pass_one()
            append(journal, record)  # type: ignore[arg-type]

        atomic._flush = flushed
        Journal.append = appended  # type: ignore[method-assign, assignment]

    def pass_one(self) -> None:
        self.count += 1
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a run: if it was killed, its exit code and its error otherwise, and the moments that it passed."""

    killed: bool = False
    code: int = 0
    error: str = ""
    moments: int = 0


def run(
    model: Model, clip: Path, output: Path, *, formats: Sequence[str], kill_at: int = 0, disk: int | None = None
) -> Ended:
    """Run a job in a fork, which is killed at a moment, from 1, or may write so many bytes to a file."""
    child = in_child(lambda: _run(model, clip, output, formats, kill_at, disk), seconds=120)
    if child.end == "died":
        assert child.answer == "SIGKILL"
        return Ended(killed=True)
    assert child.end == "answered", child.answer
    return Ended(**child.answer)


def _run(
    model: Model, clip: Path, output: Path, formats: Sequence[str], kill_at: int, disk: int | None
) -> dict[str, object]:
    sys.modules["covos.formats.raw"] = sys.modules[__name__]
    TABLE["raw"] = "raw:Raw"
    moments = Moments(kill_at)
    if disk is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
    try:
        Job(Plan(source=str(clip), formats=tuple(formats)), str(output), load=lambda _: model).run()
    except CovosError as error:
        return {"code": error.exit_code, "error": str(error), "moments": moments.count}
    return {"moments": moments.count}
