"""Scoring of video object segmentation: measures, protocols, reports.

:func:`evaluate` scores a folder of predictions by the rules of a protocol. The measures also work on arrays:
:func:`jaccard` (region similarity J), :func:`boundary_f` (contour accuracy F), :func:`flicker`, and
:func:`statistics` (mean, recall and decay over a sequence).
"""

from __future__ import annotations

from covos.evaluation.contour import boundary_f, boundary_map
from covos.evaluation.evaluation import Evaluation
from covos.evaluation.evaluator import evaluate
from covos.evaluation.protocols import PROTOCOL_NAMES, ProtocolName, ScoringProtocol, get_protocol
from covos.evaluation.region import jaccard
from covos.evaluation.results import ObjectScore, Scores, SequenceScores
from covos.evaluation.summary import Statistics, statistics
from covos.evaluation.temporal import flicker

__all__ = [
    "PROTOCOL_NAMES",
    "Evaluation",
    "ObjectScore",
    "ProtocolName",
    "Scores",
    "ScoringProtocol",
    "SequenceScores",
    "Statistics",
    "boundary_f",
    "boundary_map",
    "evaluate",
    "flicker",
    "get_protocol",
    "jaccard",
    "statistics",
]
