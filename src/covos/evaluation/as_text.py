"""Scores as text in columns, for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covos.evaluation.evaluation import Evaluation
    from covos.evaluation.results import ObjectScore, Scores
    from covos.evaluation.summary import Statistics

_HEADER = ("sequence", "object", "J&F", "J mean", "recall", "decay", "F mean", "recall", "decay", "flicker")


def table(evaluation: Evaluation) -> str:
    """One line an object, one overall, the rules above and the notes below; values in [0, 1]."""
    objects = [
        (
            score.sequence,
            _object_name(score),
            *numbers(score.jf, score.j_statistics, score.f_statistics, score.flicker),
        )
        for score in evaluation.objects
    ]
    groups = [(f"{name} classes", str(group.objects), *_of(group)) for name, group in evaluation.groups.items()]
    total = ("all", str(len(evaluation.objects)), *_of(evaluation.scores))
    lines = [
        f"predictions  {evaluation.predictions}",
        f"truth        {evaluation.truth}" + (f", subset {evaluation.subset}" if evaluation.subset else ""),
        f"protocol     {evaluation.protocol.name}: {evaluation.protocol.summary}",
        "",
        *columns([_HEADER, *objects], [*groups, total]),
        *[f"note: {note}" for note in evaluation.all_notes],
    ]
    return "\n".join(lines) + "\n"


def numbers(jf: float, j: Statistics, f: Statistics, flicker: float | None) -> tuple[str, ...]:
    """The numbers of one row, with three digits."""
    values = (jf, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay)
    return (*(f"{value:.3f}" for value in values), "-" if flicker is None else f"{flicker:.3f}")


def columns(*blocks: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as aligned lines, with a rule between blocks and below the first row; text left, numbers right."""
    rows = [row for block in blocks for row in block]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for number, block in enumerate(blocks):
        lines += [rule] if number else []
        for row in block:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
            lines += [rule] if len(lines) == 1 else []
    return lines


def _of(scores: Scores) -> tuple[str, ...]:
    return numbers(scores.jf, scores.j, scores.f, scores.flicker)


def _object_name(score: ObjectScore) -> str:
    return str(score.object_id) if score.proposal is None else f"{score.object_id} (as {score.proposal})"
