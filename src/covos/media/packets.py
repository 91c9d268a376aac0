"""List the packets that a video file promises, and those that it lost."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from covos.media.losses import Losses, stated_end
from covos.media.packet_list import PacketList, list_packets
from covos.media.stamps import longest_pause, misplaced

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from covos.media.losses import LostFrame
    from covos.media.structure_found import Structure

_STATES_DURATIONS = ("mov,mp4", "matroska", "gif", "apng")
"""Containers that say for how long a frame is shown. Of others, FFmpeg takes it from the frame rate."""
_FASTEST = 1000  # frames a second; a higher stated rate is damage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeekTable:
    """Presentation times of packets, ascending; where decoding may start, and where to seek to land there or before."""

    pts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    seek_to: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PacketTable:
    """The packets of a video stream that should each give one displayed frame.

    Attributes:
        count: Number of packets.
        seeking: Their times; None where the container has none or repeats them.
        first_dts: First decoding time.
        has_pts: True if any packet states a presentation time.
        frame_rate: Frames a second, as stated or else measured.
        times: Time of each packet in the order of the file; None where any has none.
        sizes: Bytes of each packet.
        groups: Numbers of the key packets, where the file states no times: their distance shows how many are lost.
        suspects: Numbers of the packets at which damage shows in the file itself.
        lost: Frames that no packet holds, by gaps in time, stated durations and counts.
        doubtful: Frames for which a stated duration leaves room behind the last packet. A long last frame looks the
            same: they are lost if the last packets turn out to be damaged.
        has_total: True if the file says how many frames it has, or how long it is.
        at_least: True if more may be lost than is known.
        last_duration: Units of time for which the last frame is shown, where an intact file says so.
        jumps: True if times cannot be, or decoding times run back, or far ahead: see `covos.media.clock`.
    """

    count: int
    seeking: SeekTable | None
    first_dts: int | None
    has_pts: bool
    frame_rate: Fraction
    times: NDArray[np.int64] | None = None
    sizes: NDArray[np.int64] | None = None
    groups: NDArray[np.int64] | None = None
    suspects: frozenset[int] = frozenset()
    lost: tuple[LostFrame, ...] = ()
    doubtful: tuple[LostFrame, ...] = ()
    has_total: bool = True
    at_least: bool = False
    last_duration: int | None = None
    jumps: bool = False

    @property
    def expected(self) -> int:
        """Frames that the file promises."""
        return self.count + len(self.lost)


def read_packet_table(container: InputContainer, stream: VideoStream, *, structure: Structure) -> PacketTable:
    """Read all packets of a fresh container once. Costs reading the file; memory is about 60 bytes a frame."""
    is_mp4 = "mp4" in container.format.name
    read = list_packets(container, stream, alone=is_mp4)
    count = len(read.pts)
    far = float(longest_pause(container) / (stream.time_base or 1))
    for each in (wrong := misplaced(read.pts, read.dts, most=far)):
        read.pts[each] = read.dts[each]
    stated = np.array([t for t in read.pts if t is not None], np.int64)
    order = np.argsort(stated, kind="stable")
    times = stated[order]
    decoding = np.array([t for t in read.dts if t is not None], np.int64)
    rate = _frame_rate(stream, times if len(times) else decoding)
    own = stated if len(stated) == count else decoding if len(decoding) == count else None
    seeking = None
    if len(times) == count > 0 and not wrong and bool((np.diff(times) > 0).all()):
        earliest = [p if d is None or (p is not None and p < d) else d for p, d in zip(read.pts, read.dts, strict=True)]
        is_key, seek_to = np.array(read.keys, np.bool_), np.array(earliest, np.int64)
        seeking = SeekTable(pts=times, is_key=is_key[order], seek_to=seek_to[order])
    loss = Losses(container, stream, read, times=own, rate=rate, structure=structure)
    lost = tuple(loss.frames()) if count else ()
    is_intact = seeking is not None and not (lost or loss.suspects or loss.at_least or structure.cut)
    return PacketTable(
        count=count,
        seeking=seeking,
        first_dts=next((t for t in read.dts if t is not None), None),
        has_pts=len(times) > 0,
        frame_rate=rate,
        times=own,
        sizes=np.array(read.sizes, np.int64),
        groups=loss.groups(),
        suspects=frozenset(loss.suspects),
        lost=lost,
        doubtful=tuple(loss.doubtful),
        has_total=loss.has_total,
        last_duration=_last_duration(container, stream, read) if is_intact else None,
        jumps=bool(wrong) or bool(((np.diff(decoding) < 0) | (np.diff(decoding) > far)).any()),
        at_least=loss.at_least,
    )


def _last_duration(container: InputContainer, stream: VideoStream, read: PacketList) -> int | None:
    """Return the time from the last frame to the end of the video; else what its packet says; None if neither is known.

    A packet of mp4 states how long it is until the next one is decoded, which may be another in the order of display.
    """
    name, base = container.format.name, stream.time_base
    if not name.startswith(_STATES_DURATIONS) or base is None:
        return None
    last, own = max(zip((time or 0 for time in read.pts), read.durations, strict=True))
    end = stated_end(stream) if name.startswith("matroska") else None
    if name.startswith("mov,mp4") and stream.duration is not None:
        end = ((stream.start_time or 0) + stream.duration) * base
    left = 0 if end is None else round(end / base) - last
    return left if left > 0 else (own or None)


def _frame_rate(stream: VideoStream, times: NDArray[np.int64]) -> Fraction:
    for stated in (stream.average_rate, stream.guessed_rate):
        if stated is not None and 0 < stated <= _FASTEST:
            return Fraction(stated)
    span = int(times.max() - times.min()) if len(times) > 1 else 0
    if span > 0 and stream.time_base is not None:
        measured = Fraction(len(times) - 1) / (span * stream.time_base)
        if 0 < measured <= _FASTEST:
            return measured.limit_denominator(1001)
    return Fraction(25)
