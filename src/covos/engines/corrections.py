"""Corrections that obey: a correction changes the thing that it is about, as far as that reaches in space and time.

After a correction the video is followed again, and the new answer differs from the old one in many places. Some are
meant by the user. Others lie where the new pass went another way by itself, and there it is wrong as often as right.
They are told apart as hysteresis tells edges from noise (Canny, PAMI 1986): a difference is believed if it is joined to
one that is sure. The differences on the corrected frame are sure. Another one of the same object and the same kind,
added or taken away, is joined if it touches a believed one of a frame or a few before. So the change grows from the
correction in both directions of time, as a region does from its seed (Adams and Bischof, PAMI 1994). A difference that
is tiny beside the correction, a crumb, brings no other: two passes never draw one contour twice, and from one crumb a
change would crawl to the next along it. It ends at once on a frame where the user has shown the object.

A change is one stretch in time. If it seems to end, it may go on a few frames later: in between, the new answer may
have been less sure of the object, or the difference have lain apart. If the differences of all these frames hang
together with what follows, they are believed as well. Otherwise the change has ended before them.

Two more rules. If the old answer has lost a corrected object altogether, a change has nothing to be joined to: the
new answer is believed wherever nothing else was. Nothing is taken from another object that the new answer has lost for
it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import LabelArray, MaskArray, ObjectStatus
from covos.engines.choices import Direction
from covos.masks.scaling import to_size

REACH = 2 / 288
"""Share of the height of a frame by which a change may lie beside where it was a frame before."""
GAP = 4
"""Frames in a row in which a change may be in doubt: if more are, it has ended before them."""
LESS_SURE = 0.03
"""Fall of the confidence, an expected J, from which a change of an object is in doubt."""
CRUMB = 0.02
"""Share of the pixels of a correction below which a difference on another frame is a crumb."""


class Answer(NamedTuple):
    """An answer for a frame: H x W uint8 object ids, and the state of each object by its id."""

    labels: LabelArray
    states: Mapping[int, ObjectStatus]


Answers: TypeAlias = tuple[Answer, Answer]
"""The old answer for a frame, and the new one."""
_Kind: TypeAlias = Literal["added", "taken"]
_KINDS: tuple[_Kind, ...] = ("added", "taken")


class _Open(NamedTuple):
    """A frame in which a change is in doubt, with all differences of its kind that are no crumbs."""

    frame: int
    where: MaskArray


class _Change:
    """The change of one kind that grows from a correction of an object.

    Args:
        where: H x W bool, the pixels that were corrected.
        least: Pixels of a difference that is no crumb.
    """

    def __init__(self, where: MaskArray, *, least: float) -> None:
        self.open: list[_Open] = []
        self._where, self._gone, self._least = where, 1, least

    def goes_on(self, frame: int, found: MaskArray, *, sure: bool, free: MaskArray | None) -> dict[int, MaskArray]:
        """Take the differences of the next frame; return what is believed because of it, by frame.

        Args:
            frame: Its index.
            found: H x W bool.
            sure: False if the new answer is less sure of the object here.
            free: Those that need not be joined to anything; None if all have to.
        """
        large = _parts(found, lambda _, facts: facts[:, cv2.CC_STAT_AREA] >= self._least)
        joined = _joined(large, self._where, gone=self._gone)
        if free is not None and sure:
            joined = joined | free
        if joined.any() and sure:
            near = joined | _joined(found, self._where, gone=self._gone)
            filled = self._filled(joined)
            ended = filled is None and (free is None or not free.any())
            self._where, self._gone, self.open = (np.zeros_like(found) if ended else joined), 1, []
            return {} if ended else {**(filled or {}), frame: near}
        if not self._where.any():
            return {}
        self.open.append(_Open(frame, joined if joined.any() else large))
        if joined.any():
            self._where, self._gone = joined, 1
        else:
            self._gone += 1
        if len(self.open) > GAP:
            self._where, self.open = np.zeros_like(found), []
        return {}

    def _filled(self, joined: MaskArray) -> dict[int, MaskArray] | None:
        """Return what is believed of the frames in doubt, back from what follows them; None if one has none of it."""
        believed: dict[int, MaskArray] = {}
        for frame, where in reversed(self.open):
            joined = _joined(where, joined)
            if not joined.any():
                return None
            believed[frame] = joined
        return believed


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
            yield from _not_empty(way.take(frame, answers))
        yield from _not_empty(way.end())


def _not_empty(settled: Settled) -> Iterator[tuple[int, MaskArray]]:
    return ((frame, believed) for frame, believed in settled if believed is not None)


Settled: TypeAlias = list[tuple[int, MaskArray | None]]
"""Frames of which all is known now, in the order in which they came, each with the pixels in which the new answer is
believed: H x W bool; None if in none."""


class Spread:
    """The growth of a change one way through time: it is told frame after frame, the corrected ones among them.

    A frame on which a change is in doubt waits until that is decided, and so do those behind it: `GAP` at most.

    Args:
        corrected: See `spread`.
    """

    def __init__(self, corrected: Mapping[int, Collection[int]]) -> None:
        self._corrected = corrected
        self._changes: dict[int, dict[_Kind, _Change]] = {}
        self._waiting: deque[tuple[int, Answers | None, MaskArray | None]] = deque()

    def take(self, frame: int, answers: Callable[[int], Answers | None]) -> Settled:
        """Take the next frame, and return those that are settled by it.

        ``answers`` is as in `spread`, and is asked only if a change may have come this far.
        """
        changes, here = self._changes, self._corrected.get(frame, ())
        both = answers(frame) if changes or here else None
        if both is None:
            changes.clear()
            self._waiting.append((frame, None, None))
            return self._settled()
        self._waiting.append((frame, both, np.zeros(both[0].labels.shape, np.bool_)))
        for identity in {*changes, *here}:
            if identity in here:
                self._begin(frame, both, identity)
            else:
                self._grow(frame, both, identity)
        return self._settled()

    def end(self) -> Settled:
        """Return the frames that still wait: what was in doubt there has ended."""
        self._changes.clear()
        return self._settled()

    def _begin(self, frame: int, both: Answers, identity: int) -> None:
        old, new = both
        found = {kind: _changed(old, new, identity, kind) for kind in _KINDS}
        if not any(mask.any() for mask in found.values()):
            self._changes.pop(identity, None)
            return
        least = CRUMB * sum(int(mask.sum()) for mask in found.values())
        self._changes[identity] = {kind: _Change(mask, least=least) for kind, mask in found.items()}
        for mask in found.values():
            self._believe(frame, mask)

    def _grow(self, frame: int, both: Answers, identity: int) -> None:
        old, new = both
        sure, lost = not _is_less_sure(old, new, identity), not (old.labels == identity).any()
        for kind, change in self._changes[identity].items():
            found = _changed(old, new, identity, kind)
            # Of an object that was lost there is nothing that a change could be joined to.
            free = found & (old.labels == 0) if lost and kind == "added" else None
            for place, mask in change.goes_on(frame, found, sure=sure, free=free).items():
                self._believe(place, mask, of=identity)

    def _believe(self, frame: int, mask: MaskArray, *, of: int | None = None) -> None:
        """Believe the new answer in these pixels, but for those of others that are lost for an object."""
        both, believed = next((both, believed) for place, both, believed in self._waiting if place == frame)
        assert both is not None, "there were two answers"
        assert believed is not None, "there were two answers"
        believed |= mask if of is None else mask & ~_others_lost(*both, of)

    def _settled(self) -> Settled:
        doubted = {
            each.frame for changes in self._changes.values() for change in changes.values() for each in change.open
        }
        settled: Settled = []
        while self._waiting and self._waiting[0][0] not in doubted:
            frame, _, believed = self._waiting.popleft()
            settled.append((frame, believed if believed is not None and believed.any() else None))
        return settled


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


def _joined(changed: MaskArray, before: MaskArray, *, gone: int = 1) -> MaskArray:
    """Keep the parts of a change that touch the one of so many frames ago, or nearly do."""
    if not before.any() or not changed.any():
        return np.zeros_like(changed)
    reach = max(round(REACH * changed.shape[0]), 1) * gone
    near = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(to_size(before, changed.shape).view(np.uint8), near) > 0

    def touched(parts: NDArray[np.int32], facts: NDArray[np.int32]) -> MaskArray:
        found = np.zeros(len(facts), np.bool_)
        found[parts[changed & grown]] = True
        return found

    return _parts(changed, touched)


def _parts(mask: MaskArray, chosen: Callable[[NDArray[np.int32], NDArray[np.int32]], NDArray[np.bool_]]) -> MaskArray:
    """Keep the connected parts that are chosen, by the number of each pixel's part and the facts of each part."""
    if not mask.any():
        return mask
    _, found, facts, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    parts = np.asarray(found, np.int32)
    kept: MaskArray = chosen(parts, np.asarray(facts, np.int32))[parts] & mask
    return kept
