"""Scoring of video object segmentation: measures, protocols, reports.

The measures work on arrays: :func:`jaccard` (region similarity J), :func:`boundary_f` (contour accuracy F) and
:func:`statistics` (mean, recall, decay over a sequence).
"""

from __future__ import annotations

from covos.evaluation.contour import boundary_f, boundary_map
from covos.evaluation.region import jaccard
from covos.evaluation.statistics import Statistics, statistics

__all__ = [
    "Statistics",
    "boundary_f",
    "boundary_map",
    "jaccard",
    "statistics",
]
