"""Write results to a folder: the one way for results as they are computed and for results that were kept."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from covos.core.errors import CovosError, EnvironmentProblem, IncompleteError, explained
from covos.core.files import is_disk_full
from covos.core.guarded import is_there
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.progress import counted
from covos.core.types import FrameResult, SourceInfo
from covos.core.words import OVERWRITE
from covos.engines.steady import Retoucher
from covos.engines.steps import LadderStep
from covos.formats.background_writers import BackgroundWriters
from covos.formats.compose import ComposedResult
from covos.formats.table import check_formats, make_writer, probability_bits
from covos.formats.toned import tones_told
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.soft import Depth, is_of_8_bits
from covos.media.source import Health
from covos.runs.folder import PROJECT, OutputFolder
from covos.runs.journal import Journal, JournalEntry
from covos.runs.page import HTML
from covos.runs.report import Origin, Report
from covos.runs.room import NO_FILES_LEFT, bytes_below, disk_needed, without_files_left
from covos.runs.schema import REPORT, QualityRecord, followed_notes, has_report, load_report
from covos.runs.terms import RunFile

QUEUE = 4
"""Frames that may wait for the writers: one batch. More would only be memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """The outputs of a run.

    Attributes:
        folder: Folder of the output; of one file, the folder that it lies in.
        frames: Number of frames.
        seconds: Wall clock.
        outputs: Files, or folders of formats with a file a frame.
        report: ``report.json``; None where one file was asked for, and it went with the folder of the run.
        page: ``report.html``; None likewise.
        health: How reading the source went.
        warnings: Warnings of the source and the writers, in plain words.
        uncomputed: Number of frames for which the network gave no numbers; they have the masks of the frame before.
        resumed: Number of frames that an earlier run had computed before it was stopped.
        was_done: True if all was there already, and nothing was done.
        degraded: True if the memory ran out and the run went on with less.
        quality: The frames that stand out, found without ground truth; None in a report of an earlier version.
        notes: What became of the objects that were followed, damage outside of the part that was taken, and changes
            that are no loss, in plain words.
    """

    folder: Path
    frames: int
    seconds: float
    outputs: tuple[Path, ...]
    report: Path | None
    page: Path | None
    health: Health
    warnings: tuple[str, ...]
    uncomputed: int = 0
    resumed: int = 0
    was_done: bool = False
    degraded: bool = False
    quality: QualityRecord | None = None
    notes: tuple[str, ...] = ()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All that a user may look at: the outputs, and the report for programs and for people."""
        return (*self.outputs, *(path for path in (self.report, self.page) if path is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """The results to write, and where to.

    Attributes:
        info: The source.
        health: Tells how reading the source went; asked after the last result.
        folder: Destination.
        formats: Names of `covos.formats.table.FORMATS`.
        origin: For the report.
        journal: Keeps the results as they were found; the frames that it has come first among the results. None if the
            run cannot go on.
        outputs: Files and folders that are there already and belong to the run, relative to its folder.
        edges: Changes of what is written and of the report, not of what the journal keeps.
        named: False if somebody's report named the source (see `covos.runs.report.Report`).
        steps_down: Gives the steps of `covos.engines.ladder` that were taken so far.
        labelled: Labels that were asked for: a warning names those whose objects are in no frame.
        passes: True of a folder that is removed if no frame lacks: it needs no report then, and no room for one.
        kept: A file that gets what is written, after the edges, as a journal has it; None for no such file.
        soft: False if masks alone are known.
    """

    info: SourceInfo
    health: Callable[[], Health]
    folder: OutputFolder
    formats: Sequence[str]
    origin: Origin
    journal: Journal | None = None
    outputs: Sequence[str] = ()
    edges: Edges = NO_EDGES
    named: bool = True
    steps_down: Callable[[], Sequence[LadderStep]] = tuple
    labelled: Labelling = NO_LABELS
    passes: bool = False
    kept: Path | None = None
    soft: bool = True


class RunWriter:
    """Writes every result in every format, and the report.

    If something fails on the way, what is whole stays, with a report that says what went wrong; if nothing was written
    yet, nothing is left.

    With a journal, the formats are given what it keeps of a result, not the result: probabilities are rounded (see
    `covos.masks.soft`). So they write the same whether a run was stopped or not.

        with RunWriter(writing) as writer:
            for result in results:
                writer.add(result)
            saved = writer.finish()

    Args:
        writing: The results to write, and where to. The journal is closed here.
    """

    def __init__(self, writing: Writing) -> None:
        self._writing, folder, info, origin = writing, writing.folder, writing.info, writing.origin
        self._formats = check_formats(writing.formats)
        self._bits: Depth = 16 if probability_bits(self._formats) == 16 else 8
        self._began = time.perf_counter()
        self._uncomputed = 0
        self._coarse = False
        self._retoucher = Retoucher(writing.edges, cuts=origin.cuts)
        self._seconds: deque[float] = deque()
        """Seconds spent so far on each frame that waits for those after it."""
        labels = Labelling.of_settings(origin.settings)
        self._report = Report(info=info, origin=origin, named=writing.named)
        path = Path(info.file or info.path)
        writers = [make_writer(name, folder, info=info, source_path=path, labels=labels) for name in self._formats]
        self._each = tuple(writers)
        self._writers = BackgroundWriters(writers, depth=QUEUE)
        if writing.kept is not None:
            writing.kept.unlink(missing_ok=True)  # an earlier result's: a journal would go on with it
        self._kept = None if writing.kept is None else Journal(writing.kept, batch=1)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._writers)
        if self._writing.journal is not None:
            self._stack.enter_context(self._writing.journal)
        if self._kept is not None:
            self._stack.enter_context(self._kept)
        return self

    def add(self, result: FrameResult, seconds: float = 0.0) -> FrameResult:
        """Write a result, which took some seconds to compute; return what is kept of it."""
        kept, journal = result, self._writing.journal
        if journal is not None and result.frame.index < journal.resumed:
            seconds = journal.seconds(result.frame.index)
        elif journal is not None:
            entry, kept = JournalEntry.and_restored(result, seconds=seconds, bits=self._bits)
            journal.append(entry)
        self._uncomputed += kept.frame.status == "uncomputed"
        self._seconds.append(seconds)
        for changed in self._retoucher.push(kept):
            self._write(changed)
        return kept

    def _write(self, result: FrameResult) -> None:
        # A matte has 8 bits however it is written.
        if self._bits == 16 and not self._coarse and result.matte is None:
            self._coarse = is_of_8_bits(result.probability)
        if self._kept is not None:
            entry = JournalEntry.of(result, seconds=0.0, bits=self._bits)
            # A part of a result may begin anywhere: the report knows the frames' own numbers.
            masks = replace(entry.masks, index=self._kept.count, soft=entry.masks.soft if self._writing.soft else None)
            self._kept.append(replace(entry, masks=masks))
        composed = ComposedResult.of(result)  # once for the report and the formats
        self._report.add(composed, seconds=self._seconds.popleft())
        self._writers.write(composed)

    def finish(self) -> Saved:
        """Finish every format, and write the report."""
        for changed in self._retoucher.end():
            self._write(changed)
        writing, journal = self._writing, self._writing.journal
        there = tuple(writing.folder.path / name for name in writing.outputs)
        outputs = (*there, *self._writers.close())
        seconds = time.perf_counter() - self._began
        self._stack.close()
        health, warnings = writing.health(), self._lost
        own = (uncomputed_note(self._uncomputed), writing.labelled.unused_note(self._report.objects))
        warnings, notes = (*(text for text in own if text), *warnings), (*self._bits_notes(), *self._writers.notes)
        resumed = 0 if journal is None else journal.resumed
        path: Path | None = None
        if writing.passes and health.complete and not self._uncomputed:
            self._report.complete()
        else:
            path = self._report.save(
                writing.folder,
                health=health,
                seconds=seconds,
                resumed=resumed,
                outputs=outputs,
                warnings=warnings,
                notes=notes,
                steps_down=writing.steps_down(),
            )
        return Saved(
            folder=writing.folder.path,
            frames=len(self._report),
            seconds=seconds,
            outputs=outputs,
            report=path,
            page=None if path is None else writing.folder.path / HTML,
            health=health,
            warnings=(*health.warnings, *warnings),
            uncomputed=self._uncomputed,
            resumed=resumed,
            degraded=bool(writing.steps_down()),
            quality=self._report.quality,
            notes=(*self._report.notes, *health.notes, *notes),
        )

    @property
    def _lost(self) -> tuple[str, ...]:
        """Things that the formats could not keep."""
        return *tones_told(self._each, info=self._writing.info), *self._writers.warnings

    def _bits_notes(self) -> Iterator[str]:
        if not self._coarse:
            return
        deep = [name for name in self._formats if probability_bits([name]) == 16]
        yield (
            f"{', '.join(deep)}: no more levels than 8 bits have, for the probabilities were kept so; for 16, segment "
            f"the source anew into another folder, with the format {deep[0]} from the beginning"
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        folder, journal = self._writing.folder, self._writing.journal
        written = bytes_below(folder.path) if is_disk_full(error) else 0
        self._stack.__exit__(kind, error, trace)
        if error is None:
            return
        count = len(self._report) if journal is None else journal.kept
        if isinstance(error, EnvironmentProblem) and is_disk_full(error):
            error.why = f"{error.why}; {self._needed(count, written)}"
        if count == 0:
            folder.discard()
            return
        if not self._writing.outputs:  # else the report of the run that wrote them stays
            self._close_early(error)
        if journal is None:
            return
        are = "frames are" if count > 1 else "frame is"
        safe = f"{count} {are} safe in {folder.path}, the same command goes on from there"
        if isinstance(error, CovosError):
            error.remedy += f"; {safe}"
        else:
            error.add_note(safe)

    def _needed(self, frames: int, written: int) -> str:
        folder = self._writing.folder.path
        if without_files_left(folder):
            return NO_FILES_LEFT
        left = bytes_below(folder)
        # Some frames were still on their way: they took no room yet.
        done = max(1, frames - QUEUE - 2) if frames else 0
        return disk_needed(self._formats, info=self._writing.info, frames=done, written=written, left=left)

    def _close_early(self, error: BaseException) -> None:
        seconds = time.perf_counter() - self._began
        try:
            self._report.save(
                self._writing.folder,
                health=self._writing.health(),
                seconds=seconds,
                warnings=self._lost,
                problem=_as_problem(error),
                steps_down=self._writing.steps_down(),
            )
        except EnvironmentProblem as problem:
            # The user must hear of the error that ended the run; on a full disk the report meets the same end.
            error.add_note(f"and the report could not be written: {problem.why}")


def write_results(results: Iterable[FrameResult], writing: Writing) -> Saved:
    """Write all results at once."""
    with RunWriter(writing) as writer:
        for result in results:
            writer.add(result)
        return writer.finish()


def load_saved(folder: Path) -> Saved:
    """Return what a finished run wrote, by its report; refuse one that lists an output which is gone."""
    report = load_report(folder)
    outputs = tuple(folder / name for name in report.outputs)
    if gone := [path.name for path in outputs if not is_there(path)]:
        raise IncompleteError(
            f"{folder} holds a finished run that lacks {', '.join(gone)}",
            why="it was removed since",
            fix="put it back, or make all of it again with " + OVERWRITE,
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
        uncomputed=sum(row.status == "uncomputed" for row in report.frames),
        was_done=True,
        degraded=report.degraded,
        quality=report.quality,
        notes=(*followed_notes(report), *report.health.notes, *report.notes),
    )


def is_finished(folder: Path) -> bool:
    """Tell if a folder holds the whole result of a run, or of a conversion: with a report, and all that this lists."""
    if not has_report(folder):
        return False
    project = folder / PROJECT
    if is_there(project) and not RunFile.read(project).complete:
        return False
    report = load_report(folder)
    return report.problem is None and all(is_there(folder / name) for name in report.outputs)


def uncomputed_note(count: int) -> str:
    """Say how many frames the network gave no numbers for; empty if it gave some for all."""
    if not count:
        return ""
    return f"the network gave no numbers (NaN or infinity) for {counted(count, 'frame')}: the mask before is held there"


def _as_problem(error: BaseException) -> CovosError:
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit):
        return IncompleteError("interrupted", why="the run was stopped from outside", fix="give the same command again")
    return explained(error)
