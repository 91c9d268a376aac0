"""Score over speed as an SVG file: one line for each series, from its fastest point to its slowest."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 60, 250, 40, 50
COLOURS = ("#1b6ac9", "#d1495b", "#2e8b57", "#b8860b", "#7b4fb5", "#008b8b", "#a0522d", "#555555", "#c71585", "#4682b4")
LABELLED = 3
"""A series of fewer points is not labelled point by point: its size is the one that most have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One setting.

    Attributes:
        series: Points of one series are joined.
        label: Beside the point.
        speed: Frames a second.
        score: J&F in [0, 1].
    """

    series: str
    label: str
    speed: float
    score: float


def draw_plot(points: Sequence[Point], *, title: str) -> str:
    """The plot: speed on a logarithmic scale, the score from the lowest to the highest tenth there is."""
    speeds = [point.speed for point in points]
    fast, slow = max(speeds) * 1.15, min(speeds) / 1.15
    low = math.floor(min(point.score for point in points) * 10) / 10
    high = max(math.ceil(max(point.score for point in points) * 10) / 10, low + 0.1)

    def x(speed: float) -> float:
        return LEFT + math.log(speed / slow) / math.log(fast / slow) * (WIDTH - LEFT - RIGHT)

    def y(score: float) -> float:
        return TOP + (high - score) / (high - low) * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="11" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="14">{escape(title)}</text>',
    ]
    for tenth in range(round(low * 10), round(high * 10) + 1):
        height = y(tenth / 10)
        parts.append(f'<path d="M{LEFT} {height:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{height + 4:.1f}" text-anchor="end">{tenth / 10:.1f}</text>')
    for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000):
        if slow <= tick <= fast:
            parts.append(f'<path d="M{x(tick):.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#eee"/>')
            parts.append(f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{tick}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">frames a second</text>'
    )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text transform="translate(16 {middle}) rotate(-90)" text-anchor="middle">J&amp;F</text>')
    for number, series in enumerate(dict.fromkeys(point.series for point in points)):
        colour = COLOURS[number % len(COLOURS)]
        own = sorted((point for point in points if point.series == series), key=lambda point: -point.speed)
        line = " ".join(f"{x(point.speed):.1f},{y(point.score):.1f}" for point in own)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        for point in own:
            at = f'cx="{x(point.speed):.1f}" cy="{y(point.score):.1f}"'
            says = f"{series}, {point.label}: J&F {point.score:.3f} at {point.speed:.1f} frames a second"
            parts.append(f'<circle {at} r="4" fill="{colour}"><title>{escape(says)}</title></circle>')
            if len(own) >= LABELLED:
                spot = f'x="{x(point.speed) + 6:.1f}" y="{y(point.score) - 6:.1f}"'
                parts.append(f'<text {spot} fill="{colour}">{escape(point.label)}</text>')
        row = TOP + 10 + 20 * number
        parts.append(f'<circle cx="{WIDTH - RIGHT + 20}" cy="{row}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{WIDTH - RIGHT + 30}" y="{row + 4}">{escape(series)}</text>')
    return "\n".join([*parts, "</svg>\n"])
