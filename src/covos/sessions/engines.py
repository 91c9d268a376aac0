"""The networks of a session: each is loaded, and bound to the session's video, when something is first asked of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any, Protocol, TypeVar

from covos.engines.choices import Quality, View, followed_in
from covos.engines.discover import DiscoveredObject, discover_objects
from covos.engines.find import FindEngine
from covos.engines.find_passes import references_of
from covos.engines.follow import FollowEngine
from covos.engines.shot_references import ShotReferences
from covos.engines.shots import Shots, one_shot
from covos.engines.stages import StageProgress
from covos.engines.steps import LadderStep
from covos.media.source import Source
from covos.models.lite import Features
from covos.prompts.masker import ChosenPrompter, PromptMasker
from covos.runs.report import Origin
from covos.task import described_quality

T = TypeVar("T")


class SessionModel(Protocol):
    """The part of `covos.model.Model` that a session uses; whoever opens the session gives it one."""

    @property
    def engine(self) -> FindEngine[Any]:
        """The engine that finds, with its encoder."""
        ...

    def follower(self, name: str) -> FollowEngine:
        """Return the engine that follows."""
        ...

    def describe_follower(self, name: str) -> dict[str, str]:
        """Return what a report says of a follower."""
        ...

    def prompter(self, name: str) -> ChosenPrompter:
        """Return the maker of masks of points and boxes."""
        ...

    def origin(self, **settings: object) -> Origin:
        """Return what a report says of the results."""
        ...


class SessionEngines:
    """Whatever a session computes with: the model, the engine that follows, the maker of masks of points and boxes.

    Args:
        source: The video of the session.
        load: Gives the model, when it is first needed.
        follower: A covos-follow: a name, or a ``.safetensors`` file.
        prompter: A name, or a file; see `covos.Model.prompter`.
        quality: Chooses the views in which objects are followed (see `covos.engines.choices.followed_in`).
        smallest: Gives the share of the frame that the smallest object covers, as it is shown now.
        listen: Called with each step that is taken because the memory ran out.
    """

    def __init__(
        self,
        source: Source,
        *,
        load: Callable[[], SessionModel],
        follower: str,
        prompter: str,
        quality: Quality,
        smallest: Callable[[], float],
        listen: Callable[[LadderStep], None] | None,
    ) -> None:
        self._source, self._load, self._listen = source, load, listen
        self._follower_name, self._prompter_name, self._quality = follower, prompter, quality
        self._smallest = smallest
        self._model: SessionModel | None = None
        self._prompter: ChosenPrompter | None = None
        self._masker: PromptMasker | None = None
        self._bound: tuple[tuple[View, ...], FollowEngine] | None = None
        self._references: ShotReferences[Features] | None = None
        self._shots = one_shot(source)

    def close(self) -> None:
        """End the pass that reads references of the video."""
        if self._references is not None:
            self._references.close()

    def cut_at(self, shots: Shots) -> None:
        """Take the video as these shots, from the next pass on; to begin with it is one."""
        self._shots, self._bound = shots, None

    @property
    def model(self) -> SessionModel:
        """The model that finds and encodes; it is loaded now if it was not."""
        if self._model is None:
            self._model = self._load()
            self._model.engine.ladder.listen = self._listen
        return self._model

    @property
    def steps_down(self) -> tuple[LadderStep, ...]:
        """The steps that were taken so far because the memory ran out; the session goes on with less."""
        return () if self._model is None else tuple(self._model.engine.ladder.steps)

    @property
    def follower(self) -> FollowEngine:
        """The engine that follows, with references of this video; another one once a smaller object is shown."""
        smallest = self._smallest()
        views = followed_in(self._quality, smallest=smallest)
        if self._bound is None or self._bound[0] != views:
            self.close()
            engine = self.model.follower(self._follower_name).at(self._quality, smallest=smallest)
            engine = engine.cut_at(self._shots.cuts)
            self._references = references_of(self._source, engine.finder, self._shots)
            self._bound = views, engine.within(self._references)
        return self._bound[1]

    def with_references(self, results: Iterator[T]) -> Iterator[T]:
        """Give results of the engine that follows; the pass that reads its references beside them ends with them."""
        assert self._references is not None, "who follows has them"
        with closing(self._references):
            yield from results

    @property
    def masker(self) -> PromptMasker:
        """The maker of masks of points and boxes."""
        if self._masker is None:
            # Another kind of model has not the features that are asked for.
            self.model.describe_follower(self._follower_name)
            self._prompter = self.model.prompter(self._prompter_name)
            self._masker = PromptMasker(self._source, self.model.engine.encoder, self._prompter.prompter)
        return self._masker

    def discover(
        self, most: int, *, references: int, memory: int
    ) -> Generator[StageProgress, None, tuple[DiscoveredObject, ...]]:
        """Look for objects (see `covos.engines.discover.discover_objects`); yield how far it is, return the objects."""
        engine = self.model.follower(self._follower_name).discovering(self._quality)
        apart = self.model.prompter(self._prompter_name).divider(engine.encoder.ladder)
        return discover_objects(
            self._source, engine, most=most, references=references, memory=memory, shots=self._shots, divider=apart
        )

    def describe(self, *, apart: int) -> dict[str, Any]:
        """Return what a report says of them: the follower, the quality, and the prompter if it has made masks.

        ``apart`` are the frames from one that the networks look at to the next.
        """
        return {
            "follower": self.model.describe_follower(self._follower_name),
            **described_quality(self._quality, smallest=self._smallest(), apart=apart),
            **({} if self._prompter is None else {"prompter": dict(self._prompter.described)}),
        }
