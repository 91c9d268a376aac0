"""Downloads: the masks of a clip as they are now, in any format, as one file."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.files import atomic_path
from covos.core.labelling import Labelling
from covos.formats.options import composed_formats
from covos.formats.table import FORMATS, check_formats, instead_of, load_format
from covos.masks.frame_mask import FrameMask
from covos.media.range import Range
from covos.results.trimming import KeptFrames
from covos.runs.schema import load_report
from covos.serve.backdrops import Backdrops
from covos.serve.clip import Clip, Ready
from covos.serve.edits import is_named
from covos.serve.errors import NotThereError, NotYetError
from covos.serve.legends import LEGEND, legend_of
from covos.serve.pictures import CheckFormat
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import JobView, NewResult, Wanted
from covos.serve.tasks import Export
from covos.serve.workers import Matted, TaskWorker


class Downloads:
    """Writes formats, and hands their files out.

    Args:
        queue: Runs what takes long.
        pictures: Looks at files that are to lie behind the subject.
        backdrops: Gives these files.
    """

    def __init__(self, queue: WorkQueue, *, pictures: TaskWorker, backdrops: Backdrops) -> None:
        self._queue, self._pictures, self._backdrops = queue, pictures, backdrops

    def export(self, clip: Clip, name: str, asked: NewResult) -> JobView:
        """Write the masks of now, or those of a part, in a format; the file can be fetched when it is ready.

        An edit that comes meanwhile has it written again: a download never lacks what the user has done.

        Raises:
            CovosError: There is no such format, part, option or background, the clip or the server is busy, or nothing
                is there yet. A file that was made before stays then.
        """
        if name not in FORMATS:
            raise NotThereError(f"there is no format {name!r}", why="no format has this name", fix=instead_of(name))
        self._queue.refuse_busy(clip)
        if not clip.history.frames:
            raise NotYetError("there is nothing to download", why="no frame has masks yet", fix="wait for the first")

        wanted, range = Wanted.model_validate(asked.model_dump(exclude_unset=True)), asked.range
        _refuse_before(clip, range)
        _lacking(clip, range)  # refuses a part that is not there, before it waits
        format, hidden = self._format(clip, name, wanted)

        with self._queue.idle(clip):
            self._queue.refuse_full()  # before the file of before is forgotten
            with clip.lock:
                clip.broken.pop(name, None)
                others = {each: value for each, value in clip.kept.results.items() if each != name}
                clip.change(results=others, asked={name: wanted})
            self._put(clip, name, wanted, run=lambda: self._write(clip, name, wanted, format=format, hidden=hidden))
        return self._queue.changed(clip)

    def go_on(self, clip: Clip) -> None:
        """Write the download at which the server was stopped, from its beginning."""

        def run(name: str, wanted: Wanted) -> None:
            format, hidden = self._format(clip, name, wanted)  # its background may be gone
            self._write(clip, name, wanted, format=format, hidden=hidden)

        for name, wanted in clip.kept.asked.items():
            self._put(clip, name, wanted, run=partial(run, name, wanted))

    def _put(self, clip: Clip, name: str, wanted: Wanted, *, run: Callable[[], None]) -> None:
        def tidily() -> None:
            try:
                run()
            except BaseException:
                clip.forget_unfinished()  # it may be large, and nobody sees it
                raise

        self._queue.put(Work(clip=clip, stage="exporting", run=tidily, download=name, wanted=wanted), limited=False)

    def _write(self, clip: Clip, name: str, wanted: Wanted, *, format: str, hidden: tuple[str, ...]) -> None:
        done = False
        while not done:
            with clip.lock:
                version = clip.version
                task = self._task(clip, format, wanted=wanted, hidden=hidden)
            found, notes = list[Matted](), list[str]()
            self._queue.follow(clip, task, keep=found.append, note=notes.append)
            if found:
                clip.mattes.keep(
                    {each.index: each.matte for each in found},
                    masks={mask.index: mask for mask in task.frames},
                    regions={mask.index: task.regions_of(mask) for mask in task.frames},
                )
            if count := _lacking(clip, wanted.range):
                told = f"frames without masks are not in it: {count} of {clip.info.frame_count}"
                notes.append(f"{told}. Search on, or follow objects there, and ask again")
            if legend := legend_of(name, clip=clip.kept.name, things=clip.history.things):
                Path(task.folder, LEGEND).write_text(legend, encoding="utf-8")
            size = pack(Path(task.folder), name).stat().st_size
            with clip.lock:
                if done := clip.version == version:
                    said = tuple(dict.fromkeys(notes))
                    ready = Ready(bytes=size, notes=said, **wanted.model_dump(exclude_unset=True))
                    clip.change(results={**clip.kept.results, name: ready}, asked={})

    def _format(self, clip: Clip, name: str, wanted: Wanted) -> tuple[str, tuple[str, ...]]:
        """Return a format as it is asked for, with its value, and the files of it that no message names.

        Raises:
            CovosError: It has no such option, or its background cannot be shown.
        """
        kind = load_format(name)
        if wanted.matte and kind.labels_only:
            raise UsageError(
                f"{name} with a matte", why=f"{name} has hard edges", fix="leave matte out, or choose a soft format"
            )
        if wanted.value is not None and "background" in kind.composes:
            raise UsageError(
                f"{name} with the value {wanted.value!r}",
                why="a value may name any file of the server",
                fix="give the background as composition.background",
            )
        composition = wanted.composition
        file = self._backdrops.file(clip, composition.background)
        if file is not None:
            composition = composition.model_copy(update={"background": str(file)})
        asked = name if wanted.value is None else f"{name}={wanted.value}"
        (format, *more) = composed_formats([asked], composition)
        if more:
            raise UsageError(
                f"{name} with a background", why=f"{name} has none of its own", fix="ask for the format background"
            )
        if file is None:
            check_formats([format])
            return format, ()
        hidden = (str(file), str(file.parent))
        task = CheckFormat(format=format, hidden=hidden)
        for _ in self._pictures.run(task, name="the background", job=clip.id):
            pass
        return format, hidden

    @staticmethod
    def _task(clip: Clip, format: str, *, wanted: Wanted, hidden: tuple[str, ...]) -> Export:
        labels = Labelling(own={thing.id: thing.name for thing in clip.history.things if is_named(thing)})
        edits = {"edits": clip.history.revision} if clip.history.revision else {}
        steer = {"steer": [{"frame": None, **region.describe()} for region in clip.history.regions]}
        frames, regions, confirmed = _in_order(clip), clip.history.regions, clip.confirmed
        known = {mask.index: clip.mattes.of(mask, () if mask.index in confirmed else regions) for mask in frames}
        return Export(
            video=clip.video,
            info=clip.info,
            job=str(clip.run),
            part=None if clip.kept.opened is None else clip.kept.range,
            frames=frames,
            mattes={index: matte for index, matte in known.items() if matte is not None},
            regions=regions,
            confirmed=confirmed,
            cuts=clip.kept.cuts,
            format=format,
            edges=clip.kept.edges,
            range=wanted.range,
            matte=wanted.matte,
            settings={**edits, **(steer if clip.history.regions else {}), **labels.settings},
            folder=str(clip.folder / "results" / format.partition("=")[0]),
            hidden=hidden,
        )

    def download(self, clip: Clip, name: str) -> Path:
        """Return the file of a format.

        Raises:
            NotThereError: It was not asked for.
            NotYetError: It is still being written.
            CovosError: It could not be made.
        """
        if name in self._queue.making(clip):
            raise NotYetError(f"{name} is not ready", why="it is being written", fix="wait for the event")
        if name in clip.broken:
            raise clip.broken[name]
        if name not in clip.kept.results:
            raise NotThereError(
                f"{name} was not written", why="nobody asked for it since the last edit", fix="ask for it with POST"
            )
        return pack(clip.folder / "results" / name, name)


def _in_order(clip: Clip) -> tuple[FrameMask, ...]:
    with clip.lock:  # a track that goes on is not among them
        return tuple(mask for _, mask in sorted(clip.history.frames.items()))


def _refuse_before(clip: Clip, range: Range) -> None:
    """Refuse a part that begins before the job's first frame, with a UsageError: numbers are those of the video."""
    first, number = clip.info.start, range.start_number(clip.info)
    if number is not None and number < first:
        raise UsageError(
            f"start {range.start} lies before the job's first frame",
            why=f"the job begins with f{first}: frames of a range have their numbers in the whole video",
            fix=f"give f{first} or a later one, seconds from there, or no start",
        )


def _lacking(clip: Clip, range: Range) -> int:
    """Return the number of frames of a part that have no masks; a UsageError if there is no such part."""
    frames, info = _in_order(clip), clip.info
    taken = range.frames(KeptFrames(info=replace(info, frame_count=len(frames)), frames=frames))
    kept = frames[taken.start : taken.stop]
    first = 0 if range.start is None else kept[0].index
    end = info.frame_count if range.end is None else kept[-1].index + 1
    return end - first - len(kept)


def pack(folder: Path, name: str) -> Path:
    """Return the file of a format: itself if it is one, else a zip of its files, with the note that explains them."""
    target = folder.with_name(f"{folder.name}.zip")
    found = [folder / output for output in load_report(folder).outputs]
    if len(found) == 1 and found[0].is_file():
        return found[0]
    if not found or not all(each.exists() for each in found):
        raise EnvironmentProblem(f"{name} is gone", why="its files were deleted", fix="ask for it again")
    newest = max(each.stat().st_mtime for each in found)
    if not target.is_file() or target.stat().st_mtime < newest:
        # A clock that was not set yet, as on a board without a battery, gives files times that a zip cannot hold.
        with atomic_path(target) as partial, zipfile.ZipFile(partial, "w", strict_timestamps=False) as archive:
            for each in (*found, *folder.glob(LEGEND)):
                files = [each] if each.is_file() else sorted(file for file in each.rglob("*") if file.is_file())
                for file in files:
                    archive.write(file, file.relative_to(folder))
    return target
