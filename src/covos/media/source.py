"""What every kind of source looks like to the rest of covos."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass
from itertools import pairwise
from queue import SimpleQueue
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from covos.core.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from covos.core.types import Frame, SourceInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How well the latest full pass over a source went.

    Attributes:
        decoded: Frames that came out.
        expected: Frames that the source promises: its packets, or more where its index or header states more.
        concealed: Indices of the frames whose damage the decoder painted over.
        undecodable: Packets that the decoder refused.
        cut: Whether the file is shorter than its own header says.
        warnings: What a user should know, in plain words.
    """

    decoded: int
    expected: int
    concealed: tuple[int, ...] = ()
    undecodable: int = 0
    cut: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def missing(self) -> int:
        """Promised frames that did not come out; during a pass, those still to come."""
        return max(0, self.expected - self.decoded)

    @property
    def complete(self) -> bool:
        """Whether every promised frame came out and the file is not cut."""
        return self.missing == 0 and not self.cut


class Source(ABC):
    """A video, a folder of frames or one image, as a sequence of displayed frames.

    Iterating starts from the first frame each time, so a source can be read in several passes. Each pass
    opens the file anew and closes it when it ends or is abandoned.
    """

    info: SourceInfo

    @property
    @abstractmethod
    def health(self) -> Health:
        """How the latest full pass went; counts grow while it runs."""

    @property
    @abstractmethod
    def files(self) -> tuple[Path, ...]:
        """What it reads, in order."""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield every frame that can be decoded, in presentation order."""

    @abstractmethod
    def select(self, indices: Sequence[int]) -> Iterator[Frame]:
        """Yield the frames with these indices.

        On an intact source each is the same frame, with the same time and name, as a full pass gives for
        its index. On a damaged one, an index that a full pass would not reach is left out.

        Args:
            indices: Strictly ascending, each in [0, ``info.frame_count``).

        Raises:
            UsageError: The indices are not ascending or out of range.
        """

    @abstractmethod
    def close(self) -> None:
        """Refuse further passes. A pass that is under way ends on its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def check_indices(indices: Sequence[int], *, count: int) -> tuple[int, ...]:
    """Refuse indices that ``Source.select`` does not take.

    Args:
        indices: What the caller asks for.
        count: Number of frames in the source.

    Returns:
        The same indices.

    Raises:
        UsageError: They are not strictly ascending, or one is outside [0, count).
    """
    wanted = tuple(indices)
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
    return wanted


def check_open(closed: bool, *, name: str) -> None:
    """Refuse to read from a source after ``close``.

    Args:
        closed: Whether it was closed.
        name: The source, for the message.

    Raises:
        UsageError: It was closed.
    """
    if closed:
        raise UsageError(
            f"{name}: the source is closed",
            why="it was read after close() or outside its with block",
            fix="open it again with open_source",
        )


# Decode ahead in a background thread, never further than asked.

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _End(Generic[T]):
    """The last thing in the queue: how the producer ended."""

    error: BaseException | None


def prefetch(frames: Iterable[T], *, depth: int = 8) -> Iterator[T]:
    """Iterate ``frames`` in a background thread, a bounded number ahead of the consumer.

    Decoding and colour conversion release the interpreter lock, so they overlap with the consumer's work.
    The thread starts with the first item asked for and has ended when the iterator is exhausted, closed or
    has raised. A generator given as ``frames`` is closed in the thread that ran it.

    Args:
        frames: What to iterate; from then on it belongs to the background thread.
        depth: Most items that are ready and not yet consumed, at least 1.

    Yields:
        The items, in order.

    Raises:
        UsageError: ``depth`` is below 1.
        BaseException: Whatever ``frames`` raises, after the items that came before it.
    """
    if depth < 1:
        raise UsageError(f"prefetch depth {depth} is too small", why="at least one item must fit", fix="use 1 or more")
    return _prefetched(frames, depth)


def _prefetched(frames: Iterable[T], depth: int) -> Iterator[T]:
    ready: SimpleQueue[T | _End[T]] = SimpleQueue()
    room = threading.Semaphore(depth)
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(frames, ready, room, stop), name="covos-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            room.release()
            yield item
    finally:
        stop.set()
        room.release()  # wakes a producer that waits for room
        thread.join()


def _produce(
    frames: Iterable[T], ready: SimpleQueue[T | _End[T]], room: threading.Semaphore, stop: threading.Event
) -> None:
    error: BaseException | None = None
    try:
        source = iter(frames)
        try:
            while True:
                # Room is taken before the item is made: a decoded 4K frame in hand counts as waiting too.
                room.acquire()
                if stop.is_set():
                    break
                try:
                    item = next(source)
                except StopIteration:
                    break
                ready.put(item)
        finally:
            close = getattr(source, "close", None)
            if close is not None:
                close()
    except BaseException as raised:  # it travels to the consumer, whatever it is
        error = raised
    ready.put(_End(error))


# Caps that protect the reader from files that are small on disk and huge in memory.

MAX_PIXELS = 8192 * 8192
"""Pixels in one frame above which a source is refused, before anything is decoded."""


def check_pixels(name: str, *, height: int, width: int) -> None:
    """Refuse frames that would not fit in memory.

    Args:
        name: The file, for the message.
        height: Height in pixels that the header states.
        width: Width in pixels that the header states.

    Raises:
        SourceError: The frame has more than ``MAX_PIXELS`` pixels.
    """
    if height * width > MAX_PIXELS:
        raise SourceError(
            f"{name}: its frames are {width}x{height} pixels",
            why=f"frames above {MAX_PIXELS} pixels are refused, so that a small file cannot fill the memory",
            fix="scale it down first, for example to 3840x2160",
        )
