"""Downloads: the masks of a clip as they are now, in any format, as one file."""

from __future__ import annotations

import zipfile
from pathlib import Path

from covos.core.errors import EnvironmentProblem, one_of
from covos.core.labelling import Labelling
from covos.formats.table import FORMATS
from covos.runs.schema import load_report
from covos.serve.clip import Clip
from covos.serve.edits import is_named
from covos.serve.errors import NotThereError, NotYetError
from covos.serve.queue import Work, WorkQueue
from covos.serve.schema import JobView, Made
from covos.serve.workers import Export


class Downloads:
    """Writes formats, and hands their files out.

    Args:
        queue: Runs what takes long.
    """

    def __init__(self, queue: WorkQueue) -> None:
        self._queue = queue

    def export(self, clip: Clip, name: str) -> JobView:
        """Write the masks of now in a format; the file can be fetched when it is ready."""
        if name not in FORMATS:
            raise NotThereError(
                f"there is no format {name!r}", why="no format has this name", fix=one_of(name, FORMATS)
            )
        self._queue.refuse_busy(clip)
        if not clip.history.frames:
            raise NotYetError("there is nothing to download", why="no frame has masks yet", fix="wait for the first")

        def run() -> None:
            try:
                size = self._write(clip, name).stat().st_size
            except BaseException:
                self._set_result(clip, name, None)
                raise
            self._set_result(clip, name, Made(state="ready", bytes=size))

        self._set_result(clip, name, Made(state="making"))
        self._queue.put(Work(clip=clip, stage="exporting", run=run))
        return self._queue.changed(clip)

    def _write(self, clip: Clip, name: str) -> Path:
        with clip.lock:
            frames = tuple(mask for _, mask in sorted(clip.history.frames.items()))
            labels = Labelling(own={thing.id: thing.name for thing in clip.history.things if is_named(thing)})
            edits = {"edits": clip.history.revision} if clip.history.revision else {}
        target = clip.folder / "results" / name
        task = Export(
            path=clip.kept.source,
            info=clip.info,
            job=str(clip.run),
            frames=frames,
            format=name,
            edges=clip.kept.edges,
            settings={**edits, **labels.settings},
            folder=str(target),
        )
        self._queue.follow(clip, task, take=lambda mask: None)
        return pack(target, name)

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


def pack(folder: Path, name: str) -> Path:
    """Return the file of a format: itself if it is one, else a zip of its files."""
    target = folder.with_name(f"{folder.name}.zip")
    found = [folder / output for output in load_report(folder).outputs]
    if len(found) == 1 and found[0].is_file():
        return found[0]
    if not found or not all(each.exists() for each in found):
        raise EnvironmentProblem(f"{name} is gone", why="its files were deleted", fix="ask for it again")
    newest = max(each.stat().st_mtime for each in found)
    if not target.is_file() or target.stat().st_mtime < newest:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for each in found:
                files = [each] if each.is_file() else sorted(file for file in each.rglob("*") if file.is_file())
                for file in files:
                    archive.write(file, file.relative_to(folder))
    return target
