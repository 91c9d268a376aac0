"""Say which frames of a video are missing, after which frame and at which time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

import numpy as np

from covos.media.losses import FAR, usual_length
from covos.media.source import MissingFrame

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from fractions import Fraction

    from covos.media.packets import PacketTable

_REORDERED = 16
"""Packets by which a decoder may be ahead of the pictures that it has given."""
_MOST_PLACES = 8
"""Places in time that a warning names."""


def missing_frames(
    table: PacketTable,
    *,
    packets: Sequence[int],
    times: Sequence[int],
    damaged: Collection[int],
    time_base: Fraction,
    is_whole: bool = True,
) -> tuple[MissingFrame, ...]:
    """Return the frames that are missing after a full pass: those without a packet, and packets that gave no frame.

    Args:
        table: The packets of the file.
        packets: Number of the packet of each frame that came out, -1 where that is not known.
        times: Presentation time of each frame, rising.
        damaged: Numbers of the packets that the decoder refused or painted over.
        time_base: Seconds per unit of the times.
        is_whole: False if the pass was left early: what is missing after its last frame is then not known.
    """
    given = np.asarray(packets, np.int64)
    reached = table.count if is_whole else max(0, max(packets, default=0) - _REORDERED)
    silent = np.setdiff1d(np.arange(reached), given)
    if not is_whole and table.has_pts and table.times is not None and len(given):
        # Frames that should have come before the latest one are missing, even if that came early.
        latest = table.times[given[-1]] if given[-1] >= 0 else table.times.min()
        earlier = np.flatnonzero(table.times < latest)
        silent = np.union1d(silent, np.setdiff1d(earlier, given))
    if len(silent) and table.times is not None and table.sizes is not None:
        # A packet that stands in the file twice gives one picture.
        keys = list(zip(table.times.tolist(), table.sizes.tolist(), strict=True))
        shown = {keys[each] for each in given.tolist() if each >= 0}
        silent = np.array([each for each in silent.tolist() if keys[each] not in shown], np.int64)
    # One packet may hold two pictures, and the next one none.
    silent = silent[: max(0, table.count - len(given))]
    hit = {*damaged, *silent.tolist()}
    short = _short_groups(table, {*hit, *table.suspects})
    ends_hit = any(each >= table.count - FAR for each in hit)
    gone = (*table.lost, *(table.doubtful if ends_hit else ()))
    if not len(silent) and not gone and not short:
        return ()
    known = np.flatnonzero(given >= 0)
    order = known[np.argsort(given[known], kind="stable")]
    ordered = given[order].tolist()
    step = max(1, round(1 / (table.frame_rate * time_base)))
    found: list[tuple[int, int | None, str]] = [
        (int(each), None if table.times is None else int(table.times[each]), "it could not be decoded")
        for each in silent
    ]
    found += [
        (each.packet, each.time, "it is gone from the file") for each in gone if is_whole or each.packet < reached
    ]
    found += [(packet, None, "it is gone from the file") for packet, count in short.items() for _ in range(count)]
    placed = []
    run = {-1: 0}  # frames without a time of their own, by the frame that they follow
    for packet, time, why in sorted(found, key=lambda each: each[0]):
        at = bisect_left(ordered, packet)
        near = int(order[at - 1]) if at else int(order[0]) if ordered else -1
        if time is not None and table.times is not None and near >= 0:
            # If clocks jump, the frame beside it shows by how much its time was moved.
            pts = time + times[near] - int(table.times[packets[near]])
            after = bisect_right(times, pts) - 1
        else:
            after = near if at else -1
            run[after] = run.get(after, 0) + 1
            pts = (times[after] if after >= 0 else 0) + run[after] * step - (step if after < 0 else 0)
        placed.append(MissingFrame(after=after, pts=pts, why=why))
    return tuple(sorted(placed, key=lambda each: (each.after, each.pts)))


def _short_groups(table: PacketTable, damaged: Collection[int]) -> dict[int, int]:
    """Count the packets that groups with damage lack, if all others have one length; by the number of the next one."""
    if table.groups is None or not damaged or len(table.groups) < 3:
        return {}
    lengths = np.diff(table.groups)
    usual = usual_length(lengths)
    found = {}
    for start, length in zip(table.groups[:-1].tolist(), lengths.tolist(), strict=True):
        is_hit = any(start <= each <= start + length for each in damaged)
        if usual and length % usual and is_hit:
            known = sum(start < each.packet <= start + length for each in table.lost)
            found[start + length] = max(0, -length % usual - known)
    return found


def spans(times: Sequence[int], *, time_base: Fraction, frame_rate: Fraction) -> str:
    """Say where frames lie in time: ``"0.48 to 0.72 s and 3.20 s"``."""
    longest = 2 / frame_rate / time_base
    found: list[list[int]] = []
    for time in sorted(times):
        if found and time - found[-1][1] <= longest:
            found[-1][1] = time
        else:
            found.append([time, time])
    said = [" to ".join(dict.fromkeys(f"{float(each * time_base):.2f}" for each in span)) + " s" for span in found]
    more = len(said) - _MOST_PLACES
    return ", ".join(said[:_MOST_PLACES]) + (f" and {more} more places" if more > 0 else "")
