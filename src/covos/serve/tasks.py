"""The tasks of the processes that compute: find the subject, answer a click, follow, write a format.

They are values, which the server's own process makes and sends. It runs none, so it needs no libraries of networks:
those come with `covos.serve.networks`, where a task is run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covos.core.errors import CancelledError, CovosError
from covos.core.types import SourceInfo
from covos.events import Advanced, Finished, FrameDone, Started, Warned
from covos.formats.table import parse_format
from covos.job import Job
from covos.masks import decode
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask
from covos.masks.matte import opacity_of
from covos.masks.soft import SoftMask
from covos.media.range import Range, place_of
from covos.media.source import Health
from covos.prompts.seed_mask import SeedMask
from covos.prompts.values import PointPrompt, RegionPrompt
from covos.results.loading import load_result
from covos.results.segmentation import Segmentation
from covos.runs.folder import OutputFolder
from covos.runs.schema import has_report
from covos.serve.errors import in_public, without_paths
from covos.serve.frame_edits import in_regions
from covos.serve.opened import load_part
from covos.serve.pictures import frame_of
from covos.serve.prompt_steps import Said
from covos.serve.workers import Clicked, Cuts, Here, Matted, Note, Progress, Video
from covos.task import FIND

if TYPE_CHECKING:
    from covos.serve.networks import Networks
    from covos.sessions.session import Session


def networks_of(here: Here) -> Networks:
    """Return the models and sessions of a process that computes; the first call loads the libraries."""
    from covos.serve.networks import Networks

    return Networks.of(here)


def _placed(seeds: Iterable[SeedMask], info: SourceInfo) -> tuple[SeedMask, ...]:
    return tuple(seed.at_frame(place_of(seed.frame, info)) for seed in seeds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Load the networks before they are needed."""

    video: None = None

    def run(self, here: Here) -> None:
        """Load them."""
        networks_of(here).model().prompter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Find the subject: a job, in its folder, from which it goes on if it was stopped."""

    video: Video
    folder: str

    def run(self, here: Here) -> None:
        """Tell the masks of each frame."""
        video = self.video
        taken = {
            "source": video.path,
            "range": video.range,
            "deinterlace": video.deinterlace,
            "frame_rate": video.frame_rate,
            "task": FIND,
            "formats": ("palette",),
        }
        job = Job(networks_of(here).plan.model_copy(update=taken), self.folder, load=networks_of(here).models)
        told = False
        for event in job:
            if here.stop.is_set():
                job.cancel()
            if isinstance(event, FrameDone):
                if not told:
                    here.tell(Cuts(frames=job.cuts))
                    told = True
                here.tell(event.masks)
                here.tell(Progress(done=event.index + 1, total=event.total))
            elif isinstance(event, Advanced):
                here.tell(Progress(done=event.done, total=event.total, step=event.stage))
                if event.done >= event.total:  # the first frames come some seconds later
                    here.tell(Progress(done=0, total=event.total))
            elif isinstance(event, Started) and event.stage == "loading":
                here.tell(Progress(done=0, total=0, step=event.stage))
            elif isinstance(event, Started) and event.total is not None:
                here.tell(Progress(done=0, total=event.total, step="" if event.stage == "frames" else event.stage))
            elif isinstance(event, Warned):
                here.tell(Note(text=event.text))
            elif isinstance(event, Finished) and not told:  # it was done before the server was stopped
                found = load_result(self.folder)
                here.tell(Cuts(frames=found.origin.cuts))
                for mask in found:
                    here.tell(mask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Click:
    """Make a mask of prompts.

    Attributes:
        video: The clip.
        seeds: All seeds so far.
        known: The masks of the frame, of which the prompts correct one; None if there are none yet.
        frame: Its index.
        object: Number of the object.
        said: The prompts, one after another.
        areas: Pixels of the object on the frames around, by their index.
    """

    video: Video
    seeds: tuple[SeedMask, ...]
    known: FrameMask | None
    frame: int
    object: int
    said: tuple[Said, ...]
    areas: Mapping[int, int] = field(default_factory=dict)

    def run(self, here: Here) -> None:
        """Tell the mask."""
        session = networks_of(here).session(self.video, self.seeds)
        frame = session.source.info.numbers[self.frame]
        if self.known is not None:
            session.take(self.known)
        for each in self.said:
            self._say(session, frame, each)
        seed = session.seeds.get(frame, self.object)
        assert seed is not None, "the prompts have made it"
        here.tell(Clicked(object=self.object, mask=seed.mask, seeds=_placed(session.shown, session.source.info)))

    def _say(self, session: Session, frame: int, said: Said) -> None:
        if said.mask is not None and said.mask.area:
            session.add_mask(frame, self.object, mask=decode(said.mask))
        elif said.mask is not None:
            session.seeds.know([self.object])  # the server has refused an object that it does not know
            session.add_absent(frame, self.object)
        elif said.box is not None:
            session.add_box(frame, self.object, box=said.box)
        else:
            numbers = session.source.info.numbers
            session.show(
                PointPrompt(frame=frame, object=self.object, points=tuple(said.points)),
                areas={numbers[index]: area for index, area in self.areas.items()},
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Get ready for a click on a frame."""

    video: Video
    seeds: tuple[SeedMask, ...]
    frame: int

    def run(self, here: Here) -> None:
        """Encode it."""
        session = networks_of(here).session(self.video, self.seeds)
        session.look(session.source.info.numbers[self.frame])


@dataclass(frozen=True, slots=True, kw_only=True)
class FindMatte:
    """Find the opacity of one frame's edges."""

    video: Video
    mask: FrameMask

    def run(self, here: Here) -> None:
        """Tell it."""
        source = here.source(self.video)
        frame, probability = frame_of(source, self.mask), self.mask.probability
        engine = networks_of(here).matter(self.video, still=source.info.is_still)
        found = engine.find(frame.image, probability, index=frame.index)
        if not np.isfinite(found).all():  # the network gave no numbers: the mask's own edge stays
            found = opacity_of(probability, self.mask.labels)
        here.tell(Matted(index=self.mask.index, matte=SoftMask.of(found, self.mask.mask)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Follow the objects that the seeds show, from a frame on.

    Attributes:
        video: The clip.
        seeds: All seeds.
        parts: Direction, first frame and number of frames, one after another.
        cuts: The frames with which shots begin: motion ends there.
    """

    video: Video
    seeds: tuple[SeedMask, ...]
    parts: tuple[tuple[Any, int, int], ...]
    cuts: tuple[int, ...] = ()

    def run(self, here: Here) -> None:
        """Tell the masks of each frame."""
        wanted = {start + (at if way == "forward" else -at) for way, start, count in self.parts for at in range(count)}
        here.tell(Progress(done=0, total=len(wanted), step="loading"))
        session = networks_of(here).session(self.video, self.seeds, cuts=self.cuts)
        numbers = session.source.info.numbers
        here.tell(Progress(done=0, total=len(wanted)))
        done: set[int] = set()  # both ways begin with the same frame

        def refuse_stopped() -> None:
            if here.stop.is_set():
                raise CancelledError("the track was stopped", why="you asked for that", fix="begin it again")

        for direction, start, limit in self.parts:
            refuse_stopped()
            for result in session.stream(direction, start=numbers[start], limit=limit):
                mask = FrameMask.of(result)
                done.add(mask.index)
                here.tell(mask)
                here.tell(Progress(done=len(done), total=len(wanted)))
                refuse_stopped()  # before the next frame is computed


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """Write the masks in a format.

    Attributes:
        video: The clip.
        info: Its description.
        job: Folder of the job that has found the subject; its report says how.
        part: The part of that, if it is a finished run that was opened; see `covos.serve.opened.load_part`.
        frames: The masks.
        mattes: Those that are known of them, by index.
        regions: The boxes that the subject may not lie in, or has to.
        confirmed: Frames that these do not change.
        cuts: Indices of the frames with which shots begin, ascending.
        format: Name of the format, with its value.
        edges: Changes of the edges.
        range: The part that is written.
        matte: True finds the matte of frames that have none; false leaves all out; None finds it where others have one.
        settings: For the report: what the user has done.
        folder: Where to.
        hidden: Files that no message names.
    """

    video: Video
    info: SourceInfo
    job: str
    part: Range | None
    frames: tuple[FrameMask, ...]
    mattes: Mapping[int, SoftMask]
    regions: tuple[RegionPrompt, ...]
    confirmed: frozenset[int]
    cuts: tuple[int, ...]
    format: str
    edges: Edges
    range: Range
    matte: bool | None
    settings: dict[str, Any]
    folder: str
    hidden: tuple[str, ...] = ()

    def regions_of(self, mask: FrameMask) -> tuple[RegionPrompt, ...]:
        """Return the regions that change a frame: none do that the user has confirmed."""
        return () if mask.index in self.confirmed else self.regions

    def _as_written(self, mask: FrameMask) -> FrameMask:
        """Return a frame below the regions, with the matte that is known of it."""
        found = in_regions(mask, self.regions_of(mask)).with_soft_edge()
        return found if found.kept_matte is not None else replace(found, kept_matte=self.mattes.get(mask.index))

    def run(self, here: Here) -> None:
        """Write the format, and report how far it is."""
        try:
            self._run(here)
        except CovosError as error:
            raise in_public(error, self.hidden, name="the background") from None

    def _run(self, here: Here) -> None:
        if has_report(Path(self.job)):
            before = load_result(self.job) if self.part is None else load_part(Path(self.job), self.part)
            health, origin = before.health, before.origin
        else:  # it was stopped: its masks are known, and no more
            health = Health(decoded=len(self.frames), expected=self.info.frame_count)
            origin = networks_of(here).model().origin()
        result = Segmentation(
            info=self.info,
            health=health,
            origin=replace(origin, settings={**origin.settings, **self.settings}, cuts=self.cuts),
            frames=tuple(self._as_written(each) for each in self.frames),
            held=self.video.path,
        )

        part = result.trim(self.range)
        lacking = [frame for frame in part if frame.kept_matte is None]
        wanted = self.matte or (self.matte is None and len(lacking) < len(part))
        labels_only = parse_format(self.format)[0].labels_only

        def listen(done: int, total: int, *, step: str = "") -> None:
            if here.stop.is_set():
                raise CancelledError("the download was stopped", why="you asked for that", fix="ask for it again")
            here.tell(Progress(done=done, total=total, step=step))

        if self.matte is False:
            part = part.without_matte()
        elif wanted and not labels_only and (lacking or self.mattes):
            plan = networks_of(here).plan
            part = part.with_matte(
                device=plan.device,
                precision=plan.precision,
                runtime=plan.runtime,
                anew=False,
                listen=partial(listen, step="looking at edges"),
            )
            places = {mask.number: mask.index for mask in self.frames}
            missing = {frame.number for frame in lacking}
            for frame in part:
                if frame.number in missing and frame.kept_matte is not None:
                    here.tell(Matted(index=places[frame.number], matte=frame.kept_matte))
        saved = part.write(
            OutputFolder(Path(self.folder), overwrite=True), formats=[self.format], edges=self.edges, listen=listen
        )
        name = self.format.partition("=")[0]
        for text in (*saved.warnings, *saved.notes):
            said = without_paths(text, self.hidden, name="the background")
            here.tell(Note(text=said.removeprefix(f"{name}: ")))
