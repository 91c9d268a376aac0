"""Results that are kept: each benchmark writes its tables to `benchmarks/results`, and the documents show them.

    python benchmarks/recorded.py              # write the tables of README and docs anew (`make numbers`)
    python benchmarks/recorded.py --check      # say which differ, and end with 1
    python benchmarks/recorded.py --against OLDER [--by 0.02]    # say which scores differ from those in a folder

In a document, a table stands between two comments, and a line below it says where and by which command it was measured:

    <!-- numbers: runtimes.alone -->
    | ... |
    <!-- end -->

``comparison.whole`` and ``comparison.short`` are made by `comparison.py`, of several results and of cited numbers.
``runtimes.alone`` is the table ``alone`` of `benchmarks/results/runtimes.json`. A benchmark with ``--json FILE``
replaces the tables that it measured in that file, and leaves the others as they are. In `benchmarks/results` it keeps
the tables of `tables.py` alone, which the documents show, and says which ones it leaves out.

``--against`` compares scores and errors, which are the same on any machine but for rounding, and no times or sizes. It
ends with 1 if one differs by more than a share of itself.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import comparison
from tables import TABLES, fits, said_of_older

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MARKED = re.compile(r"(<!-- numbers: (\w+)\.(\w+)( bare)? -->\n).*?(<!-- end -->)", re.DOTALL)
SCORES = re.compile(r"(?<![\w&])(J&F|J|F|MAE|MSE|SAD|Grad|Conn|dtSSD|flicker)(?![\w&])")
"""Names, in those of columns, of what does not depend on the machine."""
Cell = str | int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of results, and where it comes from.

    Attributes:
        command: The command that measured it.
        machine: The machine, in words.
        commit: The commit of the code that was measured; with ``+`` if files were changed.
        date: The day, as 2026-11-27.
        columns: Their names. The first column names the rows, the others are numbers.
        rows: Texts and numbers.
        digits: Digits after the point, for each column; of texts they say nothing.
        note: A sentence that belongs to the numbers, such as that they were taken over from an earlier page.
    """

    command: str
    machine: str
    commit: str
    date: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    digits: Sequence[int] = ()
    note: str = ""

    def markdown(self, *, bare: bool = False, more: str = "") -> str:
        """Return the table in Markdown, its origin below it, with one more sentence if there is one.

        ``bare`` leaves out the command, which the page has.
        """
        rule = "|---|" + "--:|" * (len(self.columns) - 1)
        rows = [comparison.line(self._texts(row)) for row in self.rows]
        table = "\n".join([comparison.line(self.columns), rule, *rows])
        return f"\n{table}\n\n*{' '.join(filter(None, (self.origin(bare=bare), more)))}*\n\n"

    def _texts(self, row: Sequence[Cell]) -> list[str]:
        digits = self.digits or [3] * len(row)
        return [
            f"{cell:.{count}f}" if isinstance(cell, float) else str(cell)
            for cell, count in zip(row, digits, strict=True)
        ]

    def origin(self, *, bare: bool = False) -> str:
        """Return the sentence that says where the numbers come from; ``bare`` leaves out the command."""
        by = "" if bare else f" by `{self.command}`"
        said = f"Measured{by} on {self.machine}, {self.date}, commit {self.commit}."
        return f"{said} {self.note}" if self.note else said


def read(file: Path) -> dict[str, Table]:
    """Return the tables of a file of results by name; none if there is no file yet."""
    if not file.exists():
        return {}
    return {name: Table(**fields) for name, fields in json.loads(file.read_text(encoding="utf-8")).items()}


def keep(
    file: Path | None,
    name: str,
    *,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    digits: Sequence[int] = (),
    note: str = "",
    tree: Path = ROOT,
) -> None:
    """Keep a table that this process has measured; nothing is done without a file.

    Among the results of the repository, a table that no document shows is left out, which is said. ``tree`` is the
    working tree that was measured: its commit is kept.

    Raises:
        ValueError: A table that documents show has other columns than `tables.py` says.
    """
    if file is None:
        return
    if file.resolve().parent == RESULTS.resolve():
        full = f"{file.stem}.{name}"
        if full not in TABLES:
            print(f"not kept: {full}, which no document shows (benchmarks/tables.py)", file=sys.stderr, flush=True)
            return
        if not fits(full, columns):
            raise ValueError(
                f"{full} has the columns {list(columns)}, not those of benchmarks/tables.py: change either"
            )
    table = Table(
        command=shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *_measuring(sys.argv[1:])]),
        machine=machine(),
        commit=_commit(tree),
        date=datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        columns=columns,
        rows=rows,
        digits=digits,
        note=note,
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    kept = {each: asdict(other) for each, other in read(file).items()} | {name: asdict(table)}
    file.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def machine() -> str:
    """Return the processor of this machine, its number of cores, and a GPU if there is one, in words."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists() and (found := re.search(r"model name\s*:\s*(.+)", information.read_text())):
        processor = found[1].strip()
    cores = os.cpu_count() or 1
    said = f"{cores} core{'s' * (cores > 1)} of {processor}"
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        said += f", {torch.cuda.get_device_name()}"
    return said


def _measuring(words: Sequence[str]) -> list[str]:
    """Return the words of a command that change what is measured: no ``--json`` and ``--note``; no local paths."""
    kept = list(words)
    for option in ("--json", "--note"):
        if option in kept:
            at = kept.index(option)
            del kept[at : at + 2]
    return [Path(word).name.upper() if word.startswith(("/", "..")) else word for word in kept]


def _commit(tree: Path) -> str:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=tree, capture_output=True, text=True, check=False)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return (git("rev-parse", "--short", "HEAD") or "unknown") + ("+" if changed else "")


def pages() -> Iterator[Path]:
    """Yield the documents that may show results."""
    yield ROOT / "README.md"
    yield from sorted((ROOT / "docs").glob("*.md"))


def _rows(name: str) -> Sequence[Sequence[Cell]]:
    """Return the rows of a table such as ``segment.speed``."""
    file, _, table = name.partition(".")
    return read(RESULTS / f"{file}.json")[table].rows


def filled(text: str) -> str:
    """Return a document with its tables as they were measured last."""

    def table(found: re.Match[str]) -> str:
        head, file, name, bare, end = found.groups()
        if file == "comparison":
            return head + comparison.markdown(name, _rows) + end
        shown = read(RESULTS / f"{file}.json")[name]
        more = said_of_older(f"{file}.{name}", shown.columns)
        return head + shown.markdown(bare=bool(bare), more=more) + end

    return MARKED.sub(table, text)


def paired(older: Path, newer: Path) -> Iterator[tuple[str, Table, Table]]:
    """Yield the tables of two folders that have scores, and that the same command measured: name, old and new."""
    for file in sorted(newer.glob("*.json")):
        before = read(older / file.name)
        for name, table in read(file).items():
            known = before.get(name)
            if known is None or (known.command, known.columns) != (table.command, table.columns):
                continue
            if any(map(SCORES.search, table.columns)):
                yield f"{file.stem}.{name}", known, table


def differing(name: str, old: Table, new: Table, *, by: float) -> Iterator[str]:
    """Yield a line for each score of a table that differs by more than a share of itself."""
    if [row[0] for row in old.rows] != [row[0] for row in new.rows]:
        yield f"{name}: other rows"
        return
    for was, now in zip(old.rows, new.rows, strict=True):
        for column, before, after in zip(new.columns, was, now, strict=True):
            if not (SCORES.search(column) and isinstance(before, float) and isinstance(after, float)):
                continue
            if abs(after - before) > by * max(abs(before), abs(after)):
                yield f"{name}, {now[0]}, {column}: {before:g} -> {after:g}"


def main() -> None:
    """Write the tables of all documents anew, or compare results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; end with 1 if something would change")
    parser.add_argument("--against", type=Path, help="change nothing; compare the results with those in this folder")
    parser.add_argument("--by", type=float, default=0.02, help="share by which a score may differ")
    asked = parser.parse_args()
    if asked.against is not None:
        tables = list(paired(asked.against, RESULTS))
        lines = [line for table in tables for line in differing(*table, by=asked.by)]
        print(*lines, f"{len(tables)} tables compared, {len(lines)} scores differ", sep="\n")
        raise SystemExit(not tables or bool(lines))
    stale = 0
    for page in pages():
        before = page.read_text(encoding="utf-8")
        after = filled(before)
        if after != before:
            stale += 1
            print(page.relative_to(ROOT))
            if not asked.check:
                page.write_text(after, encoding="utf-8")
    if asked.check and stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
