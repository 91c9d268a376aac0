"""The work of finding the subject of an open source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from covos.core.types import FrameResult
from covos.engines.choices import FOUND_AND_FOLLOWED
from covos.engines.find import FindEngine
from covos.engines.find_passes import find_subject
from covos.engines.shot_references import PassingReferences
from covos.engines.stages import StageProgress
from covos.engines.surest import find_and_follow
from covos.media.source import Source
from covos.model import Model
from covos.models.registry import DEFAULT_FOLLOWER
from covos.plan import Plan
from covos.runs.journal import Journal, read_entries
from covos.runs.mending import frames_to_redo
from covos.runs.report import Origin
from covos.task import Find
from covos.work.base import TaskWork


class SubjectWork(TaskWork):
    """The part of it that is the same where the subject is steered.

    Args:
        task: The plan's task.
        plan: See `covos.work.base.TaskWork`, here and for what comes after.
        source: As there.
        load: As there.
    """

    def __init__(self, task: Find, *, plan: Plan, source: Source, load: Callable[[], Model]) -> None:
        super().__init__(plan, source=source, load=load)
        self._task = task

    @property
    def followed(self) -> int:
        """1 if the subject is followed, too, from where it was found most surely."""
        return int(self._task.quality in FOUND_AND_FOLLOWED)

    @property
    def _engine(self) -> FindEngine[Any]:
        return self.model.engine.at(self._task.quality)

    def prepare(self) -> Model:
        """Load the model, and refuse what it cannot do."""
        self._engine.check_fusion(self._task.fusion)
        return self.model

    def _origin_of_found(self) -> Origin:
        return self.model.origin(**self._settings())

    def _settings(self) -> dict[str, Any]:
        """Return all settings that the subject depends on, as records of a run have them."""
        return self.model.settings_of(self._task)

    def _follows_found(self) -> bool:
        return self._source.info.frame_count > 1 and self.model.follows_found(self._task)


class FindWork(SubjectWork):
    """The work of finding a subject that nobody steers."""

    def _passing_references(self) -> PassingReferences:
        task = self._task
        encoder = self._engine.encoder
        return PassingReferences(self._source, encoder, references=task.references, seed=task.reference_seed)

    def _results(self, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        if journal is not None and journal.earlier is not None:
            return self._find_again(journal)
        source, engine, finding = self._source, self._engine, self._task.finding
        known = () if journal is None else (record.restore for record in journal.replay())
        if not self._follows_found():
            return find_subject(source, engine, finding=finding, shots=self._shots, known=known, kept=self._kept)
        return find_and_follow(
            source,
            engine,
            self.model.follower(DEFAULT_FOLLOWER),
            finding=finding,
            shots=self._shots,
            known=known,
            resumed=0 if journal is None else journal.resumed,
            kept=self._kept,
        )

    def touched(
        self, changed: Sequence[int], unreadable: Sequence[int], *, cuts_before: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """Return the frames to compute again after pictures were mended; None for all, as where the cuts are others."""
        task, count = self._task, self._source.info.frame_count
        if self.cuts != cuts_before:
            return None
        engine = self._engine
        if engine.apart > 1 or self._follows_found():  # frames are made of others, too
            return None
        encoder = engine.encoder.cut_at(self.cuts)
        spans = self._shots.spans(task.references, seed=task.reference_seed)
        chosen = {index for span in spans for index in span.references}
        return frames_to_redo(
            changed,
            count=count,
            unreadable=unreadable,
            references=encoder.needed(chosen, frame_count=count),
            uses_motion=encoder.network.uses_motion,
            around=engine.around,
            batch=encoder.batch,
        )

    def _find_again(self, journal: Journal) -> Iterator[FrameResult]:
        """Compute the frames that mended pictures touch, and take the others from the journal of the run before."""
        assert journal.earlier is not None, "there is a run before"
        wanted = [index for index in journal.redo if index >= journal.resumed]
        finding = self._task.finding
        computed = find_subject(self._source, self._engine, finding=finding, shots=self._shots, wanted=wanted)
        again, before = journal.replay(), read_entries(journal.earlier)
        redo = frozenset(journal.redo)
        for frame in self._source:
            old = next(before, None)
            if frame.index < journal.resumed:
                yield next(again).restore(frame)
            elif frame.index in redo:
                yield next(computed)
            else:
                assert old is not None, "what the journal lacks is computed again"
                yield old.restore(frame)
