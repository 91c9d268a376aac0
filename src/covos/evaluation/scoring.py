"""Scoring of one sequence, a frame at a time."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from covos.evaluation import refusals
from covos.evaluation.measures import contour_f, region_j, tolerance_radius
from covos.evaluation.results import ObjectScore, SequenceScores
from covos.evaluation.temporal import Flicker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from covos.evaluation.mask_trees import MaskSequence, ReadMasks
    from covos.evaluation.objects import FrameMasks, ObjectMask
    from covos.evaluation.protocols import ScoringProtocol
    from covos.evaluation.results import ObjectScore


# Scoring as frames arrive, for predictions whose ids are those of the ground truth.


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


# Scoring of predictions whose ids are free: each proposal against each object, matched over the sequence.


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sequence of the ground truth and what was predicted for it.

    Attributes:
        truth: The ground truth.
        prediction: The prediction; it has every frame that is scored.
        seen: By object id, whether its class occurs in training; empty where that is not known.
    """

    truth: MaskSequence
    prediction: MaskSequence
    seen: Mapping[int, bool]

    @property
    def name(self) -> str:
        """Name of the sequence, as the ground truth has it."""
        return self.truth.name


def scored_stems(truth: MaskSequence, *, protocol: ScoringProtocol) -> tuple[str, ...]:
    """Names of the annotated frames that a protocol scores; may be none."""
    return truth.stems[1:-1] if protocol.drop_ends else truth.stems


def score_sequence(pair: Pair, *, protocol: ScoringProtocol) -> SequenceScores:
    """Score one sequence.

    One frame of the prediction and one of the ground truth are held at a time; two numbers an object stay of them.

    Raises:
        AnnotationError: A mask cannot be read, differs in size, or has ids that the ground truth or the protocol
            does not allow; or the ground truth has no object.
    """
    stems = scored_stems(pair.truth, protocol=protocol)
    if not stems:
        raise refusals.no_frames_left(pair.truth, protocol=protocol)
    first = next(pair.truth.read(pair.truth.stems[:1]))
    scorer = _scorer(first, protocol=protocol)
    for prediction, truth in zip(pair.prediction.read(stems), pair.truth.read(stems), strict=True):
        if truth.masks.size != first.masks.size:
            raise refusals.size_changes(truth, first)
        if prediction.masks.size != truth.masks.size:
            raise refusals.other_size(prediction, truth)
        scorer.add(prediction, truth)
    objects = scorer.scores(sequence=pair.name, where=pair.truth.where)
    return SequenceScores(
        name=pair.name,
        size=first.masks.size,
        frames=tuple(stems),
        objects=tuple(replace(score, seen=pair.seen.get(score.object_id)) for score in objects),
        notes=_notes(first, protocol=protocol),
    )


class _Scorer(Protocol):
    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None: ...

    def scores(self, *, sequence: str, where: str) -> tuple[ObjectScore, ...]: ...


def _scorer(first: ReadMasks, *, protocol: ScoringProtocol) -> _Scorer:
    radius = tolerance_radius(*first.masks.size)
    if protocol.objects == "foreground":
        return ForegroundTrack(radius=radius)
    if protocol.objects == "appearing":
        return AppearingTracks(radius=radius)
    ids = first.masks.ids
    if not ids:
        raise refusals.no_object(first.where)
    if ids[0] == 0:
        raise refusals.object_zero(first.where)
    if protocol.proposals is not None:
        return Proposals(objects=ids[-1], most=protocol.proposals, radius=radius)
    return GivenTracks(range(1, ids[-1] + 1), radius=radius)


def _notes(first: ReadMasks, *, protocol: ScoringProtocol) -> tuple[str, ...]:
    if protocol.objects != "first-frame":
        return ()
    absent = [number for number in range(1, first.masks.ids[-1]) if number not in first.masks.ids]
    return tuple(
        f"object {number} is not in the first annotation but a higher id is: scored as an object that is never there"
        for number in absent
    )
