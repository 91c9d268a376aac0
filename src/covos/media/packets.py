"""The packet table: the frames and times that a video file promises, known without decoding."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from covos.media.container import packets_of

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_MICROSECOND = Fraction(1, 1_000_000)
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
        first_dts: Decoding time of the first packet, None where the container has none.
        has_pts: True if any packet states a presentation time.
        frame_rate: Frames a second, as stated or else measured.
        expected: Frames promised: ``count``, or more where an index or a stated duration says so.
    """

    count: int
    seeking: SeekTable | None
    first_dts: int | None
    has_pts: bool
    frame_rate: Fraction
    expected: int


def read_packet_table(container: InputContainer, stream: VideoStream, *, is_cut: bool) -> PacketTable:
    """Read all packets of a fresh container once. Costs reading the file; memory is about 17 bytes a frame."""
    pts: list[int | None] = []
    dts: list[int | None] = []
    keys: list[bool] = []
    reached = Fraction(0)  # end of the last packet of any stream, in seconds
    # The others are read along where the container may state only the file's duration, which may be theirs.
    is_mp4 = "mp4" in container.format.name
    others = () if is_mp4 else (*container.streams.audio, *container.streams.subtitles)
    for packet in packets_of(container, stream, *others):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None:
            reached = max(reached, (time + (packet.duration or 0)) * packet.time_base)
        if packet.stream_index == stream.index and is_shown(packet, codec=stream.codec_context.name):
            pts.append(packet.pts)
            dts.append(packet.dts)
            keys.append(packet.is_keyframe)
    stated = np.array([t for t in pts if t is not None], np.int64)
    order = np.argsort(stated, kind="stable")
    times = stated[order]
    has_pts = len(times) > 0
    rate = _frame_rate(stream, times if has_pts else np.array([t for t in dts if t is not None], np.int64))
    if is_mp4:  # its index is whole and made while writing; that of others may not be
        expected = max(len(pts), sum(not entry.is_discard for entry in stream.index_entries))
    else:
        expected = len(pts) + _missing_at_the_end(container, stream, times, rate=rate, reached=reached, cut=is_cut)
    seeking = None
    if len(times) == len(pts) > 0 and bool((np.diff(times) > 0).all()):
        earliest = [p if d is None or (p is not None and p < d) else d for p, d in zip(pts, dts, strict=True)]
        is_key, seek_to = np.array(keys, np.bool_), np.array(earliest, np.int64)
        seeking = SeekTable(pts=times, is_key=is_key[order], seek_to=seek_to[order])
    return PacketTable(
        count=len(pts),
        seeking=seeking,
        first_dts=next((t for t in dts if t is not None), None),
        has_pts=has_pts,
        frame_rate=rate,
        expected=expected,
    )


def is_shown(packet: Packet[Any], *, codec: str) -> bool:
    """Return True if the packet is meant to give a displayed frame.

    Packets before an mp4 edit list's start, and VP8 reference frames that are never shown, are decoded only.
    """
    if packet.is_discard:
        return False
    return codec != "vp8" or bool(memoryview(packet)[0] & 0x10)  # show_frame: RFC 6386, section 9.1


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


def _missing_at_the_end(
    container: InputContainer,
    stream: VideoStream,
    times: NDArray[np.int64],
    *,
    rate: Fraction,
    reached: Fraction,
    cut: bool,
) -> int:
    """Count the frames that the stated duration has room for after the last packet.

    A long last frame looks the same as lost ones. So an uncut file is only doubted where the room is wider than
    twice its longest interval between frames.
    """
    if len(times) == 0 or stream.time_base is None:
        return 0
    step = 1 / rate
    end = Fraction(int(times[-1])) * stream.time_base + step
    stated = _stated_end(stream)
    if stated is None and container.duration is not None:
        # Matroska counts from zero, others from the first packet; taken from zero, none is doubted wrongly.
        stated, end = container.duration * _MICROSECOND, max(end, reached)
    if stated is None:
        return 0
    room = stated - end
    if cut:
        tolerance = step
    elif len(times) > 1:
        tolerance = 2 * max(step, int(np.diff(times).max()) * stream.time_base)
    else:
        return 0
    return round(room / step) if room > tolerance else 0


def _stated_end(stream: VideoStream) -> Fraction | None:
    """Return the end of the stream in seconds, where Matroska's statistics state it."""
    stated = next((value for key, value in stream.metadata.items() if key.startswith("DURATION")), "")
    try:
        hours, minutes, seconds = stated.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip())
    except (ValueError, ZeroDivisionError):
        return None
