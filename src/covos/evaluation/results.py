"""The result of scoring a set of predictions: every number, as values, as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from covos._version import __version__
from covos.core.progress import counted
from covos.evaluation.intervals import FEWEST, Interval, Measure, resampled
from covos.evaluation.layout import Table, TableFormat, check_format, columns, remarks
from covos.evaluation.pairing import Pair
from covos.evaluation.protocols import ScoringProtocol
from covos.evaluation.scores import ObjectScore, Scores, SequenceScores, mean_of

JSON_VERSION = 1

_HEADER = ("sequence", "object", "J&F", "J mean", "recall", "decay", "F mean", "recall", "decay", "flicker")
MEASURES = ("J&F", "J mean", "J recall", "J decay", "F mean", "F recall", "F decay", "flicker")
"""The numbers of `measured`, if nothing else separates J's from F's."""
LESS_IS_BETTER: Final = ("J decay", "F decay", "flicker")
PAPER_MEASURES = tuple(f"{name} ↓" if name in LESS_IS_BETTER else name for name in MEASURES)
"""Heads of columns in tables for papers; the arrow marks measures of which less is better."""
_PAPER_HEADER = ("sequence", "object", *PAPER_MEASURES)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Evaluation:
    """Scores of one set of predictions, from the overall numbers down to each frame.

    Attributes:
        protocol: The rules it was scored by.
        predictions: What was scored, as the caller named it.
        truth: What it was scored against, as the caller named it.
        subset: Which part of the data set; None for all of it.
        ratio: The ratio that this part was divided off by; None for a list of the data set.
        split_seed: Seed of that division.
        sequences: Scores of each sequence.
        notes: What a reader of the scores should know, one line each.
        pairs: Where the masks lie, a sequence each, so that a report can show them.
    """

    protocol: ScoringProtocol
    predictions: str
    truth: str
    subset: str | None
    ratio: float | None = None
    split_seed: int | None = None
    sequences: tuple[SequenceScores, ...]
    notes: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()

    def __repr__(self) -> str:
        numbers = {"sequence": len(self.sequences), "object": len(self.objects), "frame": self.frames}
        counts = ", ".join(counted(count, noun) for noun, count in numbers.items())
        scores = f"J&F {self.scores.jf:.3f}, J {self.scores.j.mean:.3f}, F {self.scores.f.mean:.3f}"
        return f"<Evaluation of {self.predictions} by {self.protocol.name}: {counts}; {scores}>"

    @property
    def objects(self) -> tuple[ObjectScore, ...]:
        """All objects of all sequences, in order."""
        return tuple(score for sequence in self.sequences for score in sequence.objects)

    @property
    def frames(self) -> int:
        """Number of frames that were scored."""
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
        seen = [score.scores for score in self.objects if score.seen is True]
        unseen = [score.scores for score in self.objects if score.seen is False]
        if not seen or not unseen or len(seen) + len(unseen) < len(self.objects):
            return {}
        return {"seen": mean_of(seen), "unseen": mean_of(unseen)}

    @cached_property
    def scores(self) -> Scores:
        """The overall numbers: the mean over objects, or over seen and unseen classes where these are told apart."""
        return mean_of(list(self.groups.values()) or [score.scores for score in self.objects])

    @property
    def rules_text(self) -> str:
        """The protocol and what it says, in words."""
        return f"Protocol {self.protocol.name}: {self.protocol.summary}"

    @property
    def truth_text(self) -> str:
        """The ground truth and the part of it that was scored, in words."""
        divided = "" if self.ratio is None else f" by ratio {self.ratio:g}, seed {self.split_seed}"
        return self.truth + (f", subset {self.subset}{divided}" if self.subset else "")

    def table(self, format: TableFormat = "text") -> str:
        """Return the scores as a table: a line an object, one overall, the rules above, the notes below.

        Args:
            format: ``"text"`` gives numbers in [0, 1]; ``"markdown"`` and ``"latex"`` percentages with one digit, as
                papers print them. LaTeX needs the package ``booktabs``.
        """
        check_format(format)
        show = number if format == "text" else percentage
        objects = [(score.sequence, _object_name(score), *_cells(score.scores, show)) for score in self.objects]
        groups = [(f"{name} classes", str(group.objects), *_cells(group, show)) for name, group in self.groups.items()]
        total = ("all", str(len(self.objects)), *_cells(self.scores, show))
        if format == "text":
            lines = [
                f"predictions  {self.predictions}",
                f"truth        {self.truth_text}",
                f"protocol     {self.protocol.name}: {self.protocol.summary}",
                "",
                *columns([_HEADER, *objects], [*groups, total]),
                *[f"note: {note}" for note in self.all_notes],
            ]
        else:
            said = [f"{self.predictions} against {self.truth_text}; in percent", self.rules_text, *self.all_notes]
            table = Table(header=_PAPER_HEADER, blocks=(objects, [*groups, total]))
            lines = [*remarks(said, format), *table.laid_out(format)]
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """Return everything as JSON, with the names of the DAVIS result files; numbers in [0, 1], not rounded."""
        return json.dumps(self.as_dict(), indent=1) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, ready for JSON."""
        interval = confidence(self)
        return {
            "format": "covos-evaluation",
            "version": JSON_VERSION,
            "covos": __version__,
            "protocol": self.protocol.name,
            "rules": self.protocol.summary,
            "predictions": self.predictions,
            "truth": self.truth,
            "subset": self.subset,
            "ratio": self.ratio,
            "split_seed": self.split_seed,
            "summary": {
                "sequences": len(self.sequences),
                "objects": len(self.objects),
                "frames": self.frames,
                **self.scores.as_dict(),
                "J&F-Interval": None if interval is None else [interval.low, interval.high],
            },
            "groups": {name: {"objects": group.objects, **group.as_dict()} for name, group in self.groups.items()},
            "sequences": [sequence.as_dict() for sequence in self.sequences],
            "notes": list(self.notes),
        }


def confidence(evaluation: Evaluation, *, measure: Measure = "J&F") -> Interval | None:
    """Return the interval in which the overall score would lie with other sequences of the same kind.

    It is the 95 % interval of a bootstrap over sequences; see :mod:`covos.evaluation.intervals`.

    Returns:
        The interval; None with fewer than `FEWEST` sequences: resampling so few says little of others.
    """
    if len(evaluation.sequences) < FEWEST:
        return None
    return Interval.of(resampled(evaluation.sequences, measure, by_class=bool(evaluation.groups)))


def number(value: float | None) -> str:
    """Return a value with three digits, or a dash."""
    return "-" if value is None else f"{value:.3f}"


def percentage(value: float | None) -> str:
    """Return a value in percent with one digit, as papers print scores, or a dash."""
    return "-" if value is None else f"{100 * value:.1f}"


def measured(scores: Scores) -> list[float | None]:
    """Return the numbers of `MEASURES`, in [0, 1]."""
    return [*scores.numbers.values(), scores.flicker]


def _cells(scores: Scores, show: Callable[[float | None], str]) -> tuple[str, ...]:
    return tuple(map(show, measured(scores)))


def _object_name(score: ObjectScore) -> str:
    return str(score.object_id) if score.proposal is None else f"{score.object_id} (as {score.proposal})"
