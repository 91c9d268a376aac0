"""The journal of a run: one appended line a frame, from which a stopped run goes on.

An entry holds a frame's result, so that any output can be made from it and the source alone. Its line is a JSON object
whose last field is the checksum of the bytes before it. It is handed to the system as soon as the frame is computed: a
killed process loses no frame. It is forced to the disk once a second: a power cut loses one second. The rest of a last
line that a kill or a full disk left does not match its checksum and is cut off.
"""

from __future__ import annotations

import base64
import json
import math
import os
import time
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import IO, Any, Self

import numpy as np

from covos.core.errors import CovosError, InputError, SourceError
from covos.core.files import open_own
from covos.core.limits import limits
from covos.core.types import Frame, FrameResult, FrameStatus, LabelArray, ObjectStatus, ProbabilityArray
from covos.formats.reading import DamagedError, check_size
from covos.masks import RLE
from covos.masks.frame_mask import codes_of, labels_of, objects_from, objects_of
from covos.masks.soft import Depth, SoftMask
from covos.runs.folder import explained


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JournalEntry:
    """A frame's result without its picture, and the seconds that computing it took.

    ``soft`` is None where masks alone are known, as of an annotation.
    """

    index: int
    stem: str
    pts: int
    status: FrameStatus
    confidence: float
    seconds: float
    labels: LabelArray
    soft: SoftMask | None
    objects: tuple[ObjectStatus, ...] = ()
    matte: SoftMask | None = None
    between: bool = False
    feather: float = 0.0

    @classmethod
    def of(cls, result: FrameResult, *, seconds: float, bits: Depth = 8) -> Self:
        """Keep a result; its probability at a depth of so many bits."""
        return cls.and_restored(result, seconds=seconds, bits=bits)[0]

    @classmethod
    def and_restored(cls, result: FrameResult, *, seconds: float, bits: Depth = 8) -> tuple[Self, FrameResult]:
        """Keep a result, as `of` does; and return what `restore` will give, without unpacking."""
        frame, mask = result.frame, result.labels > 0
        soft, probability = SoftMask.and_rounded(result.probability, mask, bits=bits)
        entry = cls(
            index=frame.index,
            stem=frame.stem,
            pts=frame.pts,
            status=frame.status,
            confidence=float(result.confidence),
            seconds=seconds,
            labels=result.labels,
            soft=soft,
            objects=result.objects,
            matte=None if result.matte is None else SoftMask.of(result.matte, mask),
            between=result.between,
            feather=result.feather,
        )
        return entry, replace(result, probability=probability)

    def restore(self, frame: Frame) -> FrameResult:
        """Return the result, with the frame's picture.

        Raises:
            InputError: The probability is damaged.
            SourceError: It is another frame than the one that was kept.
        """
        was, now = (
            f"frame {index} {stem!r} at {pts}, {size[1]}x{size[0]}"
            for index, stem, pts, size in (
                (self.index, self.stem, self.pts, self.labels.shape),
                (frame.index, frame.stem, frame.pts, frame.size),
            )
        )
        if was != now:
            raise SourceError(
                f"frame {self.index} is no longer what it was",
                why=f"it was {was}, it is {now}",
                fix="put the source back as it was, or start anew with -y (overwrite=True)",
            )
        if frame.status != self.status:  # what became of it while it was computed
            frame = replace(frame, status=self.status)
        return FrameResult(
            frame=frame,
            probability=_probability(self.soft, self.labels),
            labels=self.labels,
            confidence=self.confidence,
            objects=self.objects,
            matte=None if self.matte is None else self.matte.restore(self.labels > 0),
            between=self.between,
            feather=self.feather,
        )

    def to_json(self) -> str:
        """Write it as one line, without its end."""
        content: dict[str, Any] = {
            "index": self.index,
            "stem": self.stem,
            "pts": self.pts,
            "status": self.status,
            "confidence": self.confidence if math.isfinite(self.confidence) else None,
            "seconds": round(self.seconds, 4),
            "size": list(self.labels.shape),
            "objects": codes_of(objects_of(self.labels)),
        }
        if self.objects:
            content["states"] = [asdict(status) for status in self.objects]
        if self.between:
            content["between"] = True
        if self.feather:
            content["feather"] = self.feather
        if self.soft is not None:
            content["bits"] = self.soft.bits
            content["soft"] = base64.b64encode(self.soft.data).decode("ascii")
        if self.matte is not None:
            content["matte"] = base64.b64encode(self.matte.data).decode("ascii")
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read `to_json`'s line."""
        try:
            content = json.loads(text)
            kept = KeptMasks.of(content)
            return cls(
                index=kept.index,
                stem=kept.stem,
                pts=kept.pts,
                status=content["status"],
                confidence=math.nan if content["confidence"] is None else content["confidence"],
                seconds=content["seconds"],
                labels=labels_of(kept.objects, size=kept.size),
                soft=kept.soft,
                objects=tuple(ObjectStatus(**status) for status in content.get("states", ())),
                matte=kept.matte,
                between=content.get("between", False) is True,
                feather=kept.feather,
            )
        except _FAULTS as error:
            raise _unreadable(error) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptMasks:
    """The masks of an entry, still packed."""

    index: int
    stem: str
    pts: int
    size: tuple[int, int]
    objects: dict[int, RLE]
    soft: SoftMask | None
    matte: SoftMask | None = None
    feather: float = 0.0

    @classmethod
    def of(cls, content: Any) -> Self:
        """Take them from the content of an entry."""
        height, width = content["size"]
        check_size((height, width))
        return cls(
            index=content["index"],
            stem=content["stem"],
            pts=content["pts"],
            size=(height, width),
            objects=objects_from(content["objects"], size=(height, width)),
            soft=None
            if "soft" not in content
            else SoftMask(
                size=(height, width),
                bits=16 if content["bits"] == 16 else 8,
                data=base64.b64decode(content["soft"]),
            ),
            matte=None
            if "matte" not in content
            else SoftMask(size=(height, width), bits=8, data=base64.b64decode(content["matte"])),
            feather=float(content.get("feather", 0.0)),
        )


def _probability(soft: SoftMask | None, labels: LabelArray) -> ProbabilityArray:
    return (labels > 0).astype(np.float32) if soft is None else soft.restore(labels > 0)


_FAULTS = (ValueError, KeyError, TypeError, AttributeError, InputError, DamagedError)


def _unreadable(error: Exception) -> InputError:
    return InputError(
        "an entry of the journal cannot be read",
        why=f"{type(error).__name__}: {' '.join(str(error).split())}",
        fix="start anew with -y (overwrite=True)",
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
    have to be computed again. The others are taken from there. A ``whole`` journal has all frames: none is computed.
    """

    def __init__(
        self, path: Path, *, batch: int, earlier: Path | None = None, redo: Sequence[int] = (), whole: bool = False
    ) -> None:
        self._path, self.whole = path, whole
        self.earlier, self.redo = earlier, tuple(redo)
        with explained(path):
            self._file: IO[bytes] = open_own(path, "ab", buffering=0)
            self.resumed, self._end = _whole(path, batch=batch)
            self._file.truncate(self._end)
        self.count = self.resumed
        self._seconds = array("d")
        self._synced = time.monotonic()

    def replay(self) -> Iterator[JournalEntry]:
        """Read the entries of the earlier run, one at a time."""
        for entry in read_entries(self._path, count=self.resumed):
            self._seconds.append(entry.seconds)
            yield entry

    def seconds(self, index: int) -> float:
        """Return the time that computing a frame took, which `replay` has given."""
        return self._seconds[index]

    def append(self, entry: JournalEntry) -> None:
        """Add the entry of the next frame; if that fails, the journal is as it was before."""
        if entry.index != self.count:
            raise ValueError(f"entry {entry.index} cannot follow {self.count} entries")
        line = _line(entry)
        with explained(self._path):
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
        with explained(self._path):
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


def count_entries(path: Path) -> int:
    """Return how many frames a journal keeps; 0 where there is none that can be read."""
    try:
        return _whole(path, batch=1)[0]
    except (OSError, CovosError):
        return 0


def read_kept(path: Path) -> Iterator[KeptMasks]:
    """Read the masks of all entries that are whole, one at a time; the journal may be somebody else's."""
    with open_own(path, "rb") as file:
        index = 0
        while _is_whole(line := file.readline(limits().bytes), index=index):
            try:
                yield KeptMasks.of(json.loads(line))
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
