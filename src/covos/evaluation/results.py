"""What scoring gives: small frozen values, per frame, per object, per sequence, and overall."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from covos.core.progress import counted
from covos.evaluation.measures import Statistics, statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from covos.evaluation.protocols import ScoringProtocol
    from covos.evaluation.scoring import Pair


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


# The result of scoring a set of predictions.


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """Scores of one set of predictions, from the overall numbers down to each frame.

    Attributes:
        protocol: The rules it was scored by.
        predictions: What was scored, as the caller named it.
        truth: What it was scored against, as the caller named it.
        subset: Which part of the data set; None for all of it.
        sequences: Scores of each sequence.
        notes: What a reader of the scores should know, one line each.
        pairs: Where the masks lie, a sequence each, so that a report can show them.
    """

    protocol: ScoringProtocol
    predictions: str
    truth: str
    subset: str | None
    sequences: tuple[SequenceScores, ...]
    notes: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()

    def __repr__(self) -> str:
        counts = ", ".join(
            [
                counted(len(self.sequences), "sequence"),
                counted(len(self.objects), "object"),
                counted(self.frames, "frame"),
            ]
        )
        scores = f"J&F {self.scores.jf:.3f}, J {self.scores.j.mean:.3f}, F {self.scores.f.mean:.3f}"
        return f"<Evaluation of {self.predictions} by {self.protocol.name}: {counts}; {scores}>"

    @property
    def objects(self) -> tuple[ObjectScore, ...]:
        """All objects of all sequences, in order."""
        return tuple(score for sequence in self.sequences for score in sequence.objects)

    @property
    def frames(self) -> int:
        """How many frames were scored."""
        return sum(len(sequence.frames) for sequence in self.sequences)

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes on the whole and those on each sequence."""
        return (*self.notes, *(f"{each.name}: {note}" for each in self.sequences for note in each.notes))

    @cached_property
    def groups(self) -> dict[str, Scores]:
        """Scores of the objects of seen and of unseen classes; empty where these are not told apart."""
        if self.protocol.average != "seen-unseen":
            return {}
        seen = [score for score in self.objects if score.seen is True]
        unseen = [score for score in self.objects if score.seen is False]
        if not seen or not unseen or len(seen) + len(unseen) < len(self.objects):
            return {}
        return {"seen": mean_of(seen), "unseen": mean_of(unseen)}

    @cached_property
    def scores(self) -> Scores:
        """The overall numbers: the mean over objects, or over seen and unseen classes where these are told apart."""
        return mean_of_groups(list(self.groups.values())) if self.groups else mean_of(self.objects)

    def to_json(self) -> str:
        """Everything as JSON, with the names of the DAVIS result files; see :mod:`covos.evaluation.tables`."""
        from covos.evaluation.tables import to_json

        return to_json(self)

    def table(self) -> str:
        """The scores of each sequence and object and overall, as text in columns."""
        from covos.evaluation.tables import table

        return table(self)
