"""Scoring of one sequence, a frame at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from covos.evaluation import refusals
from covos.evaluation.contour import tolerance_radius
from covos.evaluation.matching import Proposals
from covos.evaluation.results import SequenceScores
from covos.evaluation.tracks import AppearingTracks, ForegroundTrack, GivenTracks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from covos.evaluation.mask_sequence import MaskSequence, ReadMasks
    from covos.evaluation.protocols import ScoringProtocol
    from covos.evaluation.results import ObjectScore


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
