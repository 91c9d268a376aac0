"""Several results side by side."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from covos.evaluation.as_text import bounds, verdict
from covos.evaluation.comparison import confidence, difference
from covos.evaluation.report.sections import bar_cell, colour_key, notes, number
from covos.runtime.page import COLOURS, dot_plot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from covos.evaluation.comparison import Difference
    from covos.evaluation.evaluation import Evaluation

_MOST_ROWS = 80


def compared(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """Overall numbers, verdicts on the differences, and each sequence in each result."""
    first = evaluations[0]
    differences = [difference(first, other) for other in evaluations[1:]]
    lines = [
        f"{name}: {note}" for name, evaluation in zip(names, evaluations, strict=True) for note in evaluation.all_notes
    ]
    verdicts = [verdict(d, name=name, than=names[0]) for d, name in zip(differences, names[1:], strict=True)]
    return _overall(evaluations, differences, names) + notes(verdicts + lines) + _by_sequence(evaluations, names)


def _overall(evaluations: Sequence[Evaluation], differences: Sequence[Difference], names: Sequence[str]) -> str:
    best = max(evaluation.scores.jf for evaluation in evaluations)
    rows = []
    for colour, (evaluation, name) in enumerate(zip(evaluations, names, strict=True)):
        scores = evaluation.scores
        change = "<td></td><td></td>"
        if colour:
            found = differences[colour - 1]
            kind = "quiet" if found.is_within_chance else "up" if found.value > 0 else "down"
            change = (
                f'<td class="{kind}">{found.value:+.3f}</td><td class="quiet">{bounds(found.interval, sign="+")}</td>'
            )
        rows.append(
            f'<tr><td><span class="key"><i class="c{colour % COLOURS}"></i></span>{escape(name)}</td>'
            f"{bar_cell(scores.jf, kind='best' if scores.jf == best else '')}"
            f'<td class="quiet">{bounds(confidence(evaluation))}</td>'
            f"<td>{scores.j.mean:.3f}</td><td>{scores.f.mean:.3f}</td><td>{number(scores.flicker)}</td>{change}</tr>"
        )
    columns = ("result", "J&F", "95 % interval", "J", "F", "flicker", f"to {names[0]}", "95 % interval")
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    return (
        '<h2>Side by side</h2><div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _by_sequence(evaluations: Sequence[Evaluation], names: Sequence[str]) -> str:
    rows = [
        (sequences[0].name, [sequence.scores.jf for sequence in sequences])
        for sequences in zip(*(evaluation.sequences for evaluation in evaluations), strict=True)
    ]
    lowest = sorted(rows, key=lambda row: row[1][0])[:_MOST_ROWS]
    more = f" (the {_MOST_ROWS} lowest of {len(rows)})" if len(rows) > _MOST_ROWS else ""
    head = "".join(f"<th>{escape(name)}</th>" for name in names) + "<th>spread</th>"
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(bar_cell(value, kind="best" if value == max(values) else "") for value in values)
        + f"<td>{max(values) - min(values):.3f}</td></tr>"
        for name, values in rows
    )
    return (
        f"<h2>Each sequence</h2><p>J&amp;F by sequence, from the lowest of {escape(names[0])}{more}. "
        f'{colour_key(names)}</p><div class="card">{dot_plot(lowest, labels=names)}</div>'
        f'<h2>Each sequence, in numbers</h2><div class="scroll"><table><thead><tr><th>sequence</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
