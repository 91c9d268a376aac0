"""The desk: all clips of a server, from their upload to their end, and the processes that work on them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from queue import SimpleQueue

from covos.core.errors import CovosError, explained
from covos.core.files import LOCK, exclusive
from covos.plan import Plan
from covos.runs.writing import is_finished
from covos.serve.arrivals import Arrivals
from covos.serve.backdrops import Backdrops
from covos.serve.clip import RECORD, Clip
from covos.serve.cutouts import Cutouts
from covos.serve.downloads import Downloads
from covos.serve.editing import Editing
from covos.serve.errors import NotThereError, NotYetError, in_public
from covos.serve.frame_numbers import check_frame
from covos.serve.index import Index
from covos.serve.leftovers import remove_leftovers
from covos.serve.log import going_on
from covos.serve.pictures import MakeProxy, Picture, PictureKind
from covos.serve.places import printable
from covos.serve.queue import Work, WorkQueue
from covos.serve.quota import Quota
from covos.serve.roots import is_of
from covos.serve.rules import Rules
from covos.serve.schema import JobView, Shown
from covos.serve.tasks import Find, Look, Warm
from covos.serve.to_open import ToOpen
from covos.serve.uploads import Uploads
from covos.serve.views import view_of_unread
from covos.serve.workers import IDLE, Task, TaskWorker

_GRACE = 5.0
"""Seconds that each thread has to end, before another server may have the clips."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The clip that a server was started on.

    Attributes:
        name: Of its file, or of the run's folder.
        job: Its id; empty while it is being opened.
    """

    name: str
    job: str = ""


class Desk:
    """All clips of a server. Methods may be called from any thread, and wait for what they ask of a process.

    Args:
        rules: Bounds.
        plan: Model, device and precision; its source does not matter.

    Attributes:
        opening: The clip that the server was started on, if it was.
    """

    def __init__(self, rules: Rules, *, plan: Plan) -> None:
        self.rules = rules
        rules.root.mkdir(parents=True, exist_ok=True)
        self._clips: dict[str, Clip] = {}
        self._lock = threading.RLock()
        self._without_proxy: SimpleQueue[Clip | None] = SimpleQueue()
        self._proxy_thread = threading.Thread(target=self._make_proxies, daemon=True, name="covos proxies")
        self._networks, self._clicks = TaskWorker(plan, root=rules.root), TaskWorker(plan, root=rules.root)
        self._pictures = TaskWorker(None, root=rules.root)
        self._proxies = TaskWorker(None, root=rules.root, patient=True)
        self._workers = (self._networks, self._clicks, self._pictures, self._proxies)
        self._index = Index(rules.root)
        self.queue = WorkQueue(self._networks, limit=rules.waiting, note=self._index.put)
        self.editing = Editing(self.queue, clicks=self._clicks)
        self.uploads = Uploads(rules.root)
        backdrops = Backdrops(rules.media, self.uploads)
        self.downloads = Downloads(self.queue, pictures=self._pictures, backdrops=backdrops)
        self.cutouts = Cutouts(pictures=self._pictures, networks=self._networks, clicks=self._clicks)
        self.quota = Quota(rules, queue=self.queue, uploads=self.uploads)
        self.arrivals = Arrivals(
            rules.root,
            quota=self.quota,
            queue=self.queue,
            uploads=self.uploads,
            pictures=self._pictures,
            take=self._take,
        )
        self.opening: Opening | None = None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other servers from the clips for the time of a block: each would write over the edits of the other.

        Raises:
            EnvironmentProblem: Another server has them, or the folder has no locks.
        """
        with exclusive(
            self.rules.root / LOCK,
            what=f"the clips in {self.rules.root} are open in another covos",
            fix="use its page, or end it; or give this one another folder with --root",
        ):
            yield

    def start(self) -> None:
        """Find the clips of before, go on with what was stopped, and begin to work.

        A clip that cannot be read stays in its folder, and the log names it: the others are there all the same.
        """
        remove_leftovers(self.rules.root)
        for record in sorted(self.rules.root.glob(f"*/{RECORD}")):
            with going_on():
                clip = Clip.load(record.parent)
                self._clips[clip.id] = clip
                clip.forget_unfinished()
                self._go_on(clip)
        self.queue.start()
        self._proxy_thread.start()
        for worker in (self._networks, self._clicks):  # a first click should not wait for them
            self._offer(worker, Warm(), name="the networks")

    def _go_on(self, clip: Clip) -> None:
        """Go on with what was stopped: a search and a download do; a track that was cut off keeps its frames."""
        stopped, opened = clip.kept.state in {"queued", "running"}, clip.kept.opened is not None
        if stopped and clip.kept.task != "tracking" and not opened:
            self._find(clip)
        elif stopped or opened:  # what was opened is done: in the folder of a user's run, nothing is written
            clip.change(state="done" if opened or is_finished(clip.run) else "cancelled", error=None)
        self.downloads.go_on(clip)
        if not clip.proxy.is_file() and clip.kept.state == "done":
            self._without_proxy.put(clip)

    def hang_up(self) -> None:
        """End what requests wait for, as the server ends with them; returns at once."""
        self.queue.hang_up()
        for worker in self._workers:
            worker.end()
        for worker in (self._clicks, self._pictures):
            threading.Thread(target=worker.close, daemon=True, name="covos ends").start()

    def close(self) -> None:
        """Stop what runs: it goes on at the next start. The threads have ended then, unless a disk does not answer."""
        self.queue.close()
        self._without_proxy.put(None)
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.close()
        self.queue.join(patience=_GRACE)
        if self._proxy_thread.is_alive():
            self._proxy_thread.join(_GRACE)

    @property
    def restarts(self) -> int:
        """Processes that died and were made anew."""
        return sum(worker.restarts for worker in self._workers)

    def open(self, asked: ToOpen, *, fresh: bool = False) -> Clip:
        """Take a file of the server's own, a finished run, or a part: the clip of before, if it was opened already.

        `opening` describes it meanwhile. ``fresh`` begins anew, and leaves the clip of before as it is.

        Raises:
            CovosError: It cannot be read, or is refused.
        """
        self.opening = Opening(name=printable(asked.path.name))
        clip = (None if fresh else self._before(asked)) or self.arrivals.open(asked)
        self.opening = replace(self.opening, job=clip.id)
        return clip

    def _before(self, asked: ToOpen) -> Clip | None:
        """Return the newest clip that was opened of this part of a run or a file, unless that has changed since."""
        with suppress(OSError):
            return next((clip for clip in self.clips() if is_of(clip.kept, asked)), None)
        return None

    def _take(self, clip: Clip) -> None:
        """Take a clip that has arrived; in one of a finished run there is nothing to find."""
        with self._lock:
            self._clips[clip.id] = clip
        if clip.kept.opened is not None:
            self._without_proxy.put(clip)
            self.look(clip, 0)
            return
        try:
            self._find(clip, limited=True)
        except BaseException:  # also a full disk: nothing would ever work on it
            self.delete(clip)
            raise

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

    def views(self) -> tuple[JobView, ...]:
        """Return all clips as the API describes them, the newest first; it reads none that nobody has asked for."""
        return tuple(map(self._view, self.clips()))

    def _view(self, clip: Clip) -> JobView:
        if clip.is_read:
            return self.queue.view(clip)
        known = self._index.get(clip.id)
        if known is None or known.revision != clip.kept.revision:
            return self.queue.changed(clip)
        return view_of_unread(clip, known)

    def cancel(self, clip: Clip) -> JobView:
        """Stop what runs or waits for a clip, and a click or a picture of it that does not come; what is done stays.

        The video that browsers play is made on.
        """
        for worker in (self._clicks, self._pictures, self._networks):
            worker.stop(clip.id)
        return self.queue.cancel(clip)

    def delete(self, clip: Clip) -> None:
        """Stop all work on a clip, and delete it."""
        with self._lock:
            self._clips.pop(clip.id, None)
        self.queue.drop(clip)
        for worker in self._workers:
            worker.stop(clip.id)
        clip.remove()
        self._index.drop(clip.id)

    def expire(self) -> None:
        """Delete the clips that nobody has looked at for too long, and uploads that nobody goes on with.

        Work on a clip, work that waits, and an open stream of its events count as looking at it. A clip that nobody has
        looked at for a while leaves the memory.
        """
        self.uploads.expire()
        for clip in self.clips():
            since = time.monotonic() - clip.seen
            if since <= min(IDLE, self.rules.expiry or IDLE) or self.queue.in_use(clip):
                continue
            if self.rules.expiry is not None and since > self.rules.expiry:
                self.delete(clip)
            elif clip.is_read and since > IDLE:
                with suppress(NotYetError), self.queue.idle(clip):  # work may have begun since
                    clip.forget()

    def _find(self, clip: Clip, *, limited: bool = False) -> None:
        work = Work(clip=clip, stage="finding", run=lambda: self._run_find(clip))
        clip.read()  # which may take a while: nobody else is to wait for it
        with self.queue.idle(clip):
            self.queue.put(work, limited=limited, state="queued", error=None)

    def _run_find(self, clip: Clip) -> None:
        clip.change(state="running")
        self.queue.changed(clip)
        clip.begin_finding()
        self.queue.follow(clip, Find(video=clip.video, folder=str(clip.run)), take=lambda mask: clip.found([mask]))
        if is_finished(clip.run):
            clip.change(state="done")
            self.look(clip, 0)
        elif not self.queue.over:
            clip.change(state="cancelled")
        self._without_proxy.put(clip)

    def retry(self, clip: Clip) -> JobView:
        """Find again what failed or was cancelled; it goes on where it was.

        Raises:
            NotYetError: It is found, or being found, or its masks are those of a finished run.
            BusyError: Too much waits.
        """
        if clip.kept.opened is not None:
            raise NotYetError(
                "there is nothing to find",
                why="the job is a finished run that was opened",
                fix="click on what is wrong, and follow it",
            )
        state = clip.kept.state
        # The disk may have been full as the server started: the job says then that it waits, and is not in the queue.
        is_under_way = state in {"queued", "running"} and self.queue.busy(clip) is not None
        if is_under_way or (state == "done" and is_finished(clip.run)):
            raise NotYetError("there is nothing to do again", why=f"the job is {state}", fix="look at it")
        self._find(clip, limited=True)
        return self.queue.changed(clip)

    def _make_proxies(self) -> None:
        while (clip := self._without_proxy.get()) is not None and not self.queue.over:
            if not clip.gone and not clip.proxy.is_file():
                self._make_proxy(clip)
            if clip.gone:
                clip.remove()  # once more: the video may have been written since

    def _make_proxy(self, clip: Clip) -> None:
        try:
            task = MakeProxy(video=clip.video, target=str(clip.proxy))
            for _ in self._proxies.run(task, name=clip.kept.name, job=clip.id, patience=clip.video.patience):
                pass
        except Exception as error:
            why = explained(error).why
            clip.note("playing", f"it cannot be played here, only looked at frame by frame: {why}")
        with going_on():
            self.queue.changed(clip)

    def picture(self, clip: Clip, asked: Shown, *, width: int, kind: PictureKind = "jpeg") -> bytes:
        """Return a frame as a JPEG or a WebP."""
        index = check_frame(asked, info=clip.info)
        task = Picture(video=clip.video, index=index, width=width, kind=kind)
        answer = self._pictures.last(task, name=clip.kept.name, job=clip.id)
        assert isinstance(answer, bytes)
        return answer

    def look(self, clip: Clip, asked: Shown) -> None:
        """Get ready for a click on a frame, if nothing else is to be done; returns at once."""
        frame = check_frame(asked, info=clip.info)
        task = Look(video=clip.video, seeds=clip.history.seeds, frame=frame)
        self._offer(self._clicks, task, name=clip.kept.name, job=clip.id)

    def in_public(self, error: CovosError) -> CovosError:
        """Return an error without the server's paths."""
        places = [place for clip in self.clips() for place in clip.places]
        return in_public(error, [*places, str(self.rules.root)], name="a file of the server")

    @staticmethod
    def _offer(worker: TaskWorker, task: Task, *, name: str, job: str = "") -> None:
        threading.Thread(target=worker.offer, args=(task,), kwargs={"name": name, "job": job}, daemon=True).start()
