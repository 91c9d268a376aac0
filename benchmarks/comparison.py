"""The table of covos beside other tools, in the README and in docs/comparison.md: `recorded.py` writes it there.

Numbers of covos, and of what was measured beside it, come from `benchmarks/results`. The others stand here as their
sources state them; docs/comparison.md names the sources.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

Row = Sequence[str | int | float]
NONE = "none stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A row: the fields are the columns, in their order."""

    tool: str
    shown: str
    video: str
    runs_on: str
    licence: str
    score: str
    scored_on: str
    rate: str
    timed_on: str


HEADS = {
    "tool": "",
    "shown": "you show",
    "video": "video",
    "runs_on": "runs on",
    "licence": "licence",
    "score": "J&F",
    "scored_on": "scored on",
    "rate": "frames a second",
    "timed_on": "timed on",
}
NUMBERS = ("score", "rate")
"""Columns of numbers, which are set right."""
ON_THE_PAGE_ALONE = ("video", "runs_on")
"""Columns that the README leaves out, as it does XMem."""
CITED = (
    Tool(
        tool="backgroundremover",
        shown="nothing",
        video="yes: mov with alpha, gif, matte",
        runs_on="a processor or a GPU, by torch",
        licence="MIT",
        score=NONE,
        scored_on="",
        rate=NONE,
        timed_on="",
    ),
    Tool(
        tool="SAM 2.1, B+",
        shown="clicks, boxes, masks",
        video="yes",
        runs_on='"a GPU machine"',
        licence="Apache-2.0",
        score="0.902",
        scored_on="DAVIS-2017",
        rate="64.1",
        timed_on="A100",
    ),
    Tool(
        tool="Cutie, base",
        shown="a mask",
        video="folders of frames; video in its window",
        runs_on="CUDA in its examples",
        licence="MIT",
        score="0.879",
        scored_on="DAVIS-2017",
        rate="65.0",
        timed_on="A100",
    ),
    Tool(
        tool="XMem",
        shown="a mask",
        video="folders of frames; video in its window",
        runs_on="CUDA",
        licence="MIT",
        score="0.862",
        scored_on="DAVIS-2017",
        rate="22.6",
        timed_on="",
    ),
    Tool(
        tool="COSNet",
        shown="nothing",
        video="the frames of DAVIS",
        runs_on="CUDA in its commands",
        licence=NONE,
        score="0.800",
        scored_on="DAVIS-2016",
        rate=NONE,
        timed_on="",
    ),
)


def tools(rows_of: Callable[[str], Sequence[Row]]) -> list[Tool]:
    """Return the rows of the table; ``rows_of`` gives those of a table of results, such as ``segment.speed``."""
    found = {row[0]: row[-1] for row in rows_of("reproduce.val_open")}
    beside = {row[0]: row for row in rows_of("beside_rembg.scores")}
    pair = {row[0]: row[-1] for row in rows_of("segment.speed")}
    theirs, ours = beside["rembg u2netp"], beside["covos, balanced"]
    scored_on = "4 of DAVIS-2016"
    covos = Tool(
        tool="**covos**",
        shown="nothing, clicks, boxes, masks",
        video="yes, sound and times kept",
        runs_on="a processor; a GPU helps",
        licence="Apache-2.0; weights non-commercial",
        score=_number(found["J&F"], digits=3),
        scored_on=scored_on,
        rate=_number(ours[-1], digits=1),
        timed_on=f"1 core (2 faster ones: {_number(pair['frames a second once it runs'], digits=1)})",
    )
    rembg = Tool(
        tool="rembg, `u2netp`",
        shown="nothing",
        video="picture by picture; FFmpeg can pipe frames",
        runs_on="a processor, or a GPU by ONNX Runtime",
        licence="MIT",
        score=_number(theirs[1], digits=3),
        scored_on=scored_on,
        rate=_number(theirs[-1], digits=1),
        timed_on="1 core, in the same run",
    )
    return [covos, rembg, *CITED]


def markdown(name: str, rows_of: Callable[[str], Sequence[Row]]) -> str:
    """Return the ``whole`` table, or the ``short`` one of the README, in Markdown."""
    short = name == "short"
    names = [each.name for each in fields(Tool) if not (short and each.name in ON_THE_PAGE_ALONE)]
    rows = [row for row in tools(rows_of) if not (short and row.tool == "XMem")]
    rule = "|" + "".join("--:|" if each in NUMBERS else "---|" for each in names)
    lines = [line([HEADS[each] for each in names]), rule]
    lines += [line([getattr(row, each) for each in names]) for row in rows]
    return "\n" + "\n".join(lines) + "\n\n"


def line(cells: Sequence[str]) -> str:
    """Return a line of a table in Markdown."""
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def _number(cell: str | int | float, *, digits: int) -> str:
    """Return the number of a cell, which may be bold."""
    found = re.search(r"\d+(\.\d+)?", str(cell))
    if found is None:
        raise ValueError(f"no number in {cell!r}: look at benchmarks/results")
    return f"{float(found[0]):.{digits}f}"
