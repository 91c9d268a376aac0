"""Formats written in the background, on threads: whoever computes a frame does not wait until it is written."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Self

from covos.core.types import FrameResult
from covos.formats.base import Format
from covos.formats.compose import ComposedResult
from covos.formats.each import EachObjectFormat


class _Lane:
    """Runs some writers on one thread: each frame goes to each of them in order, through a bounded queue.

    After an error, and after `stop`, it takes frames and drops them: a producer may be waiting for room.
    """

    def __init__(self, writers: Sequence[Format], *, depth: int) -> None:
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self._writers = tuple(writers)
        # Plain queues, as Ctrl-C may come in the midst of anything. Within the `put` of a `queue.Queue` it may leave a
        # waiter behind, which takes the wake-up of the next `put`; the thread would then wait for ever.
        self._waiting: SimpleQueue[ComposedResult | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(depth):
            self._room.put(None)
        # A daemon: if its owner dies without a word, the program must still be able to end.
        self._thread = threading.Thread(target=self._run, name="covos-writers", daemon=True)
        self._thread.start()

    def put(self, result: ComposedResult) -> None:
        """Hand over a frame; wait while the queue is full."""
        self._room.get()
        self._waiting.put(result)

    def end(self) -> None:
        """Write what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _take(self) -> ComposedResult | None:
        result = self._waiting.get()
        self._room.put(None)
        return result

    def _run(self) -> None:
        try:
            while (result := self._take()) is not None and not self.stop.is_set():
                for writer in self._writers:
                    writer.write(result)
        except BaseException as error:  # whatever it is, it belongs to the producer
            self.error = error
        while result is not None:
            result = self._take()


class BackgroundWriters:
    """Runs all writers as one: each frame goes to every writer in order, on other threads, through bounded queues.

    Formats that need no more than the labels have a thread each. The others share one, since they share the colours
    and the alpha of a frame, which take the most of their time.

    When a writer fails, all are aborted by `close` or `abort`, and the next `write`, or `close`, raises the error. Use
    it in a ``with`` block: the block aborts what was not closed. It does *not* close by itself: `close` returns the
    paths that were written, and may fail. At most ``depth`` frames wait; each holds its picture, probabilities and
    labels: 8 bytes a pixel.
    """

    def __init__(self, writers: Sequence[Format], *, depth: int = 8) -> None:
        self._writers = tuple(writers)
        alone = [[writer] for writer in self._writers if writer.labels_only]
        together = [writer for writer in self._writers if not writer.labels_only]
        self._lanes = tuple(_Lane(lane, depth=depth) for lane in (*alone, together) if lane)
        self._over = False
        self._failed: BaseException | None = None
        """The error of closing or aborting, if nothing failed before."""
        self._paths: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of all writers."""
        own = (text for writer in self._writers for text in writer.warnings)
        return (*EachObjectFormat.left_whole(self._writers), *own)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of all writers."""
        return tuple(text for writer in self._writers for text in writer.notes)

    def write(self, result: FrameResult) -> None:
        """Hand over a frame; wait while ``depth`` frames are waiting. An error may be one of an earlier frame."""
        if self._over:
            raise self._error or RuntimeError("the writers are closed")
        composed = ComposedResult.of(result)
        for lane in self._lanes:
            if self._error is not None:
                raise self._error
            lane.put(composed)

    def close(self) -> tuple[Path, ...]:
        """Write what waits, close all writers, end the threads; return the writers' paths, in their order.

        Raises:
            CovosError: A writer has failed. All of them are aborted then.
        """
        if not self._over:
            self._end()
            if self._error is None:
                try:
                    self._paths = tuple(path for writer in self._writers for path in writer.close())
                except BaseException as error:
                    self._abort(error)
                    self._failed = error
            else:
                self._abort(self._error)
        if self._error is not None:
            raise self._error
        return self._paths

    def abort(self) -> None:
        """Drop what waits, abort all writers, end the threads."""
        if self._over:
            return
        for lane in self._lanes:
            lane.stop.set()
        self._end()
        self._abort(self._error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    @property
    def _error(self) -> BaseException | None:
        """The error of the first writer that has failed."""
        return next((lane.error for lane in self._lanes if lane.error is not None), self._failed)

    def _end(self) -> None:
        for lane in self._lanes:
            lane.end()
        self._over = True

    def _abort(self, first: BaseException | None) -> None:
        for writer in self._writers:
            try:
                writer.abort()
            except Exception as error:
                # The first error is the one to report; this one must not keep the other writers from stopping.
                if first is None:
                    first = self._failed = error
                else:
                    first.add_note(f"and stopping the {writer.name!r} writer failed: {error}")
