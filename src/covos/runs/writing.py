"""Write results to a folder: the one way for results as they are computed and for results that were kept."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

from covos.core.errors import CovosError, EnvironmentProblem, IncompleteError, explained
from covos.core.files import is_disk_full
from covos.core.guarded import is_there
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.progress import counted
from covos.core.types import FrameResult, SourceInfo
from covos.engines.steady import Retoucher
from covos.engines.steps import LadderStep
from covos.formats.base import Format
from covos.formats.compose import ComposedResult
from covos.formats.each import EachObjectFormat
from covos.formats.table import check_formats, make_writer, probability_bits
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.soft import Depth
from covos.media.source import Health
from covos.runs.folder import PROJECT, OutputFolder
from covos.runs.journal import Journal, JournalEntry
from covos.runs.page import HTML
from covos.runs.report import Origin, Report
from covos.runs.room import NO_FILES_LEFT, bytes_below, disk_needed, without_files_left
from covos.runs.schema import REPORT, QualityRecord, followed_notes, load_report
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
        notes: What became of the objects that were followed, in plain words.
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


class _Lane:
    """Runs some writers on one thread: each frame goes to each of them in order, through a bounded queue.

    After an error, and after `stop`, it takes frames and drops them: a producer may be waiting for room.
    """

    def __init__(self, writers: Sequence[Format], *, depth: int) -> None:
        self.error: BaseException | None = None
        self.stop = threading.Event()
        self._writers = tuple(writers)
        # Plain queues, as Ctrl-C may come in the midst of anything. Within the `put` of a `queue.Queue` it may leave a
        # waiter behind, which takes the wake-up of the next `put`; the thread would then wait for ever.
        self._waiting: SimpleQueue[ComposedResult | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(depth):
            self._room.put(None)
        # A daemon: if its owner dies without a word, the program must still be able to end.
        self._thread = threading.Thread(target=self._run, name="covos-writers", daemon=True)
        self._thread.start()

    def put(self, result: ComposedResult) -> None:
        """Hand over a frame; wait while the queue is full."""
        self._room.get()
        self._waiting.put(result)

    def end(self) -> None:
        """Write what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _take(self) -> ComposedResult | None:
        result = self._waiting.get()
        self._room.put(None)
        return result

    def _run(self) -> None:
        try:
            while (result := self._take()) is not None and not self.stop.is_set():
                for writer in self._writers:
                    writer.write(result)
        except BaseException as error:  # whatever it is, it belongs to the producer
            self.error = error
        while result is not None:
            result = self._take()


class BackgroundWriters:
    """Runs all writers as one: each frame goes to every writer in order, on other threads, through bounded queues.

    Formats that need no more than the labels have a thread each. The others share one, since they share the colours
    and the alpha of a frame, which take the most of their time.

    When a writer fails, all are aborted by `close` or `abort`, and the next `write`, or `close`, raises the error. Use
    it in a ``with`` block: the block aborts what was not closed. It does *not* close by itself: `close` returns the
    paths that were written, and may fail. At most ``depth`` frames wait; each holds its picture, probabilities and
    labels: 8 bytes a pixel.
    """

    def __init__(self, writers: Sequence[Format], *, depth: int = 8) -> None:
        self._writers = tuple(writers)
        alone = [[writer] for writer in self._writers if writer.labels_only]
        together = [writer for writer in self._writers if not writer.labels_only]
        self._lanes = tuple(_Lane(lane, depth=depth) for lane in (*alone, together) if lane)
        self._over = False
        self._failed: BaseException | None = None
        """The error of closing or aborting, if nothing failed before."""
        self._paths: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of all writers."""
        own = (text for writer in self._writers for text in writer.warnings)
        return (*EachObjectFormat.left_whole(self._writers), *own)

    def write(self, result: FrameResult) -> None:
        """Hand over a frame; wait while ``depth`` frames are waiting. An error may be one of an earlier frame."""
        if self._over:
            raise self._error or RuntimeError("the writers are closed")
        composed = ComposedResult.of(result)
        for lane in self._lanes:
            if self._error is not None:
                raise self._error
            lane.put(composed)

    def close(self) -> tuple[Path, ...]:
        """Write what waits, close all writers, end the threads; return the writers' paths, in their order.

        Raises:
            CovosError: A writer has failed. All of them are aborted then.
        """
        if not self._over:
            self._end()
            if self._error is None:
                try:
                    self._paths = tuple(path for writer in self._writers for path in writer.close())
                except BaseException as error:
                    self._abort(error)
                    self._failed = error
            else:
                self._abort(self._error)
        if self._error is not None:
            raise self._error
        return self._paths

    def abort(self) -> None:
        """Drop what waits, abort all writers, end the threads."""
        if self._over:
            return
        for lane in self._lanes:
            lane.stop.set()
        self._end()
        self._abort(self._error)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    @property
    def _error(self) -> BaseException | None:
        """The error of the first writer that has failed."""
        return next((lane.error for lane in self._lanes if lane.error is not None), self._failed)

    def _end(self) -> None:
        for lane in self._lanes:
            lane.end()
        self._over = True

    def _abort(self, first: BaseException | None) -> None:
        for writer in self._writers:
            try:
                writer.abort()
            except Exception as error:
                # The first error is the one to report; this one must not keep the other writers from stopping.
                if first is None:
                    first = self._failed = error
                else:
                    first.add_note(f"and stopping the {writer.name!r} writer failed: {error}")


class RunWriter:
    """Writes every result in every format, and the report.

    If something fails on the way, what is whole stays, with a report that says what went wrong; if nothing was written
    yet, nothing is left.

    With a journal, the formats are given what it keeps of a result, not the result: probabilities are rounded (see
    `covos.masks.soft`). So they write the same whether a run was stopped or not.

        with RunWriter(...) as writer:
            for result in results:
                writer.add(result)
            saved = writer.finish()

    ``health`` is asked for after the last result. The journal's frames come first among the results; it is closed here.
    ``outputs`` are files and folders that are there already and belong to the run. ``edges`` changes what is written,
    and the report, not what the journal keeps. ``named`` is False where somebody's report named the source (see
    `covos.runs.report.Report`). ``steps_down`` gives the steps of `covos.engines.ladder` that were taken so far.
    ``labelled`` has the labels that were asked for: a warning names those whose objects are in no frame. ``passes`` is
    True of a folder that is removed if no frame lacks: it needs no report then, and no room for one. ``kept`` is a file
    that gets what is written, after the edges, as a journal has it; ``soft`` is False where masks alone are known.
    """

    def __init__(
        self,
        *,
        info: SourceInfo,
        health: Callable[[], Health],
        folder: OutputFolder,
        formats: Sequence[str],
        origin: Origin,
        journal: Journal | None = None,
        outputs: Sequence[str] = (),
        edges: Edges = NO_EDGES,
        named: bool = True,
        steps_down: Callable[[], Sequence[LadderStep]] = tuple,
        labelled: Labelling = NO_LABELS,
        passes: bool = False,
        kept: Path | None = None,
        soft: bool = True,
    ) -> None:
        chosen = check_formats(formats)
        self._health, self._folder, self._journal = health, folder, journal
        self._info, self._formats, self._steps_down, self._labelled = info, chosen, steps_down, labelled
        self._bits: Depth = 16 if probability_bits(chosen) == 16 else 8
        self._began = time.perf_counter()
        self._uncomputed, self._passes = 0, passes
        self._retoucher = Retoucher(edges, cuts=origin.cuts)
        self._seconds: deque[float] = deque()
        """Seconds spent so far on each frame that waits for those after it."""
        self._outputs = tuple(folder.path / name for name in outputs)
        labels = Labelling.of_settings(origin.settings)
        self._report = Report(info=info, origin=origin, named=named)
        self._writers = BackgroundWriters(
            [make_writer(name, folder, info=info, source_path=Path(info.path), labels=labels) for name in chosen],
            depth=QUEUE,
        )
        if kept is not None:
            kept.unlink(missing_ok=True)  # an earlier result's: a journal would go on with it
        self._kept = None if kept is None else Journal(kept, batch=1)
        self._soft = soft
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._stack.enter_context(self._writers)
        if self._journal is not None:
            self._stack.enter_context(self._journal)
        if self._kept is not None:
            self._stack.enter_context(self._kept)
        return self

    def add(self, result: FrameResult, seconds: float = 0.0) -> FrameResult:
        """Write a result, which took some seconds to compute; return what is kept of it."""
        kept, journal = result, self._journal
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
        if self._kept is not None:
            entry = JournalEntry.of(result, seconds=0.0, bits=self._bits)
            # A part of a result may begin anywhere: the report knows the frames' own numbers.
            masks = replace(entry.masks, index=self._kept.count, soft=entry.masks.soft if self._soft else None)
            self._kept.append(replace(entry, masks=masks))
        composed = ComposedResult.of(result)  # once for the report and the formats
        self._report.add(composed, seconds=self._seconds.popleft())
        self._writers.write(composed)

    def finish(self) -> Saved:
        """Finish every format, and write the report."""
        for changed in self._retoucher.end():
            self._write(changed)
        outputs = (*self._outputs, *self._writers.close())
        seconds = time.perf_counter() - self._began
        self._stack.close()
        health, warnings = self._health(), self._writers.warnings
        notes = (uncomputed_note(self._uncomputed), self._labelled.unused_note(self._report.objects))
        warnings = (*(note for note in notes if note), *warnings)
        resumed = 0 if self._journal is None else self._journal.resumed
        path: Path | None = None
        if self._passes and health.complete and not self._uncomputed:
            self._report.complete()
        else:
            path = self._report.save(
                self._folder,
                health=health,
                seconds=seconds,
                resumed=resumed,
                outputs=outputs,
                warnings=warnings,
                steps_down=self._steps_down(),
            )
        return Saved(
            folder=self._folder.path,
            frames=len(self._report),
            seconds=seconds,
            outputs=outputs,
            report=path,
            page=None if path is None else self._folder.path / HTML,
            health=health,
            warnings=(*health.warnings, *warnings),
            uncomputed=self._uncomputed,
            resumed=resumed,
            degraded=bool(self._steps_down()),
            quality=self._report.quality,
            notes=self._report.notes,
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        written = bytes_below(self._folder.path) if is_disk_full(error) else 0
        self._stack.__exit__(kind, error, trace)
        if error is None:
            return
        count = len(self._report) if self._journal is None else self._journal.count
        if isinstance(error, EnvironmentProblem) and is_disk_full(error):
            error.why = f"{error.why}; {self._needed(count, written)}"
        if count == 0:
            self._folder.discard()
            return
        self._close_early(error)
        if self._journal is None:
            return
        are = "frames are" if count > 1 else "frame is"
        safe = f"{count} {are} safe in {self._folder.path}, the same command goes on from there"
        if isinstance(error, CovosError):
            error.fix = f"{error.fix}; {safe}"
        else:
            error.add_note(safe)

    def _needed(self, frames: int, written: int) -> str:
        if without_files_left(self._folder.path):
            return NO_FILES_LEFT
        left = bytes_below(self._folder.path)
        # Some frames were still on their way: they took no room yet.
        done = max(1, frames - QUEUE - 2) if frames else 0
        return disk_needed(self._formats, info=self._info, frames=done, written=written, left=left)

    def _close_early(self, error: BaseException) -> None:
        seconds = time.perf_counter() - self._began
        try:
            self._report.save(
                self._folder,
                health=self._health(),
                seconds=seconds,
                warnings=self._writers.warnings,
                problem=_as_problem(error),
                steps_down=self._steps_down(),
            )
        except EnvironmentProblem as problem:
            # The user must hear of the error that ended the run; on a full disk the report meets the same end.
            error.add_note(f"and the report could not be written: {problem.why}")


def write_results(results: Iterable[FrameResult], **where: Any) -> Saved:
    """Write all results at once; arguments as of `RunWriter`."""
    with RunWriter(**where) as writer:
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
        uncomputed=sum(row.status == "uncomputed" for row in report.frames),
        was_done=True,
        degraded=report.degraded,
        quality=report.quality,
        notes=tuple(followed_notes(report)),
    )


def is_finished(folder: Path) -> bool:
    """Tell if a folder holds the whole result of a run, or of a conversion: with a report, and all that this lists."""
    if not is_there(folder / REPORT):
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
