"""The masks that were followed so far, by frame, while the user still changes which objects there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from covos.masks.frame_mask import FrameMask


class Known(NamedTuple):
    """The masks of a frame, and what they were followed from.

    ``births`` are those of the objects then, and ``step`` is the latest step of the seeds: an id may become another
    object's later (see `covos.prompts.seeds.Seeds`).
    """

    mask: FrameMask
    births: Mapping[int, int]
    step: int


class FollowedMasks:
    """The latest masks of each frame, and those before them that an undone step leads back to."""

    def __init__(self) -> None:
        self._found: dict[int, Known] = {}
        self._earlier: dict[int, list[Known]] = {}

    def __contains__(self, frame: int) -> bool:
        return frame in self._found

    def __iter__(self) -> Iterator[int]:
        """Return the numbers of the frames, ascending."""
        return iter(sorted(self._found))

    def __len__(self) -> int:
        return len(self._found)

    @contextmanager
    def or_as_before(self) -> Iterator[None]:
        """Put everything back as it is now, if the block does not end."""
        found, earlier = dict(self._found), dict(self._earlier)
        try:
            yield
        except BaseException:
            self._found, self._earlier = found, earlier
            raise

    def put_away(self, *, line: Sequence[int], frame: int | None = None) -> None:
        """Show no masks, until new ones are kept; those that were there can be asked for by `before`.

        Args:
            line: The steps that led to the seeds of now; masks of steps that were taken back are forgotten.
            frame: The one frame whose masks are put away; None is all.
        """
        older = set(line[:-1])
        for number in list(self._found) if frame is None else {frame} & self._found.keys():
            known = self._found.pop(number)
            kept = [each for each in self._earlier.get(number, ()) if each.step in older and each.step < known.step]
            self._earlier[number] = [*kept, known] if known.step in older else kept

    def keep(self, masks: Iterable[FrameMask], *, births: Mapping[int, int], step: int) -> None:
        """Keep the masks of frames, with the birth of each object by its id, and the step of the seeds."""
        self._found |= {each.number: Known(each, births, step) for each in masks}

    def before(self, frame: int, *, line: Sequence[int]) -> Known | None:
        """Return the masks of a frame that were followed before the last of these steps, if there are."""
        older, found = set(line[:-1]), self._found.get(frame)
        every = (*self._earlier.get(frame, ()), *(() if found is None else (found,)))
        return next((each for each in reversed(every) if each.step in older), None)

    def areas(self, identity: int, *, births: Mapping[int, int]) -> dict[int, int]:
        """Return the pixels of an object on the frames where its mask is there and sure, by their numbers."""
        own = {
            number: mask
            for number, (mask, then, _) in self._found.items()
            if then.get(identity) == births.get(identity)
        }
        return {number: area for number, mask in own.items() if (area := mask.sure_area(identity))}

    def masks(self, frame: int, *, births: Mapping[int, int]) -> FrameMask:
        """Return the masks of a frame, without objects that are no more, by the births of now."""
        mask, then, _ = self._found[frame]
        gone = {identity for identity in then if births.get(identity) != then[identity]}
        if not gone:
            return mask
        return replace(
            mask,
            soft=None,  # it was of all objects together
            kept_matte=None,
            objects={identity: rle for identity, rle in mask.objects.items() if identity not in gone},
            states=tuple(each for each in mask.states if each.id not in gone),
        ).with_soft_edge()
