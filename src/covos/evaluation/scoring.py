"""Scoring of one sequence, a frame at a time, where predicted ids are those of the ground truth or free."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from functools import partial

import numpy as np

from covos.core.errors import AnnotationError, listed
from covos.core.places import Place
from covos.evaluation.mask_trees import ReadMasks
from covos.evaluation.measures import Flicker, contour_f, region_j, tolerance_radius
from covos.evaluation.objects import FrameMasks
from covos.evaluation.pairing import Pair
from covos.evaluation.protocols import ScoringProtocol
from covos.evaluation.scored_mask import ScoredMask
from covos.evaluation.scores import ObjectScore, SequenceScores


def score_sequence(pair: Pair, *, protocol: ScoringProtocol) -> SequenceScores:
    """Score one sequence.

    One frame of the prediction and one of the ground truth are held at a time; two numbers an object stay of them.
    """
    stems = protocol.scored(pair.truth.stems)
    first = next(pair.truth.read(pair.truth.stems[:1]))
    scorer = _scorer(first, protocol=protocol, appearances=partial(_appearances, pair))
    later: dict[int, str] = {}
    for prediction, truth in zip(pair.prediction.read(stems), pair.truth.read(stems), strict=True):
        _refuse_other_size(prediction, truth, first=first)
        _refuse_void(prediction, truth, protocol=protocol)
        if protocol.objects == "first-frame":
            for number in truth.masks.ids:
                if number not in first.masks.ids:
                    later.setdefault(number, truth.stem)
        scorer.add(prediction, truth)
    scores = scorer.scores(sequence=pair.name)
    if not scores:
        if first.masks.void is not None and protocol.objects != "foreground":
            raise _of_one_object(first.where, what="the ground truth ")
        raise _no_object(pair.truth.where if len(pair.truth.stems) > 1 else first.where)
    ids = first.masks.ids if protocol.objects == "first-frame" else ()
    return SequenceScores(
        name=pair.name,
        size=first.masks.size,
        frames=stems,
        objects=tuple(replace(score, seen=pair.seen.get(score.object_id)) for score in scores),
        notes=_notes(ids, later, protocol=protocol),
    )


def _appearances(pair: Pair) -> dict[int, str]:
    """Read the whole ground truth: by object id, the frame that first shows it."""
    frames: dict[int, str] = {}
    for truth in pair.truth.read(pair.truth.stems):
        for number in truth.masks.ids:
            frames.setdefault(number, truth.stem)
    return frames


def _notes(ids: tuple[int, ...], later: Mapping[int, str], *, protocol: ScoringProtocol) -> tuple[str, ...]:
    """Say of the objects that the first annotation lacks what is done with them: ``later`` has when they appear."""
    highest = max(ids, default=0)
    beyond = {number: stem for number, stem in later.items() if number > highest}
    gaps = [number for number in range(1, highest) if number not in ids]
    scored = {
        number: f"it appears first in frame {later[number]}, and is scored in all frames"
        if number in later
        else "scored as an object that is never there"
        for number in gaps
    }
    return (
        *(f"object {number} is not scored: {_appears(stem, protocol)}" for number, stem in beyond.items()),
        *(
            f"object {number} is not in the first annotation but a higher id is: {how}"
            for number, how in scored.items()
        ),
    )


def _appears(stem: str, protocol: ScoringProtocol) -> str:
    return (
        f"it first appears in frame {stem}, and {protocol.name} takes the objects of the first frame; youtube-vos "
        "takes each from the frame that first shows it"
    )


def _scorer(
    first: ReadMasks, *, protocol: ScoringProtocol, appearances: Callable[[], Mapping[int, str]]
) -> GivenObjects | Proposals:
    radius = tolerance_radius(*first.masks.size)
    if protocol.objects != "first-frame":
        ids = [1] if protocol.objects == "foreground" else []
        return GivenObjects(ids, protocol=protocol, radius=radius, appearances=appearances)
    if not first.masks.ids:
        if first.masks.void is not None:
            raise _of_one_object(first.where, what="the ground truth ")
        raise _no_object(first.where)
    if first.masks.ids[0] == 0:
        raise AnnotationError(
            f"{first.where} is an object with the id 0",
            why="under this protocol the objects are 1 to the highest id of the first annotation",
            fix="number the objects from 1",
        )
    highest = first.masks.ids[-1]
    if protocol.proposals is not None:
        return Proposals(objects=highest, protocol=protocol, radius=radius)
    return GivenObjects(range(1, highest + 1), protocol=protocol, radius=radius, appearances=appearances)


class GivenObjects:
    """Running scores of objects whose predicted ids are those of the ground truth.

    By the protocol, objects may also appear, and are scored from the first frame that shows them; or one object is
    everything that is not background. ``appearances`` reads the whole ground truth for the frame that first shows each
    of its objects; it is called only where the prediction has other ids.
    """

    def __init__(
        self,
        ids: Iterable[int],
        *,
        protocol: ScoringProtocol,
        radius: int,
        appearances: Callable[[], Mapping[int, str]],
    ) -> None:
        self._appearances = appearances
        self._protocol = protocol
        self._radius = radius
        self._tracks = {number: _Track() for number in ids}
        self._predicted: dict[int, str] = {}

    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None:
        """Score one frame."""
        for number in prediction.masks.ids:
            self._predicted.setdefault(number, prediction.where)
        if self._protocol.objects == "first-frame":
            self._refuse_foreign_ids()
        if self._protocol.objects == "appearing":
            for number in truth.masks.ids:
                self._tracks.setdefault(number, _Track())
        valid = without_void(prediction.masks, truth.masks, protocol=self._protocol)
        for number, track in self._tracks.items():
            chosen = None if self._protocol.objects == "foreground" else number
            p = valid.object(chosen, radius=self._radius)
            track.add_frame(truth.stem, p, truth.masks.object(chosen, radius=self._radius))

    def scores(self, *, sequence: str) -> tuple[ObjectScore, ...]:
        """Return the scores so far, by object id; none if the ground truth should have shown an object and has not."""
        if self._protocol.objects != "first-frame" and not any(track.shown for track in self._tracks.values()):
            return ()
        if self._protocol.objects == "appearing":
            self._refuse_foreign_ids()
        return tuple(
            ObjectScore(
                sequence=sequence,
                object_id=number,
                frames=tuple(track.frames),
                j=np.array(track.j),
                f=np.array(track.f),
                flicker=None if self._protocol.sparse else track.flicker.mean(),
            )
            for number, track in sorted(self._tracks.items())
        )

    def _refuse_foreign_ids(self) -> None:
        foreign = [number for number in self._predicted if number not in self._tracks]
        if not foreign:
            return
        shown = self._appearances()
        if lacking := [number for number in foreign if number not in shown]:
            raise AnnotationError(
                f"{self._predicted[lacking[0]]} holds object ids that the ground truth lacks: {listed(lacking)}",
                why=f"under this protocol ids are compared one to one, and the ground truth has "
                f"{listed(sorted({*self._tracks, *shown}))}",
                fix="give predicted objects the ids of the ground truth, or match them freely with davis2017-unsup",
            )
        number = foreign[0]
        raise AnnotationError(
            f"{self._predicted[number]} holds object {number}, which is not in the first annotation",
            why=f"the ground truth has it: {_appears(shown[number], self._protocol)}",
            fix="score it with youtube-vos, or leave the object out of the predictions",
        )


class Proposals:
    """Running scores of every pair of a proposal and an object; a frame leaves two numbers a pair behind.

    A proposal is an id that the prediction uses anywhere in the sequence. In frames that lack it, and for ids below
    the highest that are never used, it scores as an empty mask: 1 where the object is not there either, 0 where it
    is. The objects are 1 to ``objects``.
    """

    def __init__(self, *, objects: int, protocol: ScoringProtocol, radius: int) -> None:
        self._protocol = protocol
        self._radius = radius
        self._frames: list[str] = []
        self._nothing = [_Values() for _ in range(objects)]
        self._pairs: dict[int, list[_Values]] = {}
        self._flicker: dict[int, Flicker] = {}

    def add(self, prediction: ReadMasks, truth: ReadMasks) -> None:
        """Score one frame."""
        self._refuse_too_many(prediction)
        for number in prediction.masks.ids:
            if number not in self._pairs:
                self._pairs[number] = deepcopy(self._nothing)
                self._flicker[number] = Flicker(empty=len(self._frames))
        valid = without_void(prediction.masks, truth.masks, protocol=self._protocol)
        self._frames.append(truth.stem)
        objects = [truth.masks.object(number, radius=self._radius) for number in range(1, len(self._nothing) + 1)]
        for values, g in zip(self._nothing, objects, strict=True):
            values.add(j=float(not g.area), f=float(not g.contour_length))
        for number, pairs in self._pairs.items():
            p = valid.object(number, radius=self._radius)
            for values, g in zip(pairs, objects, strict=True):
                values.add(j=region_j(p, g), f=contour_f(p, g))
            shown = p if valid is prediction.masks else prediction.masks.object(number, radius=self._radius)
            self._flicker[number].add(shown.region)

    def scores(self, *, sequence: str) -> tuple[ObjectScore, ...]:
        """Match proposals to objects so that the sum of their mean J and F is highest; the scores by object id."""
        from scipy.optimize import linear_sum_assignment  # slow to load, and only this protocol needs it

        rows = max([len(self._nothing), *self._pairs])
        pairs = [self._pairs.get(row + 1, self._nothing) for row in range(rows)]
        means = np.array([[(np.mean(values.j) + np.mean(values.f)) / 2 for values in row] for row in pairs])
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

    def _refuse_too_many(self, prediction: ReadMasks) -> None:
        most = self._protocol.proposals or 0
        over = [number for number in prediction.masks.ids if not 1 <= number <= most]
        if over:
            raise AnnotationError(
                f"{prediction.where} holds proposals that the protocol does not allow: {listed(over)}",
                why=f"proposals are the ids 1 to {most}",
                fix=f"keep the best {most} proposals of the sequence, numbered from 1",
            )


def without_void(prediction: FrameMasks, truth: FrameMasks, *, protocol: ScoringProtocol) -> FrameMasks:
    """Return the prediction with nothing where the ground truth is void, if the protocol leaves void out."""
    void = truth.void if protocol.void == "ignored" else None
    return prediction if void is None else prediction.outside(void)


class _Values:
    """J and F of each frame."""

    def __init__(self) -> None:
        self.j = array("d")
        self.f = array("d")

    def add(self, *, j: float, f: float) -> None:
        self.j.append(j)
        self.f.append(f)


class _Track(_Values):
    """One object over the frames: of each, its name and three numbers stay."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[str] = []
        self.flicker = Flicker()
        self.shown = False

    def add_frame(self, stem: str, prediction: ScoredMask, truth: ScoredMask) -> None:
        self.frames.append(stem)
        self.add(j=region_j(prediction, truth), f=contour_f(prediction, truth))
        self.flicker.add(prediction.region)
        self.shown = self.shown or truth.area > 0


def _refuse_other_size(prediction: ReadMasks, truth: ReadMasks, *, first: ReadMasks) -> None:
    (h, w), (height, width) = truth.masks.size, first.masks.size
    if (h, w) != (height, width):
        raise AnnotationError(
            f"the ground truth {truth.where} cannot be scored",
            why=f"it is {w}x{h}, but {first.where} is {width}x{height}",
            fix="annotate a sequence at one size",
        )
    h, w = prediction.masks.size
    if (h, w) != (height, width):
        rotated = " (rotated?)" if (w, h) == (height, width) else ""
        raise AnnotationError(
            f"{prediction.where} cannot be compared with {truth.where}",
            why=f"the prediction is {w}x{h}, the ground truth {width}x{height}{rotated}",
            fix="predict at the size of the ground truth: resizing a mask changes its score",
        )


def _refuse_void(prediction: ReadMasks, truth: ReadMasks, *, protocol: ScoringProtocol) -> None:
    if protocol.objects != "foreground":
        if prediction.masks.void is not None:
            raise _of_one_object(prediction.where)
        return
    for read in (prediction, truth):
        if read.masks.ids and read.masks.void is not None:
            raise AnnotationError(
                f"{read.where} is not the mask of one object",
                why=f"it holds 255 beside {listed(read.masks.ids)}: 255 is the object in a mask of one, void among "
                "several",
                fix="score several objects with davis2017-semi or davis2017-unsup, or save the object alone as 0/255",
            )


def _of_one_object(where: str, *, what: str = "") -> AnnotationError:
    return AnnotationError(
        f"{what}{where} holds the value 255, which is no object id",
        why="in masks of several objects 255 means void; a 0/255 mask is that of one object",
        fix="score it with davis2016, or save the masks with the ids of the objects as values",
    )


def _no_object(where: Place | str) -> AnnotationError:
    return AnnotationError(
        f"the ground truth {where} has no object",
        why="an empty prediction would score 1.0, and nothing would be measured",
        fix="check that this is the annotation, and that its masks are not all black",
    )
