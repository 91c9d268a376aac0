"""The work of finding the subject of an open source, and of steering it by what the user says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from covos.core.types import FrameResult
from covos.engines.choices import Finding
from covos.engines.find import FindEngine
from covos.engines.find_passes import Restore, find_subject
from covos.engines.kept import KeptEncoder
from covos.engines.stages import StageProgress
from covos.engines.steer import keep_in_regions
from covos.engines.steer_pass import steer_subject
from covos.engines.steering_rule import SteeringRule
from covos.engines.surest import follow_found, looks_of, refined_mean
from covos.media.source import Source
from covos.model import Model
from covos.models.registry import DEFAULT_FOLLOWER
from covos.plan import Plan
from covos.prompts.masker import ChosenPrompter
from covos.prompts.steering import SteeringMasks, check_steering, steering_masks, telling_apart
from covos.prompts.values import on_frames
from covos.runs.journal import Journal
from covos.task import Find, Steer
from covos.work.base import replayed
from covos.work.find import SubjectWork


class SteeredWork(SubjectWork):
    """Finds a subject and steers it. The masks of what is shown are made once, when they are first needed.

    Args:
        task: The plan's task.
        steer: The steering that it has.
        plan: See `covos.work.base.TaskWork`, here and for what comes after.
        source: As there.
        load: As there.

    Raises:
        UsageError: What is shown lies outside the frame, has no area, or is shown twice.
    """

    def __init__(self, task: Find, *, steer: Steer, plan: Plan, source: Source, load: Callable[[], Model]) -> None:
        super().__init__(task, plan=plan, source=source, load=load)
        self._steer = steer.model_copy(update={"shown": tuple(on_frames(steer.shown, info=source.info))})
        self._prompter: ChosenPrompter | None = None
        self._made: SteeringMasks | None = None
        check_steering(self._steer.shown, info=source.info)

    @property
    def followed(self) -> int:
        """1 if anything is followed: what is shown on a frame, or the subject from where it was found most surely."""
        return int(self._steer.follows) or super().followed

    def prepare(self) -> Model:
        """Load the model, and refuse what it cannot do."""
        model = super().prepare()
        if self._steer.follows:
            model.describe_follower(self._steer.follower)
        return model

    def _settings(self) -> dict[str, Any]:
        self._masks()  # what cannot be steered is refused before anything is written
        said: dict[str, Any] = {"steer": self._steer.describe()}
        if self._steer.follows:
            said |= {"follower": self.model.describe_follower(self._steer.follower), "memory": self._steer.memory}
        if self._prompter is not None:
            said["prompter"] = dict(self._prompter.described)
        return {**super()._settings(), **said}

    def _results(self, journal: Journal | None) -> Iterator[FrameResult | StageProgress]:
        if self._follows_found():
            return replayed(self._then_followed(), journal)
        if self._steer.follows:
            return replayed(self._steered(self._task.finding), journal)
        known = () if journal is None else (record.restore for record in journal.replay())
        return self._steered(self._task.finding, known=known)

    def _steered(
        self, finding: Finding, *, known: Iterable[Restore] = (), looks: KeptEncoder | None = None
    ) -> Iterator[FrameResult | StageProgress]:
        """Give the steered results, the first of them as they are known; ``looks`` is shown the frames."""
        masks = self._masks()
        return steer_subject(
            self._source,
            self._engine,
            masks.rule,
            follower=self.model.follower(self._steer.follower) if self._steer.follows else None,
            given=masks.given,
            memory=self._steer.memory,
            finding=finding,
            shots=self._shots,
            known=known,
            looks=looks,
        )

    def _then_followed(self) -> Iterator[FrameResult | StageProgress]:
        """Follow the subject that is left from where it was found most surely, and give the mean of both."""
        # The mean is refined, not what goes into it.
        follower = self.model.follower(DEFAULT_FOLLOWER)
        looks = looks_of(follower, self._shots)
        steered = self._steered(replace(self._task.finding, refine="none"), looks=looks)
        means = follow_found(self._source, steered, follower, looks=looks, shots=self._shots)
        ended = partial(self._ended, rule=self._masks().rule, engine=self._engine)
        return (each if isinstance(each, StageProgress) else ended(each) for each in means)

    def _ended(self, mean: FrameResult, *, rule: SteeringRule, engine: FindEngine[Any]) -> FrameResult:
        """Refine a mean, if that is wanted, and take away what of it lies outside of the fixed regions."""
        result = refined_mean(mean, self._task.refine, engine=engine)
        return keep_in_regions(result, rule=rule) if rule.within or rule.exclude else result

    def _masks(self) -> SteeringMasks:
        if self._made is None:
            if self._steer.follows:
                self._prompter = telling_apart(self.model.prompter(self._steer.prompter))
            self._made = steering_masks(
                self._source,
                self._steer.shown,
                found=self._found,
                encoder=self.model.engine.encoder,
                prompter=None if self._prompter is None else self._prompter.prompter,
            )
        return self._made

    def _found(self, frame: int) -> FrameResult | None:
        return next(find_subject(self._source, self._engine, finding=self._task.finding, wanted=(frame,)), None)
