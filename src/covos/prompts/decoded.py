"""Masks of one frame that stay run lengths: dozens of seed frames of many objects must not fill the memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from covos.core.types import MaskArray
from covos.masks import RLE, decode


class DecodedMasks(Mapping[int, MaskArray]):
    """Masks by object id, H x W bool, each decoded when it is asked for.

    Args:
        masks: Their run lengths, by object id.
    """

    def __init__(self, masks: Mapping[int, RLE]) -> None:
        self._masks = masks

    def __getitem__(self, identity: int) -> MaskArray:
        return decode(self._masks[identity])

    def __iter__(self) -> Iterator[int]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)
