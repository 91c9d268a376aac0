"""Tables of cells, laid out as text, as Markdown and as LaTeX."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from covos.core.errors import UsageError, one_of

TableFormat: TypeAlias = Literal["text", "markdown", "latex"]
TABLE_FORMATS: Final[tuple[TableFormat, ...]] = ("text", "markdown", "latex")

Row: TypeAlias = Sequence[str]


def check_format(name: str) -> None:
    """Refuse a layout that there is not."""
    if name not in TABLE_FORMATS:
        raise UsageError(
            f"there is no table format {name!r}",
            why="tables are laid out as text, for Markdown or for LaTeX",
            fix=one_of(name, TABLE_FORMATS),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: the first column is text, the others are numbers.

    Attributes:
        header: The name of each column.
        blocks: Rows, in blocks that a rule divides.
        best: (row, column) of the cells to print bold, counted over all blocks.
    """

    header: Row
    blocks: tuple[Sequence[Row], ...]
    best: frozenset[tuple[int, int]] = frozenset()

    def laid_out(self, how: Literal["markdown", "latex"]) -> list[str]:
        """Return the table's lines; a LaTeX table needs the package ``booktabs``."""
        return _markdown(self) if how == "markdown" else _latex(self)


def columns(*blocks: Sequence[Row]) -> list[str]:
    """Align rows of cells as lines, with a rule between blocks and below the first row; text left, numbers right."""
    rows = [row for block in blocks for row in block]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = "  ".join("-" * width for width in widths)
    lines = []
    for number, block in enumerate(blocks):
        lines += [rule] if number else []
        for row in block:
            cells = [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
            lines.append("  ".join(cells).rstrip())
            lines += [rule] if len(lines) == 1 else []
    return lines


def remarks(lines: Sequence[str], how: Literal["markdown", "latex"]) -> list[str]:
    """Return lines of text that stand beside a table: comments in LaTeX, a paragraph each in Markdown."""
    if how == "latex":
        return [f"% {line}" for line in lines]
    return [part for line in lines for part in (_in_markdown(line), "")]


def _markdown(table: Table) -> list[str]:
    rows = [row for block in table.blocks for row in block]
    rule = ["---", *("--:" for _ in table.header[1:])]
    body = [
        [
            f"**{_in_markdown(cell)}**" if (place, column) in table.best else _in_markdown(cell)
            for column, cell in enumerate(row)
        ]
        for place, row in enumerate(rows)
    ]
    return [f"| {' | '.join(row)} |" for row in ([_in_markdown(cell) for cell in table.header], rule, *body)]


def _latex(table: Table) -> list[str]:
    lines = [f"\\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", "\\toprule"]
    lines.append(_latex_row([_in_latex(cell) for cell in table.header]))
    place = 0
    for block in table.blocks:
        lines += ["\\midrule"] if block else []
        for row in block:
            cells = [
                f"\\textbf{{{_in_latex(cell)}}}" if (place, column) in table.best else _in_latex(cell)
                for column, cell in enumerate(row)
            ]
            lines.append(_latex_row(cells))
            place += 1
    return [*lines, "\\bottomrule", "\\end{tabular}"]


def _latex_row(cells: Row) -> str:
    return " & ".join(cells) + r" \\"


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "↓": r"$\downarrow$"}


def _in_latex(text: str) -> str:
    return re.sub(r"[\\~^&%$#_{}↓]", lambda match: _LATEX.get(match[0], "\\" + match[0]), text)


def _in_markdown(text: str) -> str:
    return re.sub(r"[\\|*_`<\[\]]", lambda match: "\\" + match[0], text)
