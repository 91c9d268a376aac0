"""The report: one self-contained HTML page, to be looked at rather than parsed, with the worst frames as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from covos.core.files import atomic_path
from covos.core.pages import COLOURS, Line, dot_plot, line_plot, picture_uri, render_page
from covos.core.types import ImageArray
from covos.evaluation.comparison import differences_from, verdicts_of
from covos.evaluation.intervals import bounds
from covos.evaluation.mask_trees import MaskFolder, MaskSequence
from covos.evaluation.results import Evaluation, confidence
from covos.evaluation.scores import ObjectScore
from covos.evaluation.scoring import without_void
from covos.media.images import read_image

_MOST_ROWS = 80
_WORST_OF_ONE, _WORST_OF_EACH, _WORST_OF_SEQUENCE = 12, 4, 2
_PICTURES = (".jpg", ".jpeg", ".png")
_WIDTH = 420
_EMPTY_STAGE = (38, 42, 48)
_OBJECT = (240, 240, 240)
# Okabe and Ito's palette: told apart by people who do not see red and green alike.
_EXTRA, _MISSED = (230, 159, 0), (86, 180, 233)
_DIFFERENCES = (("both", _OBJECT), ("predicted in excess", _EXTRA), ("missed", _MISSED))


def html_page(evaluations: Sequence[Evaluation], *, names: Sequence[str], baseline: str | None = None) -> str:
    """Return one page on one or several results of one ground truth; it loads nothing from anywhere.

    Several are compared with the baseline (see `covos.evaluation.comparison.differences_from`).
    """
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
            {
                "name": name,
                "result": each,
                "interval": confidence(each),
                "worst": [*_worst_frames(each, count=count)],
            }
            for name, each in zip(names, evaluations, strict=True)
        ],
        over_time=_over_time(evaluations, names),
        colours=COLOURS,
        differences=_DIFFERENCES,
        **(_alone(first) if single else _compared(evaluations, names, baseline)),
    )


def write_html(
    evaluations: Sequence[Evaluation], path: Path, *, names: Sequence[str], baseline: str | None = None
) -> None:
    """Write :func:`html_page` to a file; an existing one is replaced."""
    page = html_page(evaluations, names=names, baseline=baseline)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _alone(evaluation: Evaluation) -> dict[str, Any]:
    groups = [(f"{name} classes", group) for name, group in evaluation.groups.items()]
    return {
        "intervals": {"J": confidence(evaluation, measure="J"), "F": confidence(evaluation, measure="F")},
        "totals": [*groups, ("all", evaluation.scores)],
        "notes": evaluation.all_notes,
    }


def _compared(evaluations: Sequence[Evaluation], names: Sequence[str], baseline: str | None) -> dict[str, Any]:
    baseline, changes = differences_from(baseline, evaluations, names=names)
    verdicts = verdicts_of(changes, names=names, baseline=baseline)
    notes = [f"{name}: {note}" for name, each in zip(names, evaluations, strict=True) for note in each.all_notes]
    sequences = [
        (same[0].name, [sequence.scores.jf for sequence in same])
        for same in zip(*(each.sequences for each in evaluations), strict=True)
    ]
    at = changes.index(None)
    lowest = sorted(sequences, key=lambda row: row[1][at])[:_MOST_ROWS]
    return {
        "baseline": baseline,
        "changes": changes,
        "bounds": bounds,
        "best": max(each.scores.jf for each in evaluations),
        "notes": verdicts + notes,
        "sequences": sequences,
        "lowest": lowest,
        "dots": dot_plot(lowest, labels=names),
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
        drawn = [(label, line_plot(lines, frames=scores[0].frames)) for label, lines in plots.items()]
        shown.append((scores[0], drawn))
    return shown


def _worst_frames(evaluation: Evaluation, *, count: int) -> Iterator[dict[str, Any]]:
    """Yield the frames with the lowest mean of J and F, at most two of a sequence, and one of an object in it.

    Each is its object's scores and its index among their frames, with pictures: prediction, truth, and both together.
    """
    protocol = evaluation.protocol
    pairs = {pair.name: pair for pair in evaluation.pairs}
    taken: dict[str, int] = {}
    lowest = [(score, int(((score.j + score.f) / 2).argmin())) for score in evaluation.objects]
    for score, index in sorted(lowest, key=lambda entry: float(entry[0].j[entry[1]] + entry[0].f[entry[1]])):
        if score.sequence not in pairs or taken.get(score.sequence, 0) >= _WORST_OF_SEQUENCE:
            continue
        taken[score.sequence] = taken.get(score.sequence, 0) + 1
        stem = score.frames[index]
        pair = pairs[score.sequence]
        truth = next(pair.truth.read([stem])).masks
        prediction = without_void(next(pair.prediction.read([stem])).masks, truth, protocol=protocol)
        foreground = protocol.objects == "foreground"
        predicted_id = score.object_id if score.proposal is None else score.proposal
        p, g = (
            masks.object(None if foreground else number, radius=0).region.on_canvas(truth.size).view(np.bool_)
            for masks, number in ((prediction, predicted_id), (truth, score.object_id))
        )
        stage = _stage(_picture_of(pair.truth, stem), size=truth.size)
        yield {
            "score": score,
            "index": index,
            "prediction": picture_uri(_painted(stage, (p, _OBJECT))),
            "truth": picture_uri(_painted(stage, (g, _OBJECT))),
            "difference": picture_uri(_painted(stage, (p & g, _OBJECT), (p & ~g, _EXTRA), (g & ~p, _MISSED))),
        }
        if sum(taken.values()) == count:
            return


def _picture_of(truth: MaskSequence, stem: str) -> Path | None:
    """Find the picture that was annotated, where annotations lie beside pictures as data sets have it."""
    if not isinstance(truth, MaskFolder) or not isinstance(truth.where, Path):
        return None  # the picture of masks in shards is not looked for
    parts = truth.where.absolute().parts
    level = next((i for i in reversed(range(len(parts))) if parts[i].startswith("Annotations")), None)
    if level is None:
        return None
    folder = Path(*parts[:level], "JPEGImages", *parts[level + 1 :])
    return next((path for path in (folder / f"{stem}{suffix}" for suffix in _PICTURES) if path.is_file()), None)


def _stage(picture: Path | None, *, size: tuple[int, int]) -> ImageArray:
    """Return the ground to paint masks on: the picture, dimmed, at the page's size; or a plain one."""
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
