"""Curves over the steps of a run, as inline SVG in the colours of the evaluation's page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise

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
