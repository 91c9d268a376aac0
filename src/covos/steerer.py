"""Steerer: steers the subject that a job finds, by what the user says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from covos.core.types import FrameResult
from covos.engines.find import FindEngine
from covos.engines.passes import Restore, find_subject, steer_subject
from covos.engines.shots import Shots
from covos.engines.stages import StageProgress
from covos.engines.steer import keep_in_regions
from covos.engines.steering_rule import SteeringRule
from covos.engines.surest import follow_found, refined_mean
from covos.media.source import Source
from covos.model import Model
from covos.models.registry import DEFAULT_FOLLOWER
from covos.prompts.masker import ChosenPrompter
from covos.prompts.steering import SteeringMasks, check_steering, steering_masks, telling_apart
from covos.prompts.values import on_frames
from covos.task import Find, Steer


class Steerer:
    """The steering of a subject that is found. Its masks are made once, when they are first needed.

    Args:
        task: How the subject is found.
        steer: What the user says of it.
        source: The video.
        load: Gives the model; called when it is first needed.

    Raises:
        UsageError: What is shown lies outside the frame, has no area, or is shown twice.
    """

    def __init__(self, task: Find, *, steer: Steer, source: Source, load: Callable[[], Model]) -> None:
        steer = steer.model_copy(update={"shown": tuple(on_frames(steer.shown, info=source.info))})
        self._task, self._steer, self._source, self._load = task, steer, source, load
        self._prompter: ChosenPrompter | None = None
        self._made: SteeringMasks | None = None
        check_steering(steer.shown, info=source.info)

    @property
    def follows(self) -> bool:
        """True if anything is followed for it."""
        return self._steer.follows

    def prepare(self) -> None:
        """Refuse a model that cannot do this."""
        if self._steer.follows:
            self._load().describe_follower(self._steer.follower)

    def settings(self) -> dict[str, object]:
        """Return what a report says of it, beside how the subject is found."""
        self._masks()  # what cannot be steered is refused before anything is written
        said: dict[str, object] = {"steer": self._steer.describe()}
        if self._steer.follows:
            said |= {"follower": self._load().describe_follower(self._steer.follower), "memory": self._steer.memory}
        return said if self._prompter is None else {**said, "prompter": dict(self._prompter.described)}

    def run(
        self, known: Iterable[Restore], *, shots: Shots, then_followed: bool = False
    ) -> Iterator[FrameResult | StageProgress]:
        """Give the steered results, the first of them as they are known.

        With ``then_followed``, the subject that is left is followed from where it was found most surely; nothing may
        be known then.
        """
        model, masks = self._load(), self._masks()
        engine, finding = model.engine.at(self._task.quality), self._task.finding
        if then_followed:  # the mean is refined, not what goes into it
            finding = replace(finding, refine="none")
        steered = steer_subject(
            self._source,
            engine,
            masks.rule,
            follower=model.follower(self._steer.follower) if self._steer.follows else None,
            given=masks.given,
            memory=self._steer.memory,
            shots=shots,
            known=known,
            finding=finding,
        )
        if not then_followed:
            return steered
        follower = model.follower(DEFAULT_FOLLOWER)
        means = follow_found(self._source, steered, follower, shots=shots)
        return (each if isinstance(each, StageProgress) else self._ended(each, masks.rule, engine) for each in means)

    def _ended(self, mean: FrameResult, rule: SteeringRule, engine: FindEngine[Any]) -> FrameResult:
        """Refine a mean, if that is wanted, and take away what of it lies outside of the fixed regions."""
        result = refined_mean(mean, self._task.refine, engine=engine)
        return keep_in_regions(result, rule=rule) if rule.within or rule.exclude else result

    def _masks(self) -> SteeringMasks:
        if self._made is None:
            model = self._load()
            if self._steer.follows:
                self._prompter = telling_apart(model.prompter(self._steer.prompter))
            self._made = steering_masks(
                self._source,
                self._steer.shown,
                found=self._found,
                encoder=model.engine.encoder,
                prompter=None if self._prompter is None else self._prompter.prompter,
            )
        return self._made

    def _found(self, frame: int) -> FrameResult | None:
        engine = self._load().engine.at(self._task.quality)
        return next(find_subject(self._source, engine, finding=self._task.finding, wanted=(frame,)), None)
