"""The report: one self-contained HTML page, to be looked at rather than parsed."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from covos.core.files import atomic_path
from covos.core.pages import COLOURS, Line, document, dot_plot, line_plot, picture_uri
from covos.evaluation.comparison import confidence, difference
from covos.evaluation.mask_trees import MaskFolder
from covos.evaluation.tables import bounds, verdict
from covos.media.images import read_image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from covos.core.types import ImageArray
    from covos.evaluation.comparison import Difference, Interval, Measure
    from covos.evaluation.mask_trees import MaskSequence
    from covos.evaluation.objects import FrameMasks
    from covos.evaluation.results import Evaluation, ObjectScore, Scores


# The worst frames, as pictures: what was predicted, what is true, and where they differ.

_PICTURES = (".jpg", ".jpeg", ".png")
_WIDTH = 420
_PER_SEQUENCE = 2
_EMPTY_STAGE = (38, 42, 48)
OBJECT = (240, 240, 240)
# Okabe and Ito's palette: told apart by people who do not see red and green alike.
EXTRA = (230, 159, 0)
MISSED = (86, 180, 233)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFrame:
    """A frame in which an object was scored low.

    Attributes:
        score: The object's scores.
        index: Which of its frames.
        prediction: The predicted mask, as a data URI of a picture.
        truth: The annotated mask.
        difference: Both: what they share, what was predicted in excess, what was missed.
    """

    score: ObjectScore
    index: int
    prediction: str
    truth: str
    difference: str


def worst_frames(evaluation: Evaluation, *, count: int) -> Iterator[WorstFrame]:
    """The frames with the lowest mean of J and F, at most two of a sequence, and one of an object in it.

    Raises:
        AnnotationError: A mask was changed or removed since it was scored.
    """
    pairs = {pair.name: pair for pair in evaluation.pairs}
    taken: dict[str, int] = {}
    for score, index in _by_score(evaluation):
        if score.sequence not in pairs or taken.get(score.sequence, 0) >= _PER_SEQUENCE:
            continue
        taken[score.sequence] = taken.get(score.sequence, 0) + 1
        stem = score.frames[index]
        pair = pairs[score.sequence]
        prediction, truth = next(pair.prediction.read([stem])).masks, next(pair.truth.read([stem])).masks
        if evaluation.protocol.void == "ignored" and truth.void is not None:
            prediction = prediction.outside(truth.void)
        foreground = evaluation.protocol.objects == "foreground"
        predicted_id = score.object_id if score.proposal is None else score.proposal
        p = _full(prediction, None if foreground else predicted_id)
        g = _full(truth, None if foreground else score.object_id)
        stage = _stage(_picture_of(pair.truth, stem), size=truth.size)
        yield WorstFrame(
            score=score,
            index=index,
            prediction=picture_uri(_painted(stage, (p, OBJECT))),
            truth=picture_uri(_painted(stage, (g, OBJECT))),
            difference=picture_uri(_painted(stage, (p & g, OBJECT), (p & ~g, EXTRA), (g & ~p, MISSED))),
        )
        if sum(taken.values()) == count:
            return


def _by_score(evaluation: Evaluation) -> list[tuple[ObjectScore, int]]:
    lowest = [(score, int(((score.j + score.f) / 2).argmin())) for score in evaluation.objects]
    return sorted(lowest, key=lambda entry: float(entry[0].j[entry[1]] + entry[0].f[entry[1]]))


def _full(masks: FrameMasks, object_id: int | None) -> NDArray[np.bool_]:
    found = masks.foreground(radius=0) if object_id is None else masks.object(object_id, radius=0)
    region = found.region
    full = np.zeros(masks.size, np.bool_)
    height, width = region.pixels.shape
    full[region.top : region.top + height, region.left : region.left + width] = region.pixels
    return full


def _picture_of(truth: MaskSequence, stem: str) -> Path | None:
    """The picture that was annotated, where annotations lie beside pictures as data sets have it."""
    if not isinstance(truth, MaskFolder):
        return None
    parts = truth.folder.absolute().parts
    level = next((i for i in reversed(range(len(parts))) if parts[i].startswith("Annotations")), None)
    if level is None:
        return None
    folder = Path(*parts[:level], "JPEGImages", *parts[level + 1 :])
    return next((path for path in (folder / f"{stem}{suffix}" for suffix in _PICTURES) if path.is_file()), None)


def _stage(picture: Path | None, *, size: tuple[int, int]) -> ImageArray:
    """What masks are painted on: the picture, dimmed, at the page's size; or a plain ground."""
    height, width = round(size[0] * _WIDTH / size[1]), _WIDTH
    if picture is None:
        return np.full((height, width, 3), _EMPTY_STAGE, np.uint8)
    image = cv2.resize(read_image(picture), (width, height), interpolation=cv2.INTER_AREA)
    dimmed: ImageArray = (image * 0.55).astype(np.uint8)
    return dimmed


def _painted(stage: ImageArray, *layers: tuple[NDArray[np.bool_], tuple[int, int, int]]) -> ImageArray:
    canvas = stage.astype(np.float32)
    size = (stage.shape[1], stage.shape[0])
    for mask, colour in layers:
        share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None] * 0.75
        canvas = canvas * (1 - share) + np.array(colour, np.float32) * share
    painted: ImageArray = canvas.round().astype(np.uint8)
    return painted


# The parts of the report.

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


# Several results side by side.

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


def html_page(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """One page on one or several results of one ground truth; it loads nothing from anywhere.

    Args:
        evaluations: The results, scored by one protocol on the same sequences.
        names: What each is called on the page.

    Raises:
        UsageError: The results cannot be compared.
        AnnotationError: A mask was changed or removed since it was scored.
    """
    first = evaluations[0]
    title = " and ".join(names) if len(names) < 3 else f"{len(names)} results compared"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">scored by <b>{first.protocol.name}</b>: {escape(first.protocol.summary)}</p>',
        sources(evaluations, names=names),
    ]
    if len(evaluations) == 1:
        body += [tiles(first), notes(first.all_notes), objects_table(first)]
    else:
        body += [compared(evaluations, names=names)]
    for evaluation, name in zip(evaluations, names, strict=True):
        body.append(worst(evaluation, name=name if len(names) > 1 else None))
    body += [over_time(evaluations, names=names), legend(first)]
    return document(body, title=f"{title} · {first.protocol.name}")


def write_html(evaluations: Sequence[Evaluation], path: Path, *, names: Sequence[str]) -> None:
    """Write :func:`html_page` to a file; an existing one is replaced.

    Raises:
        EnvironmentProblem: The disk is full or not writable; no half-written file is left.
        UsageError, AnnotationError: As for the page.
    """
    page = html_page(evaluations, names=names)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
