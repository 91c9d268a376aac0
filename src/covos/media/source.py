"""Sources of frames: the base class of all kinds, reading them ahead, and the largest frame that is read."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from covos.core.errors import SourceError, UsageError
from covos.core.limits import limits, raising

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from covos.core.types import Frame, SourceInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingFrame:
    """A frame that the source had, and that did not come out.

    Attributes:
        after: Index of the frame that came out before it; -1 if none did.
        pts: Its time in units of the source's ``time_base``, as near as it is known.
        why: In plain words.
    """

    after: int
    pts: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Result of the latest full pass over a source: the frames that came out, and the damage that was met.

    Attributes:
        decoded: Frames that came out.
        expected: Frames that the source promises: its packets, or more where its index, its header or a gap beside
            damage shows more.
        concealed: Indices of the frames whose damage the decoder painted over.
        unreadable: Indices of the pictures that could not be read, in whose places others stand.
        undecodable: Packets that the decoder refused.
        cut: True if the file is shorter than its own header says, or ends in the midst of something.
        at_least: True if more frames may be missing than is known.
        lost: The frames that are missing, in order; empty before a pass is finished.
        warnings: Notes for the user, in plain words.
        notes: Damage of the file that lies outside of the part that was taken, in plain words.
    """

    decoded: int
    expected: int
    concealed: tuple[int, ...] = ()
    unreadable: tuple[int, ...] = ()
    undecodable: int = 0
    cut: bool = False
    at_least: bool = False
    lost: tuple[MissingFrame, ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Promised frames that did not come out; during a pass, those still to come."""
        return max(0, self.expected - self.decoded)

    @property
    def complete(self) -> bool:
        """True if every promised frame came out undamaged and the file is not cut."""
        damaged = self.missing or self.concealed or self.unreadable or self.undecodable
        return not (damaged or self.cut or self.at_least)


class Source(ABC):
    """A video, a folder of frames or one image, as a sequence of displayed frames.

    Iterating starts from the first frame each time, so a source can be read in several passes. Each pass opens its
    files anew, and closes them when it ends or is abandoned.

    A new kind of source sets ``info`` (and ``files``, if it has any) and defines three things: `health`, `_read_all`
    and `_read_some`; and `_ticks` if its frames do not keep to a rate, `_read_part` if it can do better than read from
    its beginning. Its frames are H x W x 3 uint8 RGB, of the size that ``info`` states; one of another size says so
    by its ``source_size``. Their indices count
    from 0, their times rise, and no two have the same stem, since outputs are named after it. Reading the same index
    twice gives the same frame. Input that cannot be used is refused, with a `SourceError`, on construction: no output
    exists then. Closed sources and indices out of order are refused here.

    Attributes:
        info: Facts that are known without a full pass.
        files: Files that it reads, in order.
        held: Owner of a temporary file that it reads; it must live as long.
    """

    info: SourceInfo
    files: tuple[Path, ...] = ()
    held: object = None
    _closed = False

    @property
    @abstractmethod
    def health(self) -> Health:
        """Result of the latest full pass; counts grow while it runs."""

    @abstractmethod
    def _read_all(self) -> Iterator[Frame]:
        """Begin a full pass: yield every frame that can be decoded, in presentation order."""

    @abstractmethod
    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        """Yield the frames with these indices, which are as `select` asks for them; `health` stays as it is."""

    def _ticks(self) -> Sequence[int] | None:
        """Return the times of all frames, in units of ``info.time_base``; None if they keep to the frame rate."""
        return None

    def _last_duration(self) -> int | None:
        """Return for how many units of ``info.time_base`` the last frame is shown; None if the source does not say."""
        return None

    def _read_part(self, wanted: range) -> Iterator[Frame]:
        """Begin a pass over these frames, which may go on behind the end; `health` then reports damage in it."""
        for frame in self._read_all():
            if frame.index in wanted:
                yield frame
            if frame.index >= wanted[-1]:
                return

    def __iter__(self) -> Iterator[Frame]:
        self.refuse_if_closed()
        return self._read_all()

    def part(self, wanted: range) -> Iterator[Frame]:
        """Begin a pass over ascending indices; those behind the end give nothing.

        On an intact source the frames are those of a full pass. `health` reports the damage that was met.
        """
        self.refuse_if_closed()
        return self._read_part(wanted)

    def damage_in_words(self, health: Health) -> tuple[str, ...]:
        """Return the warnings of `health` that are of these damages, in plain words.

        Args:
            health: Some of the damages that `health` lists, with its indices. If no frames came out beside them, it is
                not said of how many they are.
        """
        return ()

    @property
    def called(self) -> str:
        """Its name in messages: the path."""
        return str(self.info.path)

    @property
    def numbers(self) -> Sequence[int]:
        """Numbers of its frames in the whole source, ascending."""
        return self.info.numbers

    @property
    def stems(self) -> Sequence[str]:
        """Names of its pictures' files without suffixes; none of a video."""
        return [path.stem for path in self.files] if self.info.kind == "frames" else []

    @property
    def promised(self) -> int:
        """Frames that the source should have, those that are known to be missing as well."""
        return max(self.info.frame_count, self.health.expected)

    def index_of(self, number: int) -> int:
        """Return the index of the frame with this number in the whole source."""
        return (number - self.info.start) // self.info.every

    @property
    def length(self) -> Fraction:
        """Seconds from the beginning of the first frame to the end of the last that is promised; 0 for one image."""
        rate, ticks, count = self.info.frame_rate, self._ticks(), self.info.frame_count
        if rate is None:
            return Fraction(0)
        missing = (self.promised - count) / rate
        if ticks is None:
            return missing + count / rate
        last = self._last_duration()
        lasts = 1 / rate if last is None else last * self.info.time_base
        return missing + (ticks[-1] - ticks[0]) * self.info.time_base + lasts

    def index_at(self, seconds: Fraction) -> int:
        """Return the index of the first frame that begins so long after frame 0, or later; the count if none does."""
        rate, ticks = self.info.frame_rate, self._ticks()
        if ticks is not None:
            return bisect_left(ticks, ticks[0] + math.ceil(seconds / self.info.time_base))
        index = math.ceil(seconds * rate) if rate is not None else int(seconds > 0)
        return min(index, self.info.frame_count)

    def time_of(self, index: int) -> Fraction:
        """Return the seconds from the beginning of frame 0 to that of another; behind the last one, to its end."""
        rate, ticks = self.info.frame_rate, self._ticks()
        # Damage that showed up meanwhile leaves fewer times than frames were promised.
        if index >= (self.info.frame_count if ticks is None else len(ticks)):
            return self.length
        if ticks is not None:
            return (ticks[index] - ticks[0]) * self.info.time_base
        return index / rate if rate is not None else Fraction(0)

    def select(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames with these indices.

        On an intact source each is the same frame, with the same time and name, as a full pass gives for
        its index. On a damaged one, an index that a full pass would not reach is left out.

        Args:
            indices: Strictly ascending, each in [0, ``info.frame_count``).

        Raises:
            UsageError: The indices are not ascending or out of range, or the source is closed.
        """
        self.refuse_if_closed()
        wanted, count = tuple(indices), self.info.frame_count
        for before, after in pairwise(wanted):
            if after <= before:
                raise UsageError(
                    f"frame indices {before}, {after} are not ascending",
                    why="a source is read forward once",
                    fix="sort the indices and drop repeated ones",
                )
        for index in wanted[:1] + wanted[-1:]:
            if not 0 <= index < count:
                raise UsageError(
                    f"frame index {index} does not exist",
                    why=f"the source has {count} frames",
                    fix=f"give indices from 0 to {count - 1}",
                )
        return self._read_some(wanted)

    def content(self) -> tuple[int, str]:
        """Return the bytes that it reads, and their fingerprint (see `fingerprint`)."""
        return sum(size_of(path) for path in self.files), fingerprint(self.files)

    def content_of_files(self) -> tuple[tuple[str, str], ...]:
        """Return the name and fingerprint of each of its files; empty if it is one file, or not made of files."""
        return ()

    def close(self) -> None:
        """Refuse further passes. A pass that is under way ends on its own."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def refuse_if_closed(self) -> None:
        """Raise a UsageError if `close` was called."""
        if self._closed:
            raise UsageError(
                f"{self.info.path}: the source is closed",
                why="it was read after close() or outside its with block",
                fix="open it again",
            )


def check_pixels(name: str, *, height: int, width: int) -> None:
    """Refuse frames that would not fit in memory, whose files may be small, by the size that the header states."""
    most = limits().pixels
    if height * width > most:
        raise SourceError(
            f"{name}: its frames are {width}x{height} pixels",
            why=f"frames above {most} pixels are refused, so that a small file cannot fill the memory",
            fix="scale it down first, for example to 3840x2160; or " + raising("pixels", height * width),
        )


def check_frames(name: str, count: int) -> None:
    """Refuse more frames than the limit, as soon as they are counted."""
    most = limits().frames
    if count > most:
        raise SourceError(
            f"{name}: it has more than {most} frames",
            why="each takes some hundred bytes of memory and of the report",
            fix="cut it into parts; or " + raising("frames", max(count, 2 * most)),
        )


def check_streams(name: str, count: int) -> None:
    """Refuse a file of more streams than the limit: no camera writes so many."""
    most = limits().streams
    if count > most:
        raise SourceError(
            f"{name}: it has {count} streams",
            why=f"{most} are read, so that a small file cannot keep the machine busy",
            fix="keep the video and its sound alone; or " + raising("streams", count),
        )


def check_duration(name: str, seconds: float) -> None:
    """Refuse a video that lasts longer than the limit."""
    most = limits().duration
    if seconds > most:
        raise SourceError(
            f"{name}: it lasts {seconds:.0f} seconds",
            why=f"{most} are read, and its times may be damaged",
            fix="cut it into parts, or mend its times; or " + raising("duration", math.ceil(seconds)),
        )


def size_of(path: Path) -> int:
    """Return the bytes of a file; 0 where a name of many leads to none."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:  # links in a circle
        return 0


_BLOCK = 1 << 16
_BLOCKS_OF_ONE, _BLOCKS_OF_MANY = 64, 2


def fingerprint(files: Sequence[Path]) -> str:
    """Return the hex sha256 of files' names, sizes, and blocks of 64 KiB spread evenly over each, ends included.

    64 blocks of a single file are read, at most 4 MiB however long the video; 2 blocks of each of several files, so
    that most frames are read whole. An edit that keeps the size and touches none of these blocks is not seen; adding,
    removing, renaming or re-encoding is. A single file may be renamed: it is the same video.
    """
    digest = hashlib.sha256()
    for path in files:
        _add(digest, path, count=_BLOCKS_OF_ONE if len(files) == 1 else _BLOCKS_OF_MANY, named=len(files) > 1)
    return digest.hexdigest()


def fingerprint_each(files: Sequence[Path]) -> tuple[tuple[str, str], ...]:
    """Return the name of each of several files, and the first half of its fingerprint."""
    found = []
    for path in files:
        digest = hashlib.sha256()
        _add(digest, path, count=_BLOCKS_OF_MANY, named=True)
        found.append((path.name, digest.hexdigest()[:32]))
    return tuple(found)


def _add(digest: hashlib._Hash, path: Path, *, count: int, named: bool) -> None:
    try:
        if named and not path.is_file():  # to open a pipe would be to wait for it
            raise FileNotFoundError(path)
        size = path.stat().st_size
        digest.update(f"{(path.name if named else '')!r} {size}\n".encode())
        starts = range(0, size, _BLOCK)
        spread = [(size - _BLOCK) * block // (count - 1) for block in range(count)]
        with path.open("rb") as file:
            for start in starts if size <= count * _BLOCK else spread:
                file.seek(start)
                digest.update(file.read(_BLOCK))
    except OSError:
        if not named:
            raise
        digest.update(f"{path.name!r} is not to be read".encode())  # one picture of many
