"""Scoring of predictions whose ids are free: each proposal against each object, matched over the sequence."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from covos.evaluation import refusals
from covos.evaluation.contour import contour_f
from covos.evaluation.region import region_j
from covos.evaluation.results import ObjectScore
from covos.evaluation.temporal import Flicker
from covos.evaluation.tracks import without_void

if TYPE_CHECKING:
    from covos.evaluation.mask_sequence import ReadMasks


class Proposals:
    """Running scores of every pair of a proposal and an object; a frame leaves two numbers a pair behind.

    A proposal is an id that the prediction uses anywhere in the sequence. In frames that lack it, and for ids below
    the highest that are never used, it scores as an empty mask: 1 where the object is not there either, 0 where it
    is.

    Args:
        objects: How many objects; their ids are 1 to this.
        most: The highest id that a proposal may have.
        radius: Tolerance of contours, in pixels.
    """

    def __init__(self, *, objects: int, most: int, radius: int) -> None:
        self._most = most
        self._radius = radius
        self._frames: list[str] = []
        self._nothing = [_Pair() for _ in range(objects)]
        self._pairs: dict[int, list[_Pair]] = {}
        self._flicker: dict[int, Flicker] = {}

    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None:
        """Score one frame. Void in the ground truth is left out."""
        if prediction.masks.void is not None:
            raise refusals.void_predicted(prediction)
        if any(not 1 <= number <= self._most for number in prediction.masks.ids):
            raise refusals.too_many_proposals(prediction, most=self._most)
        for number in prediction.masks.ids:
            if number not in self._pairs:
                self._pairs[number] = [pair.copy() for pair in self._nothing]
                self._flicker[number] = Flicker(empty=len(self._frames))
        valid = without_void(prediction.masks, truth.masks)
        self._frames.append(truth.stem)
        objects = [truth.masks.object(number, radius=self._radius) for number in range(1, len(self._nothing) + 1)]
        for pair, g in zip(self._nothing, objects, strict=True):
            pair.add(j=float(not g.area), f=float(not g.contour_length))
        for number, pairs in self._pairs.items():
            p = valid.object(number, radius=self._radius)
            for pair, g in zip(pairs, objects, strict=True):
                pair.add(j=region_j(p, g), f=contour_f(p, g))
            shown = p if valid is prediction.masks else prediction.masks.object(number, radius=self._radius)
            self._flicker[number].add(shown.region)

    def scores(self, *, sequence: str, where: str) -> tuple[ObjectScore, ...]:
        """Match proposals to objects so that the sum of their mean J and F is highest; the scores by object id."""
        from scipy.optimize import linear_sum_assignment  # slow to load, and only this protocol needs it

        rows = max([len(self._nothing), *self._pairs])
        pairs = [self._pairs.get(row + 1, self._nothing) for row in range(rows)]
        means = np.array([[(np.mean(pair.j) + np.mean(pair.f)) / 2 for pair in row] for row in pairs])
        matches = zip(*linear_sum_assignment(-means), strict=True)
        return tuple(
            ObjectScore(
                sequence=sequence,
                object_id=int(column) + 1,
                proposal=int(row) + 1,
                frames=tuple(self._frames),
                j=np.array(pairs[row][column].j),
                f=np.array(pairs[row][column].f),
                flicker=self._flicker.get(int(row) + 1, Flicker(empty=len(self._frames))).mean(),
            )
            for row, column in sorted(matches, key=lambda match: int(match[1]))
        )


class _Pair:
    def __init__(self) -> None:
        self.j = array("d")
        self.f = array("d")

    def add(self, *, j: float, f: float) -> None:
        self.j.append(j)
        self.f.append(f)

    def copy(self) -> _Pair:
        other = _Pair()
        other.j, other.f = self.j[:], self.f[:]
        return other
