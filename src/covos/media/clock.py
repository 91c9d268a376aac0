"""Find where the clock of a file jumps, so that pictures and sound are moved by the same time.

Recordings that were joined begin anew at an earlier time, or years later. A jump back, however small, and a jump ahead
of more than a day (an hour in transport streams) are closed: what follows continues where the one before ended. A
smaller jump ahead is a pause, and kept.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from covos.media.container import is_shown, open_container, packets_of, picture_stream
from covos.media.stamps import longest_pause, misplaced

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_MOST_OVERLAP = Fraction(1)
"""Seconds by which sound may outlast the pictures before a jump and still be kept whole."""
_REORDERED = 32
"""Pictures after a jump among which the earliest is looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Jump:
    """A jump of the clock; all that follows it is moved by ``shift`` seconds in all.

    Attributes:
        packets: Number of the first packet after the jump, by index of the stream; pictures that are not shown do not
            count.
        shift: Seconds to add.
    """

    packets: dict[int, int]
    shift: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The jumps of a file, in order; none in most.

    Attributes:
        jumps: See `Jump`.
        wrong: Numbers of the pictures' packets whose times cannot be: they lie far from those on both sides, or the
            picture would be shown long before or after it is decoded.
    """

    jumps: tuple[Jump, ...] = ()
    wrong: frozenset[int] = frozenset()

    def shift(self, stream: int, packet: int) -> Fraction:
        """Return the seconds to add to the time of a packet of a stream, by its number."""
        starts = [jump.packets[stream] for jump in self.jumps if stream in jump.packets]
        at = bisect_right(starts, packet)
        return [jump.shift for jump in self.jumps if stream in jump.packets][at - 1] if at else Fraction(0)


STEADY = Clock()
"""A clock that does not jump."""


@dataclass(slots=True)
class _Lane:
    """Packets of one stream, in the order of the file: time at which each is decoded, place, and order among all."""

    base: Fraction
    keys: array[int] = field(default_factory=lambda: array("q"))
    shown: array[int] = field(default_factory=lambda: array("q"))
    ends: array[int] = field(default_factory=lambda: array("q"))
    places: array[int] = field(default_factory=lambda: array("q"))
    orders: array[int] = field(default_factory=lambda: array("q"))
    unknown: int = 0  # packets at the beginning without a decoding time


def read_clock(path: Path) -> Clock:
    """Read all packets of a file and find its jumps; kept for the next call, as long as the file is the same."""
    status = path.stat()
    return _read_clock(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=16)
def _read_clock(path: str, _size: int, _changed: int) -> Clock:
    with open_container(Path(path)) as container:
        stream = picture_stream(container, Path(path))
        lanes = _read_lanes(container, stream)
        step = _step(stream, lanes[stream.index])
        return _find(lanes, picture=stream.index, step=step, pause=longest_pause(container))


def _read_lanes(container: InputContainer, stream: VideoStream) -> dict[int, _Lane]:
    streams = [stream, *container.streams.audio]
    lanes = {each.index: _Lane(base=each.time_base or Fraction(1)) for each in streams}
    codec = stream.codec_context.name
    order = 0
    for packet in packets_of(container, *streams):
        order += 1
        if packet.stream_index == stream.index and not is_shown(packet, codec=codec):
            continue
        _note(lanes[packet.stream_index], packet, order=order)
    return lanes


def _note(lane: _Lane, packet: Packet[Any], *, order: int) -> None:
    shown = packet.pts if packet.pts is not None else packet.dts
    if packet.dts is None:
        # Before the first decoding time there is none to compare with; later ones go on from it.
        lane.unknown += lane.unknown == len(lane.keys)
        key = lane.keys[-1] if len(lane.keys) else (shown or 0)
    else:
        key = packet.dts
        if lane.unknown == len(lane.keys):
            lane.keys = array("q", [key] * lane.unknown)
    shown = key if shown is None else shown
    lane.keys.append(key)
    lane.shown.append(shown)
    lane.ends.append(shown + (packet.duration or 0))
    lane.places.append(-1 if packet.pos is None else packet.pos)
    lane.orders.append(order)


def _step(stream: VideoStream, lane: _Lane) -> Fraction:
    """Return the usual interval between two pictures, in seconds."""
    steps = np.diff(np.array(lane.keys, np.int64))
    steps = steps[steps > 0]
    usual = int(np.median(steps)) * lane.base if len(steps) else Fraction(0)
    rate = stream.average_rate
    return usual or (1 / rate if rate else Fraction(1, 25))


def _find(lanes: dict[int, _Lane], *, picture: int, step: Fraction, pause: int) -> Clock:
    lane = lanes[picture]
    starts, wrong = _breaks(lane, step=step, pause=pause)
    late = misplaced(lane.shown, lane.keys, most=float(pause / lane.base))
    for each in late:
        lane.shown[each] = lane.keys[each]
    wrong |= late
    if not starts:
        return Clock(wrong=wrong)
    jumps: list[Jump] = []
    before = dict.fromkeys(lanes, 0)
    shift = Fraction(0)
    for number, start in enumerate(starts):
        packets = {picture: start}
        for index, other in lanes.items():
            if index != picture:
                packets[index] = _where(other, lane, start=start, after=before[index], pause=pause)
        stop = starts[number + 1] if number + 1 < len(starts) else len(lane.keys)
        shift += _needed(lanes, picture, packets=packets, before=before, stop=stop, step=step)
        jumps.append(Jump(packets=packets, shift=shift))
        before = packets
    return Clock(jumps=tuple(jumps), wrong=wrong)


def _breaks(lane: _Lane, *, step: Fraction, pause: int) -> tuple[list[int], frozenset[int]]:
    """Return the numbers of the first packets after each jump, and of single packets with an impossible time."""
    keys = np.array(lane.keys, np.int64)
    usual = float(step / lane.base)
    steps = np.diff(keys)
    found: list[int] = []
    wrong: set[int] = set()
    for at in (np.flatnonzero((steps < 0) | (steps > float(pause / lane.base))) + 1).tolist():
        if at - 1 in wrong or at in wrong:
            continue
        after = keys[at + 1] if at + 1 < len(keys) else None
        if after is not None and abs(float(after - keys[at - 1]) - 2 * usual) <= usual:
            wrong.add(at)
        elif at >= 2 and abs(float(keys[at] - keys[at - 2]) - 2 * usual) <= usual:
            wrong.add(at - 1)
            if found and found[-1] == at - 1:
                found.pop()
        else:
            found.append(at)
    return found, frozenset(wrong)


def _where(other: _Lane, lane: _Lane, *, start: int, after: int, pause: int) -> int:
    """Return the number of another stream's first packet after a jump of the pictures.

    It is where that stream's own time jumps next to it; if it does not, where its bytes lie behind, or by the order.
    """
    keys = np.array(other.keys[after:], np.int64)
    steps = np.diff(keys)
    orders = np.array(other.orders[after:], np.int64)
    own = np.flatnonzero((steps < 0) | (steps > float(pause / other.base))) + 1
    if len(own):
        nearest = int(own[np.abs(orders[own] - lane.orders[start]).argmin()])
        if abs(int(orders[nearest]) - lane.orders[start]) <= 256:
            return after + nearest
    if lane.places[start] >= 0 and len(keys) and other.places[after] >= 0:
        places = np.maximum.accumulate(np.array(other.places[after:], np.int64))
        return after + int(np.searchsorted(places, lane.places[start]))
    return after + int(np.searchsorted(orders, lane.orders[start]))


def _needed(
    lanes: dict[int, _Lane],
    picture: int,
    *,
    packets: dict[int, int],
    before: dict[int, int],
    stop: int,
    step: Fraction,
) -> Fraction:
    """Return by how much more the part after a jump is moved: nothing of it may begin before the part before ends."""
    moved: dict[int, Fraction] = {}
    for index, lane in lanes.items():
        start = packets[index]
        latest = lane.shown[before[index] : start]
        if not latest or start >= len(lane.shown):
            continue
        if index == picture:
            first = min(lane.shown[start : min(stop, start + _REORDERED)])
            moved[index] = (max(latest) - first) * lane.base + step
        else:
            moved[index] = (max(lane.ends[before[index] : start]) - lane.shown[start]) * lane.base
    pictures = moved.pop(picture, Fraction(0))
    return max([pictures, *(each for each in moved.values() if each <= pictures + _MOST_OVERLAP)])
