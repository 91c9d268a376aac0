"""The ground truth that predictions are scored against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from covos.evaluation.discovery import find_sequences
from covos.evaluation.mask_sequence import MaskSequence

if TYPE_CHECKING:
    from covos.evaluation.protocols import ScoringProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Annotated sequences.

    Attributes:
        sequences: What is scored, by name, in the order of scoring.
        subsets: Names of the sequences of each subset that the data set lists.
        seen: By sequence and object id, whether the object's class occurs in training; empty where not known.
        pictures: By sequence and frame name, the picture that was annotated; empty where there are none.
        notes: What a reader of the scores should know, one line each.
    """

    sequences: Mapping[str, MaskSequence]
    subsets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seen: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    pictures: Mapping[str, Mapping[str, Path]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find_truth(root: Path, *, protocol: ScoringProtocol, subset: str | None = None) -> Truth:
    return Truth(sequences=find_sequences(root))
