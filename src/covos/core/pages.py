"""Render HTML pages that load nothing: templates, pictures inside the page, and plots as inline SVG."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from covos._version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from covos.core.types import ImageArray

COLOURS = 6
"""Number of colours that the page's style has; further lines start over."""

_MOST_POINTS = 300


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
) -> Markup:
    """Plot values over the T named frames of a sequence, from 0 to ``top``, with a dot at each line's lowest.

    The first line is drawn on top, the marked frames below; ``about`` describes the plot for those who do not see it.
    """

    def x(index: int) -> float:
        return 34 + (index / (len(frames) - 1) if len(frames) > 1 else 0.5) * (width - 42)

    return _svg(
        "line_plot.svg",
        lines=lines,
        frames=frames,
        top=top,
        width=width,
        about=about or f"{', '.join(line.label for line in lines)} over time",
        marks=list(dict.fromkeys(round(x(index)) for index in marks)),  # of a long video, many fall on one
        x=x,
        y=lambda value: 8 + (1 - value) * 88,
        kept_points=kept_points,
    )


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


def dot_plot(rows: Sequence[tuple[str, Sequence[float]]], *, labels: Sequence[str]) -> Markup:
    """Plot one row a sequence, with its name, and one dot a result, on a common scale of [0, 1]."""
    return _svg("dot_plot.svg", rows=rows, labels=labels, x=lambda value: 170 + value * 898)


def _svg(template: str, **values: object) -> Markup:
    """Fill the template of a plot and take its line ends away."""
    lines = _environment().get_template(template).render(colours=COLOURS, **values).split(">\n")
    return Markup(">".join(lines))
