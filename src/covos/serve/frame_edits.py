"""Edits of the masks of one frame: objects are put in, taken out, made one, or cut by regions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import numpy as np

from covos.core.types import MaskArray, ObjectStatus
from covos.engines.choices import SUBJECT
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask
from covos.masks.rims import left_of
from covos.masks.soft import SoftMask
from covos.prompts.values import RegionPrompt, fixed_rule


def placed(mask: FrameMask, objects: Mapping[int, RLE], *, states: Iterable[ObjectStatus] = ()) -> FrameMask:
    """Put objects into a frame, in place of what it has of them; each pixel is of the object that came last.

    Slivers of others along one that takes a part of them go as well (`covos.masks.rims.left_of`). The soft edge of a
    frame, and its matte, belong to all its objects together: they go with the first that changes.
    """
    claimed = [decode(rle) for rle in objects.values()]
    kept = {}
    for identity, rle in mask.objects.items():
        if identity not in objects:
            rest = decode(rle)
            for other in claimed:
                rest = left_of(rest, other)
            if rest.any():
                kept[identity] = encode(rest)
    shown = {identity: rle for identity, rle in objects.items() if rle.area}
    fresh = {each.id: each for each in states}
    known = {each.id: each for each in mask.states if each.id not in objects}
    return replace(
        mask,
        objects=dict(sorted({**kept, **shown}.items())),
        states=tuple(each for _, each in sorted({**known, **fresh}.items())),
        soft=None,
        kept_matte=None,
    )


def as_shown(mask: FrameMask, number: int, rle: RLE) -> FrameMask:
    """Put an object into a frame as the user has shown it there.

    If it was followed, its state is as sure as a mask that is given: it is present, or out of sight if nothing of it is
    left. The confidence of the frame goes by it.
    """
    if all(each.id != number for each in mask.states):
        return placed(mask, {number: rle})
    state = ObjectStatus(id=number, state="present" if rle.area else "occluded", confidence=1.0)
    return _as_sure_as_its_states(placed(mask, {number: rle}, states=(state,)))


def back_to(mask: FrameMask, before: FrameMask, number: int, *, now: FrameMask) -> FrameMask:
    """Give an object the mask and the state that it had before; what others have ``now`` stays theirs."""
    others = {identity: rle for identity, rle in before.objects.items() if identity != number}
    for each in (mask, now):
        if others == {identity: rle for identity, rle in each.objects.items() if identity != number}:
            return before
    own = apart(before.objects[number], now, number) if number in before.objects else _nothing(mask.size)
    states = [each for each in before.states if each.id == number]
    made = placed(mask, {number: own}, states=states)
    return _as_sure_as_its_states(made) if states else made


def apart(rle: RLE, masks: FrameMask, number: int) -> RLE:
    """Return a mask of an object without the pixels that others have in a frame."""
    own = decode(rle)
    for identity, other in masks.objects.items():
        if identity != number:
            own &= ~decode(other)
    return encode(own)


def followed(mask: FrameMask | None, result: FrameMask, *, tracked: frozenset[int]) -> FrameMask:
    """Put what was followed into a frame; objects that were not followed stay as they were, behind it."""
    rest = frozenset() if mask is None else mask.objects.keys() - tracked
    if mask is None or not rest:
        return result
    objects = {identity: result.objects.get(identity, _nothing(result.size)) for identity in tracked}
    return replace(placed(mask, objects, states=result.states), confidence=result.confidence, status=result.status)


def with_only(mask: FrameMask, there: Collection[int]) -> FrameMask:
    """Take objects out of a frame that are not among those that are there; one that is hidden in it has a state."""
    gone = mask.objects.keys() - {*there}
    left = placed(mask, dict.fromkeys(gone, _nothing(mask.size))) if gone else mask
    states = tuple(each for each in left.states if each.id in there)
    return left if states == left.states else replace(left, states=states)


def tells_of(mask: FrameMask, number: int) -> bool:
    """Tell if a frame has a mask or a state of an object: one that is hidden in it has a state alone."""
    return number in mask.objects or any(each.id == number for each in mask.states)


def without(
    mask: FrameMask, gone: int, *, left: Collection[int], taken: tuple[FrameMask, MaskArray] | None = None
) -> FrameMask:
    """Take an object out of a frame.

    The others that are ``left`` get back what it took from them, where nobody else has it now. One that was made a
    part of this one is not among them. ``taken`` is as of `History.taken_by`.
    """
    rest = with_only(mask, (mask.objects.keys() | {each.id for each in mask.states}) - {gone})
    if taken is None:
        return rest
    before, had = taken
    free = had.copy()
    for rle in rest.objects.values():
        free &= ~decode(rle)
    back = {}
    for identity, rle in before.objects.items():
        own = decode(rle) & free
        if identity in left and own.any():
            free &= ~own
            back[identity] = encode(own | decode(rest.objects[identity]) if identity in rest.objects else own)
    states = {each.id: each for each in before.states if each.id in back}
    states |= {each.id: each for each in rest.states}
    return placed(rest, back, states=[states[identity] for identity in back if identity in states])


def merged(mask: FrameMask, one: int, into: int) -> FrameMask:
    """Make an object a part of another; the state of the two is that of the one that is to be seen."""
    known = {each.id: each for each in mask.states}
    seen = next((each for each in (into, one) if each in mask.objects), None)
    state = known.get(into, known.get(one)) if seen is None else known.get(seen)
    states = () if state is None else (replace(state, id=into),)
    others = tuple(each for each in mask.states if each.id not in (one, into))
    if one not in mask.objects:
        return replace(mask, states=tuple(sorted((*others, *states), key=lambda each: each.id)))
    both = [decode(mask.objects[identity]) for identity in (one, into) if identity in mask.objects]
    objects = {identity: rle for identity, rle in mask.objects.items() if identity != one}
    left = replace(mask, objects=objects, states=others)
    return placed(left, {into: encode(np.logical_or.reduce(both))}, states=states)


def in_regions(mask: FrameMask, regions: tuple[RegionPrompt, ...], *, soft: bool = True) -> FrameMask:
    """Take away what the subject has outside of its regions; other objects stay.

    Its soft edge is cut as well, or dropped without ``soft``: to cut that takes ten times as long.
    """
    subject = mask.objects.get(SUBJECT)
    if subject is None or not regions:
        return mask
    whole = decode(subject)
    gone = fixed_rule(regions).outside(mask.size)
    left = whole & ~gone
    if left.any() and mask.soft is None and np.array_equal(left, whole):
        return mask
    rest = {identity: rle for identity, rle in mask.objects.items() if identity != SUBJECT}
    after = replace(
        mask,
        objects=dict(sorted({**rest, SUBJECT: encode(left)}.items())) if left.any() else rest,
        states=tuple(each for each in mask.states if each.id != SUBJECT or left.any()),
        soft=None,
        kept_matte=None,
    )
    if mask.soft is None or not soft:
        return after
    probability = np.where(gone & (whole | ~mask.mask), np.float32(0), mask.probability)
    return replace(after, soft=SoftMask.of(probability, after.mask, bits=mask.soft.bits))


def slivers(before: FrameMask, own: MaskArray) -> MaskArray:
    """Return what others lose beside an object that takes a part of them, and that is not its own."""
    slivers = np.zeros(before.size, np.bool_)
    for theirs in map(decode, before.objects.values()):
        slivers |= theirs & ~own & ~left_of(theirs, own)
    return slivers


def _as_sure_as_its_states(mask: FrameMask) -> FrameMask:
    return replace(mask, confidence=sum(each.confidence for each in mask.states) / len(mask.states))


def _nothing(size: tuple[int, int]) -> RLE:
    return encode(np.zeros(size, np.bool_))
