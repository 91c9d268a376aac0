"""Frames between two that a network has looked at: their logits, moved along the optical flow and blended.

The flow is there already, because the network takes it as an input. Each cell of a frame takes the logits of its places
in both neighbours, weighted by how alike the picture looks there. If the two neighbours speak of different subjects at
a place, or the picture is like neither of them, the place is in doubt. If a frame has much of this, the network has to
look at it.

Shape legend: N things, h x w cells of the logits, at stride 2 of the encoded frame.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.types import ImageArray
from covos.engines.encoding import sigmoid
from covos.engines.flow import FlowArray
from covos.engines.motion import Observed
from covos.engines.ways import in_cells, moved, spanned, spanning, turned_round, view_in_cells

LIKE: Final = 8.0
"""Levels of brightness by which two views of one place differ by noise, and a little motion, alone."""
DOUBT: Final = 0.3
"""Doubt from which the network looks at a frame. Set on the training sequences of DAVIS (`benchmarks/between.py`)."""
STRANGE: Final = 4.0
"""Times as much, from which a place looks like another thing."""
TINY: Final = 0.001
"""Share of the cells that a thing is taken to have at least: of the smallest ones, the half is contour."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """A frame that the network has looked at.

    Attributes:
        index: Its index.
        logits: N x h x w float32, of N things.
        picture: The frame as it was encoded, uint8 RGB.
        flow: From it to the frame before; see `covos.engines.motion.MotionFlow`.
    """

    index: int
    logits: Tensor
    picture: ImageArray
    flow: FlowArray | None

    @classmethod
    def of(cls, observed: Observed, logits: Tensor) -> Seen:
        """Return a frame that an encoder has observed."""
        assert observed.small is not None, "an encoder has observed it"
        return cls(index=observed.frame.index, logits=logits.float().cpu(), picture=observed.small, flow=observed.flow)


class Between(NamedTuple):
    """The logits of a frame between two, N x h x w float32; and how doubtful the worst are, from 0 (not at all)."""

    logits: Tensor
    doubt: float


def is_looked_at(observed: Observed, *, apart: int, cuts: Collection[int], first: int = 0) -> bool:
    """Tell if a network looks at a frame in any case: every so manieth, and the first and the last of a shot.

    ``first`` is the first of the former, less than ``apart``.
    """
    index = observed.frame.index
    return index % apart == first or index in cuts or index + 1 in cuts or observed.flow is None


def find_between(before: Seen | None, waiting: Sequence[Observed], after: Seen | None) -> list[Between] | None:
    """Find the logits of the frames between two that the network has looked at, of the same things.

    Args:
        before: The frame before the first of them.
        waiting: All frames between, ascending.
        after: The frame after the last of them.

    Returns:
        Those of each frame; None if the two are not their neighbours, or a flow between them is not known.
    """
    if before is None or after is None or len(before.logits) != len(after.logits):
        return None
    if any(each.frame.index != before.index + step for step, each in enumerate(waiting, 1)):
        return None
    ways = _ways(waiting, after)
    if ways is None or after.index != before.index + len(waiting) + 1:
        return None
    rows, columns = before.logits.shape[1:]
    views = [view_in_cells(seen.picture, (columns, rows)) for seen in (before, after)]
    found = []
    for each, (back, forth) in zip(waiting, ways, strict=True):
        assert each.small is not None, "an encoder has observed it"
        flows = in_cells(back, (columns, rows)), turned_round(in_cells(forth, (columns, rows)))
        found.append(_blended((before.logits, after.logits), views, flows, view_in_cells(each.small, (columns, rows))))
    return found


def _ways(waiting: Sequence[Observed], after: Seen) -> list[tuple[FlowArray, FlowArray]] | None:
    """Return for each frame the flow from it to the frame before all, and that from the frame after all to it."""
    steps = [each.flow for each in waiting if each.flow is not None]
    if len(steps) < len(waiting) or after.flow is None:
        return None
    back = spanned(steps)
    forth = list(accumulate(steps[:0:-1], spanning, initial=after.flow))
    return list(zip(back, reversed(forth), strict=True))


def _blended(
    logits: tuple[Tensor, Tensor],
    views: Sequence[ImageArray],
    ways: tuple[FlowArray, FlowArray],
    here: ImageArray,
) -> Between:
    """Blend the logits of two frames, N x h x w each, along the ways to them, by their pictures and that of here."""
    unlike = []
    for view, way in zip(views, ways, strict=True):
        red, green, blue = cv2.split(cv2.absdiff(moved(view, way), here))
        apart = cv2.max(cv2.max(red, green), blue)  # numpy takes twenty times as long
        # A mean over some cells: a single one is alike by chance.
        unlike.append(cv2.boxFilter(apart, cv2.CV_32F, (5, 5)))
    one, other = (np.exp(-each / LIKE) + 1e-6 for each in unlike)
    share, strange = one / (one + other), np.minimum(*unlike) > STRANGE * LIKE
    count, rows, columns = logits[0].shape
    blended, doubt = np.empty((count, rows, columns), np.float32), 0.0
    for row, pair in enumerate(zip(*(each.numpy() for each in logits), strict=True)):
        a, b = (moved(logit, way) for logit, way in zip(pair, ways, strict=True))
        blended[row] = share * a + (1 - share) * b
        a, b = sigmoid(a), sigmoid(b)
        # Cells that either takes for the thing: those that it alone does, and those that look like none of them.
        either = np.maximum(a, b)
        doubtful = float(np.where(strange, either, np.abs(a - b)).sum())
        doubt = max(doubt, doubtful / max(float(either.sum()), rows * columns * TINY))
    return Between(torch.from_numpy(blended), doubt)
