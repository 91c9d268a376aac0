"""A server as users start it, and a clip as a server keeps it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from covos.core.types import SourceInfo
from covos.serve.clip import Clip
from covos.serve.workers import Here, Progress, Video

SIZE = (4, 6)
COUNT = 9
"""(height, width) and frames of `begun`."""


AS_USERS_DO = (sys.executable, "-m", "covos")
QUICK = (sys.executable, str(Path(__file__).with_name("quick.py")))
"""The same program, whose processes begin sooner, and whose networks see small frames."""


@contextmanager
def serving(*options: str, program: Sequence[str] = AS_USERS_DO, end_by: int = signal.SIGTERM) -> Iterator[str]:
    """Run ``covos serve`` on a free port, for a ``with`` block, until this signal; gives its address."""
    with subprocess.Popen(
        [*program, "serve", "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert found, line
            yield found[0]
            assert not _has_loaded_torch(process.pid), "the server's own process computes nothing: see serve/tasks.py"
        finally:
            process.send_signal(end_by)
            try:
                rest, _ = process.communicate(timeout=30)
                assert process.returncode == 0
                assert "Traceback" not in rest, rest
                assert "ERROR" not in rest, rest
            finally:
                process.kill()


def _has_loaded_torch(pid: int) -> bool:
    """Tell if a process has torch's libraries in its memory; false where the system does not say."""
    with suppress(OSError):
        return "/torch/lib/" in Path(f"/proc/{pid}/maps").read_text()
    return False


@dataclass(frozen=True, kw_only=True)
class Endless:
    """Tells that it works, until the process ends."""

    video: None = None

    def run(self, here: Here) -> None:
        while True:
            here.tell(Progress(done=os.getpid(), total=1))
            time.sleep(0.01)


def begun(folder: Path, *, source: str | Path = "clip.mp4") -> Clip:
    """A clip of `COUNT` frames of `SIZE` that was just taken, in a folder that is made; nothing reads its source."""
    folder.mkdir(parents=True)
    info = SourceInfo(
        path="clip.mp4",
        kind="video",
        height=SIZE[0],
        width=SIZE[1],
        frame_count=COUNT,
        frame_rate=Fraction(25),
        duration=COUNT / 25,
        time_base=Fraction(1, 25),
    )
    return Clip.begin(folder, name=Path(source).name, video=Video(path=str(source)), info=info, size=7)
