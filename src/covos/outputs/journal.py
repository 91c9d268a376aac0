"""The journal of a run: one appended line a frame, from which a stopped run goes on.

A line is a JSON object whose last field is the checksum of what stands before it. It is handed to the system as soon
as the frame is computed, so that a killed process loses no frame; it is forced to the disk once a second, so that a
power cut loses one second. What a kill or a full disk left of a last line does not match its checksum and is cut off.
"""

from __future__ import annotations

import os
import time
import zlib
from array import array
from typing import TYPE_CHECKING, BinaryIO, Self

from covos.errors import EnvironmentProblem
from covos.outputs.record import FrameRecord

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SYNC_EVERY = 1.0
"""Seconds between two flushes to the disk. One takes a fraction of a millisecond to some tens, by the disk."""

_MARK = b', "crc32": "'
_TAIL = len(_MARK) + 8 + len(b'"}\n')


class Journal:
    """Records of frames 0, 1, 2 ... in a file that only grows.

    Use it in a ``with`` block, or `close` it.

    Args:
        path: The file; made if it is not there.
        batch: Frames that are computed together. A number of records that is no multiple of it is cut down to one:
            the frames after it are then computed in the same company as in a run that was never stopped.

    Attributes:
        resumed: Records that an earlier run left.
        count: Records in all.

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
            raise _problem(path, error) from error
        self.count = self.resumed
        self._seconds = array("d")
        self._synced = time.monotonic()

    def replay(self) -> Iterator[FrameRecord]:
        """The records of the earlier run, one at a time.

        Raises:
            InputError: One is not what this covos wrote, though its checksum is right.
        """
        with self._path.open("rb") as file:
            for _ in range(self.resumed):
                record = FrameRecord.from_json(file.readline()[:-_TAIL] + b"}")
                self._seconds.append(record.seconds)
                yield record

    def seconds(self, index: int) -> float:
        """That computing a frame took, which `replay` has given."""
        return self._seconds[index]

    def append(self, record: FrameRecord) -> None:
        """Add the record of the next frame.

        Raises:
            EnvironmentProblem: The disk is full or failed. The journal is then as it was before.
        """
        if record.index != self.count:
            raise ValueError(f"record {record.index} cannot follow {self.count} records")
        line = _line(record)
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[self._file.write(rest) :]
            if time.monotonic() - self._synced >= SYNC_EVERY:
                self.sync()
        except BaseException as error:
            self._file.truncate(self._end)
            if isinstance(error, OSError):
                raise _problem(self._path, error) from error
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
            raise _problem(self._path, error) from error
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


def _line(record: FrameRecord) -> bytes:
    body = record.to_json()[:-1].encode("ascii")
    return b'%s%s%08x"}\n' % (body, _MARK, zlib.crc32(body))


def _whole(path: Path, *, batch: int) -> tuple[int, int]:
    """How many records at the file's beginning are whole, in full batches, and where they end."""
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


def _problem(path: Path, error: OSError) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{path} could not be written",
        why=f"{error.strerror or error}",
        fix="free some space, or write to another disk",
    )
