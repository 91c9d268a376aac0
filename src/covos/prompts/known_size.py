"""The size that an object may have on a frame, by its masks on other frames.

A click says where an object is, and little of how far it reaches: a click on a strap may mean the bag, or the girl who
wears it. If the object is known on other frames, its size there tells the two apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Final

from covos.masks.frame_mask import FrameMask

LARGER: Final = 2.0
"""An object has at most so many times the pixels of the largest mask nearby."""
PERIOD: Final = 50
"""Frames after which it may be larger by as much again: things come nearer to the camera."""
AROUND: Final = 25
"""Frames by which a mask may be further away than the nearest one, and still count: the nearest one may be of a thing
that is about to hide."""


def areas_around(frames: Mapping[int, FrameMask], index: int, identity: int) -> dict[int, int]:
    """Return the pixels of an object on the frames around one, by their index, where its mask is sure."""
    around = (frames.get(number) for number in range(index - 2 * AROUND, index + 2 * AROUND + 1))
    return {each.index: area for each in around if each is not None and (area := each.sure_area(identity))}


def largest_of(shown: Mapping[int, int], followed: Mapping[int, int], *, frame: int, points: int) -> int | None:
    """Return how many pixels an object has at most on a frame; None if nothing tells it.

    Args:
        shown: Pixels of the object where the user has shown it, by the number of the frame. This frame does not count.
        followed: The same where it was followed. Some of these masks may be wrong, so their median counts.
        frame: Number of the frame.
        points: Positive points there. Each further one says that the mask lacks something, so it may be larger.
    """
    away = {number: abs(number - frame) for number in (*shown, *followed) if number != frame}
    if not away or not points:
        return None
    nearest = min(away.values())
    near = {number for number, ago in away.items() if ago <= nearest + AROUND}
    usual = [area for number, area in followed.items() if number in near and number not in shown]
    areas = [area for number, area in shown.items() if number in near] + ([median(usual)] if usual else [])
    return round(max(areas) * LARGER * (1 + nearest / PERIOD) * points)
