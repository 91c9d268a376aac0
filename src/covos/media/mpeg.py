"""Walk through program streams and transport streams (MPEG-2 systems): where do they not go on?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from covos.media.structure_found import MOST_BREAKS, Content, Structure

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SYNC = 0x47
_PACKET = 188
_TIMED = 192  # Blu-ray and AVCHD put four bytes with a time before each packet
_NULL_PACKETS = 0x1FFF
_PICTURES = range(0xE0, 0xF0)  # stream ids of pictures
_STARTS = (b"\x00\x00\x01", b"\x00\x00\x00\x01")
_BEHIND_HEADS = 180  # bytes of a packet; a unit that begins later has no room for its header
_LAST = 1 << 13  # packets at the end of a file among which the last picture is looked for
_LEAST = 32  # bytes of a unit with a picture; fewer say that the stream ends
_TABLES = (0x0000, 0x0011)  # program association, service description: a recording begins with them


def program_stream(content: Content) -> Structure:
    """Walk from pack to pack and from packet to packet (ISO/IEC 13818-1, 2.5.3)."""
    size, at = len(content), 0
    breaks: list[int] = []
    while at + 4 <= size and len(breaks) < MOST_BREAKS:
        if content[at : at + 3] != b"\x00\x00\x01" or content[at + 3] < 0xB9:
            filled = re.compile(rb"\x00*").match(content, at)
            after = filled.end() if filled else at
            if after - at > 3 and content[after - 2 : after + 1] == b"\x00\x00\x01" and content[after + 1] >= 0xB9:
                at = after - 2
                continue
            if after >= size:
                break
            breaks.append(at)
            at = content.find(b"\x00\x00\x01\xba", at + 1)
            if at < 0:
                break
            continue
        kind = content[at + 3]
        if kind == 0xB9:
            at += 4
        elif kind == 0xBA:
            is_second = at + 14 <= size and content[at + 4] & 0xC0 == 0x40
            at += 14 + (content[at + 13] & 7) if is_second else 12
        else:
            at += 6 + int.from_bytes(content[at + 4 : at + 6], "big")
    return Structure(cut=at > size, breaks=tuple(breaks))


def packet_size(content: Content) -> int:
    """Return the size of a transport stream's packets, with what stands before or behind each; 0 if it is none."""
    for size in (_PACKET, _TIMED, 204):
        places = range(_before(size), min(len(content), size * 8), size)
        if len(places) > 1 and sum(content[at] == _SYNC for at in places) >= max(2, len(places) - 2):
            return size
    return 0


def _before(unit: int) -> int:
    """Return the bytes before the sync byte of each packet."""
    return _TIMED - _PACKET if unit == _TIMED else 0


def transport_stream(content: Content) -> Structure:
    """Check sync bytes and continuity counters (ISO/IEC 13818-1, 2.4.3).

    A break that is followed by a program's tables and the start of a picture or of sound, with counters that begin anew
    or a mark that a decoder may begin, is where two recordings were joined: nothing is lost there.
    """
    unit = packet_size(content)
    before = _before(unit)
    size, at = len(content), 0
    breaks: list[int] = []
    last: dict[int, int] = {}
    while at + unit <= size and len(breaks) < MOST_BREAKS:
        block = np.frombuffer(content, np.uint8, (min(size - at, unit << 14)) // unit * unit, at).reshape(-1, unit)
        block = block[:, before : before + _PACKET]
        in_step = block[:, 0] == _SYNC
        whole = len(block) if in_step.all() else int(in_step.argmin())
        heads = block[:whole, :6].astype(np.int64)
        found = {*_counter_breaks(heads, last), *_torn_units(heads, block)}
        del block
        breaks += [at + unit * row for row in sorted(found)]
        at += unit * whole
        if whole < len(in_step):
            breaks.append(at)
            last.clear()
            at = _next_sync(content, at + before + 1, unit) - before
    return Structure(cut=size % unit > 0, breaks=tuple(sorted(breaks)), last_pictures=_last_pictures(content, unit))


def _last_pictures(content: Content, unit: int) -> dict[int, int]:
    """Return, by its number, where the last picture of each stream begins, among the last packets of the file."""
    found: dict[int, int] = {}
    before, end = _before(unit), len(content) // unit * unit
    for place in range(end - unit, max(0, end - _LAST * unit) - 1, -unit):
        at = place + before
        if content[at] != _SYNC or not content[at + 1] & 0x40:
            continue
        pid = (content[at + 1] & 0x1F) << 8 | content[at + 2]
        start = at + 4 + (1 + content[at + 4] if content[at + 3] & 0x20 else 0)
        packet = content[start : at + _PACKET]
        if pid in found or len(packet) < 9 or packet[:3] != _STARTS[0] or packet[3] not in _PICTURES:
            continue
        picture = packet[9 + packet[8] :]
        if len(picture) >= _LEAST and picture.startswith(_STARTS):
            found[pid] = place
    return found


def _counter_breaks(heads: NDArray[np.int64], last: dict[int, int]) -> list[int]:
    """Return the rows at which a stream's counter jumps; ``last`` keeps the counters from block to block."""
    if not len(heads):
        return []
    pids = (heads[:, 1] & 0x1F) << 8 | heads[:, 2]
    # A receiver marks packets that it knows to be damaged; they count at the end.
    has_field = (heads[:, 3] & 0x20 > 0) & (heads[:, 4] > 0)
    announced = has_field & (heads[:, 5] & 0x80 > 0)  # a discontinuity that is announced is none
    begins = heads[:, 1] & 0x40 > 0
    is_entry = begins & ((heads[:, 3] & 0x0F == 0) | (has_field & (heads[:, 5] & 0x40 > 0)))
    tables = np.flatnonzero(np.isin(pids, _TABLES))
    lost: list[tuple[int, int]] = []  # rows of the packet before and of the one after
    joins: list[tuple[int, int]] = []
    tables_jump: list[tuple[int, int]] = []
    for pid in np.unique(pids).tolist():
        rows = np.flatnonzero((pids == pid) & (heads[:, 3] & 0x10 > 0))
        if pid == _NULL_PACKETS or not len(rows):
            continue
        counters = heads[rows, 3] & 0x0F
        before = np.concatenate(([last.get(pid, int(counters[0]) - 1)], counters[:-1]))
        jumps = np.flatnonzero(~np.isin((counters - before) % 16, (0, 1)) & ~announced[rows])
        last[pid] = int(counters[-1])
        for each in jumps.tolist():
            former, row = int(rows[each - 1]) if each else -1, int(rows[each])
            has_table = pid in _TABLES or bool(((tables > former) & (tables < row)).any())
            if pid in _TABLES:
                tables_jump.append((former, row))
            elif begins[row] and has_table and is_entry[row]:
                joins.append((former, row))
            else:
                lost.append((former, row))
    # If one stream was torn in its midst, the others are no beginnings either.
    lost += [one for one in joins if any(_overlap(one, other) for other in lost)]
    lost += [one for one in tables_jump if not any(_overlap(one, other) for other in joins)]
    return sorted({row for _, row in lost} | set(np.flatnonzero(heads[:, 1] & 0x80).tolist()))


def _torn_units(heads: NDArray[np.int64], block: NDArray[np.uint8]) -> list[int]:
    """Return the rows at which a unit of a stream ought to begin, as most of that stream do, and none does."""
    rows = np.flatnonzero((heads[:, 1] & 0x40 > 0) & (heads[:, 3] & 0x10 > 0) & (heads[:, 3] & 0xC0 == 0))
    starts = 4 + np.where(heads[rows, 3] & 0x20 > 0, 1 + heads[rows, 4], 0)
    places = np.minimum(starts[:, None] + np.arange(3), block.shape[1] - 1)
    begins = (block[rows[:, None], places] == (0, 0, 1)).all(1) & (starts < _BEHIND_HEADS)
    pids = (heads[rows, 1] & 0x1F) << 8 | heads[rows, 2]
    torn: list[int] = []
    for pid in np.unique(pids).tolist():
        its = pids == pid
        if 2 * begins[its].sum() > its.sum():
            torn += rows[its & ~begins].tolist()
    return torn


def _overlap(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _next_sync(content: Content, at: int, unit: int) -> int:
    size = len(content)
    while 0 <= (at := content.find(b"\x47", at)) < size - unit:
        if content[at + unit] == _SYNC and (at + 2 * unit >= size or content[at + 2 * unit] == _SYNC):
            return at
        at += 1
    return size
