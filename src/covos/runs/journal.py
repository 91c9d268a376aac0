"""The journal of a run: one appended line a frame, from which a stopped run goes on.

An entry holds a frame's result, so that any output can be made from it and the source alone. Its line is a JSON object
whose last field is the checksum of the bytes before it. It is handed to the system as soon as the frame is computed: a
killed process loses no frame. It is forced to the disk once a second: a power cut loses one second. The rest of a last
line that a kill or a full disk left does not match its checksum and is cut off.
"""

from __future__ import annotations

import json
import os
import time
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Final, Self

from covos.core.errors import CovosError, InputError, SourceError
from covos.core.files import open_own
from covos.core.limits import limits
from covos.core.types import Frame, FrameResult
from covos.core.words import OVERWRITE
from covos.formats.reading import DamagedError, check_size
from covos.masks.frame_json import mask_from_json, mask_to_json
from covos.masks.frame_mask import FrameMask, result_of
from covos.masks.soft import Depth, SoftMask
from covos.runs.folder import explained

JOURNAL: Final = "journal.jsonl"
WRITTEN: Final = "kept.jsonl"
"""Journal of masks that were not found here but corrected, converted or saved: as they were written, after edges."""
_KEYS: Final = (
    *("index", "stem", "pts", "status", "confidence", "seconds", "size", "objects"),
    *("states", "between", "feather", "bits", "soft", "matte"),
)
"""The fields of an entry's line, in their order."""
_SELDOM: Final = ("states", "between", "feather")
"""Those that are left out where they say nothing."""
_NO_TIME_BASE: Final = Fraction(1)
"""Stands for the time base, which no line states."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JournalEntry:
    """A frame's result without its picture, and how it was computed.

    Attributes:
        masks: The result. One that was read has the time base 1 s: only the frame knows its own.
        seconds: Time that computing it took.
        between: See `FrameResult`.
    """

    masks: FrameMask
    seconds: float
    between: bool = False

    @classmethod
    def of(cls, result: FrameResult, *, seconds: float, bits: Depth = 8) -> Self:
        """Keep a result; its probability at a depth of so many bits."""
        return cls.and_restored(result, seconds=seconds, bits=bits)[0]

    @classmethod
    def and_restored(cls, result: FrameResult, *, seconds: float, bits: Depth = 8) -> tuple[Self, FrameResult]:
        """Keep a result, as `of` does; and return what `restore` will give, without unpacking."""
        soft, probability = SoftMask.and_rounded(result.probability, result.labels > 0, bits=bits)
        masks = replace(FrameMask.of(result, soft=False), soft=soft)
        entry = cls(masks=masks, seconds=seconds, between=result.between)
        return entry, replace(result, probability=probability)

    def restore(self, frame: Frame) -> FrameResult:
        """Return the result, with the frame's picture.

        Raises:
            InputError: The probability is damaged.
            SourceError: It is another frame than the one that was kept.
        """
        masks = self.masks
        was, now = (
            f"frame {each.index} {each.stem!r} at {each.pts}, {each.size[1]}x{each.size[0]}" for each in (masks, frame)
        )
        if was != now:
            raise SourceError(
                f"frame {masks.index} is no longer what it was",
                why=f"it was {was}, it is {now}",
                fix="put the source back as it was, or begin anew in another folder",
            )
        if frame.status != masks.status:  # what became of it while it was computed
            frame = replace(frame, status=masks.status)
        return result_of(masks, frame, between=self.between)

    def to_json(self) -> str:
        """Write it as one line, without its end."""
        content = {**mask_to_json(self.masks), "seconds": round(self.seconds, 4), "between": self.between}
        there = {name: content[name] for name in _KEYS if name in content}
        return json.dumps({name: value for name, value in there.items() if value or name not in _SELDOM})

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read `to_json`'s line."""
        try:
            content = json.loads(text)
            return cls(
                masks=_masks_of(content),
                seconds=content["seconds"],
                between=content.get("between", False) is True,
            )
        except _FAULTS as error:
            raise _unreadable(error) from error


def _masks_of(content: Any) -> FrameMask:
    height, width = content["size"]
    check_size((height, width))
    return mask_from_json(content, time_base=_NO_TIME_BASE)


_FAULTS = (ValueError, KeyError, TypeError, AttributeError, InputError, DamagedError)


def _unreadable(error: Exception) -> InputError:
    return InputError(
        "an entry of the journal cannot be read",
        why=f"{type(error).__name__}: {' '.join(str(error).split())}",
        fix="begin anew in another folder",
    )


SYNC_EVERY = 1.0
"""Seconds between two flushes to the disk. A flush takes from a fraction of a millisecond to some tens, by the disk."""

_MARK = b', "crc32": "'
_TAIL = len(_MARK) + 8 + len(b'"}\n')


class Journal:
    """Entries of frames 0, 1, 2 ... in a file that only grows; for a ``with`` block.

    An earlier run left ``resumed`` of the ``count`` entries. Frames are computed in batches. A number of entries that
    is no multiple of ``batch`` is cut down to one, so that the frames after it are computed in the same company as in a
    run that was never stopped.

    If files of the source were mended, ``earlier`` is the journal of the run before, and ``redo`` are the frames that
    have to be computed again. The others are taken from there. A ``whole`` journal has all frames: none is computed,
    and nothing of it is cut off.
    """

    def __init__(
        self, path: Path, *, batch: int, earlier: Path | None = None, redo: Sequence[int] = (), whole: bool = False
    ) -> None:
        self.path, self.whole = path, whole
        self.earlier, self.redo = earlier, tuple(redo)
        with explained(path):
            self._file: IO[bytes] = open_own(path, "ab", buffering=0)
            self.resumed, self._end = _whole(path, batch=batch)
            if not whole:
                self._file.truncate(self._end)
        self.count = self.resumed
        self._seconds = array("d")
        self._synced = time.monotonic()

    @property
    def kept(self) -> int:
        """Number of frames that a run which goes on need not compute: those of the run before that stay among them."""
        before = 0 if self.earlier is None else count_entries(self.earlier)
        return self.count + len(set(range(self.count, before)).difference(self.redo))

    def replay(self) -> Iterator[JournalEntry]:
        """Read the entries of the earlier run, one at a time."""
        for entry in read_entries(self.path, count=self.resumed):
            self._seconds.append(entry.seconds)
            yield entry

    def seconds(self, index: int) -> float:
        """Return the time that computing a frame took, which `replay` has given."""
        return self._seconds[index]

    def append(self, entry: JournalEntry) -> None:
        """Add the entry of the next frame; if that fails, the journal is as it was before."""
        if entry.masks.index != self.count:
            raise ValueError(f"entry {entry.masks.index} cannot follow {self.count} entries")
        line = _line(entry)
        with explained(self.path):
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[self._file.write(rest) :]
                if time.monotonic() - self._synced >= SYNC_EVERY:
                    self.sync()
            except BaseException:
                self._file.truncate(self._end)
                raise
        self._end += len(line)
        self.count += 1

    def sync(self) -> None:
        """Force what was appended to the disk."""
        with explained(self.path):
            os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def close(self) -> None:
        """Close the file; what was appended is safe."""
        if not self._file.closed:
            with self._file:
                self.sync()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_entries(path: Path, *, count: int | None = None) -> Iterator[JournalEntry]:
    """Read the first so many entries of a journal, or all that are whole, one at a time."""
    with open_own(path, "rb") as file:
        for _ in range(_whole(path, batch=1)[0] if count is None else count):
            yield JournalEntry.from_json(file.readline()[:-_TAIL] + b"}")


def short(path: Path, *, count: int, frames: int | None = None) -> InputError:
    """Return the error of a whole journal of which so many entries can be read, of ``frames``, if that is known."""
    of = "" if frames is None else f" of {frames}"
    return InputError(
        f"{path} is damaged",
        why=f"entry {count}{of} cannot be read, and further formats, other edges and labels are made of it",
        fix="put it back; covos convert makes formats of the masks; or start anew with " + OVERWRITE,
    )


def count_entries(path: Path, *, batch: int = 1) -> int:
    """Return how many frames a journal keeps, in full batches; 0 where there is none that can be read."""
    try:
        return _whole(path, batch=batch)[0]
    except (OSError, CovosError):
        return 0


def read_kept(path: Path) -> Iterator[FrameMask]:
    """Read the masks of all entries that are whole, one at a time; the journal may be somebody else's."""
    with open_own(path, "rb") as file:
        index = 0
        while _is_whole(line := file.readline(limits().bytes), index=index):
            try:
                yield _masks_of(json.loads(line))
            except _FAULTS as error:
                raise _unreadable(error) from error
            index += 1


def _line(entry: JournalEntry) -> bytes:
    body = entry.to_json()[:-1].encode("ascii")
    return b'%s%s%08x"}\n' % (body, _MARK, zlib.crc32(body))


def _whole(path: Path, *, batch: int) -> tuple[int, int]:
    """Count the whole entries at the file's beginning, in full batches, and find their end."""
    count = end = at = kept = 0
    with open_own(path, "rb") as file:
        for line in file:
            if not _is_whole(line, index=count):
                break
            count += 1
            at += len(line)
            if count % batch == 0:
                kept, end = count, at
    return kept, end


def _is_whole(line: bytes, *, index: int) -> bool:
    body, tail = line[:-_TAIL], line[-_TAIL:]
    return tail == b'%s%08x"}\n' % (_MARK, zlib.crc32(body)) and body.startswith(b'{"index": %d,' % index)
