"""Work: the task of a plan on an open source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from covos.core.types import FrameResult
from covos.engines.choices import FOUND_AND_FOLLOWED, Cuts, discovered_in
from covos.engines.find import FindEngine
from covos.engines.matting import load_matte_engine, matted
from covos.engines.motion import Observed
from covos.engines.passes import find_subject, look_for_cuts
from covos.engines.shot_references import PassingReferences
from covos.engines.shots import Shots, one_shot
from covos.engines.stages import StageProgress
from covos.engines.steps import LadderStep
from covos.engines.surest import find_and_follow
from covos.media.source import Source
from covos.model import Model
from covos.models.registry import DEFAULT_FOLLOWER, find_matter
from covos.plan import Plan
from covos.prompts.alpha import alpha_mask
from covos.prompts.placing import place_prompts
from covos.runs.journal import Journal, read_entries
from covos.runs.mending import frames_to_redo
from covos.runs.report import Origin
from covos.session import Session
from covos.steerer import Steerer
from covos.task import Discover, Find, Follow, described_quality


class Work:
    """The task of a plan on an open source: the one place that tells finding, following and discovering apart."""

    def __init__(self, plan: Plan, source: Source, load: Callable[[], Model]) -> None:
        self._task, self._source, self._load, self._edges = plan.task, source, load, plan.edges
        self._matter = find_matter(plan.matte) if plan.matte else None
        self._labels = plan.label
        self._loaded: Model | None = None
        self._session: Session | None = None
        self._steerer: Steerer | None = None
        self._shots = one_shot(source)
        self._kept: dict[int, Observed] = {}
        task = plan.task
        if isinstance(task, Find):
            if task.steer is not None:
                self._steerer = Steerer(task, steer=task.steer, source=source, load=lambda: self.model)
        elif isinstance(task, Follow):
            self._session = Session(
                source,
                load=lambda: self.model,
                follower=task.follower,
                memory=task.memory,
                prompter=task.prompter,
                quality=task.quality,
                held=plan.source,
            )
            labels = place_prompts(
                self._session.seeds,
                task.prompts,
                resize=task.resize_masks,
                alpha_of=partial(alpha_mask, source),
            )
            self._session.direction(task.direction)
            plan.label.refuse_unknown(self._session.objects)
            self._labels = plan.label.over(labels)
        else:
            self._session = Session(
                source,
                load=lambda: self.model,
                follower=task.follower,
                memory=task.memory,
                quality=task.quality,
                held=plan.source,
            )

    @property
    def model(self) -> Model:
        """The model, on a ladder of its own; loaded when it is first asked for."""
        self._loaded = self._loaded or self._load().fresh()
        return self._loaded

    @property
    def followed(self) -> int:
        """The number of objects that are followed, of those that are to be discovered the first; 0 where none is."""
        if self._session is not None:
            return max(1, len(self._session.objects))
        assert isinstance(self._task, Find), "all others have a session"
        steered = self._steerer is not None and self._steerer.follows
        return int(steered or self._task.quality in FOUND_AND_FOLLOWED)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings of what may be otherwise than the user means, before anything is computed."""
        note = "" if self._session is None else self._session.seeds.nameless_note
        return (note,) if note else ()

    @property
    def steps_down(self) -> tuple[LadderStep, ...]:
        """The steps that were taken so far because the memory ran out."""
        return () if self._loaded is None else tuple(self._loaded.engine.ladder.steps)

    def prepare(self) -> Model:
        """Load what is needed, and refuse what the model cannot do."""
        if isinstance(self._task, Find):
            self.model.engine.at(self._task.quality).check_fusion(self._task.fusion)
            if self._steerer is not None:
                self._steerer.prepare()
        else:
            self.model.describe_follower(self._task.follower)
        return self.model

    def origin(self) -> Origin:
        """Return what a report says: model, and all settings that the written masks depend on."""
        found = self._origin_of_found()
        entry = self._matter
        matte = {} if entry is None else {"matte": {"name": entry.name, "sha256": entry.card.sha256}}
        return replace(found, settings={**found.settings, **matte, **self._edges.settings, **self._labels.settings})

    def _origin_of_found(self) -> Origin:
        task = self._task
        if isinstance(task, Find):
            steering = {} if self._steerer is None else self._steerer.settings()
            return self.model.origin(**{**self.model.settings_of(task), **steering})
        if isinstance(task, Discover):
            return self.model.origin(
                objects=task.most,
                references=task.references,
                follower=self.model.describe_follower(task.follower),
                direction="both",
                memory=task.memory,
                # It tells things that touch apart.
                prompter=dict(self.model.prompter().described),
                **described_quality(task.quality),
                discovered=str(discovered_in(task.quality)),
            )
        assert self._session is not None
        return self._session.origin(task.direction)

    def _follows_found(self, task: Find) -> bool:
        return self._source.info.frame_count > 1 and self.model.follows_found(task)

    @property
    def cuts(self) -> tuple[int, ...]:
        """The frames with which shots begin, but for the first; none before `look_for_cuts`."""
        return self._shots.cuts

    def look_for_cuts(self, cuts: Cuts, *, known: tuple[int, ...] | None = None) -> Iterator[StageProgress]:
        """Look for cuts, if that is wanted and an earlier run does not know them; yield how far it is."""
        if cuts == "auto" and known is not None:
            shots = Shots.cut(self._source, known)
        else:
            passing = self._passing_references()
            shots = yield from look_for_cuts(self._source, cuts, see=None if passing is None else passing.see)
            self._kept = {} if passing is None else passing.kept(shots)
        self._shots = shots
        if self._session is not None:
            self._session.cut_at(shots)

    def _passing_references(self) -> PassingReferences | None:
        """Return what keeps the references of a pass that finds; other passes read them when they need them."""
        task = self._task
        if not isinstance(task, Find) or self._steerer is not None:
            return None
        encoder = self.model.engine.at(task.quality).encoder
        return PassingReferences(self._source, encoder, references=task.references, seed=task.reference_seed)

    def run(self, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        """Give the results, the first of them by the records of an earlier run."""
        task = self._task
        if journal is not None and journal.whole:
            return (record.restore(frame) for record, frame in zip(journal.replay(), self._source, strict=False))
        if isinstance(task, Find):
            return self._find(task, journal)
        assert self._session is not None
        results = self._follow(self._session)
        return results if journal is None else _again(results, journal)

    def _find(self, task: Find, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        then_followed = self._follows_found(task)
        if self._steerer is not None and (self._steerer.follows or then_followed):
            results = self._steerer.run((), shots=self._shots, then_followed=then_followed)
            return results if journal is None else _again(results, journal)
        known = () if journal is None else (record.restore for record in journal.replay())
        if self._steerer is not None:
            return self._steerer.run(known, shots=self._shots)
        engine = self.model.engine.at(task.quality)
        if journal is not None and journal.earlier is not None:
            return self._find_again(engine, task, journal)
        if not then_followed:
            return find_subject(
                self._source, engine, finding=task.finding, shots=self._shots, known=known, kept=self._kept
            )
        return find_and_follow(
            self._source,
            engine,
            self.model.follower(DEFAULT_FOLLOWER),
            finding=task.finding,
            shots=self._shots,
            known=known,
            resumed=0 if journal is None else journal.resumed,
            kept=self._kept,
        )

    def matted(self, results: Iterator[FrameResult | StageProgress]) -> Iterator[FrameResult | StageProgress]:
        """Add mattes to results, if they were asked for."""
        entry = self._matter
        if entry is None:
            return results
        ladder, runtime = self.model.engine.ladder, self.model.runtime
        return matted(results, lambda: load_matte_engine(entry.path, ladder=ladder, runtime=runtime))

    def touched(
        self, changed: Sequence[int], unreadable: Sequence[int], *, cuts_before: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """Return the frames to compute again after pictures were mended; None for all, as where the cuts are others.

        Frames that are followed or steered depend on all that came before, and are followed again anyway.
        """
        task, count = self._task, self._source.info.frame_count
        if not isinstance(task, Find) or self._steerer is not None:
            return None
        if self.cuts != cuts_before:
            return None
        engine = self.model.engine.at(task.quality)
        if engine.apart > 1 or self._follows_found(task):  # frames are made of others, too
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

    def _find_again(self, engine: FindEngine[Any], task: Find, journal: Journal) -> Iterator[FrameResult]:
        """Compute the frames that mended pictures touch, and take the others from the journal of the run before."""
        assert journal.earlier is not None, "there is a run before"
        wanted = [index for index in journal.redo if index >= journal.resumed]
        computed = find_subject(self._source, engine, finding=task.finding, shots=self._shots, wanted=wanted)
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

    def _follow(self, session: Session) -> Iterator[FrameResult | StageProgress]:
        task = self._task
        if isinstance(task, Discover):
            yield from session.discovering(task.most, references=task.references)
            yield from session.streaming("both")
        else:
            assert isinstance(task, Follow)
            yield from session.streaming(task.direction)


def _again(results: Iterator[FrameResult | StageProgress], journal: Journal) -> Iterator[FrameResult | StageProgress]:
    # Earlier frames are followed again: this fills the memory as it was.
    records = journal.replay()
    for result in results:
        if isinstance(result, StageProgress):
            yield result
            continue
        record = next(records, None)
        yield result if record is None else record.restore(result.frame)
