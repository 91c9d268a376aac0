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
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Self

import cv2
import numpy as np

from covos.core.errors import InputError, SourceError
from covos.core.types import FrameResult, ObjectStatus
from covos.formats.base import Bits
from covos.masks import RLE
from covos.masks.frame_mask import labels_of, objects_of
from covos.runs.folder import not_written

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.core.types import Frame, FrameStatus, LabelArray

_LEVEL = 1  # of zlib: higher ones save a quarter at twice the time


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JournalEntry:
    """A frame's result without its picture.

    Attributes:
        index: 0-based position among the decoded frames.
        stem: Name for this frame's outputs.
        pts: Presentation time in units of the source's time base.
        status: Whether the decoder painted over damage.
        confidence: See `covos.core.types.FrameResult`; may be NaN.
        seconds: Time that computing it took.
        labels: H x W uint8; 0 = background, 1.. = object ids.
        matte: H x W uint8 or uint16, the probability times 255 or 65535, rounded; None where no output needs it.
        objects: The state of each object that is followed.
    """

    index: int
    stem: str
    pts: int
    status: FrameStatus
    confidence: float
    seconds: float
    labels: LabelArray
    matte: NDArray[np.uint8] | NDArray[np.uint16] | None
    objects: tuple[ObjectStatus, ...] = ()

    @classmethod
    def of(cls, result: FrameResult, *, seconds: float, bits: Bits) -> Self:
        """Keep a result.

        Args:
            result: The result of a frame.
            seconds: Time that computing it took.
            bits: Depth at which the probability is kept; 0 drops it.
        """
        frame = result.frame
        matte: NDArray[np.uint8] | NDArray[np.uint16] | None = None
        if bits == 8:  # saturating and rounding to nearest, in one pass
            matte = np.asarray(cv2.convertScaleAbs(result.probability, alpha=255), np.uint8)
        elif bits == 16:
            matte = np.rint(result.probability * np.float32(65535)).astype(np.uint16)
        return cls(
            index=frame.index,
            stem=frame.stem,
            pts=frame.pts,
            status=frame.status,
            confidence=float(result.confidence),
            seconds=seconds,
            labels=result.labels,
            matte=matte,
            objects=result.objects,
        )

    def restore(self, frame: Frame) -> FrameResult:
        """Return the result, with the frame's picture; the probability is 0 or 1 if none was kept.

        Raises:
            SourceError: It is another frame than the one that was kept.
        """
        kept = (self.index, self.stem, self.pts, self.labels.shape)
        if (frame.index, frame.stem, frame.pts, frame.size) != kept:
            raise SourceError(
                f"frame {self.index} is no longer what it was",
                why=f"it was {_described(*kept)}, it is {_described(frame.index, frame.stem, frame.pts, frame.size)}",
                fix="put the source back as it was, or start anew with -y (overwrite=True)",
            )
        if self.matte is None:
            soft = (self.labels > 0).astype(np.float32)
        else:
            soft = self.matte * np.float32(1 / np.iinfo(self.matte.dtype).max)
        return FrameResult(
            frame=frame, probability=soft, labels=self.labels, confidence=self.confidence, objects=self.objects
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
            "objects": {str(identity): rle.to_coco()["counts"] for identity, rle in objects_of(self.labels).items()},
        }
        if self.objects:
            content["states"] = [asdict(status) for status in self.objects]
        if self.matte is not None:
            content["bits"] = 8 * self.matte.itemsize
            content["matte"] = base64.b64encode(zlib.compress(self.matte.data, _LEVEL)).decode("ascii")
        return json.dumps(content)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read `to_json`'s line.

        Raises:
            InputError: It is not one.
        """
        try:
            content = json.loads(text)
            height, width = content["size"]
            objects = {
                int(identity): RLE.from_coco({"size": [height, width], "counts": counts})
                for identity, counts in content["objects"].items()
            }
            matte: NDArray[np.uint8] | NDArray[np.uint16] | None = None
            if "matte" in content:
                packed = zlib.decompress(base64.b64decode(content["matte"]))
                if content["bits"] == 16:
                    matte = np.frombuffer(packed, np.uint16).reshape(height, width)
                else:
                    matte = np.frombuffer(packed, np.uint8).reshape(height, width)
            return cls(
                index=content["index"],
                stem=content["stem"],
                pts=content["pts"],
                status=content["status"],
                confidence=math.nan if content["confidence"] is None else content["confidence"],
                seconds=content["seconds"],
                labels=labels_of(objects, size=(height, width)),
                matte=matte,
                objects=tuple(ObjectStatus(**status) for status in content.get("states", ())),
            )
        except (ValueError, KeyError, TypeError, AttributeError, InputError, zlib.error) as error:
            raise InputError(
                "an entry of the journal cannot be read",
                why=f"{type(error).__name__}: {' '.join(str(error).split())}",
                fix="start anew with -y (overwrite=True)",
            ) from error


def _described(index: int, stem: str, pts: int, size: tuple[int, ...]) -> str:
    return f"frame {index} {stem!r} at {pts}, {size[1]}x{size[0]}"


SYNC_EVERY = 1.0
"""Seconds between two flushes to the disk. A flush takes from a fraction of a millisecond to some tens, by the disk."""

_MARK = b', "crc32": "'
_TAIL = len(_MARK) + 8 + len(b'"}\n')


class Journal:
    """Entries of frames 0, 1, 2 ... in a file that only grows.

    Use it in a ``with`` block, or `close` it.

    Args:
        path: The file; made if it is not there.
        batch: Frames that are computed together. A number of entries that is no multiple of it is cut down to one:
            the frames after it are then computed in the same company as in a run that was never stopped.

    Attributes:
        resumed: Entries that an earlier run left.
        count: Entries in all.

    Raises:
        EnvironmentProblem: The file cannot be read or written.
    """

    def __init__(self, path: Path, *, batch: int) -> None:
        self._path = path
        try:
            self._file: BinaryIO = path.open("ab", buffering=0)
            self.resumed, self._end = _whole(path, batch=batch)
            self._file.truncate(self._end)
        except OSError as error:
            raise not_written(path, error) from error
        self.count = self.resumed
        self._seconds = array("d")
        self._synced = time.monotonic()

    def replay(self) -> Iterator[JournalEntry]:
        """Read the entries of the earlier run, one at a time.

        Raises:
            InputError: One is not what this covos wrote, though its checksum is right.
        """
        with self._path.open("rb") as file:
            for _ in range(self.resumed):
                entry = JournalEntry.from_json(file.readline()[:-_TAIL] + b"}")
                self._seconds.append(entry.seconds)
                yield entry

    def seconds(self, index: int) -> float:
        """Return the time that computing a frame took, which `replay` has given."""
        return self._seconds[index]

    def append(self, entry: JournalEntry) -> None:
        """Add the entry of the next frame.

        Raises:
            EnvironmentProblem: The disk is full or failed. The journal is then as it was before.
        """
        if entry.index != self.count:
            raise ValueError(f"entry {entry.index} cannot follow {self.count} entries")
        line = _line(entry)
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._synced >= SYNC_EVERY:
                self.sync()
        except BaseException as error:
            self._file.truncate(self._end)
            if isinstance(error, OSError):
                raise not_written(self._path, error) from error
            raise
        self._end += len(line)
        self.count += 1

    def sync(self) -> None:
        """Force what was appended to the disk.

        Raises:
            EnvironmentProblem: The disk failed.
        """
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise not_written(self._path, error) from error
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


def _line(entry: JournalEntry) -> bytes:
    body = entry.to_json()[:-1].encode("ascii")
    return b'%s%s%08x"}\n' % (body, _MARK, zlib.crc32(body))


def _whole(path: Path, *, batch: int) -> tuple[int, int]:
    """Count the whole entries at the file's beginning, in full batches, and find their end."""
    count = end = at = kept = 0
    with path.open("rb") as file:
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
