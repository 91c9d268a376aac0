"""The processes of the server: whatever decodes, computes or encodes runs in one of them, and may die in it.

Two run networks, so that a click is answered while a long video is followed; one reads pictures; one makes the videos
that browsers play. Each answers one task after another. Tasks and answers are values that pickle.
"""

from __future__ import annotations

import gc
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from fractions import Fraction
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import cv2

from covos.core.device import configure_threads
from covos.core.errors import CancelledError, CovosError, explained
from covos.core.memory import give_back
from covos.core.process import Worker
from covos.core.types import Deinterlace, SourceInfo
from covos.masks import RLE
from covos.masks.frame_mask import FrameMask
from covos.masks.soft import SoftMask
from covos.media.inputs import open_input
from covos.media.range import WHOLE, Range
from covos.media.source import Source
from covos.prompts.seed_mask import SeedMask
from covos.serve.errors import SilentError, in_public, without_paths

if TYPE_CHECKING:
    from covos.plan import Plan

IDLE = 600.0
"""Seconds after which a process that has nothing to do forgets its models and closes its clips."""
DEAF = 10.0
"""Seconds in which a task that was stopped has to end; then its process is ended, as a decoder may never answer."""
LOOK, SLOWEST_DISK = 60.0, 10e6
"""Seconds that a decoder may take for a frame, and bytes a second that come from a disk at least."""
COMPUTING = 600.0
"""Seconds that networks may take for an answer, beside those: first they may have to be loaded, and made ready."""
_LOOK = 0.1
"""Seconds between two looks if a task that does not answer is to end."""
_OPEN = 4
_TOGETHER = 1.0
"""Seconds in which a signal that has ended a process reaches the server as well, if it goes to all."""
OpenedT = TypeVar("OpenedT", bound="Closable")


class Closable(Protocol):
    """Something that is open."""

    def close(self) -> None:
        """Close it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A clip as processes open it.

    Attributes:
        path: Its file.
        range: The part that is taken: frames count from its first.
        deinterlace: Frames that are made whole pictures, as `covos.media.opening.open_source` takes it.
        frame_rate: Frames a second of a folder of pictures; None of a video, which has its own.
    """

    path: str
    range: Range = WHOLE
    deinterlace: Deinterlace = "auto"
    frame_rate: Fraction | None = None

    @classmethod
    def read_as(cls, info: SourceInfo, *, path: str, range: Range) -> Video:
        """Return a part of a clip, read as it was when it got this description: its pictures and times are those."""
        rate = info.whole_rate if info.kind == "frames" else None
        return cls(path=path, range=range, deinterlace=info.deinterlace, frame_rate=rate)

    def open(self) -> Source:
        """Open it; see `covos.media.inputs.open_input`."""
        return open_input(self.path, range=self.range, deinterlace=self.deinterlace, frame_rate=self.frame_rate)

    @property
    def patience(self) -> float:
        """Seconds that it may take to open it, or to decode a frame; as many as it takes for a folder of pictures.

        A video is read from beginning to end before its first frame is shown.
        """
        path = Path(self.path)
        return LOOK + path.stat().st_size / SLOWEST_DISK if path.is_file() else math.inf

    @property
    def places(self) -> tuple[str, ...]:
        """Its file, and the folder of that: no message names them."""
        folder = Path(self.path).parent
        return (self.path, str(folder)) if folder.is_absolute() and folder.name else (self.path,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The work has got on.

    Attributes:
        done: Frames that are done.
        total: Frames in all.
        step: What is done with them before the work itself, as "looking for cuts"; empty for that.
    """

    done: int
    total: int
    step: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that the user may want to know."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """The frames with which shots begin, but for the first."""

    frames: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    """The mask that a prompt made, and all seeds after it."""

    object: int
    mask: RLE
    seeds: tuple[SeedMask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matted:
    """The matte that was found of a frame, by its index in the clip."""

    index: int
    matte: SoftMask


@dataclass(frozen=True, slots=True, kw_only=True)
class _Over:
    """A task is over."""

    error: CovosError | None


Answer: TypeAlias = SourceInfo | FrameMask | Progress | Note | Cuts | Clicked | Matted | bytes


class Task(Protocol):
    """Something for a process to do."""

    @property
    def video(self) -> Video | None:
        """The clip that it reads, if any."""

    def run(self, here: Here) -> None:
        """Do it, and report the outcome."""
        ...


@dataclass
class Here:
    """The things that a process has for every task: open clips, the way to answer, and the flag that stops a task.

    A process of networks has a plan, too, and keeps what `covos.serve.networks` has loaded. One that reads pictures
    must not import that: the libraries of networks take more memory than all else in it.
    """

    plan: Plan | None
    stop: Flag
    tell: Callable[[Answer], None]
    sources: OrderedDict[Video, Source] = field(default_factory=OrderedDict)
    networks: Closable | None = None

    def source(self, video: Video) -> Source:
        """Return an open clip; the last few stay open."""
        return kept_open(self.sources, video, video.open)

    def release(self) -> None:
        """Close and forget all: the next task opens and loads what it needs."""
        for source in self.sources.values():
            source.close()
        self.sources.clear()
        if self.networks is not None:
            self.networks.close()
            self.networks = None
        gc.collect()
        give_back()


def kept_open(table: OrderedDict[Video, OpenedT], video: Video, make: Callable[[], OpenedT]) -> OpenedT:
    """Return what is open of a clip; the last few stay open."""
    if video in table:
        table.move_to_end(video)
    else:
        table[video] = make()
        while len(table) > _OPEN:
            table.popitem(last=False)[1].close()
    return table[video]


class _Stopping:
    """The end of a task: somebody asks for it, and the process is told, and has so long; or no answer comes.

    Args:
        asked: Set by whoever wants it to end.
        flag: Tells the process.
        patience: Seconds that it may take for its next answer.
    """

    def __init__(self, asked: threading.Event, flag: Flag, *, patience: float) -> None:
        self._asked, self._flag, self._patience = asked, flag, patience
        self._since: float | None = None
        self._heard = time.monotonic()

    def begin(self) -> None:
        """Tell the process to end the task."""
        if self._since is None:
            self._since = time.monotonic()
            self._flag.set()

    def hear(self) -> None:
        """Wait anew for the next answer."""
        self._heard = time.monotonic()

    @property
    def is_silent(self) -> bool:
        """True if nobody wants the task to end, but nothing comes of it."""
        return self._since is None and time.monotonic() - self._heard > self._patience

    @property
    def is_deaf(self) -> bool:
        """True if the task goes on, though it was to end long ago."""
        if self._asked.is_set():
            self.begin()
        return self._since is not None and time.monotonic() - self._since > DEAF

    def told(self, *, stopped: CovosError, silent: CovosError) -> tuple[tuple[Note, ...], CovosError]:
        """Return the notes and the error of a task whose process had to be ended.

        Args:
            stopped: The error of a task that was to end.
            silent: That of one of which nothing came.
        """
        if self._since is None:
            return (), silent
        return (Note(text=_DEAF),), stopped


class TaskWorker:
    """A process that runs tasks, one after another; made when the first comes, and again after it died.

    Args:
        plan: Model, device and precision of the networks; None of a process that has none.
        root: Folder of all clips, which no message names.
        patient: True if it gives way to the other processes.
    """

    def __init__(self, plan: Plan | None, *, root: Path, patient: bool = False) -> None:
        self._plan, self._root, self._patient = plan, str(root), patient
        self._stop: Flag = get_context("spawn").Event()
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._now: tuple[str, threading.Event] | None = None
        self._closed = threading.Event()
        self.restarts = 0

    def run(
        self,
        task: Task,
        *,
        name: str,
        job: str = "",
        stopped: threading.Event | None = None,
        patience: float = math.inf,
    ) -> Iterator[Answer]:
        """Run a task, and yield what comes of it.

        Args:
            task: Picklable.
            name: Of the clip, for messages.
            job: Id of the clip that it is done for, which `stop` takes; empty of none.
            stopped: Set by whoever wants the task to end, also while it waits for the one before it.
            patience: Seconds that it may take for each answer; then its process is ended.

        Raises:
            CancelledError: It was stopped before it began; or it did not end then, and its process was ended.
            SilentError: An answer did not come in time.
            CovosError: The task failed, or the process died of it.
        """
        stopped = threading.Event() if stopped is None else stopped
        while not self._lock.acquire(timeout=_LOOK):
            if stopped.is_set():
                raise self._stopped(name)
        try:
            yield from self._run(task, name=name, job=job, stopped=stopped, patience=patience)
        finally:
            self._now = None
            self._lock.release()

    def _run(self, task: Task, *, name: str, job: str, stopped: threading.Event, patience: float) -> Iterator[Answer]:
        if self._closed.is_set():
            raise _ended(name)
        self._stop.clear()
        self._now = job, stopped
        if stopped.is_set():
            raise self._stopped(name)
        worker = self._worker = self._worker or Worker(work_on, self._plan, self._stop, self._patient)
        stopping = _Stopping(stopped, self._stop, patience=patience)
        places = (self._root,) if task.video is None else (*task.video.places, self._root)
        over = False
        try:
            worker.send(task)
            for answer in self._answers(worker, stopping):
                over = isinstance(answer, _Over)
                if isinstance(answer, Note):
                    yield Note(text=without_paths(answer.text, places, name=name))
                elif not isinstance(answer, _Over):
                    yield answer
                elif answer.error is not None:
                    raise self._in_public(answer.error, places, name=name)
            if not over:
                over = True
                notes, error = stopping.told(stopped=self._stopped(name), silent=self._silent(name, patience))
                yield from notes
                raise error
        except (EOFError, OSError):
            # A signal to all processes may reach this one first, and the server a moment later.
            if self._closed.wait(_TOGETHER if worker.was_stopped else 0):
                over = True
                raise _ended(name) from None
            cause = worker.cause_of_death(name)
            self._worker, self.restarts, over = None, self.restarts + 1, True
            raise cause from None
        finally:
            if not over:  # whoever listened has had enough: the next task must not get these answers
                stopping.begin()
                with suppress(EOFError, OSError):
                    for _ in self._answers(worker, stopping):
                        pass

    def _in_public(self, error: CovosError, places: tuple[str, ...], *, name: str) -> CovosError:
        if isinstance(error, CancelledError) and self._closed.is_set():
            return _ended(name)  # the process cannot tell who has stopped it
        return in_public(error, places, name=name)

    def _stopped(self, name: str) -> CancelledError:
        if self._closed.is_set():
            return _ended(name)
        return CancelledError(f"{name}: it was stopped", why="you asked for that", fix="ask for it again")

    def _silent(self, name: str, patience: float) -> SilentError:
        why = f"nothing came of it for {patience:.0f} seconds, so its process was ended"
        if self._plan is not None:  # the file was read before, and networks may be slow on this machine
            return SilentError(f"{name}: no answer came", why=why, fix="ask again, or look if its disk answers")
        fix = "the file may be damaged: convert it with ffmpeg; or its disk does not answer"
        return SilentError(f"{name}: it cannot be read", why=why, fix=fix)

    def _answers(self, worker: Worker, stopping: _Stopping) -> Iterator[Answer | _Over]:
        """Give what a process answers until its task is over; end the process if the task does not end or answer."""
        while not (stopping.is_deaf or stopping.is_silent):
            if worker.connection.poll(_LOOK):
                answer = worker.receive()
                yield answer
                if isinstance(answer, _Over):
                    return
                stopping.hear()
        self._worker, self.restarts = None, self.restarts + 1
        self._stop = get_context("spawn").Event()  # the process may die with the lock of this one
        worker.hang_up(patience=1.0)  # no signal: what it would print of its end is no failure

    def last(self, task: Task, *, name: str, job: str = "") -> Answer:
        """Run a task for which somebody waits, and return the last of what comes of it, in its time; see `run`.

        Whoever else waits for the process could not stop it: they know nothing of the clip.
        """
        *_, answer = self.run(task, name=name, job=job, patience=self._patience_with(task))
        return answer

    def _patience_with(self, task: Task) -> float:
        patience = math.inf if task.video is None else task.video.patience
        return patience if self._plan is None else patience + COMPUTING

    @property
    def is_free(self) -> bool:
        """The process has nothing to do."""
        return not self._lock.locked()

    def offer(self, task: Task, *, name: str, job: str = "") -> None:
        """Run a task that gives nothing, if the process has nothing else to do; whatever goes wrong with it.

        It has the time that `last` gives one.
        """
        if self.is_free:
            with suppress(CovosError):
                for _ in self.run(task, name=name, job=job, patience=self._patience_with(task)):
                    pass

    def stop(self, job: str | None = None) -> None:
        """Stop the task that runs, with the id of a clip only if it is done for that: what it has given stays."""
        now = self._now
        if now is not None and (job is None or now[0] == job):
            now[1].set()

    def end(self) -> None:
        """Take no more tasks: the server ends. If the process dies from now on, its task has not failed."""
        self._closed.set()

    def close(self) -> None:
        """End the process; whoever waits for its answers hears that the server ends."""
        self.end()
        self._stop.set()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.hang_up(patience=1.0)  # what it was at goes on from its journal


_DEAF = f"it did not end within {DEAF:.0f} seconds of being stopped, so its process was ended; what it had done stays"


def _ended(name: str) -> CancelledError:
    return CancelledError(f"{name}: the server ends", why="it was stopped", fix="start it again, and ask anew")


def work_on(connection: Connection, plan: Plan | None, stop: Flag, patient: bool) -> None:
    """Run tasks until there are no more; for a process of its own."""
    if plan is None:
        cv2.setNumThreads(1)
    else:
        configure_threads()  # one click at a time, and somebody waits
    if patient and hasattr(os, "nice"):
        os.nice(10)
    here = Here(plan=plan, stop=stop, tell=connection.send)
    while True:
        if not connection.poll(IDLE):
            here.release()
        if (task := connection.recv()) is None:
            return
        error = None
        try:
            task.run(here)
        except Exception as problem:  # of a bug or a library, too: it is reported, and the process goes on
            error = explained(problem)
        connection.send(_Over(error=error))
        give_back()
