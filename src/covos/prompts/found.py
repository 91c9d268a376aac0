"""Show the objects that were discovered as prompts like any other."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from covos.core.types import MaskArray
from covos.engines.discover import DiscoveredObject
from covos.masks import objects_in
from covos.masks.rims import without_rims
from covos.prompts.seeds import Seeds


def place_found(seeds: Seeds, found: Iterable[DiscoveredObject]) -> None:
    """Show objects on the frames that show them best; their ids follow on those that are there."""
    size = seeds.info.height, seeds.info.width
    shown: dict[int, dict[int, MaskArray]] = {}
    for identity, thing in enumerate(found, max(seeds.objects, default=0) + 1):
        for frame in thing.masks:
            mask = thing.at(frame, size=size)
            if mask.any():
                shown.setdefault(seeds.info.numbers[frame], {})[identity] = mask
    for frame, masks in sorted(shown.items()):
        labels = np.zeros(size, np.uint8)
        for identity, mask in masks.items():
            labels[mask] = identity
        if clean := objects_in(without_rims(labels, found=masks)):
            seeds.add(frame, clean, given_as="found")
