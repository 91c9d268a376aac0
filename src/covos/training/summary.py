"""A run on one page: its course, its scores, its last pictures and its settings, in a file without links."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

from torch import Tensor

from covos.core.errors import CheckpointError
from covos.core.files import atomic_path
from covos.core.pages import document, picture_uri
from covos.models.checkpoints import Card

# Curves over the steps of a run, as inline SVG in the colours of the evaluation's page.

COLOURS = 6
"""How many the page has; further lines start over."""

_WIDTH, _HEIGHT = 520, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 22
_MOST_POINTS = 400

Points = Sequence[tuple[int, float]]
"""(step, value), ascending."""


def curve_plot(lines: Mapping[str, Points], *, steps: int, unit: bool = False) -> str:
    """Values over steps, with a key.

    Args:
        lines: Label to points; a line without points is left out.
        steps: Where the axis ends.
        unit: The vertical axis is [0, 1]; else it ends at the largest value, and begins at 0 or the least below.
    """
    drawn = {label: points for label, points in lines.items() if points}
    if not drawn:
        return '<p class="quiet">nothing yet</p>'
    values = [value for points in drawn.values() for _, value in points]
    low, high = (0.0, 1.0) if unit else (min(0.0, *values), max(values))
    high = high if high > low else low + 1

    def x(step: float) -> float:
        return _LEFT + step / steps * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<svg class="plot" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(", ".join(drawn))}">']
    for value in (low, (low + high) / 2, high):
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>'
        )
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y(value) + 3:.1f}" text-anchor="end">{value:.3g}</text>')
    for step in (0, steps // 2, steps):
        at = f'x="{x(step):.1f}" y="{_HEIGHT - 6}" text-anchor="{"end" if step == steps else "middle"}"'
        parts.append(f'<text class="tick" {at}>{step:,}</text>')
    for number, points in enumerate(drawn.values()):
        shown = " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in thinned(points))
        parts.append(f'<polyline class="line c{number % COLOURS}" points="{shown}"/>')
        for step, value in points if len(points) <= 60 else ():
            at = f'cx="{x(step):.1f}" cy="{y(value):.1f}"'
            title = f"<title>step {step:,}: {value:.4g}</title>"
            parts.append(f'<circle class="dot c{number % COLOURS}" {at} r="2.4">{title}</circle>')
    keys = "".join(
        f'<span class="key"><i class="c{number % COLOURS}"></i>{escape(label)}</span>'
        for number, label in enumerate(drawn)
    )
    return "".join([*parts, "</svg>", f"<div>{keys}</div>"])


def thinned(points: Points) -> Points:
    """All points, or of a long line the mean of each of `_MOST_POINTS` stretches."""
    if len(points) <= _MOST_POINTS:
        return points
    ends = [round(k * len(points) / _MOST_POINTS) for k in range(_MOST_POINTS + 1)]
    stretches = [points[start:stop] for start, stop in pairwise(ends)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in stretches]


# The course of a run, a line of JSON each: what the summary page is made from, and anyone's own plots.


def read_history(path: Path) -> list[dict[str, Any]]:
    """The entries of a history; none if there is no file.

    Raises:
        CheckpointError: A line is no JSON object with a step.
    """
    if not path.exists():
        return []
    entries = []
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            entry = json.loads(line)
            int(entry["step"])
        except (ValueError, TypeError, KeyError) as error:
            raise CheckpointError(
                f"{path} is damaged", why=f"line {number}: {error}", fix="remove that line, or the file"
            ) from error
        entries.append(entry)
    return entries


class History:
    """Appends to a run's history.

    Args:
        path: The file.
        step: Steps done: entries beyond belong to steps that will be done again, and are dropped.
    """

    def __init__(self, path: Path, *, step: int) -> None:
        kept = [entry for entry in read_history(path) if entry["step"] <= step]
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(entry) + "\n" for entry in kept))
        self._file: IO[str] = path.open("a", encoding="utf-8")

    def add(self, **entry: Any) -> None:
        """Append an entry; it has a ``step``."""
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def write_summary(folder: Path, *, card: Card, steps: int, pictures: Tensor) -> None:
    """Write ``summary.html`` into a run's folder.

    Args:
        folder: With ``history.jsonl``.
        card: Of the weights as they are.
        steps: Of the run, in all.
        pictures: 3 x H x W uint8 RGB.

    Raises:
        EnvironmentProblem: The disk is full or not writable; no half-written file is left.
    """
    history = read_history(folder / "history.jsonl")
    page = _page(history, card=card, steps=steps, picture=picture_uri(pictures.permute(1, 2, 0).numpy()))
    with atomic_path(folder / "summary.html") as temporary:
        temporary.write_text(page, encoding="utf-8")


def _page(history: list[dict[str, Any]], *, card: Card, steps: int, picture: str) -> str:
    measured = [entry for entry in history if "j" in entry]
    names = list(dict.fromkeys(name for entry in history for name in entry.get("losses", ())))
    losses = {
        name: [(entry["step"], entry["losses"][name]) for entry in history if name in entry.get("losses", ())]
        for name in names
    }
    scores = {label.upper(): [(entry["step"], entry[label]) for entry in measured] for label in ("j", "f")}
    title = f"{card.name}: step {card.recipe['step']:,} of {steps:,}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _meta(card),
        _tiles(losses.get("total", []), measured),
        "<h2>Course</h2>",
        '<div class="cards">',
        f'<div class="card"><h3>loss</h3>{curve_plot(losses, steps=steps)}</div>',
        f'<div class="card"><h3>validation</h3>{curve_plot(scores, steps=steps, unit=True)}</div>',
        "</div>",
        _sequences(measured),
        "<h2>Predictions</h2>",
        '<p class="quiet">Training frames as drawn, from the top: frame, target, prediction.</p>',
        f'<figure><img alt="frames, targets and predictions" src="{picture}"></figure>',
        "<h2>Recipe</h2>",
        _settings(card.recipe),
    ]
    return document(body, title=title)


def _meta(card: Card) -> str:
    start = card.recipe.get("started_from")
    rows = {
        "data": "; ".join(f"{source['name']} ({source['items']}): {source['licence']}" for source in card.data),
        "started from": f"weights {start['sha256'][:12]}" if start else "no weights of an earlier run",
        "code": f"covos {card.version} {card.commit[:12]}",
    }
    return '<dl class="meta">' + "".join(f"<dt>{k}</dt><dd>{escape(v)}</dd>" for k, v in rows.items()) + "</dl>"


def _tiles(total: list[tuple[int, float]], measured: list[dict[str, Any]]) -> str:
    tiles = []
    if total:
        tiles.append(("loss", total[-1][1], f"{total[0][1]:.3f} at step {total[0][0]:,}"))
    if measured:
        best = max(measured, key=lambda entry: float(entry["j"]))
        tiles.append(("J, last", measured[-1]["j"], f"F {measured[-1]['f']:.3f}"))
        tiles.append(("J, best", best["j"], f"F {best['f']:.3f} · step {best['step']:,}"))
    return (
        '<div class="tiles">'
        + "".join(
            f'<div class="tile"><div class="label">{label}</div><div class="value">{value:.3f}</div>'
            f'<div class="under">{under}</div></div>'
            for label, value, under in tiles
        )
        + "</div>"
    )


def _sequences(measured: list[dict[str, Any]]) -> str:
    if not measured:
        return ""
    rows = [
        f'<tr><td>{escape(name)}</td><td class="bar" style="--v:{j:.3f}">{j:.3f}</td>'
        f'<td class="bar" style="--v:{f:.3f}">{f:.3f}</td></tr>'
        for name, (j, f) in measured[-1]["sequences"].items()
    ]
    head = "<thead><tr><th>sequence</th><th>J</th><th>F</th></tr></thead>"
    return f'<div class="scroll" style="margin-top:16px"><table>{head}<tbody>{"".join(rows)}</tbody></table></div>'


def _settings(recipe: dict[str, Any]) -> str:
    rows = [
        f'<tr><td>{escape(name)}</td><td class="text">{escape(json.dumps(value))}</td></tr>'
        for name, value in recipe.items()
        if name not in ("step", "started_from")
    ]
    return f'<div class="scroll"><table><tbody>{"".join(rows)}</tbody></table></div>'
