"""The queue: what is to be computed for all clips, one piece after another, and those who listen to it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Unpack

from covos.core.errors import CancelledError, CovosError, explained
from covos.core.types import JobState
from covos.masks.frame_mask import FrameMask
from covos.serve.clip import Changes, Clip
from covos.serve.errors import RETRY_AFTER, BusyError, NotYetError, in_public, without_paths
from covos.serve.log import going_on, log_work
from covos.serve.schema import JobView, Problem, Stage, Wanted
from covos.serve.views import view_of
from covos.serve.workers import Cuts, Matted, Note, Progress, Task, TaskWorker

MOST_LISTENERS = 256
"""Streams of events that may be open."""
TOLD_EVERY = 0.2
"""Seconds between two messages of progress."""
_PLAIN = Wanted()


class Listener:
    """Hears of one clip. News that nobody has fetched yet are sent once, in their newest state: nothing piles up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        self._lock = threading.RLock()  # a signal that ends the server may come while this thread holds it
        self._waiting: dict[str, Any] = {}

    def tell(self, kind: str, content: Any) -> None:
        """Tell something, from any thread."""
        with self._lock:
            if kind == "masks" and kind in self._waiting:
                before = self._waiting[kind]
                content = {"from": min(before["from"], content["from"]), "to": max(before["to"], content["to"])}
            self._waiting[kind] = content
        with suppress(RuntimeError):  # the server has stopped
            self._loop.call_soon_threadsafe(self._there.set)

    async def hear(self, *, patience: float) -> dict[str, Any]:
        """Wait for news, so many seconds at most; empty if there are none."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._there.wait(), patience)
        self._there.clear()
        with self._lock:
            news, self._waiting = self._waiting, {}
        return news


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A piece of work on a clip.

    Attributes:
        clip: The clip.
        stage: The kind of work.
        run: Does it.
        download: Name of the format that it writes, if it does.
        wanted: How the format is written.
        after: State of the clip when a track is over, however it ends: the one that it had before.
        stopped: Set once it is to end: also while it waits for its process, which another task may have.
    """

    clip: Clip
    stage: Stage
    run: Callable[[], None]
    download: str = ""
    wanted: Wanted = _PLAIN
    after: JobState = "done"
    stopped: threading.Event = field(default_factory=threading.Event)


class WorkQueue:
    """Runs pieces of work in a thread, one after another, and reports their progress to those who listen.

    Args:
        networks: The process that computes.
        limit: Pieces that may wait.
        note: Gets each clip that has changed, as the API describes it.
    """

    def __init__(
        self, networks: TaskWorker, *, limit: int, note: Callable[[JobView], None] = lambda _view: None
    ) -> None:
        self._networks, self.limit, self._note = networks, limit, note
        self._lock = threading.RLock()
        self._more = threading.Condition(self._lock)
        self._queue: deque[Work] = deque()
        self._now: Work | None = None
        # Of its own: the event loop takes it, and may not wait for a disk, for which the other is held now and then.
        self._ears = threading.RLock()
        self._listeners: dict[str, set[Listener]] = {}
        self._thread = threading.Thread(target=self._work, daemon=True, name="covos queue")
        self.over = False

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def close(self) -> None:
        """Begin nothing more, and stop what runs."""
        with self._more:
            self.over = True
            self._queue.clear()
            self._more.notify_all()
            if self._now is not None:
                self._now.stopped.set()

    def join(self, *, patience: float) -> None:
        """Wait until the thread has ended, after `close`: so many seconds at most."""
        if self._thread.is_alive():
            self._thread.join(patience)

    def hang_up(self) -> None:
        """Wake all listeners, so that their streams end with the server. Work that ends from now on is not over."""
        self.over = True
        with self._ears:
            every = [listener for listeners in self._listeners.values() for listener in listeners]
        for listener in every:
            listener.tell("closing", {})

    @property
    def waiting(self) -> int:
        """Pieces of work that wait."""
        return len(self._queue)

    def view(self, clip: Clip) -> JobView:
        """Return a clip as the API describes it."""
        clip.read()  # which may take a while: nobody else is to wait for it
        with self._lock:
            places = [work.clip for work in self._queue]
            place = places.index(clip) + 1 if clip in places and clip.stage is None else None
            return view_of(clip, place=place, making=self.making(clip))

    def making(self, clip: Clip) -> dict[str, Wanted]:
        """Return the downloads of a clip that are being made or wait for that, each as it was asked for."""
        with self._lock:
            every = [*self._queue, *([] if self._now is None else [self._now])]
            return {work.download: work.wanted for work in every if work.clip is clip and work.download}

    def refuse_crowd(self) -> None:
        """Refuse another listener, with a BusyError, if too many listen."""
        with self._ears:
            listening = sum(map(len, self._listeners.values()))
        if listening >= MOST_LISTENERS:
            raise BusyError("too many listen", why=f"{listening} streams of events are open", fix="close some first")

    @contextmanager
    def listening(self, clip: Clip) -> Iterator[Listener]:
        """Hear of a clip, for a ``with`` block in an event loop."""
        listener = Listener()
        with self._ears:
            self._listeners.setdefault(clip.id, set()).add(listener)
        try:
            yield listener
        finally:
            clip.seen = time.monotonic()
            with self._ears:
                self._listeners[clip.id].discard(listener)
                if not self._listeners[clip.id]:
                    del self._listeners[clip.id]

    def tell(self, clip: Clip, kind: str, content: Any) -> None:
        """Tell those who listen to a clip."""
        with self._ears:
            listeners = tuple(self._listeners.get(clip.id, ()))
        for listener in listeners:
            listener.tell(kind, content)

    def changed(self, clip: Clip, frames: tuple[int, ...] = ()) -> JobView:
        """Tell that a clip, and the masks of some frames, are others now; return it."""
        view = self.view(clip)
        if not clip.gone:
            self._note(view)
        self.tell(clip, "job", view.model_dump(mode="json"))
        if frames:
            self.tell(clip, "masks", {"from": min(frames), "to": max(frames) + 1})
        return view

    def refuse_full(self) -> None:
        """Refuse more work, with a BusyError, if too much waits."""
        with self._lock:
            waiting = len(self._queue)
        if waiting >= self.limit:
            again = f"try again in {RETRY_AFTER} seconds"
            raise BusyError("the server is busy", why=f"{waiting} pieces of work wait", fix=again)

    def put(self, work: Work, *, limited: bool = True, **changes: Unpack[Changes]) -> None:
        """Add a piece of work; a BusyError if too many wait, unless it is none that a client asked for just now.

        The changes, such as ``state="queued"``, hold for the clip from then on, so that whoever asks at once does not
        take it for done. Its record then names the work, for a server that is started again.
        """
        with self._more:
            if limited:
                self.refuse_full()
            if changes:
                with work.clip.lock:
                    before = work.clip.kept
                    try:
                        changes["task"] = work.stage
                        work.clip.change(**changes)
                    except BaseException:  # it does not wait: nothing would ever change its state again
                        work.clip.kept = before
                        raise
            self._queue.append(work)
            self._more.notify_all()
        self.changed(work.clip)

    def _work(self) -> None:
        while True:
            with self._more:
                self._more.wait_for(lambda: self._queue or self.over)
                if self.over:
                    return
                work = self._now = self._queue.popleft()
            clip = work.clip
            clip.stage, clip.step, clip.done, clip.total = work.stage, "", 0, 0
            # The thread lives on, whatever one clip meets. What cannot be written down is so in memory.
            with going_on():
                self._do(work)
            clip.seen = time.monotonic()  # what is done is kept for its whole time
            with self._lock:
                self._now = clip.stage = None
                clip.step = ""
            with going_on():
                self.changed(clip)

    def _do(self, work: Work) -> None:
        clip = work.clip
        with clip.lock:
            clip.notes.pop(work.stage, None)
        with going_on():
            self.changed(clip)
        began = time.monotonic()
        failed: CovosError | None = None
        try:
            work.run()
        except Exception as error:  # most often, that the clip was deleted
            failed = explained(error)
        stopped = self.over or clip.gone or isinstance(failed, CancelledError)
        status = "done" if failed is None else "cancelled" if stopped else "failed"
        log_work(
            job=clip.id,
            stage=work.stage,
            status=status,
            seconds=time.monotonic() - began,
            format=work.download,
            error=failed,
        )
        if clip.gone:
            clip.remove()  # once more: the work may have written since
        elif failed is not None:
            self._fail(work, in_public(failed, clip.places, name=clip.kept.name))

    def _fail(self, work: Work, error: CovosError) -> None:
        clip = work.clip
        if self.over:  # the record says still what was to be done: the next start goes on with it
            return
        if work.download and not isinstance(error, CancelledError):
            clip.broken[work.download] = error
        if work.download:
            clip.change(asked={})
        if clip.stage == "finding" and isinstance(error, CancelledError):
            clip.change(state="cancelled")
        elif clip.stage == "finding":
            clip.change(state="failed", error=Problem.of(error))
        elif clip.stage == "tracking":
            if not isinstance(error, CancelledError):
                clip.note("tracking", f"{error.what}: {error.why}. {error.remedy.page}")
            clip.change(state=work.after)

    def _stop(self, clip: Clip) -> None:
        with self._lock:
            if self._now is not None and self._now.clip is clip:
                self._now.stopped.set()

    def _forget(self, clip: Clip) -> list[Work]:
        with self._lock:
            waiting = [work for work in self._queue if work.clip is clip]
            self._queue = deque(work for work in self._queue if work.clip is not clip)
        return waiting

    def cancel(self, clip: Clip) -> JobView:
        """Stop what runs or waits for a clip, within seconds; what is done stays."""
        for work in self._forget(clip):
            with going_on():
                if work.stage == "finding":
                    clip.change(state="cancelled")
                elif work.stage == "tracking":
                    clip.change(state=work.after)
                elif work.download:
                    clip.change(asked={})
        self._stop(clip)
        return self.changed(clip)

    def follow(
        self,
        clip: Clip,
        task: Task,
        *,
        take: Callable[[FrameMask], Iterable[int]] = lambda _mask: (),
        keep: Callable[[Matted], None] = lambda _matted: None,
        note: Callable[[str], None] | None = None,
    ) -> None:
        """Run a task of the networks, and report how far it is, some times a second.

        Args:
            clip: The clip.
            task: What is to be done.
            take: Gets the masks that it finds, and returns the indices of the frames that change by it.
            keep: Gets the mattes.
            note: Gets what a user should know; by default, it is a note of the clip about this work.
        """
        note = note or partial(clip.note, clip.stage or "finding")
        with self._lock:
            stopped = None if self._now is None else self._now.stopped
        began = told = time.monotonic()
        fresh = list[int]()

        def tell() -> None:
            rate = clip.done / max(1e-6, time.monotonic() - began)
            progress = {"stage": clip.stage, "step": clip.step, "done": clip.done, "total": clip.total}
            self.tell(clip, "progress", {**progress, "rate": round(rate, 1)})
            if fresh:
                self.tell(clip, "masks", {"from": min(fresh), "to": max(fresh) + 1})
                fresh.clear()

        for answer in self._networks.run(task, name=clip.kept.name, job=clip.id, stopped=stopped):
            if isinstance(answer, FrameMask):
                fresh.extend(take(answer))
            elif isinstance(answer, Matted):
                keep(answer)
            elif isinstance(answer, Cuts):
                clip.cut_at(answer.frames)
            elif isinstance(answer, Progress):
                clip.done, clip.total = answer.done, answer.total
                if answer.step != clip.step:  # it counts from the first frame again, and the next news may be far
                    clip.step, began = answer.step, time.monotonic()
                    told = began - 2 * TOLD_EVERY
            elif isinstance(answer, Note):
                text = without_paths(answer.text, clip.places, name=clip.kept.name)
                note(text)
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                tell()
        tell()

    def busy(self, clip: Clip) -> Stage | None:
        """Return what is done for a clip, or waits to be done; None if nothing is."""
        with self._lock:
            every = [*([] if self._now is None else [self._now]), *self._queue]
            return next((work.stage for work in every if work.clip is clip), None)

    def in_use(self, clip: Clip) -> bool:
        """Tell if something is done for a clip, or waits to be done, or somebody listens to it."""
        with self._ears:
            is_heard = clip.id in self._listeners
        return is_heard or self.busy(clip) is not None

    @contextmanager
    def idle(self, clip: Clip) -> Iterator[None]:
        """Refuse a clip that is worked on, with a NotYetError; nothing else begins or ends in a ``with`` block."""
        with self._lock:
            self.refuse_busy(clip)
            yield

    def refuse_busy(self, clip: Clip) -> None:
        """Refuse an edit while a clip is worked on, with a NotYetError."""
        if (busy := self.busy(clip)) is not None:
            raise NotYetError("the clip is busy", why=f"it is {busy}", fix="stop it, or wait until it is done")

    def drop(self, clip: Clip) -> None:
        """Forget all work on a clip, and stop what runs; those who listen to it hear that it is gone."""
        self._forget(clip)
        self._stop(clip)
        self.tell(clip, "end", {})
