"""``report.html``: a run to look at on one self-contained page, with the frames that a user should look at first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from covos.core.pages import COLOURS, Line, line_plot, picture_uri, render_page
from covos.core.progress import counted
from covos.runs.quality import KINDS, Watch
from covos.runs.schema import ReportContent

HTML: Final = "report.html"

_WIDE = 1080
_MOST_OBJECTS = 12


def render_report(report: ReportContent, *, watch: Watch, card: Mapping[str, Any] | None) -> str:
    """Return the page of a run; all that is said of its frames comes from the watch, not from the report's rows."""
    name = report.source.path.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    health, without = report.health, watch.kinds["empty"]
    confidence = np.array(watch.confidence)
    lost = [f"{health.missing} of {health.expected} frames could not be read"] if health.missing else []
    return render_page(
        "report.html",
        title=f"{name}, cut out",
        report=report,
        watch=watch,
        sure=confidence[np.isfinite(confidence)],
        empty=f"{counted(without, 'frame')} without any" if without else "one in every frame at least",
        told=[
            *(*lost, *health.warnings, *report.warnings, *(step.text for step in report.steps_down)),
            *(*health.notes, *report.notes),
        ],
        shots=watch.first(),
        cuts=[f"{watch.times[index]:.2f} s" for index in report.cuts if index < watch.count],
        picture_uri=picture_uri,
        plots=list(_plots(watch)) if watch.count else [],
        kinds=KINDS,
        card=card,
    )


def _plots(watch: Watch) -> Iterator[dict[str, Any]]:
    marked = f"{watch.suspicious} suspicious frames are marked below"
    confidence = np.nan_to_num(np.array(watch.confidence))
    yield _plot(
        "Confidence: the J that the mask would have if the probabilities were right",
        [Line(label="confidence", colour=0, values=confidence)],
        watch=watch,
        top=1.0,
        about=f"Confidence over time, from {confidence.min():.2f} to {confidence.max():.2f}; {marked}",
    )
    shown = sorted(watch.objects)[:_MOST_OBJECTS]
    if not shown:
        return
    lines = []
    for place, identity in enumerate(shown):
        area = np.zeros(watch.count)  # 0 where the object is not
        area[np.array(watch.objects[identity].at)] = watch.objects[identity].area
        lines.append(Line(label=f"object {identity}", colour=place % COLOURS, values=100 * area))
    rest = len(watch.objects) - len(shown)
    yield _plot(
        "Area, percent of the frame" + (f"; {rest} more objects are not drawn" if rest else ""),
        lines,
        watch=watch,
        top=max(float(line.values.max()) for line in lines),
        about="Area over time: "
        + ", ".join(f"{line.label} up to {line.values.max():.1f} %" for line in lines)
        + f"; {marked}",
    )


def _plot(title: str, lines: list[Line], *, watch: Watch, top: float, about: str) -> dict[str, Any]:
    times = [f"{time:.2f} s" for time in watch.times]
    drawn = line_plot(lines, frames=times, top=top, width=_WIDE, marks=watch.marks, about=about)
    return {"title": title, "lines": lines, "drawn": drawn}
