"""Jobs that are killed, or meet a full disk: a program, so that each can be a process.

It reads the model once and then runs each order of its standard input, one JSON object a line, in a fork:
``{"clip": path, "output": path, "formats": [...], "kill_at": n or 0, "disk": bytes or null}``; it answers each with a
line ``{"status": wait status, "moments": n, "error": text}``. Moments are the points at which a run may be killed:
every record of the journal, half written, and every file that is about to take its final name.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from covos.core import files as atomic
from covos.core.errors import CovosError
from covos.core.types import FrameResult
from covos.formats.base import Format
from covos.formats.table import TABLE
from covos.job import Job
from covos.model import Model, load_model
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


def run(order: Mapping[str, object], model: Model, answer: int) -> None:
    moments = Moments(int(str(order["kill_at"])))
    if order["disk"] is not None:
        limit = int(str(order["disk"]))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    error: CovosError | None
    try:
        plan = Plan(source=str(order["clip"]), formats=tuple(order["formats"]))  # type: ignore[arg-type]
        Job(plan, str(order["output"]), load=lambda _: model).run()
        error = None
    except CovosError as raised:
        error = raised
    os.write(answer, json.dumps({"moments": moments.count, "error": error and str(error)}).encode())
    os._exit(0 if error is None else error.exit_code)


def main() -> None:
    sys.modules["covos.formats.raw"] = sys.modules[__name__]
    TABLE["raw"] = "raw:Raw"
    model = load_model(device="cpu", precision="fp32")
    model.engine.encoder.area = 96 * 128  # small: what is computed does not matter here
    for line in sys.stdin:
        reader, writer = os.pipe()
        if not (child := os.fork()):
            with suppress(BaseException):
                run(json.loads(line), model, writer)
            os._exit(70)
        os.close(writer)
        with os.fdopen(reader, "rb") as pipe:
            said = json.loads(pipe.read() or b"{}")
        print(json.dumps({"status": os.waitpid(child, 0)[1], **said}), flush=True)


if __name__ == "__main__":
    main()
