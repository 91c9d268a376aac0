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
from typing import Final, Generic, TypeVar, cast

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import ImageArray
from covos.engines.between import Seen
from covos.engines.choices import AROUND
from covos.engines.flow import FlowArray
from covos.engines.ways import in_cells, looked_up, places, spanning, turned_round, view_in_cells

ALIKE: Final = 10.0
"""Levels of brightness by which a place may differ from where it was in another frame and still count for a third. Set
on `val_open` and on training sequences of DAVIS (`benchmarks/around.py`), whose thin things larger values harm."""
_WEIGHTS: Final = np.exp(-np.arange(256, dtype=np.float32) / np.float32(ALIKE))

ItemT = TypeVar("ItemT")


@dataclass(slots=True, eq=False)
class _Answer(Generic[ItemT]):
    """A frame in the window: its item, its logits, and its picture in cells.

    ``flow`` is that to the frame before it in time, ``to_older`` and ``to_newer`` are those to the frames that came
    before and after it here. ``things`` are the ids of the rows, ``known`` tells which have numbers. A frame that does
    not count gives nothing to others. The item may hold a whole picture, and is kept no longer than until it is given.
    """

    item: ItemT | None
    index: int
    logits: NDArray[np.float32]
    view: ImageArray
    things: tuple[int, ...]
    known: tuple[bool, ...]
    counts: bool
    flow: FlowArray | None
    to_older: FlowArray | None = None
    to_newer: FlowArray | None = None


class Around(Generic[ItemT]):
    """Brings the logits of frames together with those around them, as the frames come, forward or backward in time.

    A frame waits for those that come after it. Across a cut, a gap, or another size or number of things, nothing is
    brought together. A thing that has no numbers in a frame (NaN) keeps them there, and counts nothing elsewhere.

    Args:
        before: Frames that came before a frame and count.
        after: Frames that come after it and count; for a live video, none.
    """

    def __init__(self, before: int = AROUND, after: int = AROUND) -> None:
        self.before = before
        self.after = after
        self._window: deque[_Answer[ItemT]] = deque()
        self._next = 0
        """Place in the window of the frame that is given out next."""

    def push(
        self, item: ItemT, seen: Seen, *, things: tuple[int, ...] = (), counts: bool = True
    ) -> Iterator[tuple[ItemT, Tensor]]:
        """Take the next frame; give those that have all that they need, each with its logits, N x h x w float32.

        ``things`` says what the rows are of, where that may change. A frame that was made of its neighbours need not
        count in others: they have those neighbours, too.
        """
        logits = seen.logits.numpy()
        if self._window and not self._join(seen, things):
            yield from self.end()
        rows, columns = logits.shape[1:]
        fresh = _Answer(
            item,
            seen.index,
            logits,
            view_in_cells(seen.picture, (columns, rows)),
            things=things,
            known=tuple(bool(np.isfinite(row).all()) for row in logits),
            counts=counts,
            flow=seen.flow,
        )
        if self._window:
            fresh.to_older, self._window[-1].to_newer = self._link(seen)
        self._window.append(fresh)
        if len(self._window) > self._next + self.after:
            yield self._give()

    def end(self) -> Iterator[tuple[ItemT, Tensor]]:
        """Give the frames that still wait, and forget all."""
        while self._next < len(self._window):
            yield self._give()
        self._window.clear()
        self._next = 0

    def _join(self, seen: Seen, things: tuple[int, ...]) -> bool:
        """Tell if a frame is the neighbour in time of the latest, with a flow between them, and of the same things."""
        last = self._window[-1]
        flow = {1: seen.flow, -1: last.flow}.get(seen.index - last.index)
        return flow is not None and tuple(seen.logits.shape) == last.logits.shape and things == last.things

    def _link(self, seen: Seen) -> tuple[FlowArray, FlowArray]:
        """Return the flows between a frame and the latest: to the latest, and back."""
        last = self._window[-1]
        later = seen if seen.index > last.index else last
        assert later.flow is not None, "they join"
        flows = later.flow, turned_round(later.flow)
        return flows if later is seen else (flows[1], flows[0])

    def _give(self) -> tuple[ItemT, Tensor]:
        here = self._window[self._next]
        item, here.item = cast("ItemT", here.item), None
        logits = torch.from_numpy(self._mean(self._next))
        self._next += 1
        if self._next > self.before:
            self._window.popleft()
            self._next -= 1
        return item, logits

    def _mean(self, at: int) -> NDArray[np.float32]:
        here = self._window[at]
        if not any(here.known):
            return here.logits
        total, weight = here.logits.copy(), np.ones_like(here.logits)
        # The earlier ones first, whichever way the frames come: sums come out the same to the bit.
        forward = at == 0 or self._window[at - 1].index < here.index
        sides = ((-1, self.before), (1, self.after))
        for side, most in sides if forward else reversed(sides):
            way: FlowArray | None = None
            for place in range(at + side, at + side * (most + 1), side):
                if not 0 <= place < len(self._window):
                    break
                nearer = self._window[place - side]
                step = nearer.to_older if side < 0 else nearer.to_newer
                assert step is not None, "the window holds frames that join"
                way = step if way is None else spanning(way, step)
                if self._window[place].counts:
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
    both = [row for row, known in enumerate(zip(here.known, other.known, strict=True)) if all(known)]
    if not both:
        return
    rows, columns = weight.shape[1:]
    at = places(in_cells(way, (columns, rows)))
    red, green, blue = cv2.split(cv2.absdiff(looked_up(other.view, at), here.view))
    # A mean over some cells: a single one is alike by chance.
    alike = cv2.LUT(cv2.blur(cv2.max(cv2.max(red, green), blue), (3, 3)), _WEIGHTS)
    for row in both:
        cv2.accumulateProduct(looked_up(other.logits[row], at), alike, total[row])
        cv2.accumulate(alike, weight[row])
