"""Scoring of video object segmentation: measures, protocols, reports.

:func:`evaluate` scores a folder of predictions by the rules of a protocol. The measures also work on arrays:
:func:`jaccard` (region similarity J), :func:`boundary_f` (contour accuracy F), :func:`flicker`, and
:func:`statistics` (mean, recall and decay over a sequence).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covos.evaluation.comparison import Difference, Interval, confidence, difference
    from covos.evaluation.evaluator import evaluate
    from covos.evaluation.measures import Statistics, boundary_f, boundary_map, jaccard, statistics
    from covos.evaluation.protocols import PROTOCOL_NAMES, ProtocolName, ScoringProtocol, get_protocol
    from covos.evaluation.results import Evaluation, ObjectScore, Scores, SequenceScores
    from covos.evaluation.temporal import flicker

__all__ = [
    "PROTOCOL_NAMES",
    "Difference",
    "Evaluation",
    "Interval",
    "ObjectScore",
    "ProtocolName",
    "Scores",
    "ScoringProtocol",
    "SequenceScores",
    "Statistics",
    "boundary_f",
    "boundary_map",
    "confidence",
    "difference",
    "evaluate",
    "flicker",
    "get_protocol",
    "jaccard",
    "statistics",
]

_HOMES = {
    "PROTOCOL_NAMES": "protocols",
    "Difference": "comparison",
    "Evaluation": "results",
    "Interval": "comparison",
    "ObjectScore": "results",
    "ProtocolName": "protocols",
    "Scores": "results",
    "ScoringProtocol": "protocols",
    "SequenceScores": "results",
    "Statistics": "measures",
    "boundary_f": "measures",
    "boundary_map": "measures",
    "confidence": "comparison",
    "difference": "comparison",
    "evaluate": "evaluator",
    "flicker": "temporal",
    "get_protocol": "protocols",
    "jaccard": "measures",
    "statistics": "measures",
}


def __getattr__(name: str) -> Any:
    # Loaded when asked for: the measures must not bring readers of video and data sets with them.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
