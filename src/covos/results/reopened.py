"""The prompts that a result knows, for whoever goes on from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from covos.core.types import Box, Point
from covos.masks import encode
from covos.masks.frame_mask import FrameMask
from covos.prompts.seed_mask import ABSENT, Pointed, SeedMask
from covos.prompts.values import PointPrompt
from covos.results.segmentation import Segmentation


def seeds_of(result: Segmentation, *, name: Callable[[FrameMask], int]) -> tuple[SeedMask, ...]:
    """Return the prompts that a result was followed from, by frame: each has the mask of its frame.

    Args:
        result: Its settings list the prompts. A subject that was found, and objects that were discovered, have none.
        name: Gives the number that a seed knows its frame by.
    """
    known = {mask.number: mask for mask in result}
    prompts = result.origin.settings.get("prompts", ())
    said = [each for each in prompts if isinstance(each, Mapping)] if isinstance(prompts, list) else []
    seeds = [_seed(each, known, name) for each in said]
    return tuple(sorted((seed for seed in seeds if seed is not None), key=lambda seed: seed.frame))


def _seed(said: Mapping[str, Any], known: Mapping[int, FrameMask], name: Callable[[FrameMask], int]) -> SeedMask | None:
    """Return a seed as a report describes it: its mask is the one of its frame. None if that is not there any more."""
    try:
        mask, identity = known[said["frame"]], said["object"]
        frame = name(mask)
        absent = said["given_as"] == ABSENT
        shown = encode(np.zeros(mask.size, np.bool_)) if absent else mask.objects[identity]
        seed = SeedMask(frame=frame, object=identity, mask=shown, given_as=str(said["given_as"]))
        if "points" not in said:
            return seed
        points = tuple(Point(x=x, y=y, positive=bool(on)) for x, y, on in said["points"])
        box = None if said.get("box") is None else Box(**dict(zip(("x0", "y0", "x1", "y1"), said["box"], strict=True)))
        at = PointPrompt(frame=frame, object=identity, points=points, box=box)
        pointed = Pointed(at=at, prompter=str(said["prompter"]), corrects=str(said.get("corrects", "")))
    except (KeyError, TypeError, ValueError):  # of another version: its mask stays, as one that was found
        return None
    return SeedMask(frame=seed.frame, object=identity, mask=seed.mask, given_as=seed.given_as, pointed=pointed)
