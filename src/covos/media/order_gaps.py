"""Find the pictures that are left out of the order of display, by the places that the others state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from covos.media.picture_order import Place

_FAR = 16
"""Steps that separate a place from those beside it in the file if it was damaged itself."""
_NEAR = 4
"""Pictures on each side in the file that a place is compared with."""


@dataclass(slots=True)
class _Group:
    """Pictures whose places are counted from one beginning.

    Attributes:
        first: Number of the first packet.
        end: Number of the packet behind the last.
        begun: Place of the picture that it begins with; None if it does not begin with one that begins groups.
        headless: True if that picture is gone.
        places: Places by the number of the packet, counted on where the stated ones begin anew.
        skipped: Frames that others refer to, and that are left out of their numbers.
    """

    first: int
    end: int = 0
    begun: int | None = None
    headless: bool = False
    places: dict[int, int] = field(default_factory=dict)
    skipped: int = 0


def left_out(places: Sequence[Place | None]) -> list[int]:
    """Return, for each picture that is left out, the number of the packet of the one before it in display; sorted.

    Steps between places are free: most encoders of H.264 count by two. They are found from the stream itself, and
    where most of them are not alike, nothing is concluded.

    Args:
        places: That of each packet, in the order of the file; None if its header does not state it.
    """
    groups = list(_groups(places))
    steps: Counter[int] = Counter()
    for group in groups:
        steps.update(after - before for before, after in pairwise(sorted(set(group.places.values()))))
    if not steps:
        return []
    step, often = steps.most_common(1)[0]
    if 2 * often <= steps.total():
        return []
    return sorted(packet for group in groups for packet in _left_out(group, step))


def _left_out(group: _Group, step: int) -> list[int]:
    packets: dict[int, int] = {}
    for packet, place in _plausible(group.places, far=_FAR * step).items():
        if group.begun is None or place >= group.begun:
            packets.setdefault(place, packet)
    rests = Counter(place % step for place in packets)
    if group.headless:
        packets.setdefault(-step, group.first - 1)
    gaps = [
        (packets[before], max(0, round((after - before) / step) - 1)) for before, after in pairwise(sorted(packets))
    ]
    found = [packet for packet, count in gaps for _ in range(count)]
    # A picture whose place was damaged, or cannot be read, fills one that seems to be left out.
    in_step = max(rests.values(), default=0)
    if group.begun is not None:  # those that are shown before the one that the group begins with
        earlier = set(group.places.values())
        in_step += next(count for count in range(len(earlier) + 1) if group.begun - (count + 1) * step not in earlier)
    count = max(0, len(found) - (group.end - group.first - in_step))
    return found[:count] + [group.end - 1] * max(0, group.skipped - count)


def _groups(places: Sequence[Place | None]) -> Iterator[_Group]:
    told = [(packet, place) for packet, place in enumerate(places) if place is not None]
    group = _Group(0)
    seen: set[int] = set()
    before: Place | None = None
    latest: int | None = None
    for (packet, place), after in zip(told, [*(place for _, place in told[1:]), None], strict=False):
        number = _counted_on(place, latest)
        # Two in a row that were there before: the picture at which the places begin anew is gone.
        anew = number in seen and after is not None and not after.begins and after.number in seen
        if place.begins or anew:
            if group.places:
                group.end = packet
                yield group
                group = _Group(packet, headless=not place.begins)
            seen, before, number = set(), None, place.number
            group.begun = number if place.begins else None
        if before is not None:
            group.skipped += _skipped(before, place, after)
        group.places[packet] = number
        seen.add(number)
        before, latest = place, number
    group.end = len(places)
    if group.places:
        yield group


def _skipped(before: Place, place: Place, after: Place | None) -> int:
    """Count the frames between two; none if the one after does not follow on, or their number was damaged."""
    more = (place.frame - before.frame - before.refers) % place.frames
    follows = after is None or after.begins or (after.frame - place.frame - place.refers) % place.frames == 0
    return more if follows and more <= place.frames // 4 else 0


def _counted_on(place: Place, before: int | None) -> int:
    """Return a place that was stated modulo some number, by the one before."""
    if before is None:
        return place.number
    half = place.modulus // 2
    return before + (place.number - before + half) % place.modulus - half


def _plausible(places: dict[int, int], *, far: int) -> dict[int, int]:
    """Leave out pictures whose places lie far from all of their neighbours'."""
    packets, values = list(places), list(places.values())
    if len(values) < 3:
        return places

    def is_near(at: int) -> bool:
        beside = values[max(0, at - _NEAR) : at] + values[at + 1 : at + 1 + _NEAR]
        return min(abs(values[at] - each) for each in beside) <= far

    return {packet: values[at] for at, packet in enumerate(packets) if is_near(at)} or places
