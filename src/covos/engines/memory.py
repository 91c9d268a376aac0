"""Memory of a video while objects are followed: a few frames, whatever its length.

Three kinds of frames are kept. *Given* ones, whose masks come from the user, stay; there may be `MAX_GIVEN` of them. A
user gives no more. If covos finds the masks by itself, the least useful of too many goes. The *latest* frame is
replaced by the next. At most N frames *between* are kept: a frame that follows the last such one by `APART` frames
joins them, with those of its masks that are trusted. When there are too many, the least useful goes: the one that the
frames since have read least, as in the working memory of XMem (Cheng & Schwing, ECCV 2022, section 3.3). The last
frames that show an object stay as far as there is room: else one that is long hidden would lose all its views.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from covos.engines.choices import MAX_GIVEN
from covos.models.coattention import join_memories
from covos.models.follow import ObjectMemory

APART = 5
"""Frames from one that is kept to the next."""
TRUSTED = 0.45
"""An object that is less sure than this in a frame is not kept of it."""
LAST_VIEWS = 2
"""Frames between that know an object, from which on none of them makes room."""


@dataclass(slots=True)
class MemoryFrame:
    """A remembered frame, and the values of its objects.

    ``read`` sums up, over the ``queries`` of later frames, the share of their readout that came from this one.
    """

    index: int
    objects: tuple[int, ...]
    memory: ObjectMemory
    read: float = 0.0
    queries: int = 0

    @property
    def usefulness(self) -> float:
        """Mean share of the readout; 1 for a frame that was not queried yet."""
        return self.read / self.queries if self.queries else 1.0

    def knows(self, identity: int) -> bool:
        """Tell if the frame has something of an object that is kept for longer."""
        return identity in self.objects and bool(self.memory.value_PMC[self.objects.index(identity), :, -1].any())

    def of(self, objects: Sequence[int]) -> ObjectMemory:
        """Return the memory of some objects; values of an object that the frame does not know are zero."""
        if tuple(objects) == self.objects:
            return self.memory
        value = self.memory.value_PMC
        rows = [
            value[self.objects.index(identity)] if identity in self.objects else torch.zeros_like(value[0])
            for identity in objects
        ]
        return ObjectMemory(self.memory.key_BMK, torch.stack(rows))


@dataclass(slots=True)
class MemoryBank:
    """Memory of one pass over a video: the given frames, at most ``between`` others, and the one before the current.

    The latest frame is ``elsewhere`` if the current frame begins another shot.
    """

    between: int
    given: dict[int, MemoryFrame] = field(default_factory=dict)
    middle: list[MemoryFrame] = field(default_factory=list)
    latest: MemoryFrame | None = None
    elsewhere: bool = False

    def copy(self) -> MemoryBank:
        """Return one that goes on from here by itself; the tensors are shared, and never changed in place."""
        return MemoryBank(
            between=self.between,
            given={index: replace(kept) for index, kept in self.given.items()},
            middle=[replace(kept) for kept in self.middle],
            latest=None if self.latest is None else replace(self.latest),
            elsewhere=self.elsewhere,
        )

    def apply(self, move: Callable[[ObjectMemory], ObjectMemory]) -> None:
        """Put in the place of each frame's memory what a function makes of it."""
        for kept in [*self.given.values(), *self.middle, *([self.latest] if self.latest else [])]:
            kept.memory = move(kept.memory)

    def keep(
        self, index: int, *, objects: Sequence[int], memory: ObjectMemory, given: bool, trusted: Sequence[bool]
    ) -> bool:
        """Remember a frame as the latest, and longer if the user gave a mask of it or an object of it is trusted.

        Return true if it is remembered for longer: then of the objects that are trusted alone.
        """
        self.latest, self.elsewhere = MemoryFrame(index, tuple(objects), memory), False
        apart = min((abs(index - other.index) for other in (*self.given.values(), *self.middle)), default=APART)
        if not given and (not self.between or not any(trusted) or apart < APART):
            return False
        if given and (before := self.given.get(index)) is not None:  # what was given on this frame before stays known
            trusted = [each or before.knows(other) for each, other in zip(trusted, objects, strict=True)]
        value = memory.value_PMC
        if not all(trusted):
            value = value.clone()
            value[[row for row, each in enumerate(trusted) if not each], :, -1] = 0
        kept = MemoryFrame(index, tuple(objects), memory._replace(value_PMC=value))
        if given:
            self.given[index] = kept
            if len(self.given) > MAX_GIVEN:
                others = [each for each in self.given.values() if each is not kept]
                del self.given[min(others, key=lambda each: each.usefulness).index]
            return True
        self.middle.append(kept)
        if len(self.middle) > self.between:
            self.middle.remove(min(self._dispensable(objects), key=lambda each: each.usefulness))
        return True

    def _dispensable(self, objects: Sequence[int]) -> list[MemoryFrame]:
        """Return the frames between of which one may go: none of the last that know an object, while there are others.

        The newest has not been queried yet: it stays.
        """
        knowing = [{each for each in objects if kept.knows(each)} for kept in self.middle]
        views = Counter(each for known in knowing for each in known)
        older = list(zip(self.middle, knowing, strict=True))[:-1]
        for least in range(LAST_VIEWS, 0, -1):
            others = [kept for kept, known in older if all(views[each] > least for each in known)]
            if others:
                return others
        return [kept for kept, _ in older]

    def begin_shot(self) -> None:
        """Until a frame is kept again, the latest one does not show where anything is: it is of another shot."""
        self.elsewhere = True

    def forget(self, identity: int) -> None:
        """Drop what is known of an object outside the given frames: it was corrected."""
        for kept in [*self.middle, *([self.latest] if self.latest else [])]:
            if identity in kept.objects:
                value = kept.memory.value_PMC.clone()
                value[kept.objects.index(identity), :, -1] = 0
                kept.memory = kept.memory._replace(value_PMC=value)

    def keep_only(self, objects: Sequence[int]) -> None:
        """Drop the given frames that show none of these objects."""
        self.given = {index: kept for index, kept in self.given.items() if set(kept.objects) & set(objects)}

    def of(self, objects: Sequence[int]) -> tuple[ObjectMemory, ObjectMemory]:
        """Return the whole memory of some objects, and that of the latest frame alone.

        An object that a frame knows nothing of is marked so in its values.
        """
        assert self.latest is not None, "something is kept before anything is read"
        latest = self.latest.of(objects)
        if self.elsewhere:
            latest = latest._replace(value_PMC=torch.zeros_like(latest.value_PMC))
        return join_memories([kept.of(objects) for kept in self._frames()]), latest

    def note_reading(self, shares_BM: Tensor) -> None:
        """Note which frames the current one has read, by the shares of the positions that `of` gave."""
        share = shares_BM.mean(dim=0)
        start = 0
        for kept in self._frames():
            stop = start + kept.memory.key_BMK.shape[1]
            kept.read += float(share[start:stop].sum())
            kept.queries += 1
            start = stop

    def _frames(self) -> list[MemoryFrame]:
        frames = [*self.given.values(), *self.middle]
        if self.latest is not None and not any(self.latest.index == each.index for each in frames):
            frames.append(self.latest)
        return frames
