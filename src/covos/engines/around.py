"""A frame's logits, brought together with those of the frames around it, along the optical flow.

The network answers for each frame by itself, and seldom errs in the same way twice: a bystander is taken along in one
frame and not in the next. So each cell takes the mean of its own logits and those of its places in the frames around
it. One of them counts at a cell as far as the picture looks alike there, so what was hidden, or has left the view,
counts nothing.

Shape legend: N things, h x w cells of the logits, at stride 2 of the encoded frame.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import ImageArray
from covos.engines.between import Seen
from covos.engines.motion import FlowArray
from covos.engines.ways import in_cells, looked_up, places, spanning, turned_round, view_in_cells

AROUND: Final = 4
"""Frames on each side that a frame is brought together with."""
ALIKE: Final = 10.0
"""Levels of brightness by which a place may differ from where it was in another frame and still count for a third. Set
on `val_open` and on training sequences of DAVIS (`benchmarks/around.py`), whose thin things larger values harm."""
_WEIGHTS: Final = np.exp(-np.arange(256, dtype=np.float32) / np.float32(ALIKE))

ItemT = TypeVar("ItemT")


@dataclass(slots=True, eq=False)
class _Answer(Generic[ItemT]):
    """A frame in the window: its item, its logits, its picture in cells, and the flows to the frames beside it."""

    item: ItemT
    index: int
    logits: NDArray[np.float32]
    view: ImageArray
    back: FlowArray | None
    forth: FlowArray | None = None

    @property
    def is_known(self) -> bool:
        """True if the network gave numbers."""
        return bool(np.isfinite(self.logits).all())


class Around(Generic[ItemT]):
    """Brings the logits of frames together with those around them, as the frames come, in order.

    A frame waits for those after it. Across a cut, a gap, or another size of the frames nothing is brought together.

    Args:
        before: Frames before a frame that count.
        after: Frames after it that count; for a live video, none.
    """

    def __init__(self, before: int = AROUND, after: int = AROUND) -> None:
        self.before = before
        self.after = after
        self._window: deque[_Answer[ItemT]] = deque()
        self._next = 0
        """Place in the window of the frame that is given out next."""

    def push(self, item: ItemT, seen: Seen) -> Iterator[tuple[ItemT, Tensor]]:
        """Take the next frame; give those that have all that they need, each with its logits, N x h x w float32."""
        logits = seen.logits.numpy()
        if self._window and not self._joins(seen):
            yield from self.end()
        if self._window and seen.flow is not None:
            self._window[-1].forth = turned_round(seen.flow)
        rows, columns = logits.shape[1:]
        self._window.append(
            _Answer(item, seen.index, logits, view_in_cells(seen.picture, (columns, rows)), back=seen.flow)
        )
        if len(self._window) > self._next + self.after:
            yield self._give()

    def end(self) -> Iterator[tuple[ItemT, Tensor]]:
        """Give the frames that still wait, and forget all."""
        while self._next < len(self._window):
            yield self._give()
        self._window.clear()
        self._next = 0

    def _joins(self, seen: Seen) -> bool:
        last = self._window[-1]
        follows = seen.index == last.index + 1 and seen.flow is not None
        return follows and tuple(seen.logits.shape) == last.logits.shape

    def _give(self) -> tuple[ItemT, Tensor]:
        here = self._window[self._next]
        logits = torch.from_numpy(self._mean(self._next) if here.is_known else here.logits)
        self._next += 1
        if self._next > self.before:
            self._window.popleft()
            self._next -= 1
        return here.item, logits

    def _mean(self, at: int) -> NDArray[np.float32]:
        here = self._window[at]
        total, weight = here.logits.copy(), np.ones(here.logits.shape[1:], np.float32)
        for side, most in ((-1, self.before), (1, self.after)):
            way: FlowArray | None = None
            for place in range(at + side, at + side * (most + 1), side):
                if not 0 <= place < len(self._window):
                    break
                # From the frame before it on the way to it.
                nearer = self._window[place - side]
                step = nearer.back if side < 0 else nearer.forth
                assert step is not None, "the window holds frames that join"
                way = step if way is None else spanning(way, step)
                if self._window[place].is_known:
                    _add(self._window[place], way, here, total=total, weight=weight)
        return total / weight


def _add(
    other: _Answer[ItemT],
    way: FlowArray,
    here: _Answer[ItemT],
    *,
    total: NDArray[np.float32],
    weight: NDArray[np.float32],
) -> None:
    """Add the logits of another frame, and how much they count, at the places that a way leads to."""
    rows, columns = weight.shape
    at = places(in_cells(way, (columns, rows)))
    red, green, blue = cv2.split(cv2.absdiff(looked_up(other.view, at), here.view))
    # A mean over some cells: a single one is alike by chance.
    alike = cv2.LUT(cv2.blur(cv2.max(cv2.max(red, green), blue), (3, 3)), _WEIGHTS)
    for own, its in zip(total, other.logits, strict=True):
        cv2.accumulateProduct(looked_up(its, at), alike, own)
    cv2.accumulate(alike, weight)
