"""The report: one self-contained HTML page, to be looked at rather than parsed."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from covos.evaluation.report import sections
from covos.evaluation.report.compared import compared
from covos.runtime.atomic import atomic_path
from covos.runtime.page import document

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from covos.evaluation.evaluation import Evaluation


def html_page(evaluations: Sequence[Evaluation], *, names: Sequence[str]) -> str:
    """One page on one or several results of one ground truth; it loads nothing from anywhere.

    Args:
        evaluations: The results, scored by one protocol on the same sequences.
        names: What each is called on the page.

    Raises:
        UsageError: The results cannot be compared.
        AnnotationError: A mask was changed or removed since it was scored.
    """
    first = evaluations[0]
    title = " and ".join(names) if len(names) < 3 else f"{len(names)} results compared"
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">scored by <b>{first.protocol.name}</b>: {escape(first.protocol.summary)}</p>',
        sections.sources(evaluations, names=names),
    ]
    if len(evaluations) == 1:
        body += [sections.tiles(first), sections.notes(first.all_notes), sections.objects_table(first)]
    else:
        body += [compared(evaluations, names=names)]
    for evaluation, name in zip(evaluations, names, strict=True):
        body.append(sections.worst(evaluation, name=name if len(names) > 1 else None))
    body += [sections.over_time(evaluations, names=names), sections.legend(first)]
    return document(body, title=f"{title} · {first.protocol.name}")


def write_html(evaluations: Sequence[Evaluation], path: Path, *, names: Sequence[str]) -> None:
    """Write :func:`html_page` to a file; an existing one is replaced.

    Raises:
        EnvironmentProblem: The disk is full or not writable; no half-written file is left.
        UsageError, AnnotationError: As for the page.
    """
    page = html_page(evaluations, names=names)
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
