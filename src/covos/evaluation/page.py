"""The report: one self-contained HTML page, to be looked at rather than parsed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from covos.core.files import atomic_path
from covos.core.pages import COLOURS, Line, dot_plot, line_plot, render_page
from covos.evaluation.comparison import difference, verdict
from covos.evaluation.intervals import bounds
from covos.evaluation.results import Evaluation, confidence
from covos.evaluation.scores import ObjectScore
from covos.evaluation.worst_frames import EXTRA, MISSED, OBJECT, worst_frames

_WORST_OF_ONE, _WORST_OF_EACH = 12, 4
_MOST_ROWS = 80
_DIFFERENCES = (("both", OBJECT), ("predicted in excess", EXTRA), ("missed", MISSED))


def html_page(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """Return one page on one or several results of one ground truth; it loads nothing from anywhere."""
    first = evaluations[0]
    single = len(evaluations) == 1
    title = " and ".join(names) if len(names) < 3 else f"{len(names)} results compared"
    count = _WORST_OF_ONE if single else _WORST_OF_EACH
    return render_page(
        "scores.html",
        title=f"{title} · {first.protocol.name}",
        heading=title,
        first=first,
        single=single,
        names=list(names),
        results=[
            {"name": name, "result": each, "interval": confidence(each), "worst": list(worst_frames(each, count=count))}
            for name, each in zip(names, evaluations, strict=True)
        ],
        over_time=_over_time(evaluations, names),
        colours=COLOURS,
        differences=_DIFFERENCES,
        **(_alone(first) if single else _compared(evaluations, names)),
    )


def write_html(evaluations: Sequence[Evaluation], path: Path, *, names: Sequence[str]) -> None:
    """Write :func:`html_page` to a file; an existing one is replaced."""
    page = html_page(evaluations, names=names)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _alone(evaluation: Evaluation) -> dict[str, Any]:
    groups = [(f"{name} classes", group) for name, group in evaluation.groups.items()]
    return {
        "intervals": {"J": confidence(evaluation, measure="J"), "F": confidence(evaluation, measure="F")},
        "totals": [*groups, ("all", evaluation.scores)],
        "notes": evaluation.all_notes,
    }


def _compared(evaluations: Sequence[Evaluation], names: Sequence[str]) -> dict[str, Any]:
    changes = [difference(evaluations[0], other) for other in evaluations[1:]]
    verdicts = [verdict(found, name=name, than=names[0]) for found, name in zip(changes, names[1:], strict=True)]
    notes = [f"{name}: {note}" for name, each in zip(names, evaluations, strict=True) for note in each.all_notes]
    sequences = [
        (same[0].name, [sequence.scores.jf for sequence in same])
        for same in zip(*(each.sequences for each in evaluations), strict=True)
    ]
    lowest = sorted(sequences, key=lambda row: row[1][0])[:_MOST_ROWS]
    return {
        "changes": changes,
        "bounds": bounds,
        "best": max(each.scores.jf for each in evaluations),
        "notes": verdicts + notes,
        "sequences": sequences,
        "lowest": lowest,
        "dots": Markup(dot_plot(lowest, labels=names)),
    }


def _over_time(
    evaluations: Sequence[Evaluation], names: Sequence[str]
) -> list[tuple[ObjectScore, list[tuple[str, Markup]]]]:
    """Return the plots of J and F of each object over its frames: together for one result, apart for several."""
    shown = []
    for scores in zip(*(each.objects for each in evaluations), strict=True):
        if len(scores) == 1:
            lines = [Line(label="J", colour=0, values=scores[0].j), Line(label="F", colour=1, values=scores[0].f)]
            plots = {"J and F": lines}
        else:
            named = list(enumerate(zip(names, scores, strict=True)))
            plots = {
                "J": [Line(label=f"{name} J", colour=colour, values=score.j) for colour, (name, score) in named],
                "F": [Line(label=f"{name} F", colour=colour, values=score.f) for colour, (name, score) in named],
            }
        drawn = [(label, Markup(line_plot(lines, frames=scores[0].frames))) for label, lines in plots.items()]
        shown.append((scores[0], drawn))
    return shown
