"""Steerer: steers the subject that a job finds, by what the user says of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from covos.core.types import FrameResult
from covos.engines.passes import Known, find_subject, steer_subject
from covos.engines.shots import Shots
from covos.engines.stages import StageProgress
from covos.media.source import Source
from covos.model import Model
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

    def run(self, known: Iterable[Known], *, shots: Shots) -> Iterator[FrameResult | StageProgress]:
        """Give the steered results, the first of them as they are known."""
        model, masks = self._load(), self._masks()
        return steer_subject(
            self._source,
            model.engine.at(self._task.quality),
            masks.rule,
            follower=model.follower(self._steer.follower) if self._steer.follows else None,
            given=masks.given,
            memory=self._steer.memory,
            shots=shots,
            known=known,
            **self._task.finding,
        )

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
        return next(find_subject(self._source, engine, wanted=(frame,), **self._task.finding), None)
