"""Bring predictions and ground truth together, and refuse what does not fit before anything is scored."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from covos.core.errors import AnnotationError, listed
from covos.core.places import Place
from covos.core.progress import counted
from covos.core.words import Words
from covos.evaluation.mask_trees import MaskSequence, MaskVideo, single_sequence
from covos.evaluation.protocols import ScoringProtocol
from covos.evaluation.truth import Truth, dataset_around
from covos.runs.schema import has_report, load_report


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A sequence of the ground truth and what was predicted for it; every frame that is scored is predicted."""

    truth: MaskSequence
    prediction: MaskSequence
    seen: Mapping[int, bool]
    """By object id, True if its class occurs in training; empty where that is not known."""

    @property
    def name(self) -> str:
        """Name of the sequence, as the ground truth has it."""
        return self.truth.name


def pair_up(
    predictions: Path, found: Mapping[str, MaskSequence], truth: Truth, *, root: Place, protocol: ScoringProtocol
) -> tuple[list[Pair], list[str]]:
    """Take the prediction of each sequence of the ground truth, which lies at ``root``; also return notes.

    The predictions found are those that :func:`find_sequences` finds at their path.

    Sequences go by name; a path that is itself one sequence stands for the only true one, whatever it is called.
    Frames go by name, too. Predictions beyond the ground truth are not scored, and a note says so.
    """
    missing = [name for name in truth.sequences if name not in found]
    if len(missing) == len(truth.sequences) == 1 and (single := single_sequence(predictions, name=missing[0])):
        found = {missing.pop(): single}
    if missing:
        raise _missing_sequences(missing, found, predictions=predictions, truth=truth, root=root, protocol=protocol)
    pairs, notes = [], []
    for name, sequence in truth.sequences.items():
        prediction = _fitted(found[name], sequence, protocol=protocol)
        pairs.append(Pair(truth=sequence, prediction=prediction, seen=truth.seen.get(name, {})))
        # If only some frames are annotated, the others are predicted all the same.
        if not protocol.sparse and (beyond := sorted({*prediction.stems} - {*sequence.stems})):
            notes.append(
                f"not scored, as the ground truth of {name} lacks {counted(len(beyond), 'frame')}: {listed(beyond)}"
            )
            if shift := _shift(prediction.stems, sequence.stems):
                notes.append(f"{name}: each frame may be scored against another one: {shift}")
    extra = [name for name in found if name not in truth.sequences]
    note = f"not scored, as the ground truth has no such sequence: {listed(extra)}"
    return pairs, [*notes, note] if extra else notes


def _fitted(prediction: MaskSequence, truth: MaskSequence, *, protocol: ScoringProtocol) -> MaskSequence:
    stems = protocol.scored(truth.stems)
    if not stems:
        raise AnnotationError(
            f"{truth.where}: no frames left to score",
            why=f"{len(truth.stems)} annotated, and {protocol.name} drops the first and the last",
            fix="score it with davis2016-all, which keeps all frames, or leave the sequence out",
        )
    if isinstance(prediction, MaskVideo):
        return _fitted_video(prediction, truth, protocol=protocol)
    available = set(prediction.stems)
    missing = [stem for stem in stems if stem not in available]
    if missing:
        raise AnnotationError(
            f"{prediction.where} lacks {len(missing)} of the {len(stems)} frames to score: {listed(missing)}",
            why=f"frames go by name; the prediction has {listed(prediction.stems)}",
            fix=_shift(prediction.stems, truth.stems)
            or "predict every frame, and name the masks as the ground truth names them",
        )
    return prediction


def _shift(predicted: Sequence[str], true: Sequence[str]) -> str | None:
    """Say by how much the frame numbers of a prediction differ, if all do alike: those that count from 1, say."""
    if len(predicted) != len(true) or not all(stem.isdecimal() for stem in (*predicted, *true)):
        return None
    shifts = {int(ours) - int(theirs) for ours, theirs in zip(predicted, true, strict=True)}
    if len(shifts) > 1 or not (shift := shifts.pop()):
        return None
    than = f"{abs(shift)} {'higher' if shift > 0 else 'lower'} than those of the ground truth"
    return f"the numbers of the prediction are {than}: rename the masks, {predicted[0]} to {true[0]} and so on"


def _fitted_video(video: MaskVideo, truth: MaskSequence, *, protocol: ScoringProtocol) -> MaskVideo:
    count = len(video.positions)
    if count == len(truth.stems):
        return replace(video, positions={stem: index for index, stem in enumerate(truth.stems)})
    numbers = {stem: int(stem) if stem.isdecimal() else -1 for stem in truth.stems}
    if protocol.sparse and all(0 <= number < count for number in numbers.values()):
        return replace(video, positions=numbers)
    raise AnnotationError(
        f"{video.where} does not have the frames of {truth.where}",
        why=f"the video has {count} frames, the ground truth {len(truth.stems)}",
        fix="export one picture for every frame of the ground truth",
    )


def _missing_sequences(
    missing: list[str],
    found: Mapping[str, MaskSequence],
    *,
    predictions: Path,
    truth: Truth,
    root: Place,
    protocol: ScoringProtocol,
) -> AnnotationError:
    whole = dataset_around(root)
    asked = set(truth.sequences)
    subsets = {} if whole is None else {name: each for name, each in whole.splits.items() if set(each) != asked}
    videos = {*truth.sequences} if whole is None else {video.name for video in whole}
    strangers = {_spelling(name): name for name in found if name not in videos}
    near = [(name, strangers[_spelling(name)]) for name in missing if _spelling(name) in strangers]
    predicted = [name for name, members in subsets.items() if members and set(members) <= set(found)]
    if predicted and len(near) < len(missing):
        largest = max(predicted, key=lambda name: len(subsets[name]))
        fix = f"the subset {largest} is predicted whole: ask for it: " + _of_subset(largest)
    elif near:
        fix = Words.of("did you mean " + listed(f"{similar} for {name}" for name, similar in near) + "? rename them")
    elif name := _source_name(predictions, truth):
        fix = f"this is a run of {name}; to score it alone: " + _alone(predictions, truth.sequences[name], protocol)
    elif begun := [name for name, members in subsets.items() if not found.keys().isdisjoint(members)]:
        most = max(begun, key=lambda name: len(found.keys() & set(subsets[name])))
        fix = "predict these too, or ask for another subset: " + _of_subset(most)
    else:
        fix = Words.of("predict these too, or give a ground truth that holds only the sequences to score")
    common = next((name for name in truth.sequences if name in found), None)
    if common and not predicted and not truth.pictures:  # a picture's mask lies beside those of the others
        fix += f"; to score {common} alone: " + _alone(found[common].where, truth.sequences[common], protocol)
    return AnnotationError(
        f"{predictions} lacks {len(missing)} of {len(truth.sequences)} sequences: {listed(missing)}",
        why=f"leaving sequences out changes the score; it has {listed(found)}",
        fix=fix,
    )


def _source_name(predictions: Path, truth: Truth) -> str | None:
    """Return the sequence of the ground truth that a run is of, by the folder of its frames; None if there is none."""
    if not has_report(predictions) or single_sequence(predictions, name="") is None:
        return None
    name = Path(load_report(predictions).source.path).name
    return name if name in truth.sequences and isinstance(truth.sequences[name].where, Path) else None


def _of_subset(name: str) -> Words:
    return Words(f"--subset {name}", python=f"subset={name!r}")


def _alone(prediction: Place, truth: MaskSequence, protocol: ScoringProtocol) -> Words:
    """Return the call that scores one sequence alone."""
    both = [str(prediction), str(truth.where)]
    return Words(
        f"covos evaluate {shlex.join(both)} --protocol {protocol.name}",
        python=f"covos.evaluate({both[0]!r}, {both[1]!r}, protocol={protocol.name!r})",
    )


def _spelling(name: str) -> str:
    """Return a name without its case, its kind of hyphen and the zeros before its numbers, which programs change."""
    return re.sub(r"(?<![0-9])0+(?=[0-9])", "", name.casefold().replace("_", "-"))
