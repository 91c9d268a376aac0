"""Scores as text in columns, for a terminal or a log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from covos.evaluation.comparison import confidence, difference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covos.evaluation.comparison import Difference, Interval
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


def comparison_table(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """One line a result, what their differences mean, and J&F of each sequence in each; values in [0, 1].

    Raises:
        UsageError: They were not scored by the same protocol on the same sequences.
    """
    first = evaluations[0]
    differences = [difference(first, other) for other in evaluations[1:]]
    header = ("result", "J&F", "95 % interval", "J mean", "F mean", "flicker", f"to {names[0]}", "95 % interval")
    changes = [("", ""), *((f"{found.value:+.3f}", bounds(found.interval, sign="+")) for found in differences)]
    rows = [
        (name, f"{each.scores.jf:.3f}", bounds(confidence(each)), *_means(each.scores), *change)
        for name, each, change in zip(names, evaluations, changes, strict=True)
    ]
    sequences = [
        (same[0].name, *(f"{sequence.scores.jf:.3f}" for sequence in same))
        for same in zip(*(each.sequences for each in evaluations), strict=True)
    ]
    lines = [
        f"truth        {first.truth}" + (f", subset {first.subset}" if first.subset else ""),
        f"protocol     {first.protocol.name}: {first.protocol.summary}",
        "",
        *columns([header, *rows]),
        "",
        *(verdict(found, name=name, than=names[0]) for found, name in zip(differences, names[1:], strict=True)),
        "",
        *columns([("J&F of sequence", *names), *sequences]),
        *[f"note: {name}: {n}" for name, each in zip(names, evaluations, strict=True) for n in each.all_notes],
    ]
    return "\n".join(lines) + "\n"


def verdict(found: Difference, *, name: str, than: str) -> str:
    """What a difference means, in one line."""
    better = "better" if found.value > 0 else "worse"
    if found.interval is None:
        return f"{name} is {abs(found.value):.3f} {better} than {than}; one sequence cannot tell whether by chance."
    interval = f"95 % interval {bounds(found.interval, sign='+')}"
    if found.is_within_chance:
        return f"{name} and {than} differ by {found.value:+.3f}, which is within chance ({interval} holds 0)."
    return (
        f"{name} is {abs(found.value):.3f} {better} than {than}, which is beyond chance for sequences like these"
        f" ({interval}; with few sequences a rough guide)."
    )


def bounds(interval: Interval | None, *, sign: Literal["", "+"] = "") -> str:
    """Both ends of an interval, or a dash."""
    return "-" if interval is None else f"{interval.low:{sign}.3f} to {interval.high:{sign}.3f}"


def _means(scores: Scores) -> tuple[str, str, str]:
    return f"{scores.j.mean:.3f}", f"{scores.f.mean:.3f}", "-" if scores.flicker is None else f"{scores.flicker:.3f}"


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
