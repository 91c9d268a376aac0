"""The result of scoring a set of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from covos.evaluation.results import SequenceScores, mean_of, mean_of_groups
from covos.runtime.words import counted

if TYPE_CHECKING:
    from covos.evaluation.protocols import ScoringProtocol
    from covos.evaluation.results import ObjectScore, Scores
    from covos.evaluation.sequence import Pair


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """Scores of one set of predictions, from the overall numbers down to each frame.

    Attributes:
        protocol: The rules it was scored by.
        predictions: What was scored, as the caller named it.
        truth: What it was scored against, as the caller named it.
        subset: Which part of the data set; None for all of it.
        sequences: Scores of each sequence.
        notes: What a reader of the scores should know, one line each.
        pairs: Where the masks lie, a sequence each, so that a report can show them.
    """

    protocol: ScoringProtocol
    predictions: str
    truth: str
    subset: str | None
    sequences: tuple[SequenceScores, ...]
    notes: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()

    def __repr__(self) -> str:
        counts = ", ".join(
            [
                counted(len(self.sequences), "sequence"),
                counted(len(self.objects), "object"),
                counted(self.frames, "frame"),
            ]
        )
        scores = f"J&F {self.scores.jf:.3f}, J {self.scores.j.mean:.3f}, F {self.scores.f.mean:.3f}"
        return f"<Evaluation of {self.predictions} by {self.protocol.name}: {counts}; {scores}>"

    @property
    def objects(self) -> tuple[ObjectScore, ...]:
        """All objects of all sequences, in order."""
        return tuple(score for sequence in self.sequences for score in sequence.objects)

    @property
    def frames(self) -> int:
        """How many frames were scored."""
        return sum(len(sequence.frames) for sequence in self.sequences)

    @property
    def all_notes(self) -> tuple[str, ...]:
        """The notes on the whole and those on each sequence."""
        return (*self.notes, *(f"{each.name}: {note}" for each in self.sequences for note in each.notes))

    @cached_property
    def groups(self) -> dict[str, Scores]:
        """Scores of the objects of seen and of unseen classes; empty where these are not told apart."""
        if self.protocol.average != "seen-unseen":
            return {}
        seen = [score for score in self.objects if score.seen is True]
        unseen = [score for score in self.objects if score.seen is False]
        if not seen or not unseen or len(seen) + len(unseen) < len(self.objects):
            return {}
        return {"seen": mean_of(seen), "unseen": mean_of(unseen)}

    @cached_property
    def scores(self) -> Scores:
        """The overall numbers: the mean over objects, or over seen and unseen classes where these are told apart."""
        return mean_of_groups(list(self.groups.values())) if self.groups else mean_of(self.objects)

    def to_json(self) -> str:
        """Everything as JSON, with the names of the DAVIS result files; see :mod:`covos.evaluation.as_json`."""
        from covos.evaluation.as_json import to_json

        return to_json(self)

    def table(self) -> str:
        """The scores of each sequence and object and overall, as text in columns."""
        from covos.evaluation.as_text import table

        return table(self)
