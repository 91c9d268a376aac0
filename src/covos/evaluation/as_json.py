"""Scores as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import covos
from covos.evaluation.comparison import confidence, difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covos.evaluation.comparison import Interval
    from covos.evaluation.evaluation import Evaluation
    from covos.evaluation.results import ObjectScore, Scores, SequenceScores
    from covos.evaluation.summary import Statistics

VERSION = 1


def to_json(evaluation: Evaluation) -> str:
    """One evaluation as JSON; numbers are in [0, 1] and not rounded."""
    return json.dumps(as_dict(evaluation), indent=1) + "\n"


def comparison_to_json(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """Several evaluations as JSON, with the difference of each from the first.

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences.
    """
    differences = [(name, difference(evaluations[0], each)) for name, each in zip(names, evaluations, strict=True)]
    content = {
        "format": "covos-comparison",
        "version": VERSION,
        "results": [{"name": name, **as_dict(each)} for name, each in zip(names, evaluations, strict=True)],
        "differences": [
            {
                "result": name,
                "from": names[0],
                "J&F": found.value,
                "interval": _interval(found.interval),
                "within_chance": found.is_within_chance,
            }
            for name, found in differences[1:]
        ],
    }
    return json.dumps(content, indent=1) + "\n"


def as_dict(evaluation: Evaluation) -> dict[str, Any]:
    """One evaluation as plain values, ready for JSON."""
    return {
        "format": "covos-evaluation",
        "version": VERSION,
        "covos": covos.__version__,
        "protocol": evaluation.protocol.name,
        "rules": evaluation.protocol.summary,
        "predictions": evaluation.predictions,
        "truth": evaluation.truth,
        "subset": evaluation.subset,
        "summary": {
            "sequences": len(evaluation.sequences),
            "objects": len(evaluation.objects),
            "frames": evaluation.frames,
            **_scores(evaluation.scores),
            "J&F-Interval": _interval(confidence(evaluation)),
        },
        "groups": {name: {"objects": group.objects, **_scores(group)} for name, group in evaluation.groups.items()},
        "sequences": [_sequence(sequence) for sequence in evaluation.sequences],
        "notes": list(evaluation.notes),
    }


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _sequence(sequence: SequenceScores) -> dict[str, Any]:
    height, width = sequence.size
    return {
        "name": sequence.name,
        "height": height,
        "width": width,
        **_scores(sequence.scores),
        "objects": [_object(score) for score in sequence.objects],
        "notes": list(sequence.notes),
    }


def _object(score: ObjectScore) -> dict[str, Any]:
    return {
        "id": score.object_id,
        "proposal": score.proposal,
        "seen": score.seen,
        "J&F": score.jf,
        **_statistics("J", score.j_statistics),
        **_statistics("F", score.f_statistics),
        "flicker": score.flicker,
        "frames": list(score.frames),
        "J": score.j.tolist(),
        "F": score.f.tolist(),
    }


def _scores(scores: Scores) -> dict[str, Any]:
    return {
        "J&F": scores.jf,
        **_statistics("J", scores.j),
        **_statistics("F", scores.f),
        "flicker": scores.flicker,
    }


def _statistics(measure: str, values: Statistics) -> dict[str, float]:
    return {f"{measure}-Mean": values.mean, f"{measure}-Recall": values.recall, f"{measure}-Decay": values.decay}
