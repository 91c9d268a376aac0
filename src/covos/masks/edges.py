"""Edges as an editor asks for them: grown, shrunk, feathered, holes filled, specks removed.

All of it works on masks and probabilities that are there: no network runs for it. `covos.engines.steady` keeps edges
and holes from flickering, which takes the neighbouring frames.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field, ValidationInfo

from covos.core.errors import UsageError
from covos.core.records import PLAIN_NUMBER, Value, spoken
from covos.core.types import FrameResult, LabelArray, MaskArray, ProbabilityArray
from covos.core.words import Words
from covos.masks.distance import distance_to, nearest_labels
from covos.masks.holes import Holes as FrameHoles
from covos.masks.holes import filled
from covos.masks.object_ids import present_ids

UNITS = {"": 0.0, "px": 0.0, "%": 1e-2, "‰": 1e-3}
"""Share of the whole that a unit stands for; 0 stands for pixels."""
ALL = "all"
_GHOST = 0.02
"""Probabilities above this belong to what is seen of a speck."""
_LONGEST, _LARGEST = 1_000_000, 1 << 32
"""Pixels of a length and of an area, beyond which a number is a slip: no frame is so large."""
_WIDE = 64
"""Pixels: beyond them soft edges are moved level by level, for a disc takes time by the square of its radius."""
_LEVELS = 32


_OPPOSITE = {"grow": "shrink", "shrink": "grow"}


def _length(given: object, info: ValidationInfo) -> str:
    if (found := _measured(given)) is None:
        other = _OPPOSITE.get(info.field_name or "")
        if other and (less := _measured(str(given).strip().removeprefix("-"))) and str(given).strip().startswith("-"):
            raise UsageError(
                f"{info.field_name} {given!r} is no length",
                why="it is below 0",
                fix="use " + Words(f"--{other} {less}", python=f"{other}={less!r}"),
            )
        raise UsageError(
            f"{spoken(info.field_name)} {given!r} is no length",
            why=f"it takes a number of pixels up to {_LONGEST}, or a share of the frame's height, at most 100%",
            fix="write 3, 3px, 0.5% or 5‰",
        )
    return found


def _area(given: object, info: ValidationInfo, *, further: str = "") -> str:
    if (found := _measured(0 if given is False else given, most=_LARGEST)) is None:
        raise UsageError(
            f"{spoken(info.field_name)} {given!r} is no area",
            why=f"it takes a number of pixels up to {_LARGEST}, or a share of the frame's, at most 100%{further}",
            fix=f"write 200, 200px, 0.1% or 1‰{further}",
        )
    return found


def _holes(given: object, info: ValidationInfo) -> str:
    return ALL if given == ALL or given is True else _area(given, info, further=f", or {ALL}")


def _measured(given: object, *, most: int = _LONGEST) -> str | None:
    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+) ?(px|%|‰|)", _written(given))
    if found is None or float(found[1]) > most or float(found[1]) * UNITS[found[2]] > 1:
        return None
    return f"{_plain(float(found[1]))}{found[2]}".removesuffix("px") if float(found[1]) else "0"


def _written(given: object) -> str:
    """Return what was given as a user would write it; nothing for what is no text and no number, NumPy's among them."""
    if isinstance(given, str):
        return given.strip()
    if isinstance(given, bool) or not isinstance(given, int | float | np.integer | np.floating):
        return ""
    return _plain(float(given))


def _plain(number: float) -> str:
    """Write a number without an exponent, with twelve digits after the point at most."""
    return f"{number:.12f}".rstrip("0").rstrip(".")


def in_pixels(size: str, whole: float) -> float:
    """Return a size as `Length` and `Area` have it in pixels; ``whole`` is what a share is of."""
    found = re.fullmatch(r"([\d.e+-]+?)(%|‰|)", size)
    assert found is not None, "sizes are checked when they are given"
    return float(found[1]) * (UNITS[found[2]] * whole or 1.0)


Length: TypeAlias = Annotated[str, BeforeValidator(_length, json_schema_input_type=str | float)]
"""Pixels, or a share of the frame's height: ``3``, ``"0.5%"``, ``"5‰"``."""
Area: TypeAlias = Annotated[str, BeforeValidator(_area, json_schema_input_type=str | float | bool)]
"""Pixels, or a share of the frame's: ``200``, ``"0.1%"``."""
Holes: TypeAlias = Annotated[str, BeforeValidator(_holes, json_schema_input_type=str | float | bool)]
"""An area, or ``"all"`` for any."""


class Edges(Value):
    """The way to change the edges of masks, in this order; what is 0 is left as it is.

    Attributes:
        smooth_time: Frames on each side that an edge is brought together with, along the motion of the picture.
        min_area: Parts of an object smaller than this area are removed.
        fill_holes: Holes up to this area are filled; ``"all"`` fills every hole. The area is the middle one over five
            frames (see `covos.masks.holes`).
        grow: Objects grow by this length, on all sides, over the background.
        shrink: Objects shrink by this length.
        feather: The edge becomes soft over about this length, half of it on each side, over the
            frame's height at the most.
    """

    smooth_time: Annotated[int, Field(ge=0, le=10), PLAIN_NUMBER] = 0
    min_area: Area = "0"
    fill_holes: Holes = "0"
    grow: Length = "0"
    shrink: Length = "0"
    feather: Length = "0"

    if TYPE_CHECKING:  # the fields hold what these become

        def __init__(
            self,
            *,
            smooth_time: int = 0,
            min_area: str | float = 0,
            fill_holes: str | float | bool = 0,
            grow: str | float = 0,
            shrink: str | float = 0,
            feather: str | float = 0,
        ) -> None: ...

    def __bool__(self) -> bool:
        """Tell if anything is changed."""
        return bool(self.smooth_time) or self.changes_frames

    @property
    def changes_frames(self) -> bool:
        """True if a frame by itself is changed."""
        return any(in_pixels(size, 1.0) for size in (self.grow, self.shrink, self.feather)) or any(
            _pixels(size, 1) for size in (self.min_area, self.fill_holes)
        )

    @property
    def settings(self) -> dict[str, Any]:
        """The words of a report under ``"edges"``: the fields that change something; nothing if none does."""
        changes = {name: value for name, value in self if value not in (0, "0")}
        return {"edges": changes} if changes else {}

    @property
    def removing(self) -> dict[str, str]:
        """Those fields by which something is taken away from the masks."""
        return {name: value for name, value in (("min_area", self.min_area), ("shrink", self.shrink)) if value != "0"}

    @property
    def soft_options(self) -> tuple[str, ...]:
        """Those fields that are asked for and are not seen in hard masks."""
        return () if self.feather == "0" else ("feather",)

    @property
    def watches_holes(self) -> bool:
        """True if it takes the frames around to tell which holes are filled."""
        return 0 < _pixels(self.fill_holes, 1) < math.inf

    def holes_of(self, labels: LabelArray) -> FrameHoles:
        """Return the holes of a frame as they are when they are filled; labels are H x W uint8, before any change."""
        if least := _pixels(self.min_area, labels.size):
            labels, _ = _without_specks(labels, (labels > 0).astype(np.float32), least)
        return FrameHoles.of(labels)

    def holes_in(self, holes: FrameHoles, *, near: Sequence[tuple[int, FrameHoles]] = ()) -> MaskArray:
        """Return the holes of a frame that are filled, H x W bool; see `covos.masks.holes.Holes.small`."""
        return holes.small(_pixels(self.fill_holes, holes.parts.size), near=near)

    def apply(
        self, labels: LabelArray, probability: ProbabilityArray, *, hole: MaskArray | None = None
    ) -> tuple[LabelArray, ProbabilityArray]:
        """Return the masks of one frame with other edges.

        Args:
            labels: H x W uint8 object ids, 0 = background.
            probability: H x W float32 in [0, 1] of all objects together, or an opacity.
            hole: H x W bool, the holes to fill; those of the frame by itself if not given.

        Returns:
            Both, of the same kind. Feathering leaves the labels as they are.
        """
        height = labels.shape[0]
        widest = math.hypot(*labels.shape)  # a longer way leads out of the frame from anywhere
        if least := _pixels(self.min_area, labels.size):
            labels, probability = _without_specks(labels, probability, least)
        if _pixels(self.fill_holes, labels.size):
            labels, probability = filled(
                labels, probability, self.holes_in(FrameHoles.of(labels)) if hole is None else hole
            )
        if radius := min(in_pixels(self.grow, height), widest):
            labels, probability = _grown(labels, radius), _moved(probability, radius)
        if radius := min(in_pixels(self.shrink, height), widest):
            labels, probability = _shrunk(labels, radius), 1 - _moved(1 - probability, radius)
        if width := self.feather_at(height):
            # A Gaussian rises from 2 to 98 percent over four of its widths.
            probability = np.asarray(cv2.GaussianBlur(probability, (0, 0), max(width / 4, 0.1)), np.float32)
        return labels, probability

    def feather_at(self, height: int) -> float:
        """Return the pixels over which edges become soft in a frame of this height."""
        return min(in_pixels(self.feather, height), height)

    def changed(self, result: FrameResult, *, hole: MaskArray | None = None) -> FrameResult:
        """Return a frame's result with other edges: those of its masks, of its probability, and of its matte."""
        if not self.changes_frames:
            return result
        labels, probability = self.apply(result.labels, result.probability, hole=hole)
        matte = None if result.matte is None else self.apply(result.labels, result.matte, hole=hole)[1]
        feather = result.feather + self.feather_at(labels.shape[0])
        return replace(result, labels=labels, probability=probability, matte=matte, feather=feather)


NO_EDGES = Edges()
"""Edges as they are."""


def _pixels(area: str, whole: int) -> float:
    return math.inf if area == ALL else in_pixels(area, whole)


def _parts(mask: MaskArray, *, corners: bool) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the number of each pixel's connected part, 0 outside the mask, and (x, y, width, height, area) of each."""
    _, parts, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8 if corners else 4)
    return np.asarray(parts, np.int32), np.asarray(facts, np.int32)


def _without_specks(
    labels: LabelArray, probability: ProbabilityArray, least: float
) -> tuple[LabelArray, ProbabilityArray]:
    kept = labels.copy()
    for identity in present_ids(labels):
        parts, facts = _parts(labels == identity, corners=True)
        small = facts[:, cv2.CC_STAT_AREA] < least
        small[0] = False
        kept[small[parts]] = 0
    # A speck's soft edge goes with it, and so do soft spots that never had a mask.
    parts, facts = _parts(probability > _GHOST, corners=True)
    backed = np.zeros(len(facts), np.bool_)
    backed[np.unique(parts[kept > 0])] = True
    backed[0] = True
    return kept, np.where(backed[parts], probability, np.float32(0))


def relabelled(labels: LabelArray, subject: MaskArray) -> LabelArray:
    """Return labels that cover another mask: what is new takes the label of the nearest object, 1 if there is none."""
    kept = np.where(subject, labels, 0).astype(np.uint8)
    new = subject & (labels == 0)
    if not new.any():
        return kept
    return np.where(new, nearest_labels(labels) if labels.any() else np.uint8(1), kept).astype(np.uint8)


def _grown(labels: LabelArray, radius: float) -> LabelArray:
    if not labels.any():
        return labels
    return np.where(distance_to(labels > 0, exact=True) <= radius, nearest_labels(labels), labels)


def _shrunk(labels: LabelArray, radius: float) -> LabelArray:
    # Beyond the border of the picture an object goes on: it shrinks from its own edge alone.
    background = labels == 0
    return np.where(distance_to(background, exact=True) > radius, labels, 0).astype(np.uint8)


def _moved(probability: ProbabilityArray, radius: float) -> ProbabilityArray:
    """Move the soft edge outwards: the largest value within a radius; of a fraction of a pixel, a share of the step."""
    if radius > _WIDE:
        return _reached(probability, radius)
    whole, part = int(radius), radius - int(radius)
    near = probability if whole == 0 else _largest(probability, whole)
    if not part:
        return near
    return np.asarray((1 - part) * near + part * _largest(probability, whole + 1), np.float32)


def _reached(probability: ProbabilityArray, radius: float) -> ProbabilityArray:
    """Return the largest value within a radius, to 1/64: by the distance from each level that occurs."""
    levels = np.rint(probability * _LEVELS)
    reached = probability.copy()
    for level in np.unique(levels[levels > 0]):
        np.maximum(reached, level / _LEVELS, out=reached, where=distance_to(levels >= level, exact=True) <= radius)
    return reached


def _largest(probability: ProbabilityArray, radius: int) -> ProbabilityArray:
    side = 2 * radius + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.dilate(probability, disc), np.float32)
