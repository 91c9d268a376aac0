"""``report.html``: a run to look at on one self-contained page, with the frames that a user should look at first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from covos.core.pages import COLOURS, Line, document, line_plot, picture_uri
from covos.core.progress import counted
from covos.runs.quality import KINDS, Seen, Watch
from covos.runs.schema import ReportContent

HTML: Final = "report.html"

_WIDE = 1080
_MOST_OBJECTS = 12


def html_report(content: Mapping[str, Any], *, watch: Watch, card: Mapping[str, Any] | None) -> str:
    """The page.

    Args:
        content: The report without its rows; see `covos.runs.schema.ReportContent`.
        watch: Over all its rows.
        card: Of the model, if it has one; see `covos.models.checkpoints.Card`.
    """
    name = content["source"]["path"].replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    title = f"{name}, cut out"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{escape(_subtitle(content))}</p>',
        _tiles(content, watch),
        "".join(f'<p class="note">{escape(text)}</p>' for text in _warnings(content)),
        _look_first(watch.first(), count=watch.suspicious),
        _over_time(watch) if watch.count else "",
        _flags(watch),
        "<h2>How it was made</h2>" + _pairs(_settings(content)),
        "" if card is None else "<h2>Model</h2>" + _pairs(_card(card)),
    ]
    return document(body, title=title)


def _subtitle(content: Mapping[str, Any]) -> str:
    source, totals = content["source"], content["totals"]
    length = "" if source["duration"] is None else f", {source['duration']:.1f} s"
    return f"{totals['frames']} frames of {source['width']} x {source['height']}{length}, by {content['model']['name']}"


def _tiles(content: Mapping[str, Any], watch: Watch) -> str:
    confidence = np.array(watch.confidence)
    sure = confidence[np.isfinite(confidence)]
    empty = watch.kinds["empty"]
    speed = content["totals"]["fps"]
    tiles = [
        ("frames to look at", str(watch.suspicious), f"of {watch.count}"),
        ("confidence", f"{sure.mean():.2f}" if sure.size else "–", f"lowest {sure.min():.2f}" if sure.size else "none"),
        (
            "objects",
            str(len(watch.objects)),
            f"{counted(empty, 'frame')} without any" if empty else "one in every frame at least",
        ),
        ("speed", "–" if speed is None else f"{speed:.1f}", "frames a second, all of it"),
    ]
    return '<div class="tiles">' + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(label: str, value: str, under: str) -> str:
    parts = (("label", label), ("value", value), ("under", under))
    return '<div class="tile">' + "".join(f'<div class="{c}">{escape(text)}</div>' for c, text in parts) + "</div>"


def _warnings(content: Mapping[str, Any]) -> list[str]:
    health = content["health"]
    lost = [f"{health['missing']} of {health['expected']} frames could not be read"] if health["missing"] else []
    return [*lost, *health["warnings"], *content["warnings"]]


def _look_first(seen: Sequence[Seen], *, count: int) -> str:
    if not seen:
        return "<h2>Look at these first</h2><p>Nothing stands out: no frame is suspicious.</p>"
    chosen = "all of them" if count == len(seen) else f"{len(seen)} of them, some frames apart"
    text = (
        f"{count} {'frame stands' if count == 1 else 'frames stand'} out; here {'is' if len(seen) == 1 else 'are'} "
        f"{'it' if count == 1 else chosen}, the most suspicious first. Correcting a mask here helps most. None of this "
        "is proof: a subject may really jump, hide or leave."
    )
    return f"<h2>Look at these first</h2><p>{text}</p>" + (
        f'<div class="shots">{"".join(_shot(each) for each in seen)}</div>'
    )


def _shot(seen: Seen) -> str:
    where = f"frame {seen.row['stem']}, {seen.row['time']:.2f} s"
    reasons = [flag.text for flag in seen.flags if flag.suspicion > 0]
    objects = ", ".join(map(str, seen.row["objects"])) or "none"
    alt = f"{where}, with its objects tinted ({objects}): {'; '.join(reasons)}"
    return (
        f'<figure class="card"><img src="{picture_uri(seen.picture)}" alt="{escape(alt)}" loading="lazy">'
        f"<figcaption><b>{escape(where)}</b><br>{escape('; '.join(reasons))}</figcaption></figure>"
    )


def _over_time(watch: Watch) -> str:
    times = [f"{time:.2f} s" for time in watch.times]
    confidence = np.nan_to_num(np.array(watch.confidence))
    marked = f"{watch.suspicious} suspicious frames are marked below"
    plots = [
        _plot(
            "Confidence: the J that the mask would have if the probabilities were right",
            [Line(label="confidence", colour=0, values=confidence)],
            times=times,
            top=1.0,
            watch=watch,
            about=f"Confidence over time, from {confidence.min():.2f} to {confidence.max():.2f}; {marked}",
        )
    ]
    shown = sorted(watch.objects)[:_MOST_OBJECTS]
    areas = [100 * _dense(watch, identity) for identity in shown]
    if areas:
        top = max(float(area.max()) for area in areas)
        lines = [
            Line(label=f"object {identity}", colour=place % COLOURS, values=area)
            for place, (identity, area) in enumerate(zip(shown, areas, strict=True))
        ]
        rest = len(watch.objects) - len(shown)
        more = f"; {rest} more objects are not drawn" if rest else ""
        said = ", ".join(f"{line.label} up to {line.values.max():.1f} %" for line in lines)
        about = f"Area over time: {said}; {marked}"
        plots.append(_plot(f"Area, percent of the frame{more}", lines, times=times, top=top, watch=watch, about=about))
    return f'<h2>Over time</h2><p class="quiet">Ticks below the lines mark suspicious frames.</p>{"".join(plots)}'


def _plot(title: str, lines: list[Line], *, times: list[str], top: float, watch: Watch, about: str) -> str:
    key = "".join(f'<span class="key"><i class="c{each.colour}"></i>{escape(each.label)}</span>' for each in lines)
    drawn = line_plot(lines, frames=times, top=top, width=_WIDE, marks=watch.marks, about=about)
    return f'<div class="card time"><h3>{escape(title)}</h3>{f"<p>{key}</p>" if len(lines) > 1 else ""}{drawn}</div>'


def _dense(watch: Watch, identity: int) -> NDArray[np.float64]:
    """The share of an object in every frame, 0 where it is not."""
    values = np.zeros(watch.count)
    series = watch.objects[identity]
    values[np.array(series.at)] = series.area
    return values


def _flags(watch: Watch) -> str:
    rows = "".join(
        f"<tr><td>{kind}</td><td>{watch.kinds[kind]}</td><td>{watch.kinds[kind] / watch.count:.1%}</td>"
        f'<td class="words">{escape(meaning)}</td></tr>'
        for kind, meaning in KINDS.items()
        if watch.kinds[kind]
    )
    if not rows:
        return ""
    head = '<tr><th>flag</th><th>frames</th><th>share</th><th class="words">meaning</th></tr>'
    return f'<h2>Flags</h2><div class="scroll"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>'


def _settings(content: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    source, totals = content["source"], content["totals"]
    yield "input", source["path"]
    yield "kind", f"{source['kind']}, {source['codec']}" + (", with sound" if source["has_audio"] else "")
    if source["sha256"] is not None:
        yield "sha256", source["sha256"]
    for name, value in content["settings"].items():
        shown = "default" if value is None else ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        yield name.replace("_", " "), shown
    yield "device", content["device"]
    resumed = f", {totals['resumed']} frames by an earlier run" if totals["resumed"] else ""
    yield "time", f"{totals['seconds']:.1f} s{resumed}"
    yield "outputs", ", ".join(content["outputs"])
    yield "covos", content["tool"]["version"]


def _card(card: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    yield "name", f"{card['name']}, {card['parameters']:,} parameters, network {card['architecture']}"
    yield "weights", f"sha256 {card['sha256']}"
    yield "licence", card["licence"]
    for each in card["data"]:
        yield "trained on", f"{each.get('name')}, {each.get('items')} items: {each.get('licence')}"
    for name, values in card["scores"].items():
        numbers = [f"{key} {value:.3f}" for key, value in values.items() if isinstance(value, float)]
        yield "measured", f"{', '.join(numbers)}: {name}"


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f'<dl class="meta">{rows}</dl>'


# What became of the objects that a run followed, in a few words.


def followed_notes(report: ReportContent) -> list[str]:
    """How many objects were found, where they were looked for; and which of the objects are lost at the end.

    Args:
        report: Of a run; one that followed nothing gives no notes.

    Returns:
        At most two lines.
    """
    states: dict[int, str] = {}
    since: dict[int, int] = {}
    for row in report["frames"]:
        for key, said in row.get("states", {}).items():
            identity = int(key)
            states[identity] = said["state"]
            if said["state"] == "present":
                since.pop(identity, None)
            else:
                since.setdefault(identity, row["index"])
    notes = []
    if "objects" in report["settings"]:
        notes.append(f"{counted(len(states), 'object')} found")
    if lost := [identity for identity in sorted(states) if states[identity] == "lost"]:
        notes.append("lost at the end: " + ", ".join(f"object {each} since frame {since[each]}" for each in lost))
    return notes
