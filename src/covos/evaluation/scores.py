"""The scores of objects, over the frames of a sequence and together: mean, recall and decay of J and F."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError

RECALL_THRESHOLD = 0.5
_BINS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The course of a measure over a sequence.

    Attributes:
        mean: Mean over the frames, in [0, 1].
        recall: Fraction of frames strictly above 0.5.
        decay: Mean of the first quarter less mean of the last: positive where quality is lost over time.
    """

    mean: float
    recall: float
    decay: float


def statistics(values: Sequence[float] | NDArray[np.floating]) -> Statistics:
    """Return mean, recall and decay of per-frame values, as the DAVIS toolkits define them.

    Source: Perazzi et al., CVPR 2016, section 4.2. The toolkits cut a sequence into four bins that share their
    end frames. They keep the ends as 8-bit numbers, which wrap from 256 frames up and then give NaN or another part of
    the sequence. Here the ends are exact at any length, and equal to theirs below it.

    Args:
        values: T finite values, one a scored frame, in order.

    Raises:
        UsageError: There is no value, or one is not finite.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or not x.size or not np.isfinite(x).all():
        raise UsageError(
            f"no statistics of {x.size} values of shape {x.shape}",
            why="a measure's statistics need one finite value or more, one a frame",
            fix="leave out frames that were not scored",
        )
    # MATLAB's round(linspace(1, T, 5)) - 1, which rounds halves up, in whole numbers.
    ends = [(i * (x.size - 1) + 2) // _BINS for i in range(_BINS + 1)]
    first, last = x[ends[0] : ends[1] + 1], x[ends[-2] : ends[-1] + 1]
    return Statistics(
        mean=float(x.mean()),
        recall=float((x > RECALL_THRESHOLD).mean()),
        decay=float(first.mean() - last.mean()),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Scores of one object, or of several together.

    Attributes:
        objects: How many objects.
        j: Mean, recall and decay of J over the frames; means of them over the objects.
        f: The same of F.
        flicker: Mean over the objects that have one; None if none has.
    """

    objects: int
    j: Statistics
    f: Statistics
    flicker: float | None

    @property
    def jf(self) -> float:
        """J&F, the mean of the two means. For YouTube-VOS with a known split of classes this is G."""
        return (self.j.mean + self.f.mean) / 2

    @property
    def numbers(self) -> dict[str, float]:
        """The seven numbers of the DAVIS result files, by their names there."""
        return {
            "J&F": self.jf,
            **{"J-Mean": self.j.mean, "J-Recall": self.j.recall, "J-Decay": self.j.decay},
            **{"F-Mean": self.f.mean, "F-Recall": self.f.recall, "F-Decay": self.f.decay},
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the seven numbers and flicker as plain values, ready for JSON."""
        return {**self.numbers, "flicker": self.flicker}


def mean_of(scores: Sequence[Scores]) -> Scores:
    """Return the mean of scores, each with the same weight."""
    flickers = [each.flicker for each in scores if each.flicker is not None]
    return Scores(
        objects=sum(each.objects for each in scores),
        j=_mean([each.j for each in scores]),
        f=_mean([each.f for each in scores]),
        flicker=float(np.mean(flickers)) if flickers else None,
    )


def _mean(each: list[Statistics]) -> Statistics:
    return Statistics(
        mean=float(np.mean([s.mean for s in each])),
        recall=float(np.mean([s.recall for s in each])),
        decay=float(np.mean([s.decay for s in each])),
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ObjectScore:
    """The scores of one object of a sequence, frame by frame.

    Attributes:
        sequence: Name of the sequence.
        object_id: Id in the ground truth; 1 where everything that is not 0 is one object.
        proposal: Where ids are matched: the predicted id that was matched to this object. If the prediction has no
            pixel of that id, the object was matched to nothing.
        seen: Where classes are told apart: true if the object's class occurs in training. None if not known.
        frames: Names of the T frames that were scored, in order.
        j: T values in [0, 1], float64: region similarity.
        f: T values in [0, 1], float64: contour accuracy.
        flicker: Mean flicker of the prediction over these frames (see :class:`covos.evaluation.measures.Flicker`);
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
    def scores(self) -> Scores:
        """The scores over its frames."""
        return Scores(objects=1, j=statistics(self.j), f=statistics(self.f), flicker=self.flicker)

    @property
    def j_statistics(self) -> Statistics:
        """Mean, recall and decay of J."""
        return self.scores.j

    @property
    def f_statistics(self) -> Statistics:
        """Mean, recall and decay of F."""
        return self.scores.f

    @property
    def jf(self) -> float:
        """J&F: the mean of the means of J and F."""
        return self.scores.jf

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the sequence as plain values, ready for JSON."""
        return {
            **{"id": self.object_id, "proposal": self.proposal, "seen": self.seen},
            **self.scores.as_dict(),
            **{"frames": list(self.frames), "J": self.j.tolist(), "F": self.f.tolist()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceScores:
    """Scores of one sequence.

    Attributes:
        name: Name of the sequence.
        size: (height, width) in pixels.
        frames: Names of the frames that were scored.
        objects: One entry an object, by id.
        notes: Unusual things that were scored nevertheless, one line each.
    """

    name: str
    size: tuple[int, int]
    frames: tuple[str, ...]
    objects: tuple[ObjectScore, ...]
    notes: tuple[str, ...] = ()

    @property
    def scores(self) -> Scores:
        """The mean over this sequence's objects."""
        return mean_of([each.scores for each in self.objects])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        return {
            **{"name": self.name, "height": self.size[0], "width": self.size[1]},
            **self.scores.as_dict(),
            **{"objects": [score.as_dict() for score in self.objects], "notes": list(self.notes)},
        }
