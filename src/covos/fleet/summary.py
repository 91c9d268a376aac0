"""The summary of a batch: a table with a row for each clip, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext, suppress
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Final, Self

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.files import exclusive, hidden_beside, refuse_link
from covos.core.progress import counted
from covos.core.remote import is_remote
from covos.core.tables import cell
from covos.core.words import Words
from covos.fleet.manifests import parquet, parquet_fields
from covos.fleet.own import Own
from covos.fleet.places import write_file
from covos.fleet.work import Row
from covos.runs.folder import explained

SUMMARY: Final = "batch.csv"
"""Its name in the folder of the output, unless another file is asked for."""
EVERY: Final = 10.0
"""Seconds after which it is written anew while the batch runs."""
SHARE: Final = 0.02
"""Share of a batch's time that writing it anew takes at most: that of very many clips is written less often."""
COLUMNS: Final = (
    "name", "input", "folder", "status", "frames", "seconds", "frames_per_second", "doubtful", "confidence",
    "empty", "first_doubtful", "attempts", "warnings", "exit_code", "error", "why", "fix",
)  # fmt: skip


class Summary:
    """Keeps the table up to date, in a file; a context manager, which writes it in the end whatever happens.

    Beside it lies the mark of a batch that replaces earlier results, see `covos.fleet.own.Own`.

    Args:
        place: A path or URL that ends in ``.csv`` or ``.parquet``. What is there is replaced: it is the table of an
            earlier batch, or the user named it.
        rows: Those of all clips, before the batch.
        carried: Further columns, which a row may lack; those of the rows follow. One with the name of a column of the
            table stands there as ``input_NAME``.
        manifests: Places of the manifests. In a Parquet summary, columns have the types that they have in Parquet
            manifests, or one that takes those of all; else they are texts.
        overwrites: True if the batch replaces earlier results.
        clock: Tells seconds.

    Attributes:
        own: Names of clips whose results the batch has made, before it was stopped; known in the block.

    Raises:
        UsageError: It ends otherwise, or pyarrow is needed and missing.
    """

    def __init__(
        self,
        place: str,
        rows: Iterable[Row],
        *,
        carried: Iterable[str] = (),
        manifests: Iterable[str] = (),
        overwrites: bool = False,
        clock: Any = time.monotonic,
    ) -> None:
        self.place = place
        self.own: frozenset[str] = frozenset()
        self._mark, self._overwrites = Own(place), overwrites
        self._suffix = PurePosixPath(place).suffix.lower()
        if self._suffix not in (".csv", ".parquet"):
            raise UsageError(
                f"the summary {place}",
                why=f"a table is CSV or Parquet, not {self._suffix or 'without a suffix'}",
                fix=f"name it {PurePosixPath(place).stem}.csv or .parquet",
            )
        self._fields: list[Mapping[str, Any]] = []
        if self._suffix == ".parquet":
            parquet()
            self._fields = [parquet_fields(each) for each in manifests]
        if not is_remote(place):
            refuse_link(Path(place))
        self.rows = {row.name: row for row in rows}
        named = (*carried, *(name for row in self.rows.values() for name in row.carried))
        self._carried = _columns_of(dict.fromkeys(named))
        self._clock, self._due = clock, clock() + EVERY
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Keep other batches from the table: each would write its own state over that of the other.

        Raises:
            EnvironmentProblem: A batch that runs writes it.
        """
        if not is_remote(self.place):
            table = Path(self.place)
            with explained(table):
                table.parent.mkdir(parents=True, exist_ok=True)
            lock = exclusive(
                hidden_beside(table, ".lock"),
                what=f"another batch writes {table}",
                fix="wait until it is done, or give this one another output, or another table: "
                + Words("--summary FILE", python="summary=..."),
            )
            self._held.enter_context(lock)
        if self._overwrites:
            try:
                self.own = self._mark.begin()
            except BaseException:
                self._held.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # On a full disk the table cannot be written either: the error that ended the batch says more.
        with self._held, suppress(EnvironmentProblem) if error is not None else nullcontext():
            self.write()
            if error is None and not any(row.status == "failed" for row in self.rows.values()):
                # Those of other clips may be of a larger batch that was stopped.
                self._mark.drop(self.rows.keys())

    def add(self, row: Row) -> None:
        """Take what became of a clip."""
        self.rows[row.name] = row
        if self._overwrites and row.has_frames:
            self._mark.note(row.name)
        if self._clock() >= self._due:
            self.write()

    def cut_short(self) -> str:
        """Return a line on a batch that ended early: what is done, and how to go on."""
        states = Counter(row.status for row in self.rows.values())
        begun, failed = states["begun"], states["failed"]
        done = states.total() - states["waiting"] - begun - failed
        said = f"{done} of {counted(states.total(), 'clip')} done, {begun} begun" + f", {failed} failed" * bool(failed)
        return f"{said}; the same command goes on from there: {self.place}"

    def write(self) -> None:
        """Write the table.

        Raises:
            EnvironmentProblem: It cannot be written.
        """
        began = self._clock()
        self._mark.save()
        rows = self.rows.values()
        is_csv = self._suffix == ".csv"
        content = _as_csv(rows, self._carried) if is_csv else _as_parquet(rows, self._carried, self._fields)
        write_file(self.place, content)
        now = self._clock()
        self._due = now + max(EVERY, (now - began) / SHARE)


def _columns_of(carried: Iterable[str]) -> dict[str, str]:
    """Return the columns that the table has for those of manifests, each with the name that it has there."""
    names = list(carried)
    columns: dict[str, str] = {}
    for name in names:
        column = name
        while column in COLUMNS or (column != name and column in names) or column in columns:
            column = f"input_{column}"
        columns[column] = name
    return columns


def _record(row: Row, carried: Mapping[str, str]) -> dict[str, Any]:
    error = row.error
    values = (
        row.name, row.input, row.folder, row.status, row.frames, round(row.seconds, 3),
        round(row.computed / row.seconds, 3) if row.computed and row.seconds else None,
        row.doubtful, None if row.confidence is None else round(row.confidence, 4), row.empty, row.first_doubtful,
        row.attempts, "; ".join(row.warnings) or None,
        *((None,) * 4 if error is None else (error.exit_code, error.what, error.why, error.remedy.command)),
    )  # fmt: skip
    further = {column: row.carried.get(name) for column, name in carried.items()}
    return {**further, **dict(zip(COLUMNS, values, strict=True))}


def _as_csv(rows: Iterable[Row], carried: Mapping[str, str]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([cell(name) for name in (*COLUMNS, *carried)])
    for row in rows:
        record: Mapping[str, Any] = _record(row, carried)
        values = (record[name] for name in (*COLUMNS, *carried))
        writer.writerow([cell(None if value != value else value) for value in values])  # noqa: PLR0124 - NaN
    return text.getvalue().encode()


def _as_parquet(rows: Iterable[Row], carried: Mapping[str, str], fields: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow

    kinds = {"frames": pyarrow.int64(), "seconds": pyarrow.float64(), "frames_per_second": pyarrow.float64(),
             "doubtful": pyarrow.int64(), "confidence": pyarrow.float64(), "empty": pyarrow.int64(),
             "attempts": pyarrow.int64(), "exit_code": pyarrow.int64()}  # fmt: skip
    records = [_record(row, carried) for row in rows]
    made = {name: pyarrow.field(name, kinds.get(name, pyarrow.string())) for name in COLUMNS}
    columns = [pyarrow.array([each[name] for each in records], field.type) for name, field in made.items()]
    for column, name in carried.items():
        known = [each[name].with_name(column) for each in fields if name in each]
        made[column], values = _fitting(known, column, [each[column] for each in records])
        columns.append(values)
    file = io.BytesIO()
    table, _ = parquet()
    table.write_table(pyarrow.Table.from_arrays(columns, schema=pyarrow.schema(list(made.values()))), file)
    return file.getvalue()


def _fitting(fields: Sequence[Any], column: str, values: Sequence[object]) -> tuple[Any, Any]:
    """Return one field of Arrow for those of several manifests, or else one of texts, and the values in it."""
    import pyarrow

    # Each manifest numbers its own columns, and a row of another one may lack a value.
    each = [field.remove_metadata().with_nullable(True) for field in fields]
    with suppress(pyarrow.ArrowException, ValueError, TypeError, OverflowError):
        (one,) = pyarrow.unify_schemas([pyarrow.schema([field]) for field in each], promote_options="permissive")
        told = {key: value for key, value in (fields[0].metadata or {}).items() if key != b"PARQUET:field_id"}
        return one.with_metadata(told), pyarrow.array(values, one.type)
    texts = [None if value is None else str(value) for value in values]
    return pyarrow.field(column, pyarrow.string()), pyarrow.array(texts, pyarrow.string())
