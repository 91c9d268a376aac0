"""The parts of the report."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from covos.evaluation.comparison import confidence
from covos.evaluation.report.pictures import EXTRA, MISSED, OBJECT, worst_frames
from covos.runtime.page import COLOURS, Line, line_plot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from covos.evaluation.comparison import Interval, Measure
    from covos.evaluation.evaluation import Evaluation
    from covos.evaluation.results import ObjectScore, Scores

_WORST_OF_ONE, _WORST_OF_EACH = 12, 4


def sources(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """What was scored against what."""
    first = evaluations[0]
    single = len(evaluations) == 1
    rows = [
        ("predictions" if single else name, evaluation.predictions)
        for evaluation, name in zip(evaluations, names, strict=True)
    ]
    rows.append(("ground truth", first.truth + (f", subset {first.subset}" if first.subset else "")))
    rows.append(("scored", f"{len(first.sequences)} sequences, {len(first.objects)} objects, {first.frames:,} frames"))
    return '<dl class="meta">' + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in rows) + "</dl>"


def tiles(evaluation: Evaluation) -> str:
    """The overall numbers, large."""
    scores = evaluation.scores
    shown = [
        _tile("J&F", scores.jf, interval_text(confidence(evaluation))),
        _measure_tile(evaluation, "J", "J · region"),
        _measure_tile(evaluation, "F", "F · contour"),
    ]
    if scores.flicker is not None:
        shown.append(_tile("flicker", scores.flicker, "lower is steadier"))
    shown += [
        _tile(f"{name} classes", group.jf, f"J {group.j.mean:.3f} · F {group.f.mean:.3f}")
        for name, group in evaluation.groups.items()
    ]
    return f'<div class="tiles">{"".join(shown)}</div>'


def _measure_tile(evaluation: Evaluation, measure: Measure, label: str) -> str:
    values = evaluation.scores.j if measure == "J" else evaluation.scores.f
    under = f"recall {values.recall:.3f} · decay {values.decay:.3f}"
    return _tile(label, values.mean, f"{interval_text(confidence(evaluation, measure=measure))}<br>{under}")


def _tile(label: str, value: float, under: str) -> str:
    return (
        f'<div class="tile"><div class="label">{escape(label)}</div><div class="value">{value:.3f}</div>'
        f'<div class="under">{under}</div></div>'
    )


def interval_text(interval: Interval | None) -> str:
    """An interval in words."""
    return "one sequence: no interval" if interval is None else f"95 % {interval.low:.3f} – {interval.high:.3f}"


def notes(lines: Iterable[str]) -> str:
    """Notes, one paragraph each."""
    return "".join(f'<p class="note">{escape(line)}</p>' for line in lines)


def objects_table(evaluation: Evaluation) -> str:
    """A row an object, and one overall."""
    matched = evaluation.protocol.proposals is not None
    head = ["<th>sequence</th><th>object</th>", "<th>matched to</th>" if matched else ""]
    head += [f"<th>{label}</th>" for label in _COLUMNS]
    rows = []
    for score in evaluation.objects:
        proposal = f"<td>{score.proposal}</td>" if matched else ""
        rows.append(f"<tr><td>{escape(score.sequence)}</td><td>{score.object_id}</td>{proposal}{_cells(score)}</tr>")
    groups = [(f"{name} classes", group) for name, group in evaluation.groups.items()]
    foot = "".join(
        f"<tr><td>{name}</td><td>{scores.objects}</td>{'<td></td>' if matched else ''}{_total_cells(scores)}</tr>"
        for name, scores in [*groups, ("all", evaluation.scores)]
    )
    return (
        '<h2>Sequences and objects</h2><div class="scroll"><table><thead><tr>'
        f"{''.join(head)}</tr></thead><tbody>{''.join(rows)}</tbody><tfoot>{foot}</tfoot></table></div>"
    )


_COLUMNS = ("J&amp;F", "J mean", "recall", "decay", "F mean", "recall", "decay", "flicker")


def _cells(score: ObjectScore) -> str:
    j, f = score.j_statistics, score.f_statistics
    return (
        f"{bar_cell(score.jf)}{bar_cell(j.mean)}<td>{j.recall:.3f}</td><td>{j.decay:.3f}</td>"
        f"{bar_cell(f.mean)}<td>{f.recall:.3f}</td><td>{f.decay:.3f}</td><td>{number(score.flicker)}</td>"
    )


def _total_cells(scores: Scores) -> str:
    j, f = scores.j, scores.f
    values = (scores.jf, j.mean, j.recall, j.decay, f.mean, f.recall, f.decay, scores.flicker)
    return "".join(f"<td>{number(value)}</td>" for value in values)


def number(value: float | None) -> str:
    """A value with three digits, or a dash."""
    return "–" if value is None else f"{value:.3f}"


def bar_cell(value: float, *, kind: str = "") -> str:
    """A table cell with a bar behind its number."""
    return f'<td class="bar {kind}" style="--v:{value:.3f}">{value:.3f}</td>'


def worst(evaluation: Evaluation, *, name: str | None) -> str:
    """The worst frames in pictures; ``name`` tells results apart where there are several."""
    cards = [
        f'<div class="card"><h3>{escape(_title(found.score, evaluation))} · frame '
        f"{escape(found.score.frames[found.index])}</h3>"
        f'<p class="numbers">J {found.score.j[found.index]:.3f} · F {found.score.f[found.index]:.3f}</p>'
        '<div class="three">'
        + _figure(found.prediction, "prediction")
        + _figure(found.truth, "ground truth")
        + _figure(found.difference, "difference")
        + "</div></div>"
        for found in worst_frames(evaluation, count=_WORST_OF_ONE if name is None else _WORST_OF_EACH)
    ]
    if not cards:
        return ""
    title = "Worst frames" if name is None else f"Worst frames of {escape(name)}"
    key = "".join(
        f'<span class="key"><i style="background:rgb{colour}"></i>{label}</span>'
        for colour, label in ((OBJECT, "both"), (EXTRA, "predicted in excess"), (MISSED, "missed"))
    )
    return f'<h2>{title}</h2><p>{key}</p><div class="worst">{"".join(cards)}</div>'


def _figure(uri: str, caption: str) -> str:
    return f'<figure><img src="{uri}" alt="{caption}"><figcaption>{caption}</figcaption></figure>'


def _title(score: ObjectScore, evaluation: Evaluation) -> str:
    single = evaluation.protocol.objects == "foreground"
    return score.sequence if single else f"{score.sequence} · object {score.object_id}"


def over_time(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """J and F of each object over its frames: together for one result, apart for several."""
    first = evaluations[0]
    cards = []
    for scores in zip(*(evaluation.objects for evaluation in evaluations), strict=True):
        title = escape(_title(scores[0], first))
        if len(scores) == 1:
            lines = [
                Line(label="J", colour=0, values=scores[0].j),
                Line(label="F", colour=1, values=scores[0].f),
            ]
            cards.append(f'<div class="card"><h3>{title}</h3>{line_plot(lines, frames=scores[0].frames)}</div>')
            continue
        plots = "".join(
            f'<p class="numbers">{measure}</p>{line_plot(lines, frames=scores[0].frames)}'
            for measure, lines in (("J", _lines(scores, names, "J")), ("F", _lines(scores, names, "F")))
        )
        cards.append(f'<div class="card"><h3>{title}</h3>{plots}</div>')
    labels = ("J", "F") if len(evaluations) == 1 else names
    return f'<h2>Over time</h2><p>{colour_key(labels)}</p><div class="cards">{"".join(cards)}</div>'


def _lines(scores: Sequence[ObjectScore], names: Sequence[str], measure: Measure) -> list[Line]:
    return [
        Line(label=f"{name} {measure}", colour=colour, values=score.j if measure == "J" else score.f)
        for colour, (name, score) in enumerate(zip(names, scores, strict=True))
    ]


def colour_key(labels: Sequence[str]) -> str:
    """Which colour is which."""
    return "".join(
        f'<span class="key"><i class="c{colour % COLOURS}"></i>{escape(label)}</span>'
        for colour, label in enumerate(labels)
    )


def legend(evaluation: Evaluation) -> str:
    """How to read the numbers."""
    flicker = (
        "<b>Flicker</b> is the share of an object's pixels that come or go for a single frame; it needs no ground "
        "truth. Lower is steadier. "
        if evaluation.scores.flicker is not None
        else ""
    )
    return (
        '<h2>How to read this</h2><p class="quiet"><b>J</b> is intersection over union; <b>F</b> is how much of the '
        "two contours lie within 0.8 % of the image diagonal of each other; <b>J&amp;F</b> is the mean of both. "
        "<b>Recall</b> is the share of frames above 0.5, <b>decay</b> the mean of the first quarter less that of the "
        f"last. {flicker}Intervals hold the middle 95 % of scores over 10,000 draws of the sequences with "
        "replacement: how far the number might move on other videos of the same kind.</p>"
    )
