"""The masks that were followed so far, by frame, while the user still changes which objects there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from covos.masks.frame_mask import FrameMask


class FollowedMasks:
    """The latest masks of each frame, with the births of the objects then: an id may become another object's later."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[FrameMask, Mapping[int, int]]] = {}

    def __contains__(self, frame: int) -> bool:
        return frame in self._found

    def __iter__(self) -> Iterator[int]:
        """Return the numbers of the frames, ascending."""
        return iter(sorted(self._found))

    def __len__(self) -> int:
        return len(self._found)

    def clear(self) -> None:
        """Forget all masks."""
        self._found = {}

    def keep(self, masks: Iterable[FrameMask], *, births: Mapping[int, int]) -> None:
        """Keep the masks of frames, with the birth of each object by its id."""
        self._found |= {each.number: (each, births) for each in masks}

    def masks(self, frame: int, *, births: Mapping[int, int]) -> FrameMask:
        """Return the masks of a frame, without objects that are no more, by the births of now."""
        mask, then = self._found[frame]
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
