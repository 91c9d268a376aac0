"""A clip on the server: its file, its masks and edits, and what is going on with it. All of it lies in one folder.

``job.json`` says what it is, ``found.jsonl`` has the masks that were found, ``edits/`` what the user has done,
``run/`` is the folder of the job that finds the subject, ``track.jsonl`` a track that goes on, ``results/`` has the
downloads, ``mattes.jsonl`` the mattes that these have found. ``opened.jsonl`` has what a finished run that was opened
knew; that run stays where it is.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypedDict, Unpack

from pydantic import AfterValidator, Field

from covos.core.errors import CovosError, InputError
from covos.core.files import open_own
from covos.core.records import Count, Record, read_record, write_record
from covos.core.types import JobState, SourceInfo
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask
from covos.media.range import WHOLE, Range
from covos.prompts.seed_mask import SeedMask, confirmed_frames
from covos.prompts.values import RegionPrompt
from covos.serve.edit_files import mask_line, mask_of, read_edit, write_edit
from covos.serve.edits import Edit, History
from covos.serve.frame_edits import in_regions, with_only
from covos.serve.mattes import Mattes
from covos.serve.places import printable
from covos.serve.prompt_steps import given_in
from covos.serve.schema import (
    Given,
    Problem,
    Stage,
    Timeline,
    Wanted,
)
from covos.serve.timeline import Glance
from covos.serve.workers import Video

RECORD = "job.json"
OPENED = "opened.jsonl"


class Ready(Wanted):
    """A download that is finished, of the masks of now; its notes say what could not be kept."""

    bytes: Count
    notes: tuple[str, ...] = ()


class Kept(Record):
    """A clip as its folder keeps it.

    ``task`` is the work that waits or runs while the state is ``queued`` or ``running``: a server that is started again
    knows by it how to go on. ``opened`` names the finished run that the clip was made of (`covos.serve.opened`).
    ``asked`` has the download that is being written or waits for that, for the same reason. ``cuts`` are the frames
    with which shots begin, but for the first. ``modified`` is when the file was written, in nanoseconds: one that was
    changed since is another clip.
    """

    id: str
    name: Annotated[str, AfterValidator(printable)]
    source: str
    info: SourceInfo
    size_bytes: Count
    created: str
    state: JobState
    task: Stage = "finding"
    revision: Count
    error: Problem | None = None
    edges: Edges = NO_EDGES
    range: Range = WHOLE
    results: dict[str, Ready] = Field(default_factory=dict)
    asked: dict[str, Wanted] = Field(default_factory=dict)
    hidden: tuple[int, ...] = ()
    opened: tuple[str, int] | None = None
    cuts: tuple[int, ...] = ()
    modified: int | None = None


class Changes(TypedDict, total=False):
    """The fields of a record that change after it was made; see `Kept`."""

    state: JobState
    task: Stage
    revision: int
    error: Problem | None
    edges: Edges
    results: dict[str, Ready]
    asked: dict[str, Wanted]
    hidden: tuple[int, ...]
    opened: tuple[str, int]
    cuts: tuple[int, ...]


class Clip:
    """A clip and all that is known of it. Methods may be called from any thread.

    Attributes:
        folder: Everything of it.
        lock: Guards the fields. The queue's lock comes before it: whoever holds this one never calls the queue, or two
            threads would wait for each other for ever.
        kept: The part that is on disk as ``job.json``.
        history: Masks, seeds and edits; of a clip that was loaded, they are read when they are first asked for.
        live: Masks of a track that is not over: shown already, an edit when it ends.
        touched: Frames that the user has changed while that track goes on: his stay.
        version: Grows with each change of masks, objects or edges.
        stage: The part of the work that runs now.
        seen: When somebody looked at it, worked on it or listened to it last, by the clock that never goes back.
        done: Frames of the work that runs, or of its step, that are done.
        total: All of these.
        step: What comes before the work itself, in words; empty when that runs.
        gone: True once it is deleted.
        mattes: Those that downloads have found.
        notes: What a user should know of each kind of work, from the last time that it was done.
        broken: Why downloads of the masks of now could not be made, by format.
    """

    def __init__(self, folder: Path, kept: Kept) -> None:
        self.folder, self.kept = folder, kept
        self.lock = threading.RLock()
        self._history: History | None = History()
        self.live: dict[int, FrameMask] = {}
        self.touched: set[int] = set()
        self._followed: int | None = None
        self.stage: Stage | None = None
        self.step = ""
        self.done = self.total = 0
        self.notes: dict[Stage | Literal["playing"], tuple[str, ...]] = {}
        self.seen = time.monotonic()
        self.gone = False
        self.broken: dict[str, CovosError] = {}
        self.mattes = Mattes(folder / "mattes.jsonl")
        self.version = 0
        self._glance = Glance(kept.info)
        self._steered: dict[int, tuple[FrameMask, tuple[RegionPrompt, ...], FrameMask]] = {}
        self._timeline: tuple[tuple[int, bool], Timeline] | None = None
        self._prompts: tuple[tuple[SeedMask, ...], tuple[Given, ...]] | None = None

    @classmethod
    def begin(
        cls, folder: Path, *, name: str, video: Video, info: SourceInfo, size: int, modified: int | None = None
    ) -> Clip:
        """Make the folder's record for a clip that was looked at."""
        kept = Kept(
            id=folder.name,
            name=name,
            source=video.path,
            range=video.range,
            info=info,
            size_bytes=size,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            state="queued",
            revision=0,
            modified=modified,
        )
        clip = cls(folder, kept)
        (folder / "edits").mkdir(exist_ok=True)
        clip.save()
        return clip

    @classmethod
    def load(cls, folder: Path) -> Clip:
        """Read a clip back; its masks and edits wait until they are needed, for there may be hours of them.

        Raises:
            InputError: The record, or what a finished run knew, is damaged.
        """
        kept = read_record(Kept, folder / RECORD, what=f"the record of {folder.name}", fix="remove the folder")
        clip = cls(folder, kept)
        clip._history = None
        if kept.opened is not None or clip._track.is_file():
            clip.read()
        return clip

    @property
    def is_read(self) -> bool:
        """The masks and edits are in memory."""
        return self._history is not None

    @property
    def history(self) -> History:
        """Masks, seeds and edits."""
        return self.read()

    def read(self) -> History:
        """Read the masks and all edits, if they are not read yet; what a stopped server left half done is left out."""
        with self.lock:
            if self._history is not None:
                return self._history
            history = self._history = History()
            self._load_found()
            if (opened := self.folder / OPENED).is_file():
                history.begin(read_edit(opened, time_base=self.kept.info.time_base))
            with suppress(InputError):  # an edit that is damaged, and those after it
                for number in range(1, 1 + len(self._edits())):
                    history.add(read_edit(self._edit(number), time_base=self.kept.info.time_base))
            while history.revision > self.kept.revision:
                history.undo()
            self._end_killed_track()
            return history

    def forget(self) -> None:
        """Let go of the masks and edits in memory, hours of them: they are read again from disk when they are needed.

        Never call it while work on the clip is under way.
        """
        with self.lock:
            self._history, self._timeline, self._glance = None, None, Glance(self.kept.info)
            self._prompts = None
            self._steered.clear()
            self.mattes.forget()

    def _load_found(self) -> None:
        with suppress(FileNotFoundError), open_own(self.folder / "found.jsonl", "rb") as file:
            for line in file:
                try:
                    mask = mask_of(line, time_base=self.kept.info.time_base)
                except (ValueError, KeyError, TypeError, CovosError):
                    return  # the end of a line that a killed server was writing
                self.history.find(mask)

    @property
    def id(self) -> str:
        """Name of the folder."""
        return self.kept.id

    @property
    def info(self) -> SourceInfo:
        """Description of the source."""
        return self.kept.info

    @property
    def video(self) -> Video:
        """The source, as processes open it."""
        return Video.read_as(self.info, path=self.kept.source, range=self.kept.range)

    @property
    def proxy(self) -> Path:
        """The video that browsers play, if it was made."""
        return self.folder / "proxy.mp4"

    @property
    def backdrops(self) -> Path:
        """Folder of the files that were sent to lie behind the subject."""
        return self.folder / "backdrops"

    @property
    def run(self) -> Path:
        """Folder of the job that finds the subject, or has found it."""
        return self.folder / "run" if self.kept.opened is None else Path(self.kept.opened[0])

    @property
    def places(self) -> tuple[str, ...]:
        """Files and folders of the server that belong to it: no message names them."""
        return (*self.video.places, str(self.folder), str(self.run))

    @property
    def _track(self) -> Path:
        """The masks that the current track has found."""
        return self.folder / "track.jsonl"

    def _edit(self, number: int) -> Path:
        return self.folder / "edits" / f"{number:06}.jsonl"

    def _edits(self) -> list[Path]:
        """Return the files of all edits, without what a killed server was writing."""
        return [file for file in (self.folder / "edits").glob("*.jsonl") if file.stem.isdecimal()]

    def note(self, of: Stage | Literal["playing"], text: str) -> None:
        """Tell the user something about a kind of work; what was told already is not told again."""
        with self.lock:
            told = self.notes.get(of, ())
            self.notes[of] = told if text in told else (*told, text)

    def save(self) -> None:
        """Write the record; of a clip that is deleted, nothing."""
        with self.lock:
            if not self.gone:
                write_record(self.kept, self.folder / RECORD)

    def change(self, **changes: Unpack[Changes]) -> None:
        """Change fields of the record, and write it."""
        with self.lock:
            self.kept = self.kept.model_copy(update=changes)
            self.save()

    def open(self, known: Edit, *, run: tuple[str, int], cuts: tuple[int, ...] = ()) -> None:
        """Take what a finished run knows of the clip, in place of finding its subject; it stays where it is."""
        with self.lock:
            write_edit(known, self.folder / OPENED)
            self.history.begin(known)
            self._outdate(state="done", opened=run, cuts=cuts)

    @property
    def edited(self) -> datetime:
        """When the user changed it last, by the clock of this machine; when it was made, if he has not."""
        edits = [file.stat().st_mtime for file in self._edits()]
        if not edits:
            return datetime.fromisoformat(self.kept.created).astimezone()
        return datetime.fromtimestamp(max(edits), UTC).astimezone()

    def begin_finding(self) -> None:
        """Forget what was found before: the job reports it again, from its journal."""
        with self.lock:
            self.read()  # the edits count on
            (self.folder / "found.jsonl").unlink(missing_ok=True)
            self._outdate()

    def found(self, masks: Iterable[FrameMask]) -> tuple[int, ...]:
        """Take masks as they were found; return the indices of their frames."""
        taken = []
        with self.lock, open_own(self.folder / "found.jsonl", "a", encoding="ascii") as file:
            for mask in masks:
                self.history.find(mask)
                self.version += 1
                file.write(mask_line(mask))
                taken.append(mask.index)
        return tuple(taken)

    def cut_at(self, cuts: tuple[int, ...]) -> None:
        """Take the clip as shots that begin with these frames."""
        with self.lock:
            if cuts != self.kept.cuts:
                self.version += 1
                self.change(cuts=cuts)

    def add(self, edit: Edit) -> None:
        """Apply an edit, and keep it."""
        with self.lock:
            for later in self._edits():
                if int(later.stem) > self.history.revision:
                    later.unlink()
            write_edit(edit, self._edit(self.history.revision + 1))
            self.history.add(edit)
            self.touched.update(edit.frames)
            self._outdate(revision=self.history.revision)

    def go(self, *, back: bool) -> tuple[int, ...]:
        """Undo or redo; return the frames that change."""
        with self.lock:
            before = self.history.regions
            frames = self.history.undo() if back else self.history.redo()
            self._outdate(revision=self.history.revision)
            return frames if self.history.regions == before else tuple(self.history.frames)

    def set_edges(self, edges: Edges) -> None:
        """Choose how the edges are changed."""
        with self.lock:
            self._outdate(edges=edges)

    def _outdate(self, **changes: Unpack[Changes]) -> None:
        """Change what masks, objects or edges depend on: downloads of before are thrown away."""
        self.version += 1
        self.broken.clear()
        for name in self.kept.results:
            forget_download(self.folder / "results" / name)
        changes["results"] = {}
        self.change(**changes)

    def forget_unfinished(self) -> None:
        """Delete the files of downloads that did not come to their end."""
        with self.lock:
            places = self.folder.joinpath("results").glob("*")
            for name in {place.name.removesuffix(".zip") for place in places} - self.kept.results.keys():
                forget_download(self.folder / "results" / name)

    def begin_track(self) -> None:
        """Begin a track: what it finds is an edit when it ends, however that is."""
        with self.lock:
            self.live, self.touched, self._followed = {}, set(), self.history.revision
            self._track.write_text(json.dumps({"revision": self.history.revision}) + "\n", encoding="ascii")

    def follow(self, mask: FrameMask) -> None:
        """Show a frame of a track that goes on."""
        with self.lock, open_own(self._track, "a", encoding="ascii") as file:
            self.live[mask.index] = mask
            self.version += 1
            file.write(mask_line(mask))

    def _end_killed_track(self) -> None:
        """Keep what a track had found when the server was killed."""
        with (
            suppress(FileNotFoundError, ValueError, KeyError, TypeError, CovosError),
            open_own(self._track, "rb") as file,
        ):
            self._followed = int(json.loads(file.readline())["revision"])
            self.touched = self.history.changed_since(self._followed)
            for line in file:  # the last one may be half written
                mask = mask_of(line, time_base=self.kept.info.time_base)
                self.live[mask.index] = mask
        self.end_track()

    def end_track(self) -> None:
        """Keep what a track has found, but for frames changed meanwhile and objects that are gone.

        One that was stopped on the frame of the correction has found nothing, and is no edit.
        """
        with self.lock:
            there = {thing.id for thing in self.history.things}
            frames = {index: with_only(mask, there) for index, mask in self.live.items() if index not in self.touched}
            self.live, self.touched = {}, set()
            track = self.history.edit("track", frames=frames, followed=self._followed)
            if self.history.has_followed(track):
                self.add(track)
            self.touched, self._followed = set(), None
            self._track.unlink(missing_ok=True)

    @property
    def frames(self) -> Mapping[int, FrameMask]:
        """Masks of now, with those of a track that goes on, as they are below the regions."""
        with self.lock:
            live = {index: mask for index, mask in self.live.items() if index not in self.touched}
            return {**self.history.frames, **live}

    @property
    def confirmed(self) -> frozenset[int]:
        """Frames that the user takes as right, with no correction since: regions do not change them."""
        return confirmed_frames(self.history.seeds)

    @property
    def prompts(self) -> tuple[Given, ...]:
        """The prompts of now; they are told anew when the seeds change, as every edit is gone through for it."""
        with self.lock:
            seeds = self.history.seeds
            if self._prompts is None or self._prompts[0] is not seeds:
                self._prompts = seeds, given_in(self.history)
            return self._prompts[1]

    def shown(self, frames: Iterable[FrameMask], *, soft: bool = False) -> list[FrameMask]:
        """Return masks without what the regions take from the subject.

        The soft edges of frames that change are dropped unless ``soft`` asks for them, which takes longer.
        """
        with self.lock:
            regions, confirmed = self.history.regions, self.confirmed
        return [mask if mask.index in confirmed else self._in_regions(mask, regions, soft=soft) for mask in frames]

    def _in_regions(self, mask: FrameMask, regions: tuple[RegionPrompt, ...], *, soft: bool) -> FrameMask:
        if soft or not regions:
            return in_regions(mask, regions)
        kept = self._steered.get(mask.index)
        if kept is None or kept[0] is not mask or kept[1] is not regions:
            kept = self._steered[mask.index] = mask, regions, in_regions(mask, regions, soft=False)
        return kept[2]

    def timeline(self) -> Timeline:
        """Return all frames at a glance."""
        with self.lock:
            more = self.kept.state in {"queued", "running"} and self.kept.task == "finding"
            version, kept = (self.version, more), self._timeline
            if kept is not None and kept[0] == version:
                return kept[1]
            known, seeds = self.frames, self.history.seeds
            names, cuts = tuple(thing.id for thing in self.history.things), self.kept.cuts
            live = sorted(self.live.keys() - self.touched)
            corrected = {index: shown & {*names} for index, shown in self.history.corrected().items()}
            found = self.history.objects_found
        shown = {mask.index: mask for mask in self.shown(known.values())}
        fresh = self._glance.timeline(
            shown, seeds=seeds, names=names, live=live, cuts=cuts, corrected=corrected, found=found, more=more
        )
        with self.lock:
            self._timeline = version, fresh
        return fresh

    def remove(self) -> None:
        """Delete everything of it. Work that is still under way finds nothing to write to, and ends."""
        with self.lock:
            self.gone = True
            shutil.rmtree(self.folder, ignore_errors=True)


def forget_download(folder: Path) -> None:
    """Delete the files of a download."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.with_name(f"{folder.name}.zip").unlink(missing_ok=True)
