"""``report.html``: a run to look at on one self-contained page, with the frames that a user should look at first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from covos.core.pages import COLOURS, Line, line_plot, picture_uri, render_page
from covos.core.progress import counted
from covos.runs.quality import KINDS, Watch
from covos.runs.schema import ReportContent

HTML: Final = "report.html"

_WIDE = 1080
_MOST_OBJECTS = 12


class _Plot(NamedTuple):
    """A plot over all frames, with its heading and the lines that its key names."""

    title: str
    lines: list[Line]
    drawn: Markup


def render_report(report: ReportContent, *, watch: Watch, card: Mapping[str, Any] | None) -> str:
    """Return the page of a run.

    Args:
        report: The report; its rows are not used.
        watch: What it saw of all rows.
        card: Card of the model, if it has one; see `covos.models.checkpoints.Card`.
    """
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
        warnings=[*lost, *health.warnings, *report.warnings],
        shots=watch.first(),
        picture_uri=picture_uri,
        plots=list(_plots(watch)) if watch.count else [],
        kinds=KINDS,
        settings=_settings(report),
        card=None if card is None else _card(card),
    )


def _plots(watch: Watch) -> Iterator[_Plot]:
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
    lines = [
        Line(label=f"object {identity}", colour=place % COLOURS, values=100 * _area(watch, identity))
        for place, identity in enumerate(shown)
    ]
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


def _plot(title: str, lines: list[Line], *, watch: Watch, top: float, about: str) -> _Plot:
    times = [f"{time:.2f} s" for time in watch.times]
    drawn = line_plot(lines, frames=times, top=top, width=_WIDE, marks=watch.marks, about=about)
    return _Plot(title, lines, drawn)


def _area(watch: Watch, identity: int) -> NDArray[np.float64]:
    """Return the share of an object in every frame, 0 where it is not."""
    values = np.zeros(watch.count)
    series = watch.objects[identity]
    values[np.array(series.at)] = series.area
    return values


def _settings(report: ReportContent) -> Iterator[tuple[str, str]]:
    source, totals = report.source, report.totals
    yield "input", source.path
    yield "kind", f"{source.kind}, {source.codec}" + (", with sound" if source.has_audio else "")
    if source.sha256 is not None:
        yield "sha256", source.sha256
    for name, value in report.settings.items():
        shown = "default" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield name.replace("_", " "), shown
    yield "device", report.device
    resumed = f", {totals.resumed} frames by an earlier run" if totals.resumed else ""
    yield "time", f"{totals.seconds:.1f} s{resumed}"
    yield "outputs", ", ".join(report.outputs)
    yield "covos", report.tool.version


def _card(card: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "name", f"{card['name']}, {card['parameters']:,} parameters, network {card['architecture']}"
    yield "weights", f"sha256 {card['sha256']}"
    yield "licence", card["licence"]
    for each in card["data"]:
        yield "trained on", f"{each.get('name')}, {each.get('items')} items: {each.get('licence')}"
    for name, values in card["scores"].items():
        numbers = [f"{key} {value:.3f}" for key, value in values.items() if isinstance(value, float)]
        yield "measured", f"{', '.join(numbers)}: {name}"
