"""The work of following objects of an open source: those that are shown, or those that are discovered."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from functools import partial

from covos.core.types import FrameResult
from covos.engines.choices import AUTO, discovered_in, followed_apart
from covos.engines.stages import StageProgress
from covos.media.source import Source
from covos.model import Model
from covos.plan import Plan
from covos.prompts.one_frame import alpha_mask
from covos.prompts.placing import place_prompts
from covos.runs.journal import Journal
from covos.runs.report import Origin
from covos.sessions.session import Session
from covos.task import Discover, Follow, described_quality
from covos.work.base import TaskWork, replayed


class SessionWork(TaskWork):
    """The part of it that is the same for both: a session follows.

    Args:
        task: The plan's task.
        plan: See `covos.work.base.TaskWork`, here and for what comes after.
        source: As there.
        load: As there.
    """

    def __init__(self, task: Follow | Discover, *, plan: Plan, source: Source, load: Callable[[], Model]) -> None:
        super().__init__(plan, source=source, load=load)
        self._follower, self._apart = task.follower, followed_apart(task.quality)
        self._session = Session(
            source,
            load=lambda: self.model,
            follower=task.follower,
            memory=task.memory,
            prompter=task.prompter if isinstance(task, Follow) else AUTO,
            quality=task.quality,
            held=plan.source,
        )

    @property
    def followed(self) -> int:
        """The number of objects, of those that are to be discovered the first."""
        return max(1, len(self._session.objects))

    @property
    def warnings(self) -> tuple[str, ...]:
        """A warning of objects that have no number, if there are any."""
        note = self._session.seeds.nameless_note
        return (note,) if note else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """A note of each mask file whose soft edges were cut."""
        return self._session.seeds.cut_notes

    def prepare(self) -> Model:
        """Load the model, and refuse a follower that does not go with it."""
        self.model.describe_follower(self._follower)
        return self.model

    def _results(self, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        self._session.cut_at(self._shots)
        return replayed(self._followed_results(), journal)

    @abstractmethod
    def _followed_results(self) -> Iterator[FrameResult | StageProgress]:
        """Give the results of the pass over all frames."""


class FollowWork(SessionWork):
    """The work of following what is shown; the arguments are those of `SessionWork`.

    Raises:
        UsageError: A prompt does not fit the source, or a label is of an object that nobody shows.
        AnnotationError: A mask does not fit the source.
    """

    def __init__(self, task: Follow, *, plan: Plan, source: Source, load: Callable[[], Model]) -> None:
        super().__init__(task, plan=plan, source=source, load=load)
        self._direction = task.direction
        labels = place_prompts(
            self._session.seeds,
            task.prompts,
            resize=task.resize_masks,
            alpha_of=partial(alpha_mask, source),
        )
        self._session.direction(task.direction)
        plan.label.refuse_unknown(self._session.objects)
        self._labels = plan.label.over(labels)

    def _origin_of_found(self) -> Origin:
        return self._session.origin(self._direction, apart=self._apart)

    def _followed_results(self) -> Iterator[FrameResult | StageProgress]:
        yield from self._session.streaming(self._direction, apart=self._apart)


class DiscoverWork(SessionWork):
    """The work of discovering objects and following them; the arguments are those of `SessionWork`."""

    def __init__(self, task: Discover, *, plan: Plan, source: Source, load: Callable[[], Model]) -> None:
        super().__init__(task, plan=plan, source=source, load=load)
        self._task = task

    def _origin_of_found(self) -> Origin:
        task = self._task
        return self.model.origin(
            objects=task.most,
            references=task.references,
            follower=self.model.describe_follower(task.follower),
            direction="both",
            memory=task.memory,
            # It tells things that touch apart.
            prompter=dict(self.model.prompter().described),
            **described_quality(task.quality, apart=self._apart),
            discovered=str(discovered_in(task.quality)),
        )

    def _followed_results(self) -> Iterator[FrameResult | StageProgress]:
        yield from self._session.discovering(self._task.most, references=self._task.references)
        yield from self._session.streaming("both", apart=self._apart)
