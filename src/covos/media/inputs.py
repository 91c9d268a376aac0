"""Whatever a caller gives as a source: a path, arrays, pictures, an iterable of frames, bytes, an open file; or a part.

`as_source` makes a value of it, `open_input` opens it. Frames are kept as they are given. Those of an iterable go to a
temporary file at once, since a source is read more than once and a clip need not fit in memory.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import weakref
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Lock
from typing import IO, Any, TypeAlias

import numpy as np
from PIL import Image, ImageOps

from covos.core.errors import CovosError, EnvironmentProblem, SourceError, UsageError, reworded
from covos.core.files import read_at
from covos.core.places import path_text
from covos.core.types import Deinterlace, Frame, ImageArray, SourceInfo, Times
from covos.media.damage import damage_of_part
from covos.media.depth import Deep
from covos.media.folder import DEFAULT_FRAME_RATE
from covos.media.images import kind_of
from covos.media.opening import open_file, open_source
from covos.media.picture import as_picture
from covos.media.range import WHOLE, Range, only_frame
from covos.media.rates import checked_rate
from covos.media.source import Health, Source

Picture: TypeAlias = np.ndarray[Any, Any] | Image.Image
"""H x W x 3 uint8 RGB, or x 4 with alpha, or a Pillow picture."""
Input: TypeAlias = str | os.PathLike[str] | Picture | Iterable[Picture] | bytes | IO[bytes]
"""A path or glob; a picture; frames, as N x H x W x 3 uint8 or one after another; the bytes of a video or image, or an
open binary file of one."""

_BLOCK = 1 << 20
_COMPARED = 64
"""Rows of a frame in memory, about, that show if it has changed."""
_FULL = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT}


class InMemory(ABC):
    """A source that is no path; made by `as_source`. It lives as long as something refers to it."""

    @abstractmethod
    def open(self, *, frame_rate: Fraction | float | None, deinterlace: Deinterlace = "auto") -> Source:
        """Open it; any number of times."""


class FramesInMemory(InMemory):
    """Frames as arrays, all of one size. They are not copied; a frame that has changed since it was read is refused.

    Args:
        frames: H x W x 3 uint8 RGB each, or H x W x 4 RGBA.
        single: True for one picture, which has no time.
    """

    def __init__(self, frames: Sequence[ImageArray], *, single: bool = False) -> None:
        self.frames = frames
        self.single = single
        self._sums: dict[int, int] = {}

    def __str__(self) -> str:
        return "a picture in memory" if self.single else f"{len(self.frames)} frames in memory"

    def frame(self, index: int) -> ImageArray:
        """Return a frame.

        Raises:
            SourceError: It has changed since it was first read, in one of the rows that are compared.
        """
        frame = self.frames[index]
        # Some rows show that a buffer was used again, and cost far less time than all.
        rows = frame[:: max(1, len(frame) // _COMPARED)]
        found = zlib.crc32(np.ascontiguousarray(rows).data)
        if self._sums.setdefault(index, found) != found:
            raise SourceError(
                f"{self} {'has' if self.single else 'have'} changed: frame {index} is no longer what it was",
                why="they are not copied, and were written to after they had been read",
                fix="leave them as they are as long as the result is used, or give a copy of them",
            )
        return frame

    def open(self, *, frame_rate: Fraction | float | None, deinterlace: Deinterlace = "auto") -> Source:
        """See `InMemory.open`."""
        return _FramesSource(self, checked_rate(frame_rate) or DEFAULT_FRAME_RATE)


class FileInMemory(InMemory):
    """The content of a video or image file, written to a temporary file that goes with this object.

    Args:
        content: Bytes, or an open binary file, which is read from where it stands.
        name: Name of the temporary file.

    Raises:
        UsageError: The file gives no bytes.
        EnvironmentProblem: The temporary disk is full.
    """

    def __init__(self, content: bytes | IO[bytes], *, name: str) -> None:
        with _temporary() as place:
            folder = Path(tempfile.mkdtemp(prefix="covos-", dir=place))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self.path = folder / name
            with self.path.open("wb") as file:
                for block in [content] if isinstance(content, bytes) else _blocks(content, name):
                    file.write(block)

    def __str__(self) -> str:
        kind = "picture" if kind_of(self.path) == "still" else "video"
        return f"a {kind} in memory ({self.path.stat().st_size:,} bytes)"

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.path.read_bytes(), self.path.name)

    def open(self, *, frame_rate: Fraction | float | None, deinterlace: Deinterlace = "auto") -> Source:
        """See `InMemory.open`."""
        name = str(self)
        try:
            source = open_file(self.path, name=name, frame_rate=frame_rate, deinterlace=deinterlace)
        except CovosError as error:
            raise reworded(error, lambda text: text.replace(str(self.path), name)) from error
        source.info = replace(source.info, file=str(self.path))
        source.held = self  # the file goes when nothing refers to this any more
        return source


@contextmanager
def _temporary() -> Iterator[str]:
    """Give the folder for temporary files; turn a full disk into a problem with a remedy."""
    what, fix = "the source could not be kept in a temporary file", "free some space, or set TMPDIR to another disk"
    try:
        folder = tempfile.gettempdir()
    except FileNotFoundError as error:  # it tries to write to each
        raise EnvironmentProblem(what, why=str(error.strerror or error), fix=fix) from error
    try:
        yield folder
    except OSError as error:
        if error.errno not in _FULL:
            raise
        why = f"{error.strerror or 'no space left'} on the disk of {folder}"
        raise EnvironmentProblem(what, why=why, fix=fix) from error


def _blocks(file: IO[bytes], name: str) -> Iterator[bytes]:
    """Yield the bytes of an open file; one in text mode fails on them, or gives text."""
    while True:
        try:
            block: object = file.read(_BLOCK)
            why = f"reading it gives a {type(block).__name__}, not bytes"
        except ValueError as error:  # of a wrong encoding, mode or state
            block, why = None, str(error)
        if not isinstance(block, bytes | bytearray | memoryview):
            raise UsageError(f"the open file {name!r} cannot be read", why=why, fix='open it in binary mode, "rb"')
        if not block:
            return
        yield bytes(block)


def _again(content: bytes, name: str) -> FileInMemory:
    return FileInMemory(content, name=name)


def as_source(source: Any) -> str | InMemory:
    """Return a path as text, and anything else as a source in memory.

    Args:
        source: See `Input`. An iterable is read to its end.

    Raises:
        UsageError: It is none of these, an empty path, a list of paths, or an open file in text mode.
        SourceError: The frames are not H x W x 3 uint8, not of one size, or there are none.
        EnvironmentProblem: The temporary disk is full.
    """
    if isinstance(source, InMemory):
        return source
    if isinstance(source, str | os.PathLike):
        return path_text(source, what="the source")
    if isinstance(source, bytes | bytearray | memoryview):
        return FileInMemory(bytes(source), name="input")
    if hasattr(source, "read"):
        name = getattr(source, "name", None)
        return FileInMemory(source, name=Path(name).name if isinstance(name, str) else "input")
    if isinstance(source, Image.Image) or (isinstance(source, np.ndarray) and source.ndim == 3):
        return FramesInMemory([_picture(source, index=0)], single=True)
    if isinstance(source, Iterable) and not isinstance(source, Mapping):
        return _frames(source)
    raise UsageError(
        f"a {type(source).__name__} is no source",
        why="it is neither a path nor a picture, frames, bytes or an open file",
        fix="give a path, H x W x 3 uint8 arrays, Pillow pictures, the bytes of a file, or an open file",
    )


def open_input(
    source: Input | InMemory,
    *,
    frame_rate: Fraction | float | None = None,
    range: Range = WHOLE,
    deinterlace: Deinterlace = "auto",
) -> Source:
    """Open whatever `as_source` takes, or some of its frames.

    Args:
        source: A path, glob, or something in memory.
        frame_rate: See `covos.media.opening.open_source`; frames in memory take it as well.
        range: The part that is taken. Indices of the opened source count from its first frame; names and times do not
            change.
        deinterlace: See `covos.media.opening.open_source`.

    Raises:
        SourceError: It cannot be read.
        UsageError: The frame rate or the range makes no sense, or an open file is in text mode.
        EnvironmentProblem: The temporary disk is full.
    """
    rate = checked_rate(frame_rate)
    known = as_source(source)
    if isinstance(known, InMemory):
        opened = known.open(frame_rate=rate, deinterlace=deinterlace)
    else:
        opened = open_source(known, frame_rate=rate, deinterlace=deinterlace)
    try:
        return part_of(opened, range)
    except UsageError:
        opened.close()
        raise


def part_of(opened: Source, range: Range) -> Source:
    """Return the part of an open source that a range takes; to close it closes that. All of it is the source itself.

    Raises:
        UsageError: A place lies behind the end, or no frame lies between them.
    """
    if not range:
        return opened
    if range.takes_all:
        opened.info = replace(opened.info, times=range.times, whole=True)
        return opened
    return _Part(opened, range.frames(opened), times=range.times)


def still_of(source: str, *, range: Range = WHOLE) -> tuple[bool, int | None]:
    """Tell if a single picture is taken of a path, and which frame it is where it is a part (`only_frame`).

    A path that cannot be read is none, and is refused when it is opened. A whole video never is one, and is not opened.
    """
    try:
        if not range and Path(source).is_file():
            return kind_of(Path(source)) == "still", None
        with open_input(source, range=range) as opened:
            return opened.info.is_still, only_frame(opened.info)
    except (CovosError, OSError):
        return False, None


def _frames(frames: Iterable[object]) -> FramesInMemory:
    if isinstance(frames, np.ndarray | Sequence):
        kept: Sequence[ImageArray] = [_picture(each, index=index) for index, each in enumerate(frames)]
    else:
        kept = _Spooled(_picture(each, index=index) for index, each in enumerate(frames))
    if not len(kept):
        raise SourceError("there are no frames", why="nothing was given", fix="give one or more")
    for index, frame in enumerate(kept):
        if frame.shape[:2] != kept[0].shape[:2]:
            raise SourceError(
                f"frame {index} in memory is {frame.shape[1]}x{frame.shape[0]}",
                why=f"the first is {kept[0].shape[1]}x{kept[0].shape[0]}, and a video has one size",
                fix="resize the frames first",
            )
    return FramesInMemory(kept)


def _picture(given: object, *, index: int) -> ImageArray:
    if isinstance(given, str | os.PathLike):
        raise UsageError(
            f"frame {index} in memory is a path: {os.fspath(given)}",
            why="frames in memory are pictures, and the files of a list are not opened",
            fix='give their folder, or a glob such as "frames/*.png", or the pictures themselves',
        )
    image = _pixels(given) if isinstance(given, Image.Image) else np.asarray(given)
    if image.ndim != 3 or image.shape[2] not in {3, 4} or image.dtype != np.uint8 or not image.size:
        raise SourceError(
            f"frame {index} in memory cannot be used",
            why=f"it is {' x '.join(map(str, image.shape)) or 'a single value'} {image.dtype}",
            fix="give H x W x 3 uint8 in the order red, green, blue, or x 4 with alpha",
        )
    return image


def _pixels(given: Image.Image) -> ImageArray:
    """Return a Pillow picture, upright, as H x W x 3 RGB, or x 4 where it has alpha."""
    image = ImageOps.exif_transpose(given)
    if image.mode.startswith("I"):
        deep = Deep(samples=np.asarray(image).clip(0, 65535).astype(np.uint16))
        return np.repeat(deep.at_8_bits(deep.bits)[:, :, None], 3, axis=2)
    return np.asarray(image.convert("RGBA" if image.has_transparency_data else "RGB"))


class _Spooled(Sequence[ImageArray]):
    """Frames of one size in a temporary file, raw."""

    def __init__(self, frames: Iterable[ImageArray]) -> None:
        self._shapes: list[tuple[int, ...]] = []
        self._starts: list[int] = []
        self._turn = Lock()
        with _temporary() as folder:
            self._file = tempfile.TemporaryFile(prefix="covos-", dir=folder)  # noqa: SIM115 - open as long as this lives
            weakref.finalize(self, self._file.close)
            try:
                for frame in frames:
                    self._starts.append(self._file.tell())
                    self._shapes.append(frame.shape)
                    self._file.write(np.ascontiguousarray(frame).data)
                self._file.flush()
            except BaseException:
                with suppress(OSError):  # bytes that the disk refused before are refused again
                    self._file.close()
                raise

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: Any) -> Any:
        shape = self._shapes[index]
        content = read_at(self._file.fileno(), self._starts[index], int(np.prod(shape)), turn=self._turn)
        return np.frombuffer(content, np.uint8).reshape(shape)

    def __reduce__(self) -> tuple[object, ...]:
        return list, (list(self),)


class _FramesSource(Source):
    """Frames in memory as a source."""

    def __init__(self, held: FramesInMemory, rate: Fraction) -> None:
        self._held, self._decoded = held, 0
        height, width, _ = held.frames[0].shape
        count = len(held.frames)
        self.info = SourceInfo(
            path=str(held),
            kind="image" if held.single else "frames",
            height=height,
            width=width,
            frame_count=count,
            frame_rate=None if held.single else rate,
            duration=None if held.single else float(count / rate),
            time_base=1 / rate,
            codec="raw",
        )

    @property
    def health(self) -> Health:
        return Health(decoded=self._decoded, expected=self.info.frame_count)

    def content(self) -> tuple[int, str]:
        hashed, size = hashlib.sha256(), 0
        for frame in self._held.frames:
            hashed.update(np.ascontiguousarray(frame).data)
            size += frame.nbytes
        return size, hashed.hexdigest()

    def _read_all(self) -> Iterator[Frame]:
        self._decoded = 0
        for frame in self._read_some(tuple(range(self.info.frame_count))):
            self._decoded += 1
            yield frame

    def _read_part(self, wanted: range) -> Iterator[Frame]:
        return self._read_some(tuple(wanted[: len(range(wanted.start, self.info.frame_count, wanted.step))]))

    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        for index in indices:
            picture = as_picture(self._held.frame(index))
            yield Frame(
                index=index,
                stem=f"{index:05d}",
                image=picture.image,
                pts=index,
                time_base=self.info.time_base,
                alpha=picture.alpha,
                bare=picture.bare,
            )


class _Part(Source):
    """Some of the frames of a source; their indices count from 0, their names and times stay as they are.

    Args:
        whole: The source.
        wanted: Indices of the frames; those behind its end are taken if they come.
        times: Times of the videos that are made of it.
    """

    def __init__(self, whole: Source, wanted: range, *, times: Times) -> None:
        self._whole, self._wanted, self._decoded = whole, wanted, 0
        known = wanted[: len(range(wanted.start, whole.info.frame_count, wanted.step))]
        rate = whole.info.frame_rate
        rate = None if rate is None else rate / wanted.step
        self.info = replace(
            whole.info,
            frame_count=len(known),
            frame_rate=rate,
            start=wanted.start,
            every=wanted.step,
            times=times,
            duration=None if rate is None else float(len(known) / rate),
        )
        # Pictures that are not taken are no part of the input: others may be added behind them.
        pictures = whole.info.kind == "frames"
        self.files = tuple(whole.files[index] for index in known) if pictures and whole.files else whole.files

    @property
    def health(self) -> Health:
        """See `Source.health`; what lies outside of the part is said in its notes, and counts nowhere."""
        wanted = self._wanted
        return damage_of_part(
            self._whole.health,
            wanted,
            known=self._whole.info.frame_count,
            decoded=self._decoded,
            is_done=self._decoded == len(wanted),
            place=lambda index: (index - wanted.start) // wanted.step,
            in_words=self._whole.damage_in_words,
        )

    def content(self) -> tuple[int, str]:
        return super().content() if self.files else self._whole.content()

    def content_of_files(self) -> tuple[tuple[str, str], ...]:
        each = self._whole.content_of_files()
        return tuple(each[index] for index in self._wanted[: len(self.files)]) if each and len(self.files) > 1 else ()

    def _read_all(self) -> Iterator[Frame]:
        self._decoded = 0
        for frame in self._whole.part(self._wanted):
            self._decoded += 1
            yield self._placed(frame)

    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        for frame in self._whole.select([self._wanted[index] for index in indices]):
            yield self._placed(frame)

    def _placed(self, frame: Frame) -> Frame:
        placed = frame.placed(self._wanted.index(frame.index), source_index=frame.index)
        is_last = placed.index == self.info.frame_count - 1
        return replace(placed, image=placed.given, duration=self._last_duration() if is_last else None)

    def _last_duration(self) -> int | None:
        """Return the units of time to the next frame that would be taken; before the end, to that of the source."""
        last, step, base = self._wanted[self.info.frame_count - 1], self._wanted.step, self.info.time_base
        count, known = self._whole.info.frame_count, self._whole.time_of
        if last + step >= count and self._whole.promised > count:
            return None  # other frames would come before the end
        shown = known(last + step) - known(last)
        if step > 1 and last + step > count and last > self._wanted.start:
            shown = max(shown, known(last) - known(last - step))  # as steady as the others
        return max(1, round(shown / base))

    def close(self) -> None:
        super().close()
        self._whole.close()
