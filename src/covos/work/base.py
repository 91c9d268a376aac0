"""The part of the work on an open source that all tasks have in common: model, cuts, mattes, what reports say."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from covos.core.types import FrameResult
from covos.engines.choices import Cuts
from covos.engines.find_passes import look_for_cuts
from covos.engines.matting import load_matte_engine, matted
from covos.engines.motion import Observed
from covos.engines.shot_references import PassingReferences
from covos.engines.shots import Shots, one_shot
from covos.engines.stages import StageProgress
from covos.engines.steps import LadderStep
from covos.media.source import Source
from covos.model import Model
from covos.models.registry import find_matter
from covos.plan import Plan
from covos.runs.journal import Journal, short
from covos.runs.report import Origin


class TaskWork(ABC):
    """The work of a plan on an open source; `covos.work.choice.work_of` chooses the class by the plan's task.

    Args:
        plan: The plan.
        source: Its source.
        load: Gives the model; called when it is first needed.
    """

    def __init__(self, plan: Plan, *, source: Source, load: Callable[[], Model]) -> None:
        self._source, self._load, self._edges = source, load, plan.edges
        self._labels = plan.label
        self._matter = find_matter(plan.matte) if plan.matte else None
        self._loaded: Model | None = None
        self._shots = one_shot(source)
        self._kept: dict[int, Observed] = {}

    @property
    def model(self) -> Model:
        """The model, on a ladder of its own; loaded when it is first asked for."""
        self._loaded = self._loaded or self._load().fresh()
        return self._loaded

    @property
    @abstractmethod
    def followed(self) -> int:
        """The number of objects that are followed, of those that are to be discovered the first; 0 where none is."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of what may be otherwise than the user means, before anything is computed."""
        return ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of how something that was given is understood, before anything is computed."""
        return ()

    @property
    def steps_down(self) -> tuple[LadderStep, ...]:
        """The steps that were taken so far because the memory ran out."""
        return () if self._loaded is None else tuple(self._loaded.engine.ladder.steps)

    @abstractmethod
    def prepare(self) -> Model:
        """Load what is needed, and refuse what the model cannot do."""

    def origin(self) -> Origin:
        """Return what a report says: model, and all settings that the written masks depend on."""
        found = self._origin_of_found()
        entry = self._matter
        matte = {} if entry is None else {"matte": {"name": entry.name, "sha256": entry.card.sha256}}
        return replace(found, settings={**found.settings, **matte, **self._edges.settings, **self._labels.settings})

    @abstractmethod
    def _origin_of_found(self) -> Origin:
        """Return what a report says of masks as they are found, before anything is made of them."""

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames with which shots begin, but for the first; none before `look_for_cuts`."""
        return self._shots.cuts

    def look_for_cuts(self, cuts: Cuts, *, known: tuple[int, ...] | None = None) -> Iterator[StageProgress]:
        """Look for cuts, if that is wanted and an earlier run does not know them; yield how far it is."""
        if cuts == "auto" and known is not None:
            self._shots = Shots.cut(self._source, known)
            return
        passing = self._passing_references()
        self._shots = yield from look_for_cuts(self._source, cuts, see=None if passing is None else passing.see)
        self._kept = {} if passing is None else passing.kept(self._shots)

    def _passing_references(self) -> PassingReferences | None:
        """Return what keeps references of the pass to come while cuts are looked for; None reads them in the pass."""
        return None

    def run(self, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        """Give the results, the first of them by the records of an earlier run."""
        return self._kept_results(journal) if journal is not None and journal.whole else self._results(journal)

    def _kept_results(self, journal: Journal) -> Iterator[FrameResult]:
        """Give the results that a whole journal keeps; the source is read to its end, which alone shows all damage."""
        records = journal.replay()
        for frame in self._source:
            record = next(records, None)
            if record is None:
                raise short(journal.path, count=journal.count)
            yield record.restore(frame)

    @abstractmethod
    def _results(self, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        """Give the results, of which the journal does not have all."""

    def matted(self, results: Iterator[FrameResult | StageProgress]) -> Iterator[FrameResult | StageProgress]:
        """Add mattes to results, if they were asked for."""
        entry = self._matter
        if entry is None:
            return results
        ladder, runtime, still = self.model.engine.ladder, self.model.runtime, self._source.info.is_still
        return matted(results, lambda: load_matte_engine(entry.path, ladder=ladder, runtime=runtime, still=still))

    def touched(
        self, changed: Sequence[int], unreadable: Sequence[int], *, cuts_before: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """Return the frames to compute again after pictures were mended; None for all.

        Frames that are followed or steered depend on all that came before, and are followed again anyway.
        """
        return None


def replayed(
    results: Iterator[FrameResult | StageProgress], journal: Journal | None
) -> Iterator[FrameResult | StageProgress]:
    """Give the results of a pass that follows all frames again, the first of them by the records of an earlier run.

    It fills the memory as it was.
    """
    records = iter(()) if journal is None else journal.replay()
    for result in results:
        if isinstance(result, StageProgress):
            yield result
            continue
        record = next(records, None)
        yield result if record is None else record.restore(result.frame)
