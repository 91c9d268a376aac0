"""The room of a server: how many bytes its clips and uploads take, and which are refused for lack of it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from covos.serve.errors import TooLargeError
from covos.serve.queue import WorkQueue
from covos.serve.rules import Rules
from covos.serve.uploads import Uploads


class Quota:
    """The room of a server, of which uploads that are still to come have their part.

    Args:
        rules: Bounds.
        queue: A clip is refused while too much waits in it.
        uploads: Those in parts, which say how large they become.
    """

    def __init__(self, rules: Rules, *, queue: WorkQueue, uploads: Uploads) -> None:
        self._rules, self._queue, self._uploads = rules, queue, uploads
        self._one = threading.Lock()
        self._lock = threading.Lock()
        self._announced: dict[Path, int] = {}

    def used(self) -> int:
        """Return the bytes of all clips and uploads, those that are still to come as well."""
        return sum(_sizes(self._rules.root).values()) + self._uploads.missing() + self._missing()

    def _missing(self) -> int:
        """Return the bytes that are still to come of uploads in one piece."""
        with self._lock:
            self._announced = {folder: size for folder, size in self._announced.items() if folder.is_dir()}
            announced = dict(self._announced)
        return sum(max(0, size - sum(_sizes(folder).values())) for folder, size in announced.items())

    def announce(self, folder: Path, size: int) -> None:
        """Count so many bytes, which are to come to a folder, as used for as long as it is there."""
        with self._lock:
            self._announced[folder] = size

    @contextmanager
    def room(self, size: int) -> Iterator[None]:
        """Hold room for so many bytes, for a ``with`` block in which an upload announces them.

        Raises:
            CovosError: See `refuse_new`.
        """
        with self._one:  # two at once would both find the same room
            self.refuse_new(size)
            yield

    def refuse_new(self, size: int) -> None:
        """Refuse a clip of so many bytes, before they are taken.

        Raises:
            BusyError: Too much is waiting.
            TooLargeError: It is too large, or there is no more room.
        """
        self._queue.refuse_full()
        self.refuse_large(size)
        self._refuse_full(size)

    def refuse_large(self, size: int) -> None:
        """Refuse a file of more bytes than this server takes, with a TooLargeError."""
        if size > self._rules.upload:
            raise TooLargeError(
                f"the file has {size:,} bytes",
                why=f"this server takes {self._rules.upload:,} at most",
                fix="cut it, or start the server with a larger --max-upload",
            )

    def refuse_over(self) -> None:
        """Refuse what has come, with a TooLargeError, if there is more than there is room for.

        Not every client announces how much it sends.
        """
        with self._one:
            self._refuse_full(0)

    def _refuse_full(self, size: int) -> None:
        """Refuse so many bytes more, with a TooLargeError, if there is no room for them."""
        used = self.used()
        if used + size > self._rules.quota:
            raise TooLargeError(
                "the server has no room for this clip",
                why=f"its clips take {used:,} bytes, and {self._rules.quota:,} is the most",
                fix="delete clips, or start the server with a larger --quota",
            )


def _sizes(root: Path) -> dict[tuple[int, int], int]:
    """Return the bytes of all files below a folder. A file that has two names counts once."""
    sizes: dict[tuple[int, int], int] = {}
    for folder, _, names in os.walk(root):  # folders that go away meanwhile are passed over
        for name in names:
            with suppress(OSError):
                found = Path(folder, name).lstat()
                sizes[found.st_dev, found.st_ino] = found.st_size
    return sizes
