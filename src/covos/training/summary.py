"""A run on one page: its course, its scores, its last pictures and its settings, in a file without links."""

from __future__ import annotations

import base64
import io
import json
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

import covos
from covos.models.card import Card
from covos.runtime.atomic import atomic_path
from covos.training.curves import curve_plot
from covos.training.history import read_history


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
    page = _page(history, card=card, steps=steps, picture=_uri(pictures))
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
    style = files("covos.evaluation.report").joinpath("page.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="covos {covos.__version__}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        "<body>\n<main>\n" + "\n".join(part for part in body if part) + "\n</main>\n</body>\n</html>\n"
    )


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


def _uri(pictures: Tensor) -> str:
    content = io.BytesIO()
    Image.fromarray(pictures.permute(1, 2, 0).numpy()).save(content, format="WEBP", quality=82)
    return "data:image/webp;base64," + base64.b64encode(content.getvalue()).decode("ascii")
