"""List the packets that a video file promises, and those that it lost."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from covos.media import source
from covos.media.container import is_shown, packets_of
from covos.media.structure import Structure

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_MICROSECOND = Fraction(1, 1_000_000)
_FASTEST = 1000  # frames a second; a higher stated rate is damage
_FAR = 6
"""Packets by which a gap in time may lie away from the damage that made it: pictures are stored in another order."""
_NEIGHBOURS = 16
"""Intervals on each side whose median is the usual one."""
_MOST = 100_000
"""Frames that one gap may lack; a longer one is a jump of the clock."""

# Their times are made up while reading: nothing in the file states them.
_WITHOUT_TIMES = frozenset(
    {"gif", "apng", "yuv4mpegpipe", "mjpeg", "h264", "hevc", "mpegvideo", "m4v", "obu", "vc1", "dirac"}
)
# Whatever follows the last packet was not understood; in NUT, that may be an index.
_READ_TO_THE_END = frozenset({"obu", "nut"})
# Packets of these lie elsewhere than their positions say, or in pieces; `structure` looks for their damage.
_WITHOUT_PLACES = ("mov,mp4", "mpegts", "mpeg", "asf", "avi", "gif", "apng", "mjpeg")
# They state none: it is measured while reading.
_WITHOUT_DURATION = ("mpegts", "mpeg", "mov,mp4", "ogg")
# Their clocks begin at zero with the file.
_FROM_ZERO = ("matroska", "avi", "flv", "asf", "nut", "mxf", "ivf")
# A run of zeros is impossible inside a picture of these; before a start code it may stand.
_ZEROS = re.compile(rb"\x00{64,}(?!\x00|\x01)")
_ANY_ZEROS = re.compile(rb"\x00{64,}")
_WITHOUT_ZEROS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg"})
_JPEG_END = b"\xff\xd9"
_JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SeekTable:
    """Presentation times of packets, ascending; where decoding may start, and where to seek to land there or before."""

    pts: NDArray[np.int64]
    is_key: NDArray[np.bool_]
    seek_to: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFrame:
    """A frame that a file must have had, and that no packet holds.

    Attributes:
        packet: Number of packets of pictures before it, in the order of the file.
        time: Its time in units of the stream's time base, as the file would state it; None where it states none.
    """

    packet: int
    time: int | None


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
        groups: Numbers of the key packets, where the file states no times: their distance tells how many are lost.
        suspects: Numbers of the packets at which damage shows in the file itself.
        lost: Frames that no packet holds, by gaps in time, stated durations and counts.
        has_total: True if the file says how many frames it has, or how long it is.
        at_least: True if more may be lost than is known.
        jumps: True if decoding times run back, or far ahead: see `covos.media.clock`.
    """

    count: int
    seeking: SeekTable | None
    first_dts: int | None
    has_pts: bool
    frame_rate: Fraction
    times: NDArray[np.int64] | None = None
    groups: NDArray[np.int64] | None = None
    suspects: frozenset[int] = frozenset()
    lost: tuple[LostFrame, ...] = ()
    has_total: bool = True
    at_least: bool = False
    jumps: bool = False

    @property
    def expected(self) -> int:
        """Frames that the file promises."""
        return self.count + len(self.lost)


@dataclass(slots=True, kw_only=True)
class _Read:
    """The facts that are kept of each packet while a file is read."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    keys: list[bool] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # -1 where unknown
    sizes: list[int] = field(default_factory=list)
    suspects: set[int] = field(default_factory=set)  # packets at which damage shows
    endless: list[int] = field(default_factory=list)  # JPEG without its end
    swallowed: dict[int, int] = field(default_factory=dict)  # of a suspect: bytes or pictures that are not its own
    skipped: list[int] = field(default_factory=list)  # bytes before each that belong to no packet
    overheads: list[int] = field(default_factory=list)
    trusts_marks: bool = True  # those of a transport stream are made at each join, too
    ends_torn: bool = False  # the last packet of any stream is marked as damaged
    last_end: int = 0  # offset of the byte after the last packet of any stream
    reached: Fraction = Fraction(0)  # end of the last packet of any stream, in seconds
    empty: int = 0


def read_packet_table(container: InputContainer, stream: VideoStream, *, structure: Structure) -> PacketTable:
    """Read all packets of a fresh container once. Costs reading the file; memory is about 60 bytes a frame."""
    is_mp4 = "mp4" in container.format.name
    read = _read(container, stream, alone=is_mp4)
    count = len(read.pts)
    stated = np.array([t for t in read.pts if t is not None], np.int64)
    order = np.argsort(stated, kind="stable")
    times = stated[order]
    decoding = np.array([t for t in read.dts if t is not None], np.int64)
    rate = _frame_rate(stream, times if len(times) else decoding)
    own = stated if len(stated) == count else decoding if len(decoding) == count else None
    seeking = None
    if len(times) == count > 0 and bool((np.diff(times) > 0).all()):
        earliest = [p if d is None or (p is not None and p < d) else d for p, d in zip(read.pts, read.dts, strict=True)]
        is_key, seek_to = np.array(read.keys, np.bool_), np.array(earliest, np.int64)
        seeking = SeekTable(pts=times, is_key=is_key[order], seek_to=seek_to[order])
    far = float(longest_pause(container) / (stream.time_base or 1))
    loss = _Loss(container, stream, read, times=own, rate=rate, structure=structure)
    lost = tuple(loss.frames()) if count else ()
    return PacketTable(
        count=count,
        seeking=seeking,
        first_dts=next((t for t in read.dts if t is not None), None),
        has_pts=len(times) > 0,
        frame_rate=rate,
        times=own,
        groups=loss.groups(),
        suspects=frozenset(loss.suspects),
        lost=lost,
        has_total=loss.has_total,
        jumps=bool(((np.diff(decoding) < 0) | (np.diff(decoding) > far)).any()),
        at_least=loss.at_least,
    )


def longest_pause(container: InputContainer) -> int:
    """Return the seconds of a jump ahead above which it is no pause, but another recording's clock.

    A transport stream's clock turns over within 27 hours, so that a jump back may look like one ahead.
    """
    return 3_600 if container.format.name in {"mpegts", "mpeg"} else 86_400


def _read(container: InputContainer, stream: VideoStream, *, alone: bool) -> _Read:
    read, codec = _Read(trusts_marks=container.format.name != "mpegts"), stream.codec_context.name
    # The others are read along where the container may state only the file's duration, which may be theirs.
    others = () if alone else tuple(s for s in container.streams if s.type in {"video", "audio", "subtitle", "data"})
    before: int | None = None
    widest = 0
    for packet in packets_of(container, *(others or (stream,))):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None:
            read.reached = max(read.reached, (time + (packet.duration or 0)) * packet.time_base)
        place = packet.pos
        if place is not None and before is not None and place > before:
            read.overheads.append(place - before)
            widest = max(widest, place - before)
        before = place + packet.size if place is not None else None
        read.last_end = before or read.last_end
        read.ends_torn = packet.is_corrupt and read.trusts_marks
        if packet.stream_index != stream.index or not is_shown(packet, codec=codec):
            continue
        _look_inside(read, packet, codec=codec)
        source.check_frames(container.name, len(read.pts) + 1)
        read.pts.append(packet.pts)
        read.dts.append(packet.dts)
        read.keys.append(packet.is_keyframe)
        read.places.append(-1 if place is None else place)
        read.sizes.append(packet.size)
        read.skipped.append(widest)
        widest = 0
    if 2 * len(read.endless) < len(read.pts):  # some cameras never write it
        read.suspects |= set(read.endless)
    return read


def _look_inside(read: _Read, packet: Packet[Any], *, codec: str) -> None:
    """Note a packet that is marked as damaged, or holds what no intact one does."""
    number = len(read.pts)
    if packet.is_corrupt and read.trusts_marks:
        read.suspects.add(number)
    if codec not in _WITHOUT_ZEROS:
        return
    content = memoryview(packet)
    pattern = _ANY_ZEROS if codec == "mjpeg" else _ZEROS
    if zeros := sum(len(found.group()) for found in pattern.finditer(content)):
        read.suspects.add(number)
        read.swallowed[number] = zeros
    if codec == "mjpeg" and not bytes(content[-16:]).rstrip(b"\x00").endswith(_JPEG_END):
        read.endless.append(number)
    if codec == "mjpeg" and packet.size > 1 << 12 and (starts := bytes(content).count(_JPEG_START)) > 3:
        read.suspects.add(number)
        read.swallowed[number] = packet.size * (starts - 1) // starts


class _Loss:
    """Finds the frames that a file must have had and that no packet holds.

    A gap in time is no loss by itself: screen recordings pause, and cameras drop frames. It is one where damage shows
    at the same place, in the container's structure, in bytes that belong to no packet, or in a packet.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        read: _Read,
        *,
        times: NDArray[np.int64] | None,
        rate: Fraction,
        structure: Structure,
    ) -> None:
        self._container, self._stream, self._read, self._structure = container, stream, read, structure
        self._name, self._size = container.format.name, container.size
        self._count = len(read.pts)
        self._rate, self._base = rate, stream.time_base or 1 / rate
        self._step = max(1.0, float(1 / (rate * self._base)))
        self._times = None if self._name in _WITHOUT_TIMES else times
        self.suspects = read.suspects | self._at_breaks() | self._after_skipped_bytes() | self._swollen()
        is_unread = self._name in _READ_TO_THE_END and self._count > 0 and self._rest() > 0
        if structure.cut or read.ends_torn or (is_unread and (self._name != "nut" or not structure.has_index)):
            self.suspects.add(self._count)
        self.has_total = True
        self.at_least = False

    def frames(self) -> list[LostFrame]:
        """Return the lost frames, in the order of the file."""
        lost = [*self._in_gaps(), *self._swallowed()]
        at_the_end = self._at_the_end(len(lost))
        lost += at_the_end or []
        listed = self._listed()
        self.has_total = at_the_end is not None or listed is not None
        if listed is not None:
            self.at_least = not self._structure.is_total
            lost += self._behind(listed - self._count - len(lost), after=self._count)
        elif at_the_end is None and (self._structure.cut or self._is_damaged_near(self._count, self._count)):
            # Nothing says how many there were: by the bytes that were not read.
            lost += self._behind(self._unread(), after=self._count)
            self.at_least = True
        if self._structure.breaks and not lost and self._name == "ogg":
            self.at_least = True  # its times are counted on over a lost page
        return sorted(lost, key=lambda each: each.packet)

    def groups(self) -> NDArray[np.int64] | None:
        """Return the numbers of the key packets, where they are needed."""
        return None if self._times is not None or self.has_total else np.flatnonzero(self._read.keys)

    def _unread(self) -> int:
        """Return how many frames of the usual size the bytes after the last packet would make."""
        if self._read.places[-1] < 0 or self._name.startswith("mov,mp4"):
            return 0
        usual = float(np.median(self._read.sizes)) + float(np.median(self._read.overheads or [0]))
        return max(0, math.ceil(self._rest() / usual - 0.5)) if usual else 0

    def _rest(self) -> int:
        """Return the bytes after the last packet of any stream."""
        return self._size - self._read.last_end if self._read.last_end else 0

    def _swollen(self) -> set[int]:
        """Find packets that hold what was a group's end, where all other groups have one length and nothing else tells.

        Such a packet is in a group that is too short, and thrice as large as all others in it, or a key packet twice as
        large as all others. The first group is another's remainder, and is left aside.
        """
        if self._times is not None or self._structure.frames is not None:
            return set()
        keys, sizes = np.flatnonzero(self._read.keys), np.array(self._read.sizes)
        lengths = np.diff(keys)
        usual = usual_length(lengths)
        found = set()
        for start, length in zip(keys[:-1].tolist(), lengths.tolist(), strict=True):
            others = np.sort(sizes[start + 1 : start + length])
            if not start:
                continue
            if usual and length < usual and sizes[start] > 2 * np.delete(sizes[keys], keys == start).max():
                found.add(start)
            elif usual and 2 < length < usual and others[-1] > 3 * others[-2]:
                found.add(start + 1 + int(sizes[start + 1 : start + length].argmax()))
        return found

    def _at_breaks(self) -> set[int]:
        """Return the packets on both sides of each break in the structure; their number stands for the end."""
        places = np.maximum.accumulate(np.array(self._read.places or [0], np.int64))
        found = set()
        for place in self._structure.breaks:
            after = int(np.searchsorted(places, place))
            found |= {max(0, after - 1), after}
        return found

    def _after_skipped_bytes(self) -> set[int]:
        if self._name.startswith(_WITHOUT_PLACES) or not self._read.overheads:
            return set()
        usual = float(np.median(self._read.overheads))
        return {number for number, skipped in enumerate(self._read.skipped) if number and skipped > 3 * usual + 64}

    def _is_damaged_near(self, first: int, last: int) -> bool:
        return any(first - _FAR <= each <= last + _FAR for each in self.suspects)

    def _in_gaps(self) -> list[LostFrame]:
        if self._times is None or not self.suspects or self._count == 0:
            return []
        order = np.argsort(self._times, kind="stable")
        times = self._times[order]
        steps = np.diff(times)
        lost = self._before_the_first(int(times[0]))
        for at in np.flatnonzero(steps > 1.5):
            first, last = sorted((int(order[at]), int(order[at + 1])))
            usual = self._usual(steps, int(at))
            number = round(int(steps[at]) / usual) - 1
            if steps[at] > 1.5 * usual and self._is_damaged_near(first, last):
                number = 1 if number > _MOST else number
                lost += [
                    LostFrame(packet=first + 1, time=int(times[at]) + round((each + 1) * steps[at] / (number + 1)))
                    for each in range(number)
                ]
        return lost

    def _usual(self, steps: NDArray[np.int64], at: int) -> float:
        near = np.concatenate((steps[max(0, at - _NEIGHBOURS) : at], steps[at + 1 : at + 1 + _NEIGHBOURS]))
        near = near[near > 0]
        return float(np.median(near)) if len(near) > 2 else self._step

    def _before_the_first(self, time: int) -> list[LostFrame]:
        if time < 4 * self._step or not self._name.startswith(_FROM_ZERO) or min(self.suspects) > 1:
            return []
        number = min(_MOST, round(time / self._step))
        return [LostFrame(packet=0, time=round(each * self._step)) for each in range(number)]

    def _swallowed(self) -> list[LostFrame]:
        """Count pictures that lie, damaged, in the packet of another, by its bytes."""
        if self._times is not None or not self._read.swallowed:
            return []
        usual = float(np.median(self._read.sizes))
        return [
            lost
            for number, much in self._read.swallowed.items()
            for lost in self._behind(math.ceil(much / usual), after=number + 1)
        ]

    def _at_the_end(self, before: int) -> list[LostFrame] | None:
        """Find the frames that an index has, or the stated duration has room for, after the last packet.

        None if there is neither.

        A long last frame looks the same as lost ones. So a file without damage is only doubted where the room is wider
        than twice its longest interval between frames.
        """
        if "mp4" in self._name and not self._structure.breaks and self._stream.frames:
            # The index is whole and made while writing; that of others may not be.
            wanted = sum(not entry.is_discard for entry in self._stream.index_entries) - self._count - before
            return self._behind(wanted, after=self._count)
        if self._times is None or self._count == 0:
            return None
        times = np.sort(self._times)
        end = (Fraction(int(times[-1])) * self._base) + 1 / self._rate
        stated = _stated_end(self._stream)
        damaged = self._is_damaged_near(self._count, self._count)
        if stated is None and self._container.duration is None:
            stated = self._structure.duration
        has_duration = self._structure.has_index and not self._name.startswith(_WITHOUT_DURATION)
        if stated is None and self._container.duration is not None and has_duration:
            stated = self._container.duration * _MICROSECOND
            if self._name == "nut":  # it states the last frame's start
                stated += 1 / self._rate
            # Matroska counts from zero, others from the first packet; taken from zero, none is doubted wrongly.
            end = end if damaged else max(end, self._read.reached)
        if stated is None:
            return None
        room, step = stated - end, 1 / self._rate
        if damaged:
            step = Fraction(self._usual(np.diff(times), len(times) - 1)) * self._base
            tolerance = step / 2
        elif self._structure.cut:
            tolerance = step / 2
        elif len(times) > 1:
            tolerance = 2 * max(step, int(np.diff(times).max()) * self._base)
        else:
            return []
        return self._behind(min(_MOST, round(room / step)), after=self._count) if room > tolerance else []

    def _listed(self) -> int | None:
        """Return the number of pictures that the file lists, where damage makes that worth looking at."""
        if not (self._structure.cut or self.suspects):
            return None
        if self._structure.frames is not None:
            return self._structure.frames
        return self._stream.frames or None if self._name == "avi" else None

    def _behind(self, number: int, *, after: int) -> list[LostFrame]:
        """Make lost frames, a step apart, after so many packets."""
        if self._times is None or after < self._count:
            return [LostFrame(packet=after, time=None) for _ in range(number)]
        last = int(self._times.max())
        return [LostFrame(packet=after, time=last + round((each + 1) * self._step)) for each in range(number)]


def usual_length(lengths: NDArray[np.int64]) -> int | None:
    """Return the length that most groups of packets have; None where there is none."""
    if len(lengths) < 2:
        return None
    values, counts = np.unique(lengths, return_counts=True)
    at = int(counts.argmax())
    return int(values[at]) if counts[at] * 2 > len(lengths) or counts[at] * 2 == len(lengths) > 2 else None


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


def _stated_end(stream: VideoStream) -> Fraction | None:
    """Return the end of the stream in seconds, where Matroska's statistics state it."""
    stated = next((value for key, value in stream.metadata.items() if key.startswith("DURATION")), "")
    try:
        hours, minutes, seconds = stated.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip())
    except (ValueError, ZeroDivisionError):
        return None
