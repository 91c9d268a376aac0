"""Write results to a folder: the one path for results as they are computed and for results that were kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covos.core.errors import CovosError, EnvironmentProblem, IncompleteError
from covos.core.types import FrameResult, SourceInfo
from covos.formats.base import Bits
from covos.formats.table import check_formats, make_writer, probability_bits
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.journal import Journal, JournalEntry
from covos.runs.page import HTML
from covos.runs.report import Report
from covos.runs.schema import REPORT, load_report
from covos.runs.writers import BackgroundWriters

DEFAULT_FORMATS = ("palette", "overlay")
QUEUE = 4
"""Frames that may wait for the writers: one batch. More would only be memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a report says of where results come from.

    Attributes:
        model: Name of the model.
        sha256: Of its weights.
        device: What computed, in words.
        settings: What the user chose; anything that JSON can express.
        card: Of the model (see `covos.models.checkpoints.Card`), for the page.
    """

    model: str
    sha256: str
    device: str
    settings: Mapping[str, Any]
    card: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was written.

    Attributes:
        folder: Of the output.
        frames: How many.
        seconds: Wall clock.
        outputs: Files, or folders of formats with a file a frame.
        report: ``report.json``.
        page: ``report.html``.
        health: How reading the source went.
        warnings: Of the source and the writers, in plain words.
        resumed: Frames of these that an earlier run had computed before it was stopped.
        was_done: Whether all was there already, and nothing was done.
    """

    folder: Path
    frames: int
    seconds: float
    outputs: tuple[Path, ...]
    report: Path
    page: Path
    health: Health
    warnings: tuple[str, ...]
    resumed: int = 0
    was_done: bool = False


def write_results(
    results: Iterable[FrameResult],
    *,
    info: SourceInfo,
    health: Callable[[], Health],
    folder: OutputFolder,
    formats: Sequence[str],
    origin: Origin,
    journal: Journal | None = None,
) -> Saved:
    """Write every result in every format, and the report.

    If something fails on the way, what is whole stays, with a report that says what went wrong; if nothing was
    written yet, nothing is left.

    With a journal, the formats are given what it keeps of a result, not the result: probabilities are rounded to
    1/255, and are 0 or 1 where no format needs them. So they write the same whether a run was stopped or not.

    Args:
        results: In the order of the frames.
        info: Of the source.
        health: How reading the source went, asked for after the last result.
        folder: Where to.
        formats: Names of `covos.formats.table.FORMATS`.
        origin: For the report.
        journal: Of the run; its frames come first among the results. It is closed here.

    Raises:
        EnvironmentProblem: The disk is full or not writable.
    """
    chosen = check_formats(formats)
    bits = probability_bits(chosen)
    resumed = 0 if journal is None else journal.resumed
    began = clock = time.perf_counter()
    report = Report(
        info=info,
        model=origin.model,
        sha256=origin.sha256,
        device=origin.device,
        settings=origin.settings,
        card=origin.card,
    )
    writers = BackgroundWriters(
        [make_writer(name, folder, info=info, source_path=Path(info.path)) for name in chosen], depth=QUEUE
    )
    try:
        with writers, journal or nullcontext():
            for result in results:
                kept, seconds = result, time.perf_counter() - clock
                if journal is not None:
                    kept, seconds = _journaled(result, journal, seconds=seconds, bits=bits)
                report.add(kept, seconds=seconds)
                writers.write(kept)
                # After the hand-over: a queue that is full is the writers' time, not the model's.
                clock = time.perf_counter()
            outputs = writers.close()
    except BaseException as error:
        safe = len(report) if journal is None else journal.count
        if safe == 0:
            folder.discard()
        else:
            _close_early(
                error, report, folder, health=health(), seconds=time.perf_counter() - began, warnings=writers.warnings
            )
            if journal is not None:
                _say_what_is_safe(error, safe, folder)
        raise
    seconds = time.perf_counter() - began
    path = report.save(
        folder, health=health(), seconds=seconds, resumed=resumed, outputs=outputs, warnings=writers.warnings
    )
    return Saved(
        folder=folder.path,
        frames=len(report),
        seconds=seconds,
        outputs=outputs,
        report=path,
        page=folder.path / HTML,
        health=health(),
        warnings=(*health().warnings, *writers.warnings),
        resumed=resumed,
    )


def load_saved(folder: Path) -> Saved:
    """What a finished run wrote, by its report.

    Raises:
        InputError: There is no report, or it is damaged.
        IncompleteError: An output that it lists is gone.
    """
    report = load_report(folder)
    outputs = tuple(folder / name for name in report.outputs)
    if gone := [path.name for path in outputs if not path.exists()]:
        raise IncompleteError(
            f"{folder} holds a finished run that lacks {', '.join(gone)}",
            why="it was removed since",
            fix="put it back, or make all of it again with -y (overwrite=True)",
        )
    return Saved(
        folder=folder,
        frames=report.totals.frames,
        seconds=report.totals.seconds,
        outputs=outputs,
        report=folder / REPORT,
        page=folder / HTML,
        health=report.full_health(),
        warnings=(*report.health.warnings, *report.warnings),
        was_done=True,
    )


def _journaled(result: FrameResult, journal: Journal, *, seconds: float, bits: Bits) -> tuple[FrameResult, float]:
    """The result as the journal keeps it, and the time that computing it took, in this run or an earlier one."""
    if result.frame.index < journal.resumed:
        return result, journal.seconds(result.frame.index)
    record = JournalEntry.of(result, seconds=seconds, bits=bits)
    journal.append(record)
    return record.restore(result.frame), seconds


def _close_early(
    error: BaseException,
    report: Report,
    folder: OutputFolder,
    *,
    health: Health,
    seconds: float,
    warnings: Iterable[str],
) -> None:
    try:
        report.save(folder, health=health, seconds=seconds, warnings=warnings, problem=_as_problem(error))
    except EnvironmentProblem as problem:
        # What ended the run is what the user must hear of; on a full disk the report meets the same end.
        error.add_note(f"and the report could not be written: {problem.why}")


def _say_what_is_safe(error: BaseException, count: int, folder: OutputFolder) -> None:
    safe = f"{count} frame{'s are' if count > 1 else ' is'} safe in {folder.path}, the same command goes on from there"
    if isinstance(error, CovosError):
        error.fix = f"{error.fix}; {safe}"
    else:
        error.add_note(safe)


def _as_problem(error: BaseException) -> CovosError:
    if isinstance(error, CovosError):
        return error
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return IncompleteError("interrupted", why="the run was stopped from outside", fix="give the same command again")
    return IncompleteError(type(error).__name__, why=str(error), fix="a bug of ours: please report it")
