"""The masks of a session's prompts: made of their frame, of what is known on it, and of what was followed to it."""

from __future__ import annotations

from collections.abc import Mapping

from covos.core.types import MaskArray
from covos.engines.follow_passes import follow_to
from covos.media.range import place_of
from covos.media.source import Source
from covos.prompts.masker import PromptedMask
from covos.prompts.seeds import Seeds
from covos.prompts.values import PointPrompt
from covos.runs.room import explaining_memory
from covos.sessions.engines import SessionEngines
from covos.sessions.following import Following


class PromptedMasks:
    """Makes masks of points and boxes, at once or once they are needed.

    Args:
        source: The video of the session.
        seeds: Its seeds, which get the masks.
        following: Has the masks that were followed.
        engines: The networks.
        memory: Frames that are remembered where an object is followed to a prompt's frame.
    """

    def __init__(
        self, source: Source, seeds: Seeds, following: Following, engines: SessionEngines, *, memory: int
    ) -> None:
        self._source, self._seeds, self._following, self._engines = source, seeds, following, engines
        self._memory = memory

    def show(self, prompt: PointPrompt, *, areas: Mapping[int, int] | None = None) -> PromptedMask:
        """Make the mask of a prompt; the arguments and errors are those of `covos.sessions.session.Session.show`."""
        new = prompt.object is None or self._seeds.is_absent(prompt.number, prompt.object)
        followed = None if new or prompt.object is None else self._following.mask(prompt.number, prompt.object)
        identity = self._seeds.check_points(prompt, followed=followed is not None)
        with explaining_memory(self._source.info, objects=max(1, len(self._seeds.objects))):
            return self._make(identity, prompt, followed=followed, areas=areas)

    def make_waiting(self) -> None:
        """Make masks of all prompts that wait, in the order of the frames: later ones depend on those before."""
        for identity, prompt in self._seeds.waiting:
            frame, followed = prompt.number, None
            if prompt.box is None and self._seeds.get(frame, identity) is None:
                given, place = self._seeds.given(), place_of(frame, self._source.info)
                followed = follow_to(
                    self._source, self._engines.follower, given, frame=place, object_id=identity, memory=self._memory
                )
            self._make(identity, prompt, followed=followed)
            self._seeds.done(frame, identity)

    def _make(
        self,
        identity: int,
        prompt: PointPrompt,
        *,
        followed: MaskArray | None,
        areas: Mapping[int, int] | None = None,
    ) -> PromptedMask:
        given = self._seeds.given().get(place_of(prompt.number, self._source.info), {})
        known = {**self._following.masks(prompt.number), **given}
        others = [mask for other, mask in known.items() if other != identity]
        areas = self._following.areas(identity) if areas is None else areas
        return self._engines.masker.mask(self._seeds, identity, prompt, followed=followed, others=others, areas=areas)
