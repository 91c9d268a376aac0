"""Put together what a correction leaves of the old masks and what it brings of the new ones."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from covos.core.types import LabelArray, MaskArray, ObjectStatus, Presence
from covos.engines.choices import Direction
from covos.engines.corrections import Answer, Answers, Settled, Spread, spread
from covos.evaluation.measures import jaccard
from covos.masks import RLE, decode, encode
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.mended import mended
from covos.masks.rims import left_of
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
        return None if (known := old[index]) is None else _both(known.mask, new[index])

    believed: dict[int, RLE] = {}
    for index, pixels in spread(corrected, answers, count=len(new), direction=direction):
        before = believed.get(index)
        believed[index] = encode(pixels if before is None else pixels | decode(before))
    return tuple(
        _mixed(known, mask, births, believed.get(index), shown=corrected.get(index, ()))
        for index, (known, mask) in enumerate(zip(old, new, strict=True))
    )


def as_they_are(
    known: Sequence[Known], *, births: Mapping[int, int], shown: Mapping[int, Mapping[int, RLE]]
) -> tuple[FrameMask, ...] | None:
    """Return masks as they are if all that is shown now is what they have there; None if something changes.

    A correction that changes nothing on its frame reaches no other: what `with_corrections` would return is known
    without following anything. On their frames, the objects are sure then.

    Args:
        known: The masks of all frames.
        births: Birth of each object of now by its id.
        shown: Index of a frame among these to the masks that are shown there, by object; an empty one is absent.
    """
    kept = []
    for index, each in enumerate(known):
        mask, told = each.mask, shown.get(index, {})
        there = {identity: mask.objects.get(identity) for identity in told}
        if _fresh(each, births) or any(
            (there[identity] is not None) != bool(code.area) or (code.area and there[identity] != code)
            for identity, code in told.items()
        ):
            return None
        states = tuple(
            ObjectStatus(id=identity, state="present" if code.area else "occluded", confidence=1.0)
            for identity, code in told.items()
        )
        kept.append(_as_sure(mask, states))
    return tuple(kept)


class _Frame(NamedTuple):
    """A frame that waits: what was followed, and what it has."""

    new: FrameMask
    known: Known | None


class Correction:
    """Puts old and new masks together one way through time, as the new ones come; see `with_corrections`.

    Frames come out in the order in which they went in, some of them later: it may take the next ones to tell how far a
    change reaches (see `covos.engines.corrections.Spread`).

    Args:
        births: As there.
        corrected: As there, by any index that names a frame.
    """

    def __init__(self, *, births: Mapping[int, int], corrected: Mapping[int, Collection[int]]) -> None:
        self._births, self._corrected, self._spread = births, corrected, Spread(corrected)
        self._frames: dict[int, _Frame] = {}

    def take(
        self, index: int, new: FrameMask, known: Known | None, *, before: FrameMask | None = None
    ) -> list[FrameMask]:
        """Take the next frame, and return the masks of those that are settled by it.

        Args:
            index: See ``corrected``.
            new: Followed from all that is shown now.
            known: The masks that it has; None if there are none.
            before: Those that it had before anything was corrected, by which it is told what is new: a track that was
                stopped has brought a part of it. None takes those of ``known``.
        """
        then = before if before is not None or known is None else known.mask
        self._frames[index] = _Frame(new, known)
        return self._made(self._spread.take(index, lambda _: _both(then, new)))

    def end(self) -> list[FrameMask]:
        """Return the masks of the frames that wait: nothing comes that a change could go on to."""
        return self._made(self._spread.end())

    def _made(self, settled: Settled) -> list[FrameMask]:
        made = []
        for index, believed in settled:
            new, known = self._frames.pop(index)
            code, shown = None if believed is None else encode(believed), self._corrected.get(index, ())
            made.append(_mixed(known, new, self._births, code, shown=shown))
        return made


def _both(old: FrameMask | None, new: FrameMask) -> Answers | None:
    return None if old is None or old.size != new.size else (_answer(old), _answer(new))


def _answer(mask: FrameMask) -> Answer:
    return Answer(mask.labels, {each.id: each for each in mask.states})


def _mixed(
    known: Known | None, new: FrameMask, births: Mapping[int, int], believed: RLE | None, *, shown: Collection[int]
) -> FrameMask:
    if known is None or known.mask.size != new.size:
        return new
    old, fresh = known.mask, _fresh(known, births)
    if believed is None and not fresh:
        return _as_sure(old, [each for each in new.states if each.id in shown])
    before, after = old.labels, new.labels
    taken = np.zeros(new.size, np.bool_) if believed is None else decode(believed)
    if fresh:
        taken |= np.isin(before, fresh) | np.isin(after, fresh)
    labels = np.where(taken, after, before)
    slivers = _slivers(before, labels)
    taken |= slivers
    labels[slivers] = after[slivers]
    followed = {each.id: _status(each, old, labels=(labels, before, after)) for each in new.states}
    kept = {each.id: each for each in old.states if each.id in births}  # of objects that were not followed this time
    states = tuple((kept | followed).values())
    return replace(
        new,
        confidence=sum(each.confidence for each in states) / len(states) if states else new.confidence,
        objects=objects_of(labels),
        states=states,
        soft=_soft(old, new, labels > 0, taken=taken),
        feather=old.feather,
    )


def _soft(old: FrameMask, new: FrameMask, now: MaskArray, *, taken: MaskArray) -> SoftMask | None:
    """Return the soft edge of both answers together; None if neither has one: it is drawn where it is needed."""
    if old.soft is None and new.soft is None:
        return None
    sides = old.probability, new.with_soft_edge().probability
    probability = mended(*sides, before=old.mask, now=now, taken=taken)
    return SoftMask.of(probability, now, bits=8 if old.soft is None else old.soft.bits)


def _slivers(before: LabelArray, labels: LabelArray) -> MaskArray:
    """Return what objects keep along others that have taken a part of them, and that is no more than an edge."""
    slivers = np.zeros(labels.shape, np.bool_)
    moved = (before != labels) & (before > 0) & (labels > 0)
    for own, other in np.unique(np.stack([before[moved], labels[moved]]), axis=1).T:
        rest = labels == own
        slivers |= rest & ~left_of((before == own) & (rest | (labels == other)), labels == other)
    return slivers


def _as_sure(old: FrameMask, shown: Iterable[ObjectStatus]) -> FrameMask:
    """Return the old masks, which the user has shown again: of these objects they are sure now."""
    told = {each.id: each for each in shown}
    states = tuple(told.get(each.id, each) for each in old.states)
    if states == old.states:
        return old
    return replace(old, states=states, confidence=sum(each.confidence for each in states) / len(states))


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
