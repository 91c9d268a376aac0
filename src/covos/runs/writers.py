"""Write on another thread, so that the model does not wait for encoders and disks."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from covos.core.types import FrameResult
from covos.formats.base import Format
from covos.formats.compose import ComposedResult


class BackgroundWriters:
    """Runs all writers as one: each frame goes to every writer in order, on one thread, through a bounded queue.

    When a writer fails, the others are aborted, and the next `write`, or `close`, raises the error. All calls to the
    writers are made on the one thread. Use it in a ``with`` block: the block aborts what was not closed. It does *not*
    close by itself: `close` returns the paths that were written, and may fail. At most ``depth`` frames wait; each
    holds its picture, probabilities and labels: 8 bytes a pixel.
    """

    def __init__(self, writers: Sequence[Format], *, depth: int = 8) -> None:
        self._writers = tuple(writers)
        self._queue: queue.Queue[FrameResult | None] = queue.Queue(maxsize=depth)
        self._error: BaseException | None = None
        self._stop = threading.Event()
        self._paths: tuple[Path, ...] = ()
        # A daemon: if its owner dies without a word, the program must still be able to end.
        self._thread = threading.Thread(target=self._run, name="covos-writers", daemon=True)
        self._thread.start()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of all writers."""
        return tuple(text for writer in self._writers for text in writer.warnings)

    def write(self, result: FrameResult) -> None:
        """Hand over a frame; wait while ``depth`` frames are waiting. An error may be one of an earlier frame."""
        if self._error is not None:
            raise self._error
        if not self._thread.is_alive():
            raise RuntimeError("the writers are closed")
        self._queue.put(result)

    def close(self) -> tuple[Path, ...]:
        """Write what waits, close all writers, end the thread; return the writers' paths, in their order.

        Raises:
            CovosError: A writer has failed. All of them are aborted then.
        """
        self._end()
        if self._error is not None:
            raise self._error
        return self._paths

    def abort(self) -> None:
        """Drop what waits, abort all writers, end the thread."""
        self._stop.set()
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _end(self) -> None:
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def _run(self) -> None:
        try:
            while (result := self._queue.get()) is not None and not self._stop.is_set():
                composed = ComposedResult.of(result)
                for writer in self._writers:
                    writer.write(composed)
            if not self._stop.is_set():
                self._paths = tuple(path for writer in self._writers for path in writer.close())
                return
        except BaseException as error:  # whatever it is, it belongs to the producer
            self._error = error
        for writer in self._writers:
            try:
                writer.abort()
            except Exception as error:
                # The first error is the one to report; this one must not keep the other writers from stopping.
                if self._error is None:
                    self._error = error
                else:
                    self._error.add_note(f"and stopping the {writer.name!r} writer failed: {error}")
        while result is not None:  # a producer may be waiting for room
            result = self._queue.get()
