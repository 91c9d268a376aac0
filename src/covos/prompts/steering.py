"""Steering: what a user says of the found subject, made into masks of things that are kept and of things that go.

Only what is shown on a frame needs a mask. It is made of the subject as it is found on that frame: the parts that a
point hits or a box holds. If a part is more than the thing that is meant, a prompter separates the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from covos.core.errors import UsageError
from covos.core.types import FrameResult, MaskArray, Point, SourceInfo
from covos.engines.candidates import share_inside, split
from covos.engines.encoding import FrameEncoder
from covos.engines.follow_result import Given
from covos.engines.prompt import Prompter, RelayPrompter
from covos.engines.steer import WHOLE
from covos.engines.steering_rule import SteeringRule, in_boxes
from covos.masks.distance import distance_to
from covos.masks.scaling import to_size
from covos.media.range import place_of
from covos.media.source import Source
from covos.prompts.masker import ChosenPrompter, observed_at, unreadable
from covos.prompts.rows import box_name, point_name
from covos.prompts.seeds import Seeds
from covos.prompts.values import PointPrompt, RegionPrompt, Steering, check_points, check_region, fixed_rule

SLACK = 0.006
"""Distance at which a point still hits a part of the subject, as a share of the frame's longer side."""
SPECK = 0.0005
"""Share of the frame below which what is left of the subject is not followed beside what was shown."""
CRUMB = 0.1
"""Share of a prompter's mask below which a separate piece of it, or a hole in it, is taken for an error."""
INSIDE = 0.9
"""Share of a part of the subject in a box from which the part is meant as a whole."""

Segmented = Callable[[int], FrameResult | None]
"""Gives the subject of a frame as it is found; None if the frame cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SteeringMasks:
    """Masks of the things that are followed so that the subject can be steered.

    Attributes:
        given: Frame index to object id to its mask, H x W bool.
        rule: What becomes of the objects, and the fixed regions.
    """

    given: Given
    rule: SteeringRule


def check_steering(shown: Iterable[Steering], *, info: SourceInfo) -> None:
    """Refuse what lies outside the frame, has no area, or says a thing twice.

    Raises:
        UsageError: See above, or a frame does not exist.
    """
    seeds = Seeds(info)
    points: dict[int, list[Point]] = {}
    for each in shown:
        if each.frame is not None:
            seeds.check_frame(each.frame)
        if isinstance(each, RegionPrompt):
            check_region(each, info=info)
        else:
            points.setdefault(each.number, []).extend(each.points)
    for frame, there in points.items():
        check_points(PointPrompt(frame=frame, points=tuple(there)), info=info)


def steering_masks(
    source: Source,
    shown: Sequence[Steering],
    *,
    found: Segmented,
    encoder: FrameEncoder[Any],
    prompter: Prompter | None,
) -> SteeringMasks:
    """Make masks of what is shown on frames, and the rule by which the subject is steered.

    If everything is shown on one frame, the rest of the subject is followed as well: the two sides then keep each other
    off. On several frames, what is left of one may hold what was shown on another.

    Args:
        source: The video.
        shown: Checked by `check_steering`.
        found: See `Segmented`.
        encoder: Encodes the frames for the prompter.
        prompter: The maker of masks; None where nothing is shown on a frame.

    Raises:
        UsageError: There is no part of the subject at a point, or in a box.
        SourceError: The frame cannot be read.
    """
    frames = sorted({each.frame for each in shown if each.frame is not None})
    regions = [each for each in shown if isinstance(each, RegionPrompt)]
    fixed = [each for each in regions if each.frame is None]
    only_kept = any(each.role == "within" and each.frame is not None for each in regions)
    seeds, sides = Seeds(source.info), {1: set[int](), -1: set[int]()}
    for frame in frames:
        there = [each for each in shown if each.frame == frame]
        result = found(place_of(frame, source.info))
        if result is None:
            raise unreadable(source, frame)
        subject = to_size(result.labels > 0, (source.info.height, source.info.width))
        look = _Frame(source, frame, subject=subject, encoder=encoder, prompter=prompter)
        masks = look.masks(there)
        if len(frames) == 1:
            masks.append((-1 if only_kept else 1, look.rest([mask for _, mask in masks])))
        taken = np.zeros((source.info.height, source.info.width), np.bool_)
        # Dropping wins over keeping: "within this box, without that thing".
        for side, mask in sorted(masks, key=lambda each: each[0]):
            own = mask & ~taken
            taken |= mask
            if own.any():
                identity = seeds.check_place(frame, None)
                seeds.add(frame, {identity: own}, given_as="steering")
                sides[side].add(identity)
    rule = replace(fixed_rule(fixed), kept=frozenset(sides[1]), dropped=frozenset(sides[-1]), only_kept=only_kept)
    return SteeringMasks(given=seeds.given(), rule=rule)


def telling_apart(chosen: ChosenPrompter) -> ChosenPrompter:
    """Return the prompter that tells things of the subject apart: of two in turn, the second alone.

    The first begins with the subject as it is found, and this is what has to be told apart.
    """
    if not isinstance(chosen.prompter, RelayPrompter):
        return chosen
    then = chosen.prompter.then
    return ChosenPrompter(prompter=then, described={**chosen.described, "name": then.name})


class _Frame:
    """One frame on which something is shown: its subject, in parts."""

    def __init__(
        self,
        source: Source,
        number: int,
        *,
        subject: MaskArray,
        encoder: FrameEncoder[Any],
        prompter: Prompter | None,
    ) -> None:
        self._source, self._number, self._encoder, self._prompter = source, number, encoder, prompter
        self._subject = subject
        self._parts = split(subject, least=1, gap=0)

    def masks(self, shown: Sequence[Steering]) -> list[tuple[int, MaskArray]]:
        """Return the mask of each thing that is shown, with 1 if it is kept and -1 if it goes."""
        made: list[tuple[int, MaskArray]] = []
        points = [point for each in shown if isinstance(each, PointPrompt) for point in each.points]
        by_part: dict[int, list[Point]] = {}
        for point in points:
            by_part.setdefault(self._part_at(point), []).append(point)
        made += [(-1, self._thing_at(self._parts[part], there)) for part, there in by_part.items()]
        for each in shown:
            if isinstance(each, RegionPrompt):
                made.append((1 if each.role == "within" else -1, self._thing_in_box(each)))
        return made

    def rest(self, masks: Sequence[MaskArray]) -> MaskArray:
        """Return the subject without these masks, and without specks."""
        left = self._subject & ~np.any(masks, axis=0)
        parts = split(left, least=max(1, round(SPECK * left.size)), gap=0)
        return np.any(parts, axis=0) if parts else np.zeros_like(left)

    def _part_at(self, point: Point) -> int:
        row, column = int(point.y), int(point.x)
        distances = [float(distance_to(part)[row, column]) for part in self._parts]
        nearest = int(np.argmin(distances)) if distances else -1
        if nearest < 0 or distances[nearest] > SLACK * max(self._subject.shape):
            raise UsageError(
                f"nothing of the subject is at {point_name(point)} on frame {self._number}",
                why="what is found there is background already",
                fix="point at what is to go on a frame where it is taken for the subject (X,Y@FRAME)",
            )
        return nearest

    def _thing_at(self, part: MaskArray, points: Sequence[Point]) -> MaskArray:
        """Return the thing that points lie on: the part, or what of it the prompter tells apart."""
        positive = [Point(x=point.x, y=point.y) for point in points]
        return self._told_apart(part, self._prompt(points=positive, box=None))

    def _thing_in_box(self, region: RegionPrompt) -> MaskArray:
        """Return the thing in a box: the parts that lie in it, or what of the others the prompter tells apart."""
        inside = self._in_box(region)
        cut = [part for part in self._parts if 0 < share_inside(part, inside) < 1]
        if not cut:
            return inside
        thing = self._prompt(points=[], box=region)
        for part in cut:
            own = part & thing
            if own.any() and share_inside(part, thing) < WHOLE:
                inside = (inside & ~part) | own
        return inside

    def _in_box(self, region: RegionPrompt) -> MaskArray:
        """Return the parts of the subject that lie in a box, and what lies in it of those that reach out of it."""
        inside = in_boxes((region.box,), size=self._subject.shape)
        mask = self._subject & inside
        if not mask.any():
            raise UsageError(
                f"nothing of the subject is in {box_name(region.box)} on frame {self._number}",
                why="what is found there is background",
                fix="draw the box on a frame where the thing is taken for the subject; "
                "without @FRAME it is a fixed region of all frames",
            )
        for part in self._parts:
            if share_inside(part, inside) >= INSIDE:
                mask |= part
        return mask

    def _told_apart(self, part: MaskArray, thing: MaskArray) -> MaskArray:
        """Return a part of the subject, or what a thing has of it where that is clearly less."""
        own = part & thing
        return own if own.any() and share_inside(part, thing) < WHOLE else part

    def _prompt(self, *, points: Sequence[Point], box: RegionPrompt | None) -> MaskArray:
        assert self._prompter is not None, "what is shown on a frame needs one"
        observed = observed_at(self._source, self._encoder, self._number)
        thing = self._prompter.mask(observed, points=points, box=None if box is None else box.box, previous=None)
        return _solid(thing)


def _solid(thing: MaskArray) -> MaskArray:
    """Return a thing without the crumbs around it and the small holes in it."""
    area = int(thing.sum())
    crumbs, holes = (split(mask, least=1, gap=0) for mask in (thing, ~thing))
    solid = thing.copy()
    for mask, value in ((crumbs, False), (holes, True)):
        for each in mask:
            if each.sum() < CRUMB * area:
                solid[each] = value
    return solid
