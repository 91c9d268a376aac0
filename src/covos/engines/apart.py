"""Tell apart things that touch: a part of the subject is clicked at several places, as a user would click.

Each place is asked about by itself, by the network covos-prompt. Two places that lie in one another's answers are of
one thing; places whose answers leave each other out are of two. Each cell goes to the thing that claims it most, on the
average of the answers to its places.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import MaskArray
from covos.engines.encoding import sigmoid
from covos.engines.ladder import Ladder
from covos.engines.prompt import PromptNetwork
from covos.masks.distance import depth_in
from covos.models.lite import Features
from covos.models.prompt import PromptFeatures, PromptTensors

PLACES = 14
"""Places that are asked about in one part, at most."""
NARROW = 2.0
"""Cells from a place to the border of its part, at least: a click on an edge says little."""
SPACING = 0.04
"""Distance of two places, at least, as a share of the frame's width."""
ROOM = 0.9
"""The same, in distances of the first place to the border: in the middle of a broad thing few places are needed."""
TOGETHER = 0.45
"""Mean probability, each in the answer to the other, from which two groups of places are of one thing.

Less would join people who stand before one another, more would cut one animal into pieces (``benchmarks/apart.py``)."""
STRAY = 0.5
"""The same for one place that is left alone, with the place of a group that is nearest to it: the tip of a limb is."""

Place = tuple[int, int]
"""Column and row of a cell at stride 2."""


class Divider:
    """Divides parts of a frame into the things that they are made of.

    Args:
        network: A covos-prompt that was trained on the features of the covos-lite that encodes the frames.
        ladder: Runs it.
    """

    def __init__(self, network: PromptNetwork, *, ladder: Ladder) -> None:
        self._network = network
        self._ladder = ladder

    def project(self, features: Features) -> PromptFeatures:
        """Make what all questions on a frame share."""
        return self._ladder.run(lambda: self._ladder.here(self._network).project(features))

    def divide(self, features: PromptFeatures, part: MaskArray, *, least: int) -> tuple[MaskArray, ...]:
        """Divide a part, H x W bool at stride 2, into the things that it is made of; one thing alone is the part.

        Things of fewer than ``least`` cells are not told apart. Together they are the part.
        """
        places = places_in(part)
        if len(places) < 2:
            return (part,)
        answers = self._ask(features, places)
        groups = group(mutual(answers, places))
        if len(groups) < 2:
            return (part,)
        return share_out(part, np.stack([answers[sorted(own)].mean(axis=0) for own in groups]), least=least)

    def _ask(self, features: PromptFeatures, places: Sequence[Place]) -> NDArray[np.float32]:
        """Return the logits of the answers to clicks, each on one place: P x H x W."""
        height, width = (int(side) for side in features.s2_BCHW.shape[2:])
        points = torch.tensor([[[(x + 0.5) / width, (y + 0.5) / height, 1.0]] for x, y in places])

        def find(some: Sequence[Tensor]) -> Tensor:
            own = self._ladder.moved(features)
            count, device = len(some), own.s2_BCHW.device
            prompt = PromptTensors(
                torch.stack(list(some)).to(device),
                torch.zeros(count, 5, device=device),
                torch.zeros(count, 1, height, width, device=device),
            )
            every = PromptFeatures(*(part.expand(count, -1, -1, -1).contiguous() for part in own))
            return self._ladder.here(self._network).find(every, prompt)[:, 0].float().cpu()

        answers = self._ladder.in_parts(list(points), find, of="objects")
        return np.asarray(torch.cat([answer for _, answer in answers]).numpy(), np.float32)


def places_in(part: MaskArray) -> list[Place]:
    """Choose places to ask about in a part, H x W bool: the middle of its broadest piece first, none near others."""
    depth = np.ascontiguousarray(depth_in(part))
    places: list[Place] = []
    while len(places) < PLACES:
        row, column = (int(each) for each in np.unravel_index(int(depth.argmax()), depth.shape))
        deepest = float(depth[row, column])
        if deepest < NARROW:
            break
        places.append((column, row))
        room = round(max(SPACING * part.shape[1], ROOM * deepest))
        cv2.circle(depth, (column, row), room, 0.0, thickness=cv2.FILLED)
    return places


def mutual(logits: NDArray[np.float32], places: Sequence[Place]) -> NDArray[np.float32]:
    """Return for each two places, P x P, how probable each is in the answer to the other, on the average.

    The logits, P x H x W, are the answers to the places.
    """
    columns, rows = np.array(places).T
    there = sigmoid(logits[:, rows, columns])
    return np.asarray((there + there.T) / 2, np.float32)


def group(likeness: NDArray[np.float32]) -> list[frozenset[int]]:
    """Group places by their likeness, P x P: the two groups that are most alike become one, again and again.

    It ends where no two groups are as alike on the average as `TOGETHER`. A place that is then left alone joins a
    larger group of which it is as like one place as `STRAY`. The largest group comes first.
    """
    groups = [frozenset([index]) for index in range(len(likeness))]
    while len(groups) > 1:
        pairs = [(one, other) for number, one in enumerate(groups) for other in groups[number + 1 :]]
        means = [float(likeness[np.ix_(sorted(one), sorted(other))].mean()) for one, other in pairs]
        best = int(np.argmax(means))
        if means[best] < TOGETHER:
            break
        one, other = pairs[best]
        groups = [*(each for each in groups if each not in (one, other)), one | other]
    large = [set(each) for each in groups if len(each) > 1]
    alone = [set(each) for each in groups if len(each) == 1]
    for stray in alone if large else []:
        nearest = max(large, key=lambda each: _nearest(likeness, stray, each))
        if _nearest(likeness, stray, nearest) >= STRAY:
            nearest |= stray
        else:
            large.append(stray)
    groups = [frozenset(each) for each in large or alone]
    return sorted(groups, key=lambda each: (-len(each), min(each)))


def _nearest(likeness: NDArray[np.float32], one: set[int], other: set[int]) -> float:
    return float(likeness[np.ix_(sorted(one), sorted(other))].max())


def share_out(part: MaskArray, logits: NDArray[np.float32], *, least: int) -> tuple[MaskArray, ...]:
    """Give each cell of a part, H x W bool, to the thing that claims it most, by the logits of T things, T x H x W.

    Things of fewer than ``least`` cells give theirs to the others. The largest thing comes first.
    """
    claims = list(range(len(logits)))
    while True:
        owner = np.array(claims)[logits[claims].argmax(axis=0)]
        sizes = {each: int((part & (owner == each)).sum()) for each in claims}
        smallest = min(claims, key=lambda each: sizes[each])
        if sizes[smallest] >= least or len(claims) == 1:
            break
        claims.remove(smallest)
    return tuple(part & (owner == each) for each in sorted(claims, key=lambda each: -sizes[each]))
