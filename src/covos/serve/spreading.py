"""Spreading of tracks: a track begins at what was corrected since the last one, and all else stays as it was."""

from __future__ import annotations

from typing import Literal, TypeAlias

from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import SeedMask, confirmed_frames, corrected_between, to_follow
from covos.results.corrected import Correction
from covos.results.followed import Known
from covos.serve.edits import History
from covos.serve.frame_edits import followed

Way: TypeAlias = Literal["forward", "backward"]
Parts: TypeAlias = tuple[tuple[Way, int, int], ...]
"""Stretches to follow: direction, first frame and number of frames."""


class Spreading:
    """Puts the masks of a track into a clip as they come, one stretch after another.

    Each frame keeps what the last track left, but where a correction since then has reached it (see
    `covos.engines.corrections`). An object that was not followed there before is taken as it comes. The masks that are
    compared are those that the clip has in any case: no copies are made.

    Args:
        history: The clip's.
        asked: The stretches that the user has asked for.
        between: The frames between a correction and the beginning of its stretch change as well.

    Attributes:
        parts: The stretches to follow. One begins with the correction before it, for the change grows from there.
    """

    def __init__(self, history: History, asked: Parts, *, between: bool) -> None:
        self._seeds = to_follow(history.seeds)
        self._frames, self._followed_at = dict(history.frames), history.followed_at()
        self._told: dict[int, FrameMask] = {}
        self._births = _births(self._seeds)
        self._births_at = {each: _births(to_follow(history.seeds_at(each))) for each in {*self._followed_at.values()}}
        wanted = {index for part in asked for index in _frames(part)}
        known = [revision for index, revision in self._followed_at.items() if index in wanted]
        since = min((revision for revision in known if self._births_at[revision]), default=None)
        self._then = self._frames if since is None else history.answered_at(since)
        then = self._seeds if since is None else to_follow(history.seeds_at(since))
        self._corrected = corrected_between(then, self._seeds)
        self._confirmed = confirmed_frames(history.seeds)
        self._fresh = {seed.frame for seed in self._seeds if seed not in then}
        self.parts = tuple(self._from_correction(part) for part in asked)
        self._asked = self.parts if between else asked
        self._part, self._latest, self._taken = 0, -1, 0
        self._correction = Correction(births=self._births, corrected=self._corrected)

    def take(self, mask: FrameMask) -> list[FrameMask]:
        """Take a followed frame; return the masks that are settled by it, of frames that were asked for."""
        settled = []
        if self._latest >= 0 and not self._goes_on(mask.index):
            settled = self.end()
            self._part, self._taken = self._part + 1, 0
            self._correction = Correction(births=self._births, corrected=self._corrected)
        self._latest, self._taken = mask.index, self._taken + 1
        before = self._told.get(mask.index, self._frames.get(mask.index))
        whole = followed(before, mask, tracked=frozenset(self._births))
        known, then = self._known(mask.index), self._then.get(mask.index)
        return [*settled, *self._asked_for(self._correction.take(mask.index, whole, known, before=then))]

    def end(self) -> list[FrameMask]:
        """Return the masks of the frames that wait for others, when none comes."""
        return self._asked_for(self._correction.end())

    def _asked_for(self, masks: list[FrameMask]) -> list[FrameMask]:
        made = [each for each in masks if each.index in _frames(self._asked[self._part])]
        if not self._part:
            self._told.update((each.index, each) for each in made)
        return made

    def _goes_on(self, index: int) -> bool:
        way, _, count = self.parts[self._part]
        if self._part + 1 == len(self.parts):
            return True
        return self._taken < count and (index > self._latest if way == "forward" else index < self._latest)

    def _known(self, index: int) -> Known | None:
        """Return what a frame has; of one that both ways have, what the first has left."""
        if index in self._told and self._part:
            return Known(self._told[index], self._births, 0)
        births = self._births_at.get(self._followed_at.get(index, 0))
        if not births or index not in self._frames:
            return None
        return Known(self._frames[index], births, self._followed_at.get(index, 0))

    def _from_correction(self, part: tuple[Way, int, int]) -> tuple[Way, int, int]:
        """Let a stretch begin with the first correction before it, but for one beyond a frame that was confirmed."""
        way, start, count = part
        confirmed = self._confirmed
        if way == "forward":
            barrier = max((frame for frame in confirmed if frame < start), default=-1)
            begin = min((frame for frame in self._fresh if barrier <= frame < start), default=start)
            return way, begin, count + start - begin
        beyond = [frame for frame in confirmed if frame > start]
        reach = [frame for frame in self._fresh if frame > start and not any(frame > each for each in beyond)]
        begin = max(reach, default=start)
        return way, begin, count + begin - start


def _births(seeds: tuple[SeedMask, ...]) -> dict[int, int]:
    """Return the objects that seeds show: on the page an id is never another object's while it has seeds."""
    return dict.fromkeys((seed.object for seed in seeds), 0)


def _frames(part: tuple[Way, int, int]) -> range:
    way, start, count = part
    return range(start, start + count) if way == "forward" else range(start - count + 1, start + 1)
