"""Job: the one way to run a plan.

A job opens the source, loads the model, finds, follows or discovers, and writes the results. It reports what it does as
typed events, which a terminal, a page or a server show as they like:

    >>> for event in Job(Plan(source="clip.mp4"), "out"):
    ...     match event:
    ...         case FrameDone(index=index, total=total): print(index + 1, "of", total)
    ...         case Warned(text=text): print("warning:", text)
    ...         case Finished(saved=saved): print(saved.outputs)

It may be cancelled from any thread, and goes on by its journal when it is run again in the same folder.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import covos  # its types bring torch, once somebody asks for them (`typing.get_type_hints`)
from covos.core.ahead import prefetch
from covos.core.errors import CancelledError, CovosError, UsageError
from covos.core.memory import give_back
from covos.core.places import path_text
from covos.core.progress import counted
from covos.core.types import FrameResult, JobState
from covos.engines.choices import Cuts
from covos.engines.held import with_held_masks
from covos.engines.stages import StageProgress
from covos.engines.steady import retouched
from covos.events import Advanced, Cancelled, Event, Finished, FrameDone, Noted, Stage, Started, SteppedDown, Warned
from covos.formats.options import refuse_idle
from covos.formats.table import size_notes
from covos.media.inputs import open_input
from covos.media.range import in_words
from covos.media.source import Source
from covos.media.watched import WatchedSource
from covos.model_loading import load_planned
from covos.plan import Plan
from covos.planned_terms import terms_of
from covos.results.segmentation import Segmentation
from covos.runs.continued import continued
from covos.runs.folder import OutputFolder
from covos.runs.journal import Journal
from covos.runs.report import Origin
from covos.runs.room import explaining_memory, memory_notes, refuse_little_memory, refuse_small_disk
from covos.runs.state import Begun, RunState
from covos.runs.terms import KEPT, RunTerms
from covos.runs.writing import RunWriter, Saved, Writing, load_saved, uncomputed_note

if TYPE_CHECKING:
    from covos.work.base import TaskWork

GIVE_BACK = 64
"""Frames after which freed memory is given back, in some milliseconds: glibc's heap would spread over the first
hundreds of frames."""

T = TypeVar("T")


class Job:
    """One plan, run once. Iterate over it for its events, or call `run`.

    Args:
        plan: See `covos.plan.Plan`.
        folder: Folder for the formats of the plan, a journal and a report. Without one, nothing is written, and the
            masks are in the last event.
        overwrite: If true, an earlier result in the folder is replaced. A run of the same plan that was stopped is not,
            and goes on. Other files never are.
        load: Gives the model of the plan; called once the source is open and the prompts are checked.

    Attributes:
        plan: As given.
        state: ``"queued"``, ``"running"``, ``"done"``, ``"failed"`` or ``"cancelled"``.
        model_failed: True if it was the model that could not be loaded: other jobs will meet the same.
        cuts: The frames with which shots begin, but for the first; none before the first frame has its masks.

    Raises:
        UsageError: The folder holds something that is not to be replaced; or edges are to be soft, and nothing is
            written that shows it.
        EnvironmentProblem: The folder cannot be written to.
    """

    def __init__(
        self,
        plan: Plan,
        folder: str | os.PathLike[str] | OutputFolder | None = None,
        *,
        overwrite: bool = False,
        load: Callable[[Plan], covos.Model] | None = None,
    ) -> None:
        self.plan = plan
        self.state: JobState = "queued"
        self.model_failed = False
        self.cuts: tuple[int, ...] = ()
        if folder is not None and not isinstance(folder, OutputFolder):
            folder = OutputFolder(Path(path_text(folder, what="the output")), overwrite=overwrite, resumable=True)
        if folder is not None and plan.edges.soft_options:
            refuse_idle((*RunState(folder).formats, *plan.formats), plan.edges.soft_options)
        self._folder = folder
        self._load, self._asked = load or load_planned, plan
        self._cancel = threading.Event()
        self._keeping = True
        self._decided: RunState | None = None  # of the folder, once it is known if its run goes on

    @property
    def folder(self) -> Path | None:
        """Folder that it writes to, if it does."""
        return None if self._folder is None else self._folder.path

    def cancel(self) -> None:
        """Stop the job, from any thread: it ends before it begins the next batch of frames.

        Frames that were computed ahead are dropped: up to three batches, four in a draft.
        """
        self._cancel.set()

    def run(self, listen: Callable[[Event], None] | None = None) -> Saved | Segmentation:
        """Run to the end, and return what was written, or without a folder the masks.

        Args:
            listen: Called with each event.

        Raises:
            CovosError: The job failed.
            CancelledError: It was cancelled.
        """
        last: Event | None = None
        events = self._events_of_run()
        for last in events:
            if listen is not None:
                try:
                    listen(last)
                except BaseException as error:
                    # The run ends as if it had met the error itself: what is whole stays.
                    events.throw(error)
                    raise
        if isinstance(last, Finished):
            outcome = last.saved or last.result
            assert outcome is not None, "a finished job has an outcome"
            return outcome
        raise _cancelled()

    def stream(self) -> Iterator[FrameResult]:
        """Run without keeping the masks; bad input is refused by this call, before a frame is computed.

        Returns:
            An iterator over one result for each decoded frame, in order.

        Raises:
            CovosError: The source, a prompt or the model cannot be used; or, from the iterator, the job failed.
            CancelledError: From the iterator: the job was cancelled.
        """
        self._keeping = False
        events = iter(self)
        for event in events:
            if isinstance(event, Cancelled):
                raise _cancelled()
            if isinstance(event, Started) and event.stage == "ready":
                break
        return self._results(events)

    def _results(self, events: Iterator[Event]) -> Iterator[FrameResult]:
        for event in events:
            if isinstance(event, FrameDone):
                yield event.result
            elif isinstance(event, Cancelled):
                raise _cancelled()

    def __iter__(self) -> Iterator[Event]:
        """Return the events; the job runs as they are asked for.

        Raises:
            UsageError: The job was run before.
            CovosError: The job failed.
        """
        return self._events_of_run()

    def _events_of_run(self) -> Generator[Event, None, None]:
        if self.state != "queued":
            raise UsageError("a job runs once", why=f"this one is {self.state}", fix="make another of the same plan")
        self.state = "running"
        try:
            yield from self._run()
        except (CancelledError, GeneratorExit) as stop:
            if self.state == "running":
                self.state = "cancelled"
            if isinstance(stop, GeneratorExit):
                raise
        except BaseException:
            if self.state == "running":
                self.state = "failed"
            raise
        if self.state == "cancelled":
            yield Cancelled(frames=self._kept_frames())

    def _kept_frames(self) -> int:
        if self._decided is not None:
            return self._decided.kept
        if self._folder is None or self._folder.overwrites:
            return 0
        try:
            return RunState(self._folder).kept
        except UsageError:  # it is somebody else's, and was not begun
            return 0

    def _run(self) -> Iterator[Event]:
        plan = self.plan
        yield Started(stage="opening")
        self._check()
        with open_input(
            plan.source,
            frame_rate=plan.frame_rate,
            range=plan.range,
            deinterlace=plan.deinterlace,
        ) as opened:
            source = WatchedSource(opened, self._check)
            refuse_little_memory(source.info)
            plan.check_masks()
            # Brings the networks and torch: a source or a mask that cannot be read is refused without them.
            from covos.work.choice import work_of

            on = continued(self._folder, device=plan.device, precision=plan.precision, runtime=plan.runtime)
            self._asked = plan if on is None else plan.model_copy(update=on.fields)
            work = work_of(plan, source=source, load=self._model)
            for text in (*work.warnings, *memory_notes(source.info, objects=work.followed)):
                yield Warned(text=text)
            for text in work.notes:
                yield Noted(text=text)
            yield Started(stage="loading", info=source.info)
            # Before the folder is made: a model that cannot be loaded leaves nothing behind.
            model = work.prepare()
            if on is not None and on.note and self._replaces(work, source, model):
                # It decides nothing: the new run is computed as this machine chooses.
                self._asked, on = plan, None
                work = work_of(plan, source=source, load=self._model)
                model = work.prepare()
            if on is not None and on.note and model.computing == on.computing:
                yield Noted(text=on.note)
            self._check()
            yield Started(stage="ready", info=source.info)
            if self._folder is None:
                yield from self._keep(work, source)
            else:
                with self._folder.locked():
                    yield from self._write(work, source, self._folder, model)

    def _model(self) -> covos.Model:
        try:
            return self._load(self._asked)
        except CovosError:
            self.model_failed = True
            raise

    def _keep(self, work: TaskWork, source: Source) -> Iterator[Event]:
        frames = []
        yield from self._events(work.look_for_cuts(self.plan.cuts), source, work=work)
        self.cuts = work.cuts
        results = retouched(self._results_of(work, None), self.plan.edges, cuts=work.cuts)
        with explaining_memory(source.info, objects=work.followed):
            for event in self._events(results, source, work=work):
                if isinstance(event, FrameDone) and self._keeping:
                    frames.append(event.masks)
                yield event
        origin = _with_setting(work.origin(), "cuts", self.plan.cuts)
        result = Segmentation(
            info=source.info,
            health=source.health,
            origin=replace(origin, steps_down=work.steps_down, cuts=work.cuts),
            frames=tuple(frames),
            held=self.plan.source,
        )
        self.state = "done"
        seen = {*result.object_ids, *(each.id for frame in frames for each in frame.states)}
        uncomputed = uncomputed_note(sum(frame.status == "uncomputed" for frame in frames))
        unused = self.plan.label.unused_note(seen) if self._keeping else ""
        for text in filter(None, (uncomputed, unused)):
            yield Warned(text=text)
        yield Finished(result=result)

    def _replaces(self, work: TaskWork, source: Source, model: covos.Model) -> bool:
        """Tell if the folder holds a run that was stopped, and that is replaced."""
        _, terms = self._terms(work, source, model)
        return self._folder is not None and RunState(self._folder).replaces(terms, plain=self.plan.matte is False)

    def _terms(self, work: TaskWork, source: Source, model: covos.Model) -> tuple[Origin, RunTerms]:
        origin = work.origin()
        if self.plan.range:
            origin = _with_setting(origin, "range", in_words(source.info))
        batch = model.engine.encoder.batch
        return origin, terms_of(self.plan, origin, source=source, device=model.device.type, batch=batch)

    def _write(self, work: TaskWork, source: Source, folder: OutputFolder, model: covos.Model) -> Iterator[Event]:
        origin, terms = self._terms(work, source, model)
        state, plain = RunState(folder), self.plan.matte is False
        state.replaces(terms, plain=plain)
        self._decided = state
        terms = state.joined(terms, plain=plain)
        if state.is_done(terms, info=source.info):
            state.remove_leftovers()
            yield Started(stage="done already", info=source.info)
            self.state = "done"
            yield from _ending(load_saved(folder.path))
            return
        refuse_small_disk(terms.formats, info=source.info, folder=folder.path)
        cuts: Cuts = terms.settings.get("cuts", "off")
        # Before the folder is begun: a run that is stopped meanwhile leaves nothing behind.
        looked = work.look_for_cuts(cuts, known=state.known_cuts(terms))
        with explaining_memory(source.info, objects=work.followed):
            yield from self._events(looked, source, work=work)
        begun = state.begin(terms, touched=partial(work.touched, cuts_before=state.cuts))
        state.note_cuts(work.cuts)
        self.cuts = work.cuts
        settings = {name: value for name, value in origin.settings.items() if name not in KEPT}
        settings = {**settings, **terms.kept, "cuts": cuts, "formats": list(begun.every)}
        origin = replace(origin, settings=settings, cuts=work.cuts, device=begun.device or origin.device)
        yield from _notes_of(begun)
        if folder.overwrites and begun.journal.resumed:
            left = counted(begun.journal.resumed, "frame")
            text = f"goes on with {left} of the same command, which was stopped; to begin anew, remove {folder.path}"
            yield Noted(text=text)
        for text in size_notes(begun.formats, info=source.info, folder=folder.path):
            yield Noted(text=text)
        saved = yield from self._write_frames(work, source, folder, state=state, begun=begun, origin=origin)
        mendable = bool((saved.health.unreadable or saved.health.concealed) and terms.inputs.each)
        state.finish(formats=begun.every, outputs=saved.outputs, mendable=mendable)
        self.state = "done"  # all is on disk, whatever becomes of a listener
        yield from _ending(saved)

    def _write_frames(
        self, work: TaskWork, source: Source, folder: OutputFolder, *, state: RunState, begun: Begun, origin: Origin
    ) -> Generator[Event, None, Saved]:
        journal, before = begun.journal, state.steps_down
        writing = Writing(
            info=source.info,
            health=lambda: source.health,
            folder=folder,
            formats=begun.formats,
            origin=origin,
            journal=journal,
            outputs=begun.outputs,
            edges=self.plan.edges,
            steps_down=lambda: (*before, *work.steps_down),
            labelled=self.plan.label,
        )
        with (
            journal,
            RunWriter(writing) as writer,
            explaining_memory(source.info, objects=work.followed),
        ):
            results = self._results_of(work, journal)
            for event in self._events(results, source, work=work, resumed=journal.resumed, keep=writer.add):
                if isinstance(event, SteppedDown):
                    state.note_steps((*before, *work.steps_down))
                yield event
            return writer.finish()

    def _results_of(self, work: TaskWork, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        return work.matted(with_held_masks(work.run(journal), unreadable=self.plan.damaged))

    def _events(
        self,
        results: Iterator[FrameResult | StageProgress],
        source: Source,
        *,
        work: TaskWork,
        resumed: int = 0,
        keep: Callable[[FrameResult, float], FrameResult] = lambda result, _: result,
    ) -> Iterator[Event]:
        total, stage, told = source.info.frame_count, "", 0
        # The networks work on the frames to come while this one is kept and written. Closed in any case, so that no
        # network is at work any more when the job has ended.
        ahead = _ahead(self._checked(results), depth=work.model.engine.encoder.batch)
        with closing(cast("Generator[Any, None, None]", results)), closing(ahead) as computed:
            for each, seconds in computed:
                for step in work.steps_down[told:]:
                    told += 1
                    yield SteppedDown(text=step.text, step=step)
                if isinstance(each, Exception):
                    try:
                        raise each
                    finally:
                        del each  # it would hold this frame, by its traceback, and the frame it
                self._check()
                if isinstance(each, StageProgress) and stage == "frames":
                    continue  # what later frames wait for, between those that are done: no stage of its own
                now: Stage = _STAGES[each.stage] if isinstance(each, StageProgress) else "frames"
                if now != stage:
                    stage = now
                    yield Started(
                        stage=now, total=each.total if isinstance(each, StageProgress) else total, info=source.info
                    )
                if isinstance(each, StageProgress):
                    yield Advanced(stage=now, done=each.done, total=each.total)
                else:
                    kept = keep(each, seconds)
                    if kept.frame.index % GIVE_BACK == GIVE_BACK - 1:
                        give_back()
                    yield FrameDone(
                        index=kept.frame.index, total=total, result=kept, resumed=kept.frame.index < resumed
                    )
                self._check()

    def _checked(self, results: Iterator[T]) -> Iterator[T]:
        for each in results:
            yield each
            self._check()  # before the next frame is computed

    def _check(self) -> None:
        if self._cancel.is_set():
            raise _cancelled()


def _ahead(results: Iterator[T], *, depth: int) -> Generator[tuple[T | Exception, float], None, None]:
    """Give the results, each with the seconds that it took, and in the end the error that they end with, if they do.

    They are computed on a thread of their own, a bounded number ahead.
    """

    def timed() -> Iterator[tuple[T | Exception, float]]:
        clock = time.perf_counter()
        try:
            for each in results:
                yield each, time.perf_counter() - clock
                clock = time.perf_counter()
        except Exception as error:
            yield error, 0.0

    yield from prefetch(timed(), depth=depth)


_STAGES: dict[str, Stage] = {
    "cuts": "looking for cuts",
    "discover": "discovering",
    "find": "finding",
    "backward": "following backward",
}


def _with_setting(origin: Origin, name: str, value: object) -> Origin:
    return replace(origin, settings={**origin.settings, name: value})


def _cancelled() -> CancelledError:
    return CancelledError(
        "the job was cancelled",
        why="the run was stopped from outside",
        fix="make another job of the same plan: in the same folder it goes on",
    )


def _notes_of(begun: Begun) -> Iterator[Event]:
    """Tell what becomes of outputs that are there."""
    if begun.anew:
        yield Noted(text=f"the outputs are written anew, of the masks that were found: {begun.anew}")
    if begun.edited is not None:
        yield Warned(
            text=f"{begun.edited} was changed since the run was done: it stays, but {', '.join(begun.formats)} "
            "is of the masks that were found; covos convert makes formats of the changed ones"
        )


def _ending(saved: Saved) -> Iterator[Event]:
    for text in saved.warnings:
        yield Warned(text=text)
    for text in saved.notes:
        yield Noted(text=text)
    yield Finished(saved=saved)
