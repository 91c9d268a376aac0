"""Scoring as frames arrive, for predictions whose ids are those of the ground truth."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from covos.evaluation import refusals
from covos.evaluation.contour import contour_f
from covos.evaluation.region import region_j
from covos.evaluation.results import ObjectScore
from covos.evaluation.temporal import Flicker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covos.evaluation.frame_masks import FrameMasks
    from covos.evaluation.mask_sequence import ReadMasks
    from covos.evaluation.object_mask import ObjectMask


class ForegroundTrack:
    """Running score of one object: everything that is not background."""

    def __init__(self, *, radius: int) -> None:
        self._radius = radius
        self._track = _Track()
        self._shown = False

    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None:
        """Score one frame."""
        for read in (prediction, truth):
            if read.masks.ids and read.masks.void is not None:
                raise refusals.void_among_ids(read)
        g = truth.masks.foreground(radius=self._radius)
        self._shown = self._shown or g.area > 0
        self._track.add(truth.stem, prediction.masks.foreground(radius=self._radius), g)

    def scores(self, *, sequence: str, where: str) -> tuple[ObjectScore, ...]:
        """The score so far."""
        if not self._shown:
            raise refusals.no_object(where)
        return (self._track.score(sequence=sequence, object_id=1, flicker=True),)


class GivenTracks:
    """Running scores of the objects 1 to n; a prediction may use no other ids."""

    def __init__(self, ids: Sequence[int], *, radius: int) -> None:
        self._radius = radius
        self._tracks = {number: _Track() for number in ids}

    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None:
        """Score one frame. Void in the ground truth is background."""
        if prediction.masks.void is not None:
            raise refusals.void_predicted(prediction)
        foreign = [number for number in prediction.masks.ids if number not in self._tracks]
        if foreign:
            raise refusals.foreign_ids(prediction.where, foreign, allowed=list(self._tracks))
        for number, track in self._tracks.items():
            p = prediction.masks.object(number, radius=self._radius)
            track.add(truth.stem, p, truth.masks.object(number, radius=self._radius))

    def scores(self, *, sequence: str, where: str) -> tuple[ObjectScore, ...]:
        """The scores so far, by object id."""
        return tuple(t.score(sequence=sequence, object_id=n, flicker=True) for n, t in self._tracks.items())


class AppearingTracks:
    """Running scores of every object of the ground truth, from the frame that first shows it."""

    def __init__(self, *, radius: int) -> None:
        self._radius = radius
        self._tracks: dict[int, _Track] = {}
        self._predicted: dict[int, str] = {}

    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None:
        """Score one frame. Void in the ground truth is left out."""
        if prediction.masks.void is not None:
            raise refusals.void_predicted(prediction)
        for number in prediction.masks.ids:
            self._predicted.setdefault(number, prediction.where)
        for number in truth.masks.ids:
            self._tracks.setdefault(number, _Track())
        valid = without_void(prediction.masks, truth.masks)
        for number, track in self._tracks.items():
            p = valid.object(number, radius=self._radius)
            track.add(truth.stem, p, truth.masks.object(number, radius=self._radius))

    def scores(self, *, sequence: str, where: str) -> tuple[ObjectScore, ...]:
        """The scores so far, by object id."""
        if not self._tracks:
            raise refusals.no_object(where)
        foreign = [number for number in self._predicted if number not in self._tracks]
        if foreign:
            raise refusals.foreign_ids(self._predicted[foreign[0]], foreign, allowed=sorted(self._tracks))
        tracks = sorted(self._tracks.items())
        return tuple(t.score(sequence=sequence, object_id=n, flicker=False) for n, t in tracks)


def without_void(prediction: FrameMasks, truth: FrameMasks) -> FrameMasks:
    """The prediction with nothing where the ground truth is void."""
    void = truth.void
    return prediction if void is None else prediction.outside(void)


class _Track:
    """A frame leaves its name and two numbers behind."""

    def __init__(self) -> None:
        self._frames: list[str] = []
        self._j = array("d")
        self._f = array("d")
        self._flicker = Flicker()

    def add(self, stem: str, prediction: ObjectMask, truth: ObjectMask) -> None:
        self._frames.append(stem)
        self._j.append(region_j(prediction, truth))
        self._f.append(contour_f(prediction, truth))
        self._flicker.add(prediction.region)

    def score(self, *, sequence: str, object_id: int, flicker: bool) -> ObjectScore:
        return ObjectScore(
            sequence=sequence,
            object_id=object_id,
            frames=tuple(self._frames),
            j=np.array(self._j),
            f=np.array(self._f),
            flicker=self._flicker.mean() if flicker else None,
        )
