"""Put together what a correction leaves of the old masks and what it brings of the new ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np

from covos.core.types import LabelArray, ObjectStatus, Presence
from covos.engines.corrections import Answer, Answers, spread
from covos.engines.passes import Direction
from covos.evaluation.measures import jaccard
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.soft import SoftMask
from covos.results.followed import Known


def with_corrections(
    new: Sequence[FrameMask],
    old: Sequence[Known | None],
    *,
    births: Mapping[int, int],
    corrected: Mapping[int, Collection[int]],
    direction: Direction,
) -> tuple[FrameMask, ...]:
    """Return the new masks where a correction has reached, and the old ones everywhere else.

    `covos.engines.corrections.spread` says how far each change reaches. An object that is new in a frame, or that is no
    more, changes it wherever it is.

    Args:
        new: Followed from all that is shown now.
        old: Followed before; None for a frame for which there was nothing.
        births: Birth of each object of now by its id.
        corrected: Index of a frame among these to the ids of the corrected objects that are shown there.
        direction: The way in time in which the new masks were followed; not ``"auto"``.
    """

    def answers(index: int) -> Answers | None:
        known = old[index]
        fits = known is not None and known.mask.size == new[index].size
        return (_answer(known.mask), _answer(new[index])) if known is not None and fits else None

    believed: dict[int, RLE] = {}
    for index, pixels in spread(corrected, answers, count=len(new), direction=direction):
        before = believed.get(index)
        believed[index] = encode(pixels if before is None else pixels | decode(before))
    return tuple(
        _mixed(known, mask, births, believed.get(index))
        for index, (known, mask) in enumerate(zip(old, new, strict=True))
    )


def _answer(mask: FrameMask) -> Answer:
    return Answer(mask.labels, {each.id: each for each in mask.states})


def _mixed(known: Known | None, new: FrameMask, births: Mapping[int, int], believed: RLE | None) -> FrameMask:
    if known is None or known.mask.size != new.size:
        return new
    old, fresh = known.mask, _fresh(known, births)
    if believed is None and not fresh:
        return old
    before, after = old.labels, new.labels
    taken = np.zeros(new.size, np.bool_) if believed is None else decode(believed)
    if fresh:
        taken |= np.isin(before, fresh) | np.isin(after, fresh)
    labels = np.where(taken, after, before)
    probability = np.where(taken, new.probability, old.probability)
    states = tuple(_status(each, old, labels=(labels, before, after)) for each in new.states)
    return replace(
        new,
        confidence=sum(each.confidence for each in states) / len(states) if states else new.confidence,
        objects=objects_of(labels),
        states=states,
        soft=SoftMask.of(probability, labels > 0),
    )


def _fresh(known: Known, births: Mapping[int, int]) -> list[int]:
    """Return the ids that are not those of the same objects as before, or of which the old masks know nothing."""
    there = {*known.mask.objects, *(each.id for each in known.mask.states)}
    return [
        identity
        for identity in {*births, *known.births}
        if known.births.get(identity) != births.get(identity) or identity not in there
    ]


def _status(new: ObjectStatus, old: FrameMask, *, labels: tuple[LabelArray, LabelArray, LabelArray]) -> ObjectStatus:
    """Return the state of an object: that of the answer which its mask is nearer to, and as sure as it is near."""
    mask, before, after = (each == new.id for each in labels)
    former = next((each for each in old.states if each.id == new.id), new)
    state: Presence = "present" if mask.any() else "occluded"
    answers = [(jaccard(mask, after), new), (jaccard(mask, before), former)]
    fitting = [each for each in answers if (each[1].state == "present") == mask.any()]
    share, nearer = max(fitting or answers, key=lambda each: each[0])
    return ObjectStatus(id=new.id, state=nearer.state if fitting else state, confidence=share * nearer.confidence)
