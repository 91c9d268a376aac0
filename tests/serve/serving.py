"""A server as users start it, and a clip as a server keeps it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TextIO

from covos.core.errors import CancelledError
from covos.core.types import SourceInfo
from covos.serve.clip import Clip
from covos.serve.queue import WorkQueue
from covos.serve.workers import Here, Progress, Video

SIZE = (4, 6)
COUNT = 9
"""(height, width) and frames of `begun`."""


BEGIN, END = 120.0, 30.0
"""Seconds in which a server has to answer, and to end once it is told so: the machine of the tests may be busy."""
AS_USERS_DO = (sys.executable, "-m", "covos")
QUICK = (sys.executable, str(Path(__file__).with_name("quick.py")))
"""The same program, whose processes begin sooner, and whose networks see small frames."""


def wait_until(is_so: Callable[[], bool], *, what: str) -> None:
    """Wait for something that comes soon; ``what`` says what is wrong if it does not."""
    end = time.monotonic() + END
    while not is_so():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def wait_for(queue: WorkQueue, clip: Clip) -> None:
    """Wait until nothing is done for a clip."""
    wait_until(lambda: queue.busy(clip) is None, what="the queue does not work any more")


@contextmanager
def serving(*options: str, program: Sequence[str] = AS_USERS_DO, end_by: int = signal.SIGTERM) -> Iterator[str]:
    """Run ``covos serve`` on a free port, for a ``with`` block, until this signal; gives its address.

    What it prints goes to a file: a pipe that nobody reads would stop it once it is full.
    """
    with (
        tempfile.TemporaryFile("w+") as printed,
        subprocess.Popen(
            [*program, "serve", "--port", "0", *options], stdout=printed, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield _address(process, printed)
            assert not _has_loaded_torch(process.pid), "the server's own process computes nothing: see serve/tasks.py"
        finally:
            process.send_signal(end_by)
            try:
                process.wait(timeout=END)
                printed.seek(0)
                said = printed.read()
                assert process.returncode == 0, said
                assert "Traceback" not in said, said
                assert "ERROR" not in said, said
            finally:
                process.kill()


def _address(process: subprocess.Popen[bytes], printed: TextIO) -> str:
    """The address that a server prints once it answers."""
    end = time.monotonic() + BEGIN
    while True:
        over = process.poll() is not None  # before the file is read: it may print last what it ends of
        printed.seek(0)
        said = printed.read()
        if found := re.search(r"http://127\.0\.0\.1:\d+/", said):
            return found[0]
        assert not over, f"the server ended before it answered, with exit code {process.returncode}: {said}"
        assert time.monotonic() < end, f"the server did not answer within {BEGIN:.0f} s, and printed: {said!r}"
        time.sleep(0.02)


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


@dataclass(frozen=True, kw_only=True)
class Stopped:
    """Goes on until it is told to stop, and says then what a download says."""

    video: None = None

    def run(self, here: Here) -> None:
        here.tell(Progress(done=0, total=1))
        here.stop.wait()
        raise CancelledError("the download was stopped", why="you asked for that", fix="ask for it again")


@dataclass(frozen=True, kw_only=True)
class Deaf:
    """Answers once, and then neither a flag nor a signal: so does a decoder that waits for a disk."""

    video: Video | None = None

    def run(self, here: Here) -> None:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        here.tell(Progress(done=os.getpid(), total=1))
        while True:
            time.sleep(60)


@dataclass(frozen=True, kw_only=True)
class Held:
    """Another task of the process: it goes on until its file is gone."""

    video: None = None
    file: str

    def run(self, here: Here) -> None:
        here.tell(Progress(done=0, total=1))
        while Path(self.file).exists():
            time.sleep(0.01)


@dataclass(frozen=True, kw_only=True)
class Written:
    """Writes into a folder, as a search does, though the folder may be gone."""

    video: None = None
    folder: str

    def run(self, here: Here) -> None:
        Path(self.folder).mkdir(parents=True, exist_ok=True)
        Path(self.folder, "masks").write_text("found")


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
