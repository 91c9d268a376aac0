"""What scoring gives: small frozen values, per frame, per object, per sequence, and overall."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from covos.evaluation.summary import Statistics, statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ObjectScore:
    """The scores of one object of a sequence, frame by frame.

    Attributes:
        sequence: Name of the sequence.
        object_id: Id in the ground truth; 1 where everything that is not 0 is one object.
        proposal: Where ids are matched: the predicted id that was matched to this object. If the prediction has no
            pixel of that id, the object was matched to nothing.
        seen: Where classes are told apart: whether the object's class occurs in training. None if not known.
        frames: Names of the T frames that were scored, in order.
        j: T values in [0, 1], float64: region similarity.
        f: T values in [0, 1], float64: contour accuracy.
        flicker: Mean flicker of the prediction over these frames (see :class:`covos.evaluation.temporal.Flicker`);
            None where frames are not consecutive or fewer than three.
    """

    sequence: str
    object_id: int
    proposal: int | None = None
    seen: bool | None = None
    frames: tuple[str, ...]
    j: NDArray[np.float64]
    f: NDArray[np.float64]
    flicker: float | None = None

    def __repr__(self) -> str:
        scores = f"{len(self.frames)} frames; J {self.j_statistics.mean:.3f}, F {self.f_statistics.mean:.3f}"
        return f"<ObjectScore of {self.sequence}, object {self.object_id}: {scores}>"

    @cached_property
    def j_statistics(self) -> Statistics:
        """Mean, recall and decay of J."""
        return statistics(self.j)

    @cached_property
    def f_statistics(self) -> Statistics:
        """Mean, recall and decay of F."""
        return statistics(self.f)

    @property
    def jf(self) -> float:
        """J&F: the mean of the means of J and F."""
        return (self.j_statistics.mean + self.f_statistics.mean) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of several objects together.

    Attributes:
        objects: How many objects.
        jf: J&F. For YouTube-VOS with a known split of classes this is G, the mean of J and F of seen and unseen
            classes; elsewhere the mean of the two means.
        j: Means of the objects' mean, recall and decay of J.
        f: The same of F.
        flicker: Mean over the objects that have one; None if none has.
    """

    objects: int
    jf: float
    j: Statistics
    f: Statistics
    flicker: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceScores:
    """Scores of one sequence.

    Attributes:
        name: Name of the sequence.
        size: (height, width) in pixels.
        frames: Names of the frames that were scored.
        objects: One entry an object, by id.
        notes: What was unusual and was scored nevertheless, one line each.
    """

    name: str
    size: tuple[int, int]
    frames: tuple[str, ...]
    objects: tuple[ObjectScore, ...]
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> Scores:
        """The mean over this sequence's objects."""
        return mean_of(self.objects)


def mean_of(objects: Sequence[ObjectScore]) -> Scores:
    """Mean over objects of each of their numbers."""
    return _scores(
        len(objects),
        j=[score.j_statistics for score in objects],
        f=[score.f_statistics for score in objects],
        flicker=[score.flicker for score in objects],
    )


def mean_of_groups(groups: Sequence[Scores]) -> Scores:
    """Mean over groups of objects, each with the same weight."""
    return _scores(
        sum(group.objects for group in groups),
        j=[group.j for group in groups],
        f=[group.f for group in groups],
        flicker=[group.flicker for group in groups],
    )


def _scores(objects: int, *, j: list[Statistics], f: list[Statistics], flicker: list[float | None]) -> Scores:
    measured = [value for value in flicker if value is not None]
    return Scores(
        objects=objects,
        jf=(_mean(j).mean + _mean(f).mean) / 2,
        j=_mean(j),
        f=_mean(f),
        flicker=float(np.mean(measured)) if measured else None,
    )


def _mean(each: list[Statistics]) -> Statistics:
    return Statistics(
        mean=float(np.mean([s.mean for s in each])),
        recall=float(np.mean([s.recall for s in each])),
        decay=float(np.mean([s.decay for s in each])),
    )
