"""Arrivals: how a file, an upload, a part of a clip or a finished run becomes a clip of the server."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from covos.core.errors import InputError, UsageError
from covos.core.types import SourceInfo
from covos.media.range import WHOLE, Range
from covos.serve.clip import Clip
from covos.serve.errors import SilentError
from covos.serve.leftovers import UPLOADING
from covos.serve.opened import check_fits, load_run
from covos.serve.pictures import Probe
from covos.serve.places import link
from covos.serve.queue import WorkQueue
from covos.serve.quota import Quota
from covos.serve.run_source import version_of
from covos.serve.to_open import ToOpen
from covos.serve.uploads import Upload, Uploads, kept_as
from covos.serve.workers import TaskWorker, Video


class Arrivals:
    """Takes what comes: each is looked at in a process, gets a folder, and is given to the desk.

    Args:
        root: Folder of all clips.
        quota: The room for them.
        queue: Nothing is taken from the uploads while too much waits in it.
        uploads: Those in parts.
        pictures: The process that looks at files.
        take: Gets each clip that has arrived; it may refuse it with a BusyError.
    """

    def __init__(
        self,
        root: Path,
        *,
        quota: Quota,
        queue: WorkQueue,
        uploads: Uploads,
        pictures: TaskWorker,
        take: Callable[[Clip], None],
    ) -> None:
        self._root, self._quota, self._queue, self._uploads = root, quota, queue, uploads
        self._pictures, self._take = pictures, take

    def begin_upload(self, size: int) -> Path:
        """Make the folder of an upload of so many bytes, which count as used as long as it is there.

        Raises:
            CovosError: See `Quota.refuse_new`.
        """
        with self._quota.room(size):
            folder = self._new_folder()
            self._quota.announce(folder, size)
        return folder

    def add_upload(self, folder: Path, *, video: Video, name: str) -> Clip:
        """Take an uploaded file, which lies in ``folder``, or a part of it.

        Raises:
            CovosError: It cannot be read, or is refused; the folder is gone then.
        """
        with _kept_if_well(folder):
            self._quota.refuse_over()
            info = self._look(video, name=name)
            place = self._new_place()
            folder.rename(place)
        with _kept_if_well(place):
            file = place / Path(video.path).relative_to(folder)
            video, info = replace(video, path=str(file)), replace(info, path=str(file))
            clip = Clip.begin(place, name=name, video=video, info=info, size=file.stat().st_size)
        self._take(clip)
        return clip

    def add_path(self, video: Video, *, name: str) -> Clip:
        """Take a file of the server's own, or a part of it.

        Raises:
            CovosError: It cannot be read, or is refused.
        """
        with self._made_place() as place:
            clip = self._begin(place, name=name, video=video)
        self._take(clip)
        return clip

    def add_part(self, clip: Clip, range: Range) -> Clip:
        """Take a part of another clip as a clip of its own, without its edits; each lives on without the other.

        Raises:
            CovosError: There is no such part.
        """
        source = Path(clip.kept.source)
        if not source.is_relative_to(self._root):
            return self.add_path(replace(clip.video, range=range), name=clip.kept.name)
        folder = self._new_folder()
        with _kept_if_well(folder):
            file = kept_as(folder, clip.kept.name)
            link(source, file)
        return self.add_upload(folder, video=replace(clip.video, path=str(file), range=range), name=clip.kept.name)

    def add_sent(self, upload: Upload, *, range: Range = WHOLE) -> Clip:
        """Take a file that was uploaded in parts, or a part of it; the upload is over then.

        Raises:
            NotYetError: Another request makes a clip of it.
            InputError, UsageError: It cannot be read, or has no such part; the upload is gone then.
            CovosError: It is refused, for no fault of its own, or nothing came of it in time: it stays.
        """
        self._queue.refuse_full()
        with self._uploads.held(upload):  # who asks twice, as the first answer is long in coming, gets one clip
            folder = self._new_folder()
            with _kept_if_well(folder):
                file = kept_as(folder, upload.name)
                link(upload.file, file)
            try:
                clip = self.add_upload(folder, video=Video(path=str(file), range=range), name=upload.name)
            except SilentError:  # the disk may be slow, and the bytes took long to come
                raise
            except (InputError, UsageError):
                self._uploads.delete(upload)
                raise
            self._uploads.delete(upload)
        return clip

    def open(self, asked: ToOpen) -> Clip:
        """Take a file of the server's own, or a finished run, whose masks and prompts the clip has then.

        Raises:
            CovosError: It cannot be read, or is refused.
        """
        path = asked.path
        if not asked.is_run:
            return self.add_path(Video(path=str(path), range=asked.range), name=path.name)
        run = version_of(path)
        video, known, cuts = load_run(path, part=asked.part)
        with self._made_place() as place:
            clip = self._begin(place, name=Path(video.path).name, video=video)
            check_fits(known, info=clip.info, run=path)
            clip.open(known, run=run, cuts=cuts)
        self._take(clip)
        return clip

    def _begin(self, folder: Path, *, name: str, video: Video) -> Clip:
        info, file = self._look(video, name=name), Path(video.path).stat()
        return Clip.begin(folder, name=name, video=video, info=info, size=file.st_size, modified=file.st_mtime_ns)

    def _look(self, video: Video, *, name: str) -> SourceInfo:
        info = self._pictures.last(Probe(video=video), name=name)
        assert isinstance(info, SourceInfo)
        return info

    def _new_folder(self) -> Path:
        """Make the folder of an upload; it becomes the clip's, or is deleted."""
        folder = self._root / f"{UPLOADING}{secrets.token_hex(8)}"
        folder.mkdir()
        return folder

    def _new_place(self) -> Path:
        """Return a name for the folder of a clip, which is not there yet."""
        return self._root / secrets.token_hex(8)

    @contextmanager
    def _made_place(self) -> Iterator[Path]:
        """Make the folder of a clip, for a block that begins it."""
        place = self._new_place()
        place.mkdir()
        with _kept_if_well(place):
            yield place


@contextmanager
def _kept_if_well(folder: Path) -> Iterator[None]:
    """Delete a folder if the block does not end well."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
