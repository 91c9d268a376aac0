"""Uploads that go on after a lost connection: files that come in parts, by the tus protocol (tus.io, 1.0).

An upload is a folder with the bytes that have come and a record of how many there will be. Nothing is held in memory:
after a restart of the server it goes on where it was.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator, Set
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from starlette.concurrency import run_in_threadpool

from covos.core.errors import CovosError, UsageError
from covos.core.records import Count, Record, read_record, write_record
from covos.runs.folder import PARTIAL
from covos.serve.errors import ExpiredError, NotThereError, NotYetError, TooLargeError

KEPT = 24 * 3600.0
"""Seconds after which an upload that nobody goes on with is deleted."""
_RECORD, _DATA = "upload.json", "data"
_NAME = "sent-"
_LONGEST = 120
_FOLDER = "source"
_MOST_BYTES = 150
"""Bytes of a stored name without its suffix: disks take 255, and what is written of the clip adds endings to it."""
_NO_LETTERS = re.compile(r'[<>:"/\\|?*%\[\]{}]')
"""What some disk refuses in a name, or some reader of files takes for a pattern."""
_DEVICES = re.compile(r"(CON|PRN|AUX|NUL|COM\d|LPT\d)(\.|$)", re.IGNORECASE)
"""Names that Windows keeps for itself."""


class _Told(Record):
    name: str
    length: Count
    metadata: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that comes in parts.

    Attributes:
        id: Its name in addresses.
        folder: Where it lies.
        name: The client's name of the file, for people.
        length: Bytes that there will be.
        metadata: What the client said of it, as it said it.
    """

    id: str
    folder: Path
    name: str
    length: int
    metadata: str

    @property
    def file(self) -> Path:
        """The bytes that have come."""
        return self.folder / _DATA

    @property
    def offset(self) -> int:
        """Number of these; a NotThereError if the upload was deleted meanwhile."""
        return self._state.st_size

    @property
    def expires(self) -> float:
        """The time when it is deleted, if nothing more comes, in seconds since 1970; see `offset`."""
        return self._state.st_mtime + KEPT

    @property
    def _state(self) -> os.stat_result:
        try:
            return self.file.stat()
        except FileNotFoundError:
            raise _not_there() from None


class Uploads:
    """All uploads of a server. Methods may be called from any thread.

    Args:
        root: Folder in which they lie.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._held: set[str] = set()

    def begin(self, *, name: str, length: int, metadata: str = "") -> Upload:
        """Begin an upload of so many bytes."""
        identity = secrets.token_hex(16)
        folder = self._root / f"{_NAME}{identity}"
        folder.mkdir()
        (folder / _DATA).touch()
        write_record(_Told(name=name, length=length, metadata=metadata), folder / _RECORD)
        return self.get(identity)

    def get(self, identity: str) -> Upload:
        """Return an upload.

        Raises:
            NotThereError: There is none of this id.
            ExpiredError: It has waited too long.
        """
        folder = self._root / f"{_NAME}{identity}"
        if not (identity.isascii() and identity.isalnum() and (folder / _RECORD).is_file()):
            raise _not_there()
        told = read_record(_Told, folder / _RECORD, what="the record of an upload", fix="begin it anew")
        upload = Upload(id=identity, folder=folder, name=told.name, length=told.length, metadata=told.metadata)
        if upload.expires < time.time():
            self.delete(upload)
            raise ExpiredError("the upload has expired", why="nothing came for a day", fix="begin it anew")
        return upload

    def complete(self, identity: str) -> Upload:
        """Return an upload all of which has come.

        Raises:
            CovosError: See `get`; or some of it is still missing.
        """
        upload = self.get(identity)
        if upload.offset < upload.length:
            raise NotYetError(
                "the upload is not complete",
                why=f"{upload.offset:,} of {upload.length:,} bytes came",
                fix="go on with it",
            )
        return upload

    async def write(self, upload: Upload, *, offset: int, parts: AsyncIterator[bytes]) -> int:
        """Add bytes, as they come; return how many there are then. The bytes stay, whatever ends it.

        Raises:
            NotYetError: They do not go on where the last ended, or someone else writes.
            TooLargeError: More come than were announced.
        """
        with self.held(upload):
            there = await run_in_threadpool(lambda: upload.offset)
            if offset != there:
                raise NotYetError(
                    f"the upload does not go on at {offset:,}",
                    why=f"{there:,} bytes have come",
                    fix="ask with HEAD, and go on there",
                )
            with await run_in_threadpool(upload.file.open, "ab") as file:
                async for part in parts:
                    if there + len(part) > upload.length:
                        raise TooLargeError(
                            "more comes than was announced",
                            why=f"the file has {upload.length:,} bytes",
                            fix="begin it anew",
                        )
                    await run_in_threadpool(file.write, part)
                    there += len(part)
        return there

    @contextmanager
    def held(self, upload: Upload) -> Iterator[None]:
        """Hold an upload for the time of a block: nobody else sends to it, or makes a clip of it.

        Raises:
            NotYetError: Somebody does.
        """
        with self._lock:
            if upload.id in self._held:
                raise NotYetError(
                    "the upload is in use",
                    why="another connection sends to it, or makes a job of it",
                    fix="wait until that one has ended",
                )
            self._held.add(upload.id)
        try:
            yield
        finally:
            with self._lock:
                self._held.discard(upload.id)

    def delete(self, upload: Upload) -> None:
        """Delete an upload, with what has come of it."""
        shutil.rmtree(upload.folder, ignore_errors=True)

    def missing(self) -> int:
        """Return the bytes that are still to come of all uploads."""
        return sum(upload.length - upload.offset for upload in self._every())

    def expire(self) -> None:
        """Delete what nobody goes on with, also if its record is damaged; none is read for it."""
        for folder in self._root.glob(f"{_NAME}*"):
            with suppress(OSError):
                if (folder / _DATA).stat().st_mtime + KEPT < time.time() and has_only(folder, {_RECORD, _DATA}):
                    shutil.rmtree(folder, ignore_errors=True)

    def _every(self) -> Iterator[Upload]:
        for folder in self._root.glob(f"{_NAME}*"):
            with suppress(CovosError, OSError):
                yield self.get(folder.name.removeprefix(_NAME))


def _not_there() -> NotThereError:
    return NotThereError(
        "there is no such upload", why="it is finished, was deleted, or never was", fix="begin it anew"
    )


def is_unbegun(folder: Path) -> bool:
    """Tell if a folder is that of an upload whose record was never written: nobody was told of it."""
    return folder.name.startswith(_NAME) and has_only(folder, {_DATA})


def has_only(folder: Path, names: Set[str]) -> bool:
    """Tell if a folder has nothing but entries of these names, and files that were being written."""
    return all(entry.name in names or PARTIAL.fullmatch(entry.name) for entry in folder.iterdir())


def shown_name(name: str) -> str:
    """Return the client's name of a file for people: never a path, and not too long."""
    return Path(name.replace("\\", "/")).name[:_LONGEST] or "clip"


def suffix_of(name: str) -> str:
    """Return the part of a client's file name that helps to find its kind, as it may stand in a file name here."""
    return "".join(each for each in Path(name).suffix[:8] if each.isalnum() or each == ".")


def kept_as(folder: Path, name: str) -> Path:
    """Make room for an uploaded file in the folder of its clip, and return its path there: under its own name.

    Annotations and pictures that are written of it are called after it, so those of two clips can lie together. It has
    a folder to itself, as any name may be its own.
    """
    place = folder / _FOLDER
    place.mkdir()
    suffix = suffix_of(name)
    letters = "".join(each if each.isprintable() else "_" for each in _NO_LETTERS.sub("_", Path(name).stem))
    stem = letters.encode("utf-8")[:_MOST_BYTES].decode("utf-8", "ignore").strip(". ") or "clip"
    return place / f"{'_' if _DEVICES.match(stem) else ''}{stem}{suffix}"


def metadata_from(header: str) -> dict[str, str]:
    """Return what the header ``Upload-Metadata`` says: names with values in base 64, with commas between them.

    Raises:
        UsageError: It cannot be read.
    """
    said = {}
    try:
        for pair in filter(None, (each.strip() for each in header.split(","))):
            name, _, value = pair.partition(" ")
            said[name] = b64decode(value, validate=True).decode("utf-8")
    except ValueError as error:
        raise UsageError(
            "the header Upload-Metadata cannot be read",
            why=str(error),
            fix="write filename, a space, and the name in base 64",
        ) from error
    return said
