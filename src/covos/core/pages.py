"""Render HTML pages that load nothing: templates, pictures inside the page, and plots as inline SVG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cache
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from covos._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from covos.core.types import ImageArray

COLOURS = 6
"""Number of colours that the page's style has; further lines start over."""

_WIDTH, _HEIGHT = 360, 116
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 8, 20
_MOST_POINTS = 300
_ROW = 20


def render_page(template: str, **values: object) -> str:
    """Return a whole page from a file in ``core/templates`` that extends ``base.html``.

    Values, ``title`` at least, are escaped, unless they are `markupsafe.Markup`, as plots are.
    """
    return _environment().get_template(template).render(version=__version__, **values)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("covos.core"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def picture_uri(image: ImageArray) -> str:
    """Return an H x W x 3 uint8 RGB picture as a data URI, lossy."""
    content = io.BytesIO()
    Image.fromarray(image).save(content, format="WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a plot: T values from 0 up, in one of the page's colours, by number."""

    label: str
    colour: int
    values: NDArray[np.float64]


def line_plot(
    lines: Sequence[Line],
    *,
    frames: Sequence[str],
    top: float = 1.0,
    width: int = 360,
    marks: Sequence[int] = (),
    about: str = "",
) -> str:
    """Plot values over the T named frames of a sequence, from 0 to ``top``, with a dot at each line's lowest.

    The first line is drawn on top. ``marks`` are indices of frames to mark below the lines; ``about`` describes the
    plot for those who do not see it (the lines' labels if not given).
    """
    about = about or f"{', '.join(line.label for line in lines)} over time"
    kind = "plot" if width <= _WIDTH else "plot wide"
    parts = [f'<svg class="{kind}" viewBox="0 0 {width} {_HEIGHT}" role="img" aria-label="{escape(about)}">']
    for share in (0, 0.5, 1):
        y = _y(share)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{width - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        tick = f"{share * top:.2g}"
        parts.append(f'<text class="tick" x="{_LEFT - 5}" y="{y + 3:.1f}" text-anchor="end">{tick}</text>')
    parts.append(f'<text class="tick" x="{_LEFT}" y="{_HEIGHT - 5}">{escape(frames[0])}</text>')
    if len(frames) > 1:
        end = f'x="{width - _RIGHT}" y="{_HEIGHT - 5}" text-anchor="end"'
        parts.append(f'<text class="tick" {end}>{escape(frames[-1])}</text>')
    if marks:
        # Whole numbers, each once: of a long video, many marks fall on one.
        spots = dict.fromkeys(round(_x(i, len(frames), width)) for i in marks)
        at = "".join(f"M{x} {_HEIGHT - _BOTTOM + 1}v5" for x in spots)
        parts.append(f'<path class="mark" d="{at}"/>')
    for line in reversed(lines):
        points = " ".join(
            f"{_x(i, len(frames), width):.1f},{_y(line.values[i] / top):.1f}" for i in kept_points(line.values)
        )
        parts.append(f'<polyline class="line c{line.colour % COLOURS}" points="{points}"/>')
        low = int(line.values.argmin())
        title = f"<title>{escape(line.label)} {line.values[low]:.3f} in frame {escape(frames[low])}</title>"
        spot = f'cx="{_x(low, len(frames), width):.1f}" cy="{_y(line.values[low] / top):.1f}"'
        parts.append(f'<circle class="dot c{line.colour % COLOURS}" {spot} r="2.6">{title}</circle>')
    return "".join([*parts, "</svg>"])


def kept_points(values: NDArray[np.float64]) -> list[int]:
    """Choose the points to draw: all, or of a long line the lowest and highest of each stretch: no dip is lost."""
    count = len(values)
    if count <= _MOST_POINTS:
        return list(range(count))
    ends = np.linspace(0, count, _MOST_POINTS // 2 + 1).astype(int)
    kept = {0, count - 1}
    for start, stop in pairwise(ends):
        kept |= {start + int(values[start:stop].argmin()), start + int(values[start:stop].argmax())}
    return sorted(kept)


def dot_plot(rows: Sequence[tuple[str, Sequence[float]]], *, labels: Sequence[str]) -> str:
    """Plot one row a sequence, with its name, and one dot a result, on a common scale of [0, 1]."""
    left, width = 170, 1080
    height = _ROW * len(rows) + 24

    def x(value: float) -> float:
        return left + value * (width - left - 12)

    parts = [f'<svg class="plot wide" viewBox="0 0 {width} {height}" role="img" aria-label="score of each sequence">']
    for value in (0, 0.25, 0.5, 0.75, 1):
        parts.append(f'<line class="grid" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="0" y2="{height - 20}"/>')
        parts.append(f'<text class="tick" x="{x(value):.1f}" y="{height - 6}" text-anchor="middle">{value:g}</text>')
    for row, (name, values) in enumerate(rows):
        y = _ROW * row + _ROW / 2
        parts.append(f'<text class="name" x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>')
        ends = f'x1="{x(min(values)):.1f}" x2="{x(max(values)):.1f}"'
        parts.append(f'<line class="span" {ends} y1="{y:.1f}" y2="{y:.1f}"/>')
        for colour, value in reversed(list(enumerate(values))):
            title = f"<title>{escape(name)}, {escape(labels[colour])}: {value:.3f}</title>"
            parts.append(
                f'<circle class="dot c{colour % COLOURS}" cx="{x(value):.1f}" cy="{y:.1f}" r="4.5">{title}</circle>'
            )
    return "".join([*parts, "</svg>"])


def _x(index: int, count: int, width: int) -> float:
    return _LEFT + (index / (count - 1) if count > 1 else 0.5) * (width - _LEFT - _RIGHT)


def _y(value: float) -> float:
    return _TOP + (1 - value) * (_HEIGHT - _TOP - _BOTTOM)
