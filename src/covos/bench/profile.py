"""The profile of a run: processor milliseconds a frame, by stage.

A thread looks at the others some hundred times a second. The time that a thread has spent on the processor since the
last look goes to the stage that its stack stands in now. If it waits now, that time is shared out in the end among the
stages that it was met in. So the sum of each thread is exact, and its parts are as good as the number of looks. Threads
that libraries make of their own have no stack of Python. Some are known by their names. Those that are there before the
block begins are pools that outlived the runs before it: the networks' library has them. Decoders and encoders begin and
end theirs with each video.

Linux alone reports the time of each thread.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Final, Self

from covos.core.errors import EnvironmentProblem

EVERY: Final = 0.003
"""Seconds between two looks."""
OTHER: Final = "other"
"""The stage of what belongs to none: the interpreter, the start and the end of a run."""
WAITING: Final = "waiting"
LIBRARIES: Final = "threads of libraries"
"""The stage of threads that libraries began within the block and that have no name: x264's."""
NETWORK: Final = "network"

STAGES: Final[Mapping[str, str]] = {
    "core/files.py": "files: names, flushes",
    "engines/around.py": "frames around",
    "engines/between.py": "frames between",
    "engines/encoding.py:to_batch": "resizing for the network",
    "engines/encoding.py:to_probability": "up-sampling",
    "engines/encoding.py:encode": NETWORK,
    "engines/fades.py": "look for cuts",
    "engines/find.py": NETWORK,
    "engines/find.py:expected_jaccard": "mask, confidence",
    "engines/find.py:result": "mask, confidence",
    "engines/follow.py": NETWORK,
    "engines/follow_pass.py": NETWORK,
    "engines/follow_result.py": "mask, confidence",
    "engines/held.py": "mask, confidence",
    "engines/looks.py": "look for cuts",
    "engines/memory.py": NETWORK,
    "engines/motion.py": "optical flow",
    "engines/shots.py": "look for cuts",
    "formats/": "formats: other",
    "masks/draw.py": "drawing",
    "masks/label_files.py": "mask files",
    "masks/rle.py": "journal",
    "masks/soft.py": "journal",
    "media/decoding.py": "decoding",
    "media/displayed.py": "colours in",
    "media/picture.py": "resizing for the network",
    "media/writer.py": "encoding",
    "media/writer.py:_converted": "colours out",
    "models/": NETWORK,
    "runs/folder.py": "files: names, flushes",
    "runs/journal.py": "journal",
    "runs/quality.py": "report",
    "runs/report.py": "report",
    "runtimes/": NETWORK,
}
"""The stage of a function, a file or a folder of the package. The narrowest counts, of the innermost call with one."""

_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"
_QUEUES: Final = tuple(f"{os.sep}{name}" for name in ("threading.py", "queue.py", f"core{os.sep}ahead.py"))
"""Files in whose functions threads wait for one another."""
_NAMED: Final[Mapping[str, str]] = {"av:": "decoding"}
"""The stages of libraries' threads that have names, by how these begin."""


class Profile:
    """Looks at the threads of this process for the time of a block; a run has warmed up before it, and has ended.

    Raises:
        EnvironmentProblem: The system does not report the time of a thread.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise EnvironmentProblem(
                "no profile on this system", why="only Linux reports the time of each thread", fix="leave --profile out"
            )
        self._spent: dict[int, dict[str, float]] = defaultdict(lambda: defaultdict(float))
        """Processor seconds of each thread, by stage."""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="covos-profile", daemon=True)

    def __enter__(self) -> Self:
        self._before = _spent()
        own = {thread.native_id for thread in threading.enumerate()}
        self._pools = {number for number in self._before if number not in own and _library(number) == LIBRARIES}
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    @property
    def seconds(self) -> dict[str, float]:
        """Processor seconds of each stage, the most first."""
        total: dict[str, float] = defaultdict(float)
        for stages in self._spent.values():
            met = {stage: seconds for stage, seconds in stages.items() if stage != WAITING} or {OTHER: 1.0}
            share = stages.get(WAITING, 0.0) / sum(met.values())
            for stage, seconds in met.items():
                total[stage] += stages.get(stage, 0.0) + share * seconds
        return dict(sorted(total.items(), key=lambda item: -item[1]))

    def _run(self) -> None:
        own = threading.get_native_id()
        over = False
        while not over:
            over = self._end.wait(EVERY)
            now, stacks = _spent(), sys._current_frames()
            threads = {thread.native_id: thread.ident for thread in threading.enumerate()}
            for number, total in now.items():
                spent = total - self._before.get(number, 0.0)
                if spent > 0 and number != own:
                    ident = threads.get(number)
                    stage = self._stage_of_library(number) if ident is None else stage_of(stacks.get(ident))
                    self._spent[number][stage] += spent
            self._before = now

    def _stage_of_library(self, number: int) -> str:
        return NETWORK if number in self._pools else _library(number)


def _spent() -> dict[int, float]:
    """Return the processor seconds of each thread of this process so far, by the system's number of it."""
    found = {}
    for task in Path("/proc/self/task").iterdir():
        number = int(task.name)
        try:
            # The kernel's own name of the clock of a thread (clock_getcpuclockid); it refuses one that has ended.
            found[number] = time.clock_gettime((~number << 3) | 6)
        except OSError:
            continue
    return found


def stage_of(frame: FrameType | None) -> str:
    """Return the stage that a thread stands in, by the innermost call that belongs to one; or that it waits."""
    if frame is not None and frame.f_code.co_filename.endswith(_QUEUES):
        return WAITING
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(_PACKAGE) and (stage := _stage(code.co_filename, code.co_name)):
            return stage
        frame = frame.f_back
    return OTHER


@cache
def _stage(file: str, function: str) -> str | None:
    name = file.removeprefix(_PACKAGE).replace(os.sep, "/")
    named = (key for key in (f"{name}:{function}", name, f"{name.split('/')[0]}/") if key in STAGES)
    return STAGES.get(next(named, ""))


@cache
def _library(number: int) -> str:
    """Return the stage of a thread of a library."""
    try:
        name = Path(f"/proc/self/task/{number}/comm").read_text().strip()
    except OSError:  # it has ended
        return LIBRARIES
    return next((stage for begin, stage in _NAMED.items() if name.startswith(begin)), LIBRARIES)
