"""The desk: all clips of a server, the queue of what is to be computed, and those who listen."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from covos.core.errors import CovosError, EnvironmentProblem, UsageError, one_of
from covos.core.types import Point, SourceInfo
from covos.formats.table import FORMATS
from covos.masks import RLE
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask
from covos.plan import Find as FindTask
from covos.plan import Plan
from covos.prompts.seeds import MAX_ID, SeedMask
from covos.serve.clip import RECORD, Clip, check_frame
from covos.serve.edits import Edit, followed, merged, placed, thing_of, without
from covos.serve.schema import JobView, Made, MaskCode, NewPrompt, NewTrack, Problem, Prompted, Stage
from covos.serve.workers import (
    Click,
    Clicked,
    Export,
    Find,
    Look,
    MakeProxy,
    Note,
    Picture,
    Probe,
    Progress,
    Task,
    TaskWorker,
    Track,
    Warm,
)

TOLD_EVERY = 0.2
"""Seconds between two messages of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """The bounds of a server.

    Attributes:
        root: Folder of all clips.
        media: Folder whose files may be named by path; None allows none.
        upload: Bytes of one upload, at most.
        quota: Bytes of all clips together, at most.
        waiting: Pieces of work that may wait.
        expiry: Seconds after which a clip that nobody looks at is deleted; None keeps all.
    """

    root: Path
    media: Path | None = None
    upload: int = 8 << 30
    quota: int = 64 << 30
    waiting: int = 32
    expiry: float | None = None


class BusyError(CovosError):
    """The queue is full."""


class NotThereError(CovosError):
    """There is no such clip, frame or file."""


class NotYetError(CovosError):
    """It cannot be done in this state of the clip."""


class TooLargeError(CovosError):
    """A limit is passed."""


class Listener:
    """Hears of one clip. What was not fetched yet is told once, as it is by then: nothing piles up."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        self._lock = threading.Lock()
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
class _Work:
    clip: Clip
    stage: Stage
    run: Callable[[], None]


class Desk:
    """All clips of a server. Methods may be called from any thread, and wait for what they ask of a process.

    Args:
        rules: Bounds.
        plan: Model, device and precision; its source does not matter.
    """

    def __init__(self, rules: Rules, *, plan: Plan) -> None:
        self.rules, self._plan = rules, plan
        rules.root.mkdir(parents=True, exist_ok=True)
        self._clips: dict[str, Clip] = {}
        self._lock = threading.RLock()
        self._listeners: dict[str, set[Listener]] = {}
        self._queue: deque[_Work] = deque()
        self._now: _Work | None = None
        self._more = threading.Condition(self._lock)
        self._over = False
        self.networks, self.clicks = TaskWorker(plan), TaskWorker(plan)
        self.pictures, self.proxies = TaskWorker(plan), TaskWorker(plan, patient=True)
        self._threads = [threading.Thread(target=self._work, daemon=True, name="covos queue")]
        self._proxy_queue: deque[Clip] = deque()
        self._threads.append(threading.Thread(target=self._make_proxies, daemon=True, name="covos proxies"))

    def start(self) -> None:
        """Find the clips of before, go on with what was stopped, and begin to work."""
        for record in sorted(self.rules.root.glob(f"*/{RECORD}")):
            with suppress(CovosError):
                clip = Clip.load(record.parent)
                self._clips[clip.id] = clip
                if clip.kept.state in {"queued", "running"}:
                    self._find(clip)
                elif not clip.proxy.is_file() and clip.kept.state == "done":
                    self._proxy_queue.append(clip)
        for folder in self.rules.root.glob(".upload-*"):
            shutil.rmtree(folder, ignore_errors=True)
        for thread in self._threads:
            thread.start()
        for worker in (self.networks, self.clicks):  # a first click should not wait for them
            self._offer(worker, Warm(), name="the networks")

    def close(self) -> None:
        """Stop what runs: it goes on at the next start."""
        with self._more:
            self._over = True
            self._queue.clear()
            self._more.notify_all()
        for worker in (self.networks, self.clicks, self.pictures, self.proxies):
            worker.stop()
        for worker in (self.networks, self.clicks, self.pictures, self.proxies):
            worker.close()
        for thread in self._threads:
            thread.join(5.0)

    def hang_up(self) -> None:
        """Wake all listeners, so that their streams end with the server."""
        with self._lock:
            every = [listener for listeners in self._listeners.values() for listener in listeners]
        for listener in every:
            listener.tell("closing", {})

    @property
    def waiting(self) -> int:
        """Pieces of work that wait."""
        return len(self._queue)

    @property
    def restarts(self) -> int:
        """Processes that died and were made anew."""
        return sum(worker.restarts for worker in (self.networks, self.clicks, self.pictures, self.proxies))

    def used(self) -> int:
        """Return the bytes of all clips."""
        total = 0
        for file in self.rules.root.rglob("*"):
            with suppress(OSError):  # it may be going away
                total += file.stat().st_size if file.is_file() else 0
        return total

    # -- clips ---------------------------------------------------------------------------------------------------

    def new_folder(self) -> Path:
        """Make the folder of an upload; it becomes the clip's, or is deleted."""
        folder = self.rules.root / f".upload-{secrets.token_hex(8)}"
        folder.mkdir()
        return folder

    def refuse_new(self, size: int) -> None:
        """Refuse a clip of so many bytes, before they are taken.

        Raises:
            BusyError: Too much is waiting.
            TooLargeError: It is too large, or there is no more room.
        """
        with self._lock:
            if len(self._queue) >= self.rules.waiting:
                raise BusyError(
                    "the server is busy", why=f"{len(self._queue)} clips are waiting", fix="try again in a minute"
                )
        if size > self.rules.upload:
            raise TooLargeError(
                f"the file has {size:,} bytes",
                why=f"this server takes {self.rules.upload:,} at most",
                fix="cut it, or start the server with a larger --max-upload",
            )
        used = self.used()
        if used + size > self.rules.quota:
            raise TooLargeError(
                "the server has no room for this clip",
                why=f"its clips take {used:,} bytes, and {self.rules.quota:,} is the most",
                fix="delete clips, or start the server with a larger --quota",
            )

    def add_upload(self, folder: Path, *, file: Path, name: str) -> Clip:
        """Take an uploaded file, which lies in ``folder``.

        Raises:
            CovosError: It cannot be read, or is refused; the folder is gone then.
        """
        try:
            clip = self._begin(folder, name=name, source=str(file), size=file.stat().st_size)
            place = self.rules.root / secrets.token_hex(8)
            folder.rename(place)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        there = str(place / file.name)
        info = replace(clip.info, path=there)
        moved = Clip.begin(place, name=name, source=there, info=info, size=clip.kept.size_bytes)
        return self._add(moved)

    def add_path(self, path: Path, *, name: str) -> Clip:
        """Take a file of the server's own.

        Raises:
            CovosError: It cannot be read, or is refused.
        """
        place = self.rules.root / secrets.token_hex(8)
        place.mkdir()
        try:
            clip = self._begin(place, name=name, source=str(path), size=path.stat().st_size)
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        return self._add(clip)

    def named(self, path: str) -> Path:
        """Return a file that a client names, if it lies below the media folder.

        Raises:
            NotThereError: It does not, or is not there.
        """
        root = self.rules.media
        found = None if root is None else (root / path).resolve()
        if root is None or found is None or not found.is_relative_to(root.resolve()) or not found.is_file():
            raise NotThereError(
                f"{path!r} is not there",
                why="a path names a file below the folder that the server was given with --media-root"
                if root is not None
                else "this server was started without --media-root",
                fix="upload the file",
            )
        return found

    def _begin(self, folder: Path, *, name: str, source: str, size: int) -> Clip:
        info = self.pictures.last(Probe(path=source), name=name)
        assert isinstance(info, SourceInfo)
        return Clip.begin(folder, name=name, source=source, info=info, size=size)

    def _add(self, clip: Clip) -> Clip:
        with self._lock:
            self._clips[clip.id] = clip
        self._find(clip)
        return clip

    def clip(self, identity: str) -> Clip:
        """Return a clip.

        Raises:
            NotThereError: There is none of this id.
        """
        with self._lock:
            clip = self._clips.get(identity)
        if clip is None:
            raise NotThereError(
                "there is no such job", why="it was deleted, has expired, or never was", fix="ask for the list of jobs"
            )
        clip.seen = time.monotonic()
        return clip

    def clips(self) -> list[Clip]:
        """Return all clips, the newest first."""
        with self._lock:
            return sorted(self._clips.values(), key=lambda clip: clip.kept.created, reverse=True)

    def view(self, clip: Clip) -> JobView:
        """Return a clip as the API tells it."""
        with self._lock:
            places = [work.clip for work in self._queue]
            place = places.index(clip) + 1 if clip in places and clip.stage is None else None
            return clip.view(place=place)

    def delete(self, clip: Clip) -> None:
        """Stop all work on a clip, and delete it."""
        with self._lock:
            self._clips.pop(clip.id, None)
            self._queue = deque(work for work in self._queue if work.clip is not clip)
        self._stop(clip)
        self._tell(clip, "end", {})
        clip.remove()

    def expire(self) -> None:
        """Delete the clips that nobody has looked at for too long."""
        if self.rules.expiry is None:
            return
        for clip in self.clips():
            if time.monotonic() - clip.seen > self.rules.expiry and clip.stage is None:
                self.delete(clip)

    # -- listeners -----------------------------------------------------------------------------------------------

    @contextmanager
    def listening(self, clip: Clip) -> Iterator[Listener]:
        """Hear of a clip, for a ``with`` block in an event loop."""
        listener = Listener()
        with self._lock:
            self._listeners.setdefault(clip.id, set()).add(listener)
        try:
            yield listener
        finally:
            with self._lock:
                self._listeners[clip.id].discard(listener)

    def _tell(self, clip: Clip, kind: str, content: Any) -> None:
        with self._lock:
            listeners = tuple(self._listeners.get(clip.id, ()))
        for listener in listeners:
            listener.tell(kind, content)

    def _changed(self, clip: Clip, frames: tuple[int, ...] = ()) -> JobView:
        view = self.view(clip)
        self._tell(clip, "job", view.model_dump(mode="json"))
        if frames:
            self._tell(clip, "masks", {"from": min(frames), "to": max(frames) + 1})
        return view

    # -- the queue -----------------------------------------------------------------------------------------------

    def _put(self, work: _Work, *, limited: bool = True) -> None:
        with self._more:
            if limited and len(self._queue) >= self.rules.waiting:
                raise BusyError("the server is busy", why="too much is waiting", fix="try again in a minute")
            self._queue.append(work)
            self._more.notify_all()
        self._changed(work.clip)

    def _work(self) -> None:
        while True:
            with self._more:
                self._more.wait_for(lambda: self._queue or self._over)
                if self._over:
                    return
                work = self._now = self._queue.popleft()
            clip = work.clip
            clip.stage, clip.done, clip.total = work.stage, 0, 0
            self._changed(clip)
            try:
                work.run()
            except CovosError as error:
                self._fail(clip, error)
            finally:
                with self._lock:
                    self._now = None
                clip.stage = None
                self._changed(clip)

    def _fail(self, clip: Clip, error: CovosError) -> None:
        problem = Problem(what=error.what, why=error.why, fix=error.fix)
        if clip.stage == "finding":
            clip.change(state="failed", error=problem)
        else:
            clip.notes.append(f"{error.what}: {error.why}. {error.fix}")
            clip.change(state="done")

    def _stop(self, clip: Clip) -> None:
        with self._lock:
            if self._now is not None and self._now.clip is clip:
                self.networks.stop()

    def cancel(self, clip: Clip) -> JobView:
        """Stop what runs or waits for a clip; what is done stays."""
        with self._lock:
            waiting = [work for work in self._queue if work.clip is clip]
            self._queue = deque(work for work in self._queue if work.clip is not clip)
        if any(work.stage == "finding" for work in waiting):
            clip.change(state="cancelled")
        elif waiting:
            clip.change(state="done")
        self._stop(clip)
        return self._changed(clip)

    def _follow(self, clip: Clip, task: Task, *, take: Callable[[FrameMask], None]) -> None:
        """Run a task of the networks, and tell how far it is, some times a second."""
        began = told = time.monotonic()
        fresh: list[int] = []

        def tell() -> None:
            rate = clip.done / max(1e-6, time.monotonic() - began)
            progress = {"stage": clip.stage, "done": clip.done, "total": clip.total, "rate": round(rate, 1)}
            self._tell(clip, "progress", progress)
            if fresh:
                self._tell(clip, "masks", {"from": min(fresh), "to": max(fresh) + 1})
                fresh.clear()

        for answer in self.networks.run(task, name=clip.kept.name):
            if isinstance(answer, FrameMask):
                take(answer)
                fresh.append(answer.index)
            elif isinstance(answer, Progress):
                clip.done, clip.total = answer.done, answer.total
            elif isinstance(answer, Note):
                clip.notes.append(answer.text)
            if time.monotonic() - told > TOLD_EVERY:
                told = time.monotonic()
                tell()
        tell()

    # -- finding -------------------------------------------------------------------------------------------------

    def _find(self, clip: Clip) -> None:
        clip.change(state="queued", error=None)
        self._put(_Work(clip=clip, stage="finding", run=lambda: self._run_find(clip)), limited=False)

    def _run_find(self, clip: Clip) -> None:
        clip.change(state="running")
        self._changed(clip)
        plan = self._plan.model_copy(update={"source": clip.kept.source, "task": FindTask(), "formats": ("palette",)})
        clip.begin_finding()
        self._follow(clip, Find(plan=plan, folder=str(clip.run)), take=lambda mask: clip.found([mask]))
        if len(clip.history.frames) >= clip.info.frame_count or (clip.run / "report.json").is_file():
            clip.change(state="done")
            self.look(clip, 0)
        elif not self._over:
            clip.change(state="cancelled")
        with self._lock:
            self._proxy_queue.append(clip)

    def retry(self, clip: Clip) -> JobView:
        """Find again what failed or was cancelled; it goes on where it was."""
        if clip.kept.state not in {"failed", "cancelled"}:
            raise NotYetError("there is nothing to do again", why=f"the job is {clip.kept.state}", fix="look at it")
        self._find(clip)
        return self._changed(clip)

    def _make_proxies(self) -> None:
        while not self._over:
            time.sleep(0.1)
            with self._lock:
                clip = self._proxy_queue.popleft() if self._proxy_queue else None
            if clip is None or clip.proxy.is_file():
                continue
            task = MakeProxy(path=clip.kept.source, target=str(clip.proxy))
            try:
                for _ in self.proxies.run(task, name=clip.kept.name):
                    pass
            except CovosError as error:
                clip.notes.append(f"it cannot be played here, only looked at frame by frame: {error.why}")
            self._changed(clip)

    # -- looking -------------------------------------------------------------------------------------------------

    def picture(self, clip: Clip, index: int, *, width: int) -> bytes:
        """Return a frame as a JPEG."""
        check_frame(index, info=clip.info)
        answer = self.pictures.last(Picture(path=clip.kept.source, index=index, width=width), name=clip.kept.name)
        assert isinstance(answer, bytes)
        return answer

    def look(self, clip: Clip, frame: int) -> None:
        """Get ready for a click on a frame, if nothing else is to be done; returns at once."""
        check_frame(frame, info=clip.info)
        self._offer(
            self.clicks, Look(path=clip.kept.source, seeds=clip.history.seeds, frame=frame), name=clip.kept.name
        )

    @staticmethod
    def _offer(worker: TaskWorker, task: Task, *, name: str) -> None:
        threading.Thread(target=worker.offer, args=(task,), kwargs={"name": name}, daemon=True).start()

    # -- edits ---------------------------------------------------------------------------------------------------

    def prompt(self, clip: Clip, asked: NewPrompt) -> Prompted:
        """Make a mask of points or a box, or take one that was drawn.

        Raises:
            CovosError: It makes no sense there.
        """
        check_frame(asked.frame, info=clip.info)
        with clip.lock:
            known, history = clip.frames.get(asked.frame), clip.history
            seeds, things = history.seeds, history.things
        if known is None:
            raise NotYetError(
                f"frame {asked.frame} has no masks yet", why="it is still being looked at", fix="wait until it is there"
            )
        number = asked.object or max((thing.id for thing in things), default=0) + 1
        if number > MAX_ID:
            raise UsageError(f"object {number}", why=f"{MAX_ID} is the most", fix="delete an object first")
        labels = asked.labels or (1,) * len(asked.points)
        task = Click(
            path=clip.kept.source,
            seeds=seeds,
            known=known,
            frame=asked.frame,
            object=number,
            points=tuple(Point(x=x, y=y, positive=bool(on)) for (x, y), on in zip(asked.points, labels, strict=True)),
            box=asked.box,
            mask=None if asked.mask is None else RLE.from_coco(asked.mask.model_dump()),
        )
        mask, after = self._clicked(clip, task)
        if number not in {thing.id for thing in things}:
            things = (*things, thing_of(number))
        clip.add(Edit(kind="prompt", seeds=after, things=things, frames={asked.frame: placed(known, {number: mask})}))
        job = self._changed(clip, (asked.frame,))
        code = mask.to_coco()
        return Prompted(
            object=number, frame=asked.frame, mask=MaskCode(size=tuple(code["size"]), counts=code["counts"]), job=job
        )

    def _clicked(self, clip: Clip, task: Click) -> tuple[RLE, tuple[SeedMask, ...]]:
        answer = self.clicks.last(task, name=clip.kept.name)
        assert isinstance(answer, Clicked), "a click gives a mask or an error"
        return answer.mask, answer.seeds

    def track(self, clip: Clip, asked: NewTrack) -> JobView:
        """Follow all objects that were shown, from a frame to the end, a mark, or the next frame that was confirmed.

        Raises:
            CovosError: Nothing was shown, or not on this side of the frame; or the clip is busy.
        """
        check_frame(asked.start, info=clip.info)
        if asked.stop is not None:
            check_frame(asked.stop, info=clip.info)
        self._refuse_busy(clip)
        with clip.lock:
            seeds, things = clip.history.seeds, clip.history.things
        if not seeds:
            raise NotYetError(
                "there is nothing to follow", why="no object was shown on a frame", fix="click on what you want first"
            )
        parts = track_parts(asked, seeds=seeds, count=clip.info.frame_count)
        tracked = frozenset(seed.object for seed in seeds)

        def run() -> None:
            clip.change(state="running")
            with clip.lock:
                clip.live, clip.touched = {}, set()
                before = dict(clip.history.frames)
            self._changed(clip)

            def take(mask: FrameMask) -> None:
                with clip.lock:
                    clip.live[mask.index] = followed(before.get(mask.index), mask, tracked=tracked)

            try:
                self._follow(clip, Track(path=clip.kept.source, seeds=seeds, parts=parts), take=take)
            finally:
                frames = tuple(clip.live)
                clip.end_track(Edit(kind="track", seeds=seeds, things=things, frames=dict(clip.live)))
                clip.change(state="done")
                self._changed(clip, frames)

        self._put(_Work(clip=clip, stage="tracking", run=run))
        return self._changed(clip)

    def _refuse_busy(self, clip: Clip) -> None:
        with self._lock:
            busy = clip.stage or next((work.stage for work in self._queue if work.clip is clip), None)
        if busy is not None:
            raise NotYetError("the clip is busy", why=f"it is {busy}", fix="stop it, or wait until it is done")

    def confirm(self, clip: Clip, frame: int) -> JobView:
        """Take a frame's masks as right: tracks end before it, and never change it."""
        check_frame(frame, info=clip.info)
        with clip.lock:
            mask, history = clip.frames.get(frame), clip.history
            if mask is None or not mask.objects:
                raise NotYetError(f"frame {frame} cannot be confirmed", why="it shows no object", fix="show one first")
            rest = tuple(seed for seed in history.seeds if seed.frame != frame)
            seeds = tuple(
                SeedMask(frame=frame, object=identity, mask=rle, given_as="confirmed")
                for identity, rle in mask.objects.items()
            )
            after = tuple(sorted((*rest, *seeds), key=lambda seed: seed.frame))
            clip.add(Edit(kind="confirm", seeds=after, things=history.things, frames={frame: mask}))
        return self._changed(clip, (frame,))

    def go(self, clip: Clip, *, back: bool) -> JobView:
        """Undo or redo an edit."""
        if clip.stage == "tracking":
            raise NotYetError("the clip is busy", why="it is being followed", fix="stop it first")
        return self._changed(clip, clip.go(back=back))

    def show(self, clip: Clip, number: int, *, name: str | None, hidden: bool | None) -> JobView:
        """Rename an object, or hide it."""
        with clip.lock:
            self._refuse_unknown(clip, number)
            if name is not None:
                things = tuple(
                    thing.model_copy(update={"name": name}) if thing.id == number else thing
                    for thing in clip.history.things
                )
                clip.add(Edit(kind="object", seeds=clip.history.seeds, things=things, frames={}))
            if hidden is not None:
                rest = tuple(each for each in clip.kept.hidden if each != number)
                clip.change(hidden=(*rest, number) if hidden else rest)
        return self._changed(clip)

    def drop(self, clip: Clip, number: int) -> JobView:
        """Delete an object from all frames."""
        self._refuse_busy(clip)
        with clip.lock:
            self._refuse_unknown(clip, number)
            history = clip.history
            frames = {index: without(mask, number) for index, mask in history.frames.items() if number in mask.objects}
            clip.add(
                Edit(
                    kind="object",
                    seeds=tuple(seed for seed in history.seeds if seed.object != number),
                    things=tuple(thing for thing in history.things if thing.id != number),
                    frames=frames,
                )
            )
        return self._changed(clip, tuple(frames))

    def merge(self, clip: Clip, number: int, *, into: int) -> JobView:
        """Make an object a part of another, in all frames."""
        self._refuse_busy(clip)
        with clip.lock:
            self._refuse_unknown(clip, number)
            self._refuse_unknown(clip, into)
            if number == into:
                raise UsageError("an object cannot be a part of itself", why="both are the same", fix="choose another")
            history = clip.history
            frames = {
                index: merged(mask, number, into) for index, mask in history.frames.items() if number in mask.objects
            }
            shown = {seed.frame for seed in history.seeds if seed.object in (number, into)}
            seeds = tuple(seed for seed in history.seeds if seed.object not in (number, into)) + tuple(
                SeedMask(frame=frame, object=into, mask=mask.objects[into], given_as="mask")
                for frame in sorted(shown)
                if into in (mask := frames.get(frame, history.frames[frame])).objects
            )
            things = tuple(thing for thing in history.things if thing.id != number)
            clip.add(Edit(kind="object", seeds=seeds, things=things, frames=frames))
        return self._changed(clip, tuple(frames))

    def _refuse_unknown(self, clip: Clip, number: int) -> None:
        if number not in {thing.id for thing in clip.history.things}:
            raise NotThereError(f"there is no object {number}", why="it was deleted, or never was", fix="name another")

    def set_edges(self, clip: Clip, edges: Edges) -> JobView:
        """Choose how the edges are changed, in what is shown and in downloads."""
        clip.change(edges=edges)
        with clip.lock:
            frames = tuple(clip.history.frames)
            ready = {name: made for name, made in clip.kept.results.items() if made.state == "making"}
            clip.change(results=ready)
        return self._changed(clip, frames)

    # -- downloads -----------------------------------------------------------------------------------------------

    def export(self, clip: Clip, name: str) -> JobView:
        """Write the masks of now in a format; the file can be fetched when it is ready."""
        if name not in FORMATS:
            raise NotThereError(
                f"there is no format {name!r}", why="no format has this name", fix=one_of(name, FORMATS)
            )
        self._refuse_busy(clip)
        if not clip.history.frames:
            raise NotYetError("there is nothing to download", why="no frame has masks yet", fix="wait for the first")

        def run() -> None:
            with clip.lock:
                frames = tuple(mask for _, mask in sorted(clip.history.frames.items()))
                edits = {"edits": clip.history.revision} if clip.history.revision else {}
            target = clip.folder / "results" / name
            task = Export(
                path=clip.kept.source,
                info=clip.info,
                job=str(clip.run),
                frames=frames,
                format=name,
                edges=clip.kept.edges,
                settings=edits,
                folder=str(target),
            )
            try:
                self._follow(clip, task, take=lambda mask: None)
                size = pack(target, name).stat().st_size
            except BaseException:
                self._set_result(clip, name, None)
                raise
            self._set_result(clip, name, Made(state="ready", bytes=size))

        self._set_result(clip, name, Made(state="making"))
        self._put(_Work(clip=clip, stage="exporting", run=run))
        return self._changed(clip)

    def _set_result(self, clip: Clip, name: str, made: Made | None) -> None:
        with clip.lock:
            results = {each: value for each, value in clip.kept.results.items() if each != name}
            clip.change(results=results if made is None else {**results, name: made})

    def download(self, clip: Clip, name: str) -> Path:
        """Return the file of a format.

        Raises:
            NotThereError: It was not asked for.
            NotYetError: It is still being written.
        """
        made = clip.kept.results.get(name)
        if made is None:
            raise NotThereError(
                f"{name} was not written", why="nobody asked for it since the last edit", fix="ask for it with POST"
            )
        if made.state == "making":
            raise NotYetError(f"{name} is not ready", why="it is being written", fix="wait for the event")
        return pack(clip.folder / "results" / name, name)


def track_parts(asked: NewTrack, *, seeds: tuple[SeedMask, ...], count: int) -> tuple[tuple[str, int, int], ...]:
    """Return the stretches to follow: direction, first frame and number of frames.

    Frames that were confirmed are barriers: what lies beyond them is right already.

    Raises:
        NotYetError: No object is shown on that side of the frame.
    """
    start, stop = asked.start, asked.stop
    shown = {seed.frame for seed in seeds}
    barriers = {seed.frame for seed in seeds if seed.given_as == "confirmed"}
    last = min((frame - 1 for frame in barriers if frame > start), default=count - 1)
    first = max((frame + 1 for frame in barriers if frame < start), default=0)
    if stop is not None:
        last, first = (min(last, stop), first) if stop >= start else (last, max(first, stop))
    parts = []
    if asked.direction != "backward" and (stop is None or stop >= start) and min(shown) <= start:
        parts.append(("forward", start, last - start + 1))
    if asked.direction != "forward" and (stop is None or stop <= start) and max(shown) >= start:
        parts.append(("backward", start, start - first + 1))
    if not parts:
        raise NotYetError(
            f"nothing is known at frame {start}",
            why=f"objects are shown on frame {', '.join(map(str, sorted(shown)[:4]))}",
            fix="go to one of these, or click on an object here",
        )
    return tuple(parts)


def pack(folder: Path, name: str) -> Path:
    """Return the file of a format: itself if it is one, else a zip of its files."""
    target = folder.with_name(f"{folder.name}.zip")
    found = sorted(folder.glob(f"{name}*"))
    if len(found) == 1 and found[0].is_file():
        return found[0]
    if not found:
        raise EnvironmentProblem(f"{name} is gone", why="its files were deleted", fix="ask for it again")
    newest = max(each.stat().st_mtime for each in found)
    if not target.is_file() or target.stat().st_mtime < newest:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for each in found:
                files = [each] if each.is_file() else sorted(file for file in each.rglob("*") if file.is_file())
                for file in files:
                    archive.write(file, file.relative_to(folder))
    return target
