"""The processes of the server: whatever decodes, computes or encodes runs in one of them, and may die in it.

Two run networks, so that a click is answered while a long video is followed; one reads pictures; one makes the videos
that browsers play. Each answers one task after another. Tasks and answers are values that pickle.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fractions import Fraction
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as Flag
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

import cv2
import numpy as np

from covos.core.device import configure_threads
from covos.core.errors import CancelledError, CovosError, SourceError, explained
from covos.core.types import ImageArray, Point, SourceInfo
from covos.events import Advanced, FrameDone, Started, Warned
from covos.isolation import Worker
from covos.job import Job
from covos.jobs import ModelCache
from covos.masks import RLE, decode
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask
from covos.media.memory import open_input
from covos.media.presets import H264
from covos.media.range import WHOLE, Range, place_of
from covos.media.source import Health, Source
from covos.media.writer import VideoWriter
from covos.model import Model
from covos.plan import FIND, Plan
from covos.prompts.seed_mask import SeedMask
from covos.prompts.values import RegionPrompt
from covos.results.loading import load_result
from covos.results.segmentation import Segmentation
from covos.runs.folder import OutputFolder
from covos.runs.schema import REPORT
from covos.serve.edits import in_regions
from covos.serve.errors import in_public, without_paths
from covos.session import Session

PROXY_HEIGHT = 720
"""Rows of the video that browsers play."""
PROXY = replace(H264, options=(("preset", "veryfast"), ("g", "12"), ("bf", "0"), ("movflags", "+faststart")), crf=24)
"""Few frames from one to which a browser can jump to the next, none that wait for a later one: it seeks at once."""
_OPEN = 4
Opened = TypeVar("Opened", Source, Session)


@dataclass(frozen=True, slots=True, kw_only=True)
class Video:
    """A clip as processes open it.

    Attributes:
        path: Its file.
        range: The part that is taken: frames count from its first.
    """

    path: str
    range: Range = WHOLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The work has got on."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that the user may want to know."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clicked:
    """The mask that a prompt made, and all seeds after it."""

    object: int
    mask: RLE
    seeds: tuple[SeedMask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Over:
    """A task is over."""

    error: CovosError | None


Answer: TypeAlias = SourceInfo | FrameMask | Progress | Note | Clicked | bytes


class Task(Protocol):
    """Something for a process to do."""

    @property
    def video(self) -> Video | None:
        """The clip that it reads, if any."""

    def run(self, here: Here) -> None:
        """Do it, and tell what comes of it."""
        ...


@dataclass
class Here:
    """What a process has for every task: models, open clips, the way to answer, and the flag that stops a task."""

    plan: Plan
    stop: Flag
    tell: Callable[[Answer], None]
    models: ModelCache = field(default_factory=ModelCache)
    sources: OrderedDict[Video, Source] = field(default_factory=OrderedDict)
    sessions: OrderedDict[Video, Session] = field(default_factory=OrderedDict)

    def model(self) -> Model:
        """Return the model, loaded once."""
        return self.models(self.plan)

    def source(self, video: Video) -> Source:
        """Return an open clip; the last few stay open."""
        return _kept(self.sources, video, lambda: open_input(video.path, range=video.range))

    def session(self, video: Video, seeds: Sequence[SeedMask]) -> Session:
        """Return a session of a clip with these seeds; the last few stay open, with what they have computed.

        The seeds name frames as the server does, by their place in the part that is taken.
        """
        session = _kept(self.sessions, video, lambda: self.model().session(video.path, range=video.range))
        numbers = session.source.info.numbers
        wanted = tuple(_renamed(seed, numbers[seed.frame]) for seed in sorted(seeds, key=lambda seed: seed.frame))
        if session.shown != wanted:
            session.seeds.restore(wanted)
        return session


def _kept(table: OrderedDict[Video, Opened], video: Video, make: Callable[[], Opened]) -> Opened:
    if video in table:
        table.move_to_end(video)
    else:
        table[video] = make()
        while len(table) > _OPEN:
            table.popitem(last=False)[1].close()
    return table[video]


def _renamed(seed: SeedMask, frame: int) -> SeedMask:
    pointed = seed.pointed
    if pointed is not None:
        pointed = replace(pointed, at=pointed.at.model_copy(update={"frame": frame}))
    return replace(seed, frame=frame, pointed=pointed)


def _placed(seeds: Iterable[SeedMask], info: SourceInfo) -> tuple[SeedMask, ...]:
    return tuple(_renamed(seed, place_of(seed.frame, info)) for seed in seeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Load the networks before they are needed."""

    video: None = None

    def run(self, here: Here) -> None:
        """Load them."""
        here.model().prompter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Look at a clip before anything is computed."""

    video: Video

    def run(self, here: Here) -> None:
        """Tell its description; refuse what cannot be read."""
        with open_input(
            self.video.path, range=self.video.range
        ) as source:  # not kept open: its folder gets another name
            here.tell(source.info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Show a frame, at most so many pixels wide, as a JPEG."""

    video: Video
    index: int
    width: int

    def run(self, here: Here) -> None:
        """Tell the file's bytes."""
        frame = next(iter(here.source(self.video).select([self.index])), None)
        if frame is None:
            raise SourceError(
                f"frame {self.index} cannot be read",
                why="the file is damaged or cut there",
                fix="look at another frame",
            )
        image = fitted_into(frame.image, width=self.width)
        done, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
        assert done, "JPEG takes every picture of 8 bits"
        here.tell(content.tobytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeProxy:
    """Make the video that browsers play: small, with the sound, times from 0 on."""

    video: Video
    target: str

    def run(self, here: Here) -> None:
        """Write it, and tell how far it is."""
        source = here.source(self.video)
        info = source.info
        height, width = even_size(info)
        audio = Path(self.video.path) if info.has_audio else None
        with VideoWriter(
            self.target,
            height=height,
            width=width,
            time_base=info.time_base,
            frame_rate=info.frame_rate or Fraction(25),
            preset=PROXY,
            audio_from=audio,
            cut=info.is_part,
            from_zero=True,
        ) as writer:
            for frame in source:
                if here.stop.is_set():
                    writer.abort()
                    return
                writer.write(resized(frame.image, height=height, width=width), pts=frame.pts)
                here.tell(Progress(done=frame.index + 1, total=info.frame_count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Find the subject: a job, in its folder, from which it goes on if it was stopped."""

    video: Video
    folder: str

    def run(self, here: Here) -> None:
        """Tell the masks of each frame."""
        taken = {"source": self.video.path, "range": self.video.range, "task": FIND, "formats": ("palette",)}
        job = Job(here.plan.model_copy(update=taken), self.folder, load=here.models)
        for event in job:
            if here.stop.is_set():
                job.cancel()
            if isinstance(event, FrameDone):
                here.tell(event.masks)
                here.tell(Progress(done=event.index + 1, total=event.total))
            elif isinstance(event, Advanced):
                here.tell(Progress(done=event.done, total=event.total))
            elif isinstance(event, Started) and event.total is not None:
                here.tell(Progress(done=0, total=event.total))
            elif isinstance(event, Warned):
                here.tell(Note(text=event.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """Make a mask of a prompt.

    Attributes:
        video: The clip.
        seeds: All seeds so far.
        known: The masks of the frame, of which the prompt corrects one; None if there are none yet.
        frame: Its index.
        object: Number of the object; None is a new one.
        points: Places (x, y) in pixels, and if each is on the object.
        box: Left, top, right, bottom.
        mask: The whole mask, drawn by hand.
    """

    video: Video
    seeds: tuple[SeedMask, ...]
    known: FrameMask | None
    frame: int
    object: int
    points: tuple[Point, ...] = ()
    box: tuple[float, float, float, float] | None = None
    mask: RLE | None = None

    def run(self, here: Here) -> None:
        """Tell the mask."""
        session = here.session(self.video, self.seeds)
        frame = session.source.info.numbers[self.frame]
        if self.known is not None:
            session.take(self.known)
        if self.mask is not None:
            session.add_mask(frame, self.object, mask=decode(self.mask))
        elif self.box is not None:
            session.add_box(frame, self.object, box=self.box)
        else:
            session.add_points(
                frame,
                self.object,
                points=[(point.x, point.y) for point in self.points],
                labels=[int(point.positive) for point in self.points],
            )
        seed = session.seeds.get(frame, self.object)
        assert seed is not None, "the prompt has made it"
        here.tell(Clicked(object=self.object, mask=seed.mask, seeds=_placed(session.shown, session.source.info)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Get ready for a click on a frame."""

    video: Video
    seeds: tuple[SeedMask, ...]
    frame: int

    def run(self, here: Here) -> None:
        """Encode it."""
        session = here.session(self.video, self.seeds)
        session.look(session.source.info.numbers[self.frame])


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Follow the objects that the seeds show, from a frame on.

    Attributes:
        video: The clip.
        seeds: All seeds.
        parts: Direction, first frame and number of frames, one after another.
    """

    video: Video
    seeds: tuple[SeedMask, ...]
    parts: tuple[tuple[Any, int, int], ...]

    def run(self, here: Here) -> None:
        """Tell the masks of each frame."""
        session = here.session(self.video, self.seeds)
        numbers = session.source.info.numbers
        total, done = sum(count for _, _, count in self.parts), 0
        for direction, start, limit in self.parts:
            for result in session.stream(direction, start=numbers[start], limit=limit):
                done += 1
                here.tell(FrameMask.of(result))
                here.tell(Progress(done=done, total=total))
                if here.stop.is_set():
                    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Write the masks in a format.

    Attributes:
        video: The clip.
        info: Its description.
        job: Folder of the job that has found the subject; its report tells how.
        frames: The masks.
        regions: The boxes that the subject may not lie in, or has to.
        confirmed: Frames that these do not change.
        format: Name of the format.
        edges: Changes of the edges.
        range: The part that is written.
        settings: For the report: what the user has done.
        folder: Where to.
    """

    video: Video
    info: SourceInfo
    job: str
    frames: tuple[FrameMask, ...]
    regions: tuple[RegionPrompt, ...]
    confirmed: frozenset[int]
    format: str
    edges: Edges
    range: Range
    settings: dict[str, Any]
    folder: str

    def run(self, here: Here) -> None:
        """Write the format, and tell how far it is."""
        if (Path(self.job) / REPORT).is_file():
            before = load_result(self.job)
            health, origin = before.health, before.origin
        else:  # it was stopped: its masks are known, and no more
            health = Health(decoded=len(self.frames), expected=self.info.frame_count)
            origin = here.model().origin()
        result = Segmentation(
            info=self.info,
            health=health,
            origin=replace(origin, settings={**origin.settings, **self.settings}),
            frames=tuple(
                each if each.index in self.confirmed else in_regions(each, self.regions) for each in self.frames
            ),
            held=self.video.path,
        )

        def listen(done: int, total: int) -> None:
            if here.stop.is_set():
                raise CancelledError("the download was stopped", why="you asked for that", fix="ask for it again")
            here.tell(Progress(done=done, total=total))

        result.trim(self.range).write(
            OutputFolder(Path(self.folder), overwrite=True), formats=[self.format], edges=self.edges, listen=listen
        )


def even_size(info: SourceInfo) -> tuple[int, int]:
    """Return height and width of the proxy: square pixels, at most `PROXY_HEIGHT` rows, both even."""
    width = info.width * float(info.pixel_aspect)
    share = min(1.0, PROXY_HEIGHT / info.height)
    return max(2, round(info.height * share / 2) * 2), max(2, round(width * share / 2) * 2)


def fitted_into(image: ImageArray, *, width: int) -> ImageArray:
    """Return a picture, at most so wide."""
    if image.shape[1] <= width:
        return image
    return resized(image, height=max(1, round(image.shape[0] * width / image.shape[1])), width=width)


def resized(image: ImageArray, *, height: int, width: int) -> ImageArray:
    """Return a picture at another size: each pixel the mean of what it stands for."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


class TaskWorker:
    """A process that runs tasks, one after another; made when the first comes, and again after it died.

    Args:
        plan: Model, device and precision of the networks.
        root: Folder of all clips, which no message names.
        patient: True if it gives way to the other processes.
    """

    def __init__(self, plan: Plan, *, root: Path, patient: bool = False) -> None:
        self._plan, self._root, self._patient = plan, str(root), patient
        self._stop: Flag = get_context("spawn").Event()
        self._worker: Worker | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.restarts = 0

    def run(self, task: Task, *, name: str) -> Iterator[Answer]:
        """Run a task, and yield what comes of it.

        Args:
            task: Picklable.
            name: Of the clip, for messages.

        Raises:
            CovosError: The task failed, or the process died of it.
        """
        with self._lock:
            if self._closed:
                raise CancelledError(f"{name}: the server ends", why="it was stopped", fix="start it again")
            self._stop.clear()
            worker = self._worker = self._worker or Worker(work_on, self._plan, self._stop, self._patient)
            places = (self._root,) if task.video is None else (task.video.path, self._root)
            over = False
            try:
                worker.send(task)
                while not over:
                    answer = worker.receive()
                    over = isinstance(answer, _Over)
                    if isinstance(answer, Note):
                        yield Note(text=without_paths(answer.text, places, name=name))
                    elif not isinstance(answer, _Over):
                        yield answer
                    elif answer.error is not None:
                        raise in_public(answer.error, places, name=name)
            except (EOFError, OSError):
                cause = worker.cause_of_death(name)
                self._worker, self.restarts, over = None, self.restarts + 1, True
                raise cause from None
            finally:
                if not over:  # whoever listened has had enough: the next task must not get these answers
                    self._stop.set()
                    with suppress(EOFError, OSError):
                        while not isinstance(worker.receive(), _Over):
                            pass

    def last(self, task: Task, *, name: str) -> Answer:
        """Run a task, and return the last of what comes of it."""
        *_, answer = self.run(task, name=name)
        return answer

    def offer(self, task: Task, *, name: str) -> None:
        """Run a task that gives nothing, if the process has nothing else to do; whatever goes wrong with it."""
        if not self._lock.locked():
            with suppress(CovosError):
                for _ in self.run(task, name=name):
                    pass

    def stop(self) -> None:
        """Stop the task that runs: what it has given stays."""
        self._stop.set()

    def close(self) -> None:
        """End the process."""
        self._closed = True
        self._stop.set()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close(patience=1.0)  # what it was at goes on from its journal


def work_on(connection: Connection, plan: Plan, stop: Flag, patient: bool) -> None:
    """Run tasks until there are no more; for a process of its own."""
    configure_threads(pipeline=True)
    if patient and hasattr(os, "nice"):
        os.nice(10)
    here = Here(plan=plan, stop=stop, tell=connection.send)
    while (task := connection.recv()) is not None:
        error = None
        try:
            task.run(here)
        except Exception as problem:  # of a bug or a library, too: it is told, and the process goes on
            error = explained(problem)
        connection.send(_Over(error=error))
