"""Corrections that obey: a correction changes the thing that it is about, as far as that reaches in space and time.

After a correction the video is followed again, and the new answer differs from the old one in many places. Some are
meant by the user. Others lie where the new pass went another way by itself, and there it is wrong as often as right.
They are told apart as hysteresis tells edges from noise (Canny, PAMI 1986): a difference is believed if it is joined to
one that is sure. The differences on the corrected frame are sure. Another one of the same object and the same kind,
added or taken away, is joined if it touches a believed one of a frame or a few before. So the change grows from the
correction in both directions of time, as a region does from its seed (Adams and Bischof, PAMI 1994). It ends where both
answers agree, and at once on a frame where the user has shown the object.

Three more rules. If the old answer has lost a corrected object altogether, a change has nothing to be joined to: the
new answer is believed wherever nothing else was. If the new answer is less sure of the object than the old one was, the
old one stays. Nothing is taken from another object that the new answer has lost for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np

from covos.core.types import LabelArray, MaskArray, ObjectStatus
from covos.engines.choices import Direction
from covos.masks.scaling import to_size

REACH = 2 / 288
"""Share of the height of a frame by which a change may lie beside where it was a frame before."""
GAP = 4
"""Frames in a row in which both answers may agree before a change ends: both may be wrong where two things cross."""
LESS_SURE = 0.03
"""Fall of the confidence, an expected J, from which the old mask of an object stays."""


class Answer(NamedTuple):
    """An answer for a frame: H x W uint8 object ids, and the state of each object by its id."""

    labels: LabelArray
    states: Mapping[int, ObjectStatus]


Answers: TypeAlias = tuple[Answer, Answer]
"""The old answer for a frame, and the new one."""
_Kind: TypeAlias = Literal["added", "taken"]
_KINDS: tuple[_Kind, ...] = ("added", "taken")


class _Change(NamedTuple):
    """The pixels of an object that a correction has changed, and how many frames ago."""

    where: MaskArray
    ago: int = 0


def spread(
    corrected: Mapping[int, Collection[int]],
    answers: Callable[[int], Answers | None],
    *,
    count: int,
    direction: Direction = "both",
) -> Iterator[tuple[int, MaskArray]]:
    """Find the pixels in which the new answer is believed; all others keep the old one.

    Args:
        corrected: Frame index to the ids of the corrected objects that are shown there; where both answers agree on
            such a frame, no change goes past it.
        answers: Gives both answers for a frame; None if one is not known, and a change ends there.
        count: Number of frames.
        direction: The ways in time in which a change may grow; not ``"auto"``.

    Yields:
        Frame index and H x W bool, not all false. A frame may come twice, once for each direction of time; both are
        believed.
    """
    if not corrected:
        return
    onward, back = range(min(corrected), count), range(max(corrected), -1, -1)
    ways: dict[Direction, tuple[range, ...]] = {"forward": (onward,), "backward": (back,)}
    for frames in ways.get(direction, (onward, back)):
        way = Spread(corrected)
        for frame in frames:
            if (believed := way.take(frame, answers)) is not None:
                yield frame, believed


class Spread:
    """The growth of a change one way through time: it is told frame after frame, the corrected ones among them.

    Args:
        corrected: See `spread`.
    """

    def __init__(self, corrected: Mapping[int, Collection[int]]) -> None:
        self._corrected = corrected
        self._changes: dict[int, dict[_Kind, _Change]] = {}

    def take(self, frame: int, answers: Callable[[int], Answers | None]) -> MaskArray | None:
        """Return the pixels of the next frame in which the new answer is believed: H x W bool; None if in none.

        ``answers`` is as in `spread`, and is asked only if a change may have come this far.
        """
        changes, here = self._changes, self._corrected.get(frame, ())
        both = answers(frame) if changes or here else None
        if both is None:
            changes.clear()
            return None
        old, new = both
        believed = np.zeros(old.labels.shape, np.bool_)
        for identity in {*changes, *here}:
            found = {kind: _changed(old, new, identity, kind) for kind in _KINDS}
            if identity in here:
                changes[identity] = {kind: _Change(mask) for kind, mask in found.items()}
            else:
                before = changes[identity]
                joined = {kind: _joined(mask, before[kind]) for kind, mask in found.items()}
                if not (old.labels == identity).any():  # lost: there is nothing that it could be joined to
                    joined["added"] |= found["added"] & (old.labels == 0)
                changes[identity] = {kind: _next(mask, before[kind]) for kind, mask in joined.items()}
                kept = _others_lost(old, new, identity)
                found = {} if _is_less_sure(old, new, identity) else {kind: joined[kind] & ~kept for kind in _KINDS}
            for mask in found.values():
                believed |= mask
        return believed if believed.any() else None


def _changed(old: Answer, new: Answer, identity: int, kind: _Kind) -> MaskArray:
    there = (new if kind == "added" else old).labels == identity
    changed: MaskArray = there & (old.labels != new.labels)
    return changed


def _is_less_sure(old: Answer, new: Answer, identity: int) -> bool:
    """Tell if the new answer is less sure than a mask that there was, be it of another mask or that there is none."""
    before, now = old.states.get(identity), new.states.get(identity)
    if before is None or now is None or before.state != "present":
        return False
    return now.confidence < before.confidence - LESS_SURE


def _others_lost(old: Answer, new: Answer, identity: int) -> MaskArray:
    """Return the old masks of other objects that the new answer has lost, and is less sure to have."""
    lost = [
        other
        for other, state in new.states.items()
        if other != identity and state.state != "present" and _is_less_sure(old, new, other)
    ]
    return np.isin(old.labels, lost)


def _joined(changed: MaskArray, before: _Change) -> MaskArray:
    """Keep the parts of a change that touch the change before, or nearly do."""
    if not before.where.any() or not changed.any():
        return np.zeros_like(changed)
    reach = max(round(REACH * changed.shape[0]), 1) * (before.ago + 1)
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(to_size(before.where, changed.shape).view(np.uint8), near) > 0
    count, parts = cv2.connectedComponents(changed.view(np.uint8), connectivity=8)
    touched = np.zeros(count, np.bool_)
    touched[parts[changed & grown]] = True
    kept: MaskArray = touched[parts]
    return kept


def _next(changed: MaskArray, before: _Change) -> _Change:
    """Return the change that the next frame is joined to: the latest, if it is not long ago."""
    if changed.any() or before.ago >= GAP:
        return _Change(changed)
    return before._replace(ago=before.ago + 1)
