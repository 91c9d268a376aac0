"""Find the frames that a file must have had, and that no packet holds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from covos.media.order_gaps import left_out
from covos.media.packet_list import WITHOUT_PLACES

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

    from covos.media.packet_list import PacketList
    from covos.media.structure_found import Structure

_MICROSECOND = Fraction(1, 1_000_000)
FAR = 6
"""The most packets by which a gap in time may lie away from the damage that made it: pictures are stored in another
order."""
_DEEPEST = 17
"""Frames by which no codec shows a picture later than it is decoded."""
_NEIGHBOURS = 16
"""Intervals on each side whose median is the usual one."""
_SPARSE = 4
"""Multiples of the stated interval up to which a few frames are taken for the rest of a clip that had it."""
_SPARE = 3
"""Bytes by which those between two packets may differ from the usual number where nothing lay there."""
_MOST = 100_000
"""Frames that one gap may lack; a longer one is a jump of the clock."""

# Their times are made up while reading: nothing in the file states them.
_WITHOUT_TIMES = frozenset(
    {"gif", "apng", "yuv4mpegpipe", "mjpeg", "h264", "hevc", "mpegvideo", "m4v", "obu", "vc1", "dirac", "dv"}
)
# Whatever follows the last packet was not understood.
_READ_TO_THE_END = frozenset({"obu"})
# Each packet states its size, and `structure` walks from one to the next: damage inside of one takes no other along.
_SIZED = ("matroska", "flv", "ivf", "nut", "mov,mp4")
# In these, the bytes between two packets show if anything lay there.
_ACCOUNTED = ("matroska", "flv", "ivf", "nut")
# Their packets lie in pieces, among those of other streams: bytes after the last one give no number of pictures.
_IN_PIECES = frozenset({"mpegts", "mpeg"})
# They state none: it is measured while reading.
_WITHOUT_DURATION = ("mpegts", "mpeg", "mov,mp4", "ogg")
# Their clocks begin at zero with the file.
_FROM_ZERO = ("matroska", "avi", "flv", "asf", "nut", "mxf", "ivf")


@dataclass(frozen=True, slots=True, kw_only=True)
class LostFrame:
    """A frame that a file must have had, and that no packet holds.

    Attributes:
        packet: Number of packets of pictures before it, in the order of the file.
        time: Its time in units of the stream's time base, as the file would state it; None where it states none.
    """

    packet: int
    time: int | None


class Losses:
    """Finds the frames that a file must have had and that no packet holds.

    A gap in time is no loss by itself: screen recordings pause, and cameras drop frames. It is one where damage shows
    at the same place, in the container's structure, in bytes that belong to no packet, or in a packet.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        read: PacketList,
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
        self._gaps = [read.shown[before] if before >= 0 else 0 for before in left_out(read.order)]
        self._reach = self._reordered()
        torn = self._at_breaks() | self._after_skipped_bytes() | self._swollen()
        if self._times is not None:
            torn |= set(self._gaps)
        is_unread = self._name in _READ_TO_THE_END and self._count > 0 and self._rest() > 0
        if structure.cut or read.ends_torn or is_unread or self._is_last_picture_unread():
            torn.add(self._count)
        self.suspects = torn | read.suspects | {0 for place in structure.breaks if self._begins_broken(place)}
        # Those beside which packets may be gone.
        self._torn = torn | (read.suspects - (read.swallowed.keys() if self._name.startswith(_SIZED) else set()))
        self.has_total = True
        self.at_least = False
        self.doubtful: list[LostFrame] = []

    def frames(self) -> list[LostFrame]:
        """Return the lost frames, in the order of the file."""
        lost = self._before_the_end()
        at_the_end = self._at_the_end(len(lost))
        if at_the_end and self._count not in self._torn:
            self.suspects.add(self._count)
            self._torn.add(self._count)
            lost = self._before_the_end()
        lost += at_the_end or []
        total = self._structure.frames if self._structure.is_total else None
        if total is not None and total >= self._count:
            lost = lost[: total - self._count]  # a damaged time may make a gap, too
        listed = self._listed()
        if listed is not None and listed - self._count > _MOST:
            listed, self.at_least = None, True  # such a number is damaged itself
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

    def _before_the_end(self) -> list[LostFrame]:
        return [*self._in_gaps(), *self._left_out(), *self._swallowed(), *self._hidden()]

    def groups(self) -> NDArray[np.int64] | None:
        """Return the numbers of the key packets, where they are needed."""
        return None if self._times is not None or self.has_total else np.flatnonzero(self._read.keys)

    def _unread(self) -> int:
        """Return how many frames the bytes after the last packet make at the least: by the largest packet."""
        if self._name in _IN_PIECES:
            return int(self._is_last_picture_unread())
        if self._read.places[-1] < 0 or self._name.startswith("mov,mp4"):
            return 0
        largest = max(self._read.sizes) + max(self._read.overheads, default=0)
        return math.ceil(self._rest() / largest) if largest else 0

    def _is_last_picture_unread(self) -> bool:
        begun = self._structure.last_pictures.get(self._stream.id, -1)
        return self._name == "mpegts" and self._count > 0 and begun > max(self._read.places)

    def _rest(self) -> int:
        """Return the bytes after the last packet of any stream."""
        return self._size - self._read.last_end if self._read.last_end else 0

    def _swollen(self) -> set[int]:
        """Find packets that hold the former end of a group, if all others have one length and nothing else shows it.

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

    def _reordered(self) -> int:
        """Return by how many packets a gap in time may lie away from the damage that made it, in this stream."""
        if self._times is None or self._count == 0 or not self._name.startswith(_ACCOUNTED):
            return FAR
        ranks = np.argsort(np.argsort(self._times, kind="stable"), kind="stable")
        return min(FAR, 1 + int(np.abs(ranks - np.arange(self._count)).max()))

    def _at_breaks(self) -> set[int]:
        """Return the packets on both sides of each break in the structure; their number stands for the end.

        If no more bytes lie between packets than usual, nothing is gone: a length was damaged that readers do not need.
        A break before the first packet concerns that one alone.
        """
        places = np.maximum.accumulate(np.array(self._read.places or [0], np.int64))
        usual = float(np.median(self._read.overheads or [0]))
        found = set()
        for place in self._structure.breaks:
            after, behind = (int(np.searchsorted(places, place, side=side)) for side in ("left", "right"))
            is_inside = 0 < after <= behind < self._count and self._name.startswith(_ACCOUNTED)
            # Farther before the first packet, others may be gone whose times lie after its own.
            is_early = self._begins_broken(place) and self._read.places[0] - place < np.median(self._read.sizes)
            between = self._read.skipped[max(1, after - 1) : behind + 1] if is_inside else ()
            if is_early or (is_inside and all(abs(each - usual) <= _SPARE for each in between)):
                continue
            is_behind = self._name.startswith(_ACCOUNTED) and 0 < after <= self._count
            is_behind = is_behind and place >= self._read.places[after - 1] + self._read.sizes[after - 1]
            # Several packets may lie at one place, if the file states that of their holder.
            found |= {max(0, after if is_behind else after - 1), *range(after, max(after, behind - 1) + 1)}
        return found

    def _begins_broken(self, place: int) -> bool:
        """Return True if a place lies before the first packet, in a container whose clock begins with the file."""
        return self._name.startswith(_FROM_ZERO) and bool(self._count) and place < self._read.places[0]

    def _after_skipped_bytes(self) -> set[int]:
        if self._name.startswith(WITHOUT_PLACES) or not self._read.overheads:
            return set()
        usual = float(np.median(self._read.overheads))
        return {number for number, skipped in enumerate(self._read.skipped) if number and skipped > 3 * usual + 64}

    def _is_damaged_near(self, first: int, last: int) -> bool:
        return any(first - self._reach <= each <= last + self._reach for each in self._torn)

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
                straddles = any(first <= each <= last for each in self._torn)
                number = 1 if number > _MOST else self._certain(number, steps, at_all=straddles)
                lost += [
                    LostFrame(packet=first + 1, time=int(times[at]) + round((each + 1) * steps[at] / (number + 1)))
                    for each in range(number)
                ]
        return lost

    def _usual(self, steps: NDArray[np.int64], at: int) -> float:
        """Return the interval between frames at a place: the stated one if all are multiples of it, else as nearby."""
        multiples = np.rint(steps / self._step)
        is_usual = len(steps) < _NEIGHBOURS or len(steps) <= 4 * (multiples == 1).sum()
        if self._is_steady(steps) and is_usual:
            return self._step
        near = np.concatenate((steps[max(0, at - _NEIGHBOURS) : at], steps[at + 1 : at + 1 + _NEIGHBOURS]))
        near = near[near > 0]
        return float(np.median(near)) if len(near) > 2 else self._step

    def _is_steady(self, steps: NDArray[np.int64]) -> bool:
        """Return True if nearly all intervals between frames are small multiples of the stated one."""
        multiples = np.rint(steps / self._step)
        strays = np.abs(steps - multiples * self._step) > np.maximum(1, 0.02 * self._step)
        strays |= (multiples < 1) & (steps > 0)
        return len(steps) == 0 or bool(20 * strays.sum() <= len(steps) and np.median(steps) <= _SPARSE * self._step)

    def _certain(self, number: int, steps: NDArray[np.int64], *, at_all: bool = True) -> int:
        """Return how many frames are gone for certain where a gap has room for so many.

        If frames have no usual interval, a pause beside damage looks the same as many lost frames. It counts as one, or
        as none if the damage is not in its midst, and more may be gone.
        """
        if self._is_steady(steps) or number < 1:
            return number
        self.at_least = True
        return int(at_all)

    def _before_the_first(self, time: int) -> list[LostFrame]:
        is_broken = bool(self._structure.breaks) and self._begins_broken(self._structure.breaks[0])
        if not self._name.startswith(_FROM_ZERO) or (min(self._torn, default=self._count) > 1 and not is_broken):
            return []
        if is_broken:
            # The decoding time of a picture that is shown later than it is decoded shows when the file began.
            time = min(time, time if self._read.dts[0] is None else self._read.dts[0])
        elif time < 4 * self._step:  # files may begin a little late
            return []
        number = min(_MOST, int(time / self._step + 0.25))  # sound that begins first moves pictures by less
        return [LostFrame(packet=0, time=round(each * self._step)) for each in range(number)]

    def _left_out(self) -> list[LostFrame]:
        """Find the pictures that are left out of the order of display, where no gap in time shows them."""
        return [] if self._times is not None else [LostFrame(packet=each, time=None) for each in self._gaps]

    def _hidden(self) -> list[LostFrame]:
        """Find the packets that are not to be shown only because they are damaged.

        An edit list leaves one out although all around it are shown: no codec shows a picture so much later than it is
        decoded. Or a picture of VP8 says so itself, and at its time one is lacking among regular ones.
        """
        both = zip(self._read.pts, self._read.dts, strict=True) if self._read.hidden else ()
        delays = [shown - decoded for shown, decoded in both if shown is not None and decoded is not None]
        if not delays:
            return []
        usual = float(np.median(delays))
        inside = [each for each in self._read.hidden if 0 < each.packet < self._count]
        return [
            LostFrame(packet=each.packet, time=each.dts + round(usual))
            for each in inside
            if (each.is_discarded and abs(each.pts - each.dts - usual) > _DEEPEST * self._step)
            or (not each.is_discarded and self._is_lacking(each.pts))
        ]

    def _is_lacking(self, time: int) -> bool:
        """Return True if frames come regularly, and stand one interval before and after a time, but not at it."""
        if self._times is None or not self._is_steady(np.asarray(np.diff(np.sort(self._times)), np.int64)):
            return False
        beside = np.rint((self._times - time) / self._step)
        return {-1, 1} <= set(beside.tolist()) and 0 not in beside

    def _swallowed(self) -> list[LostFrame]:
        """Count pictures that lie, damaged, in the packet of another, by its bytes.

        If pictures state their order, that is known already, but for the last ones of a group.
        """
        if self._times is not None or not self._read.swallowed:
            return []
        usual = float(np.median(self._read.sizes))
        ends = {*(np.flatnonzero(self._read.keys) - 1).tolist(), self._count - 1}
        return [
            lost
            for number, much in self._read.swallowed.items()
            if not any(self._read.order) or (number in ends and self._read.sizes[number] > 1.5 * usual)
            for lost in self._behind(math.ceil(much / usual), after=number + 1)
        ]

    def _at_the_end(self, before: int) -> list[LostFrame] | None:
        """Find the frames that an index has, or the stated duration has room for, after the last packet.

        None if there is neither.

        A long last frame looks the same as lost ones. So a file without damage is only doubted where the room is wider
        than twice its longest interval between frames, and not at all where frames have no usual interval.
        """
        if "mp4" in self._name and not self._structure.breaks and self._stream.frames:
            # The index is whole and made while writing; that of others may not be.
            wanted = sum(not entry.is_discard for entry in self._stream.index_entries) - self._count - before
            return self._behind(wanted, after=self._count)
        if self._times is None or self._count == 0:
            return None
        if self._name == "avi" and not self.suspects and not self._structure.cut and self._is_index_read():
            return []  # behind its last picture are the empty chunks by which it lasts longer
        times = np.sort(self._times)
        steps = np.diff(times)
        step = Fraction(self._usual(steps, len(steps))) * self._base
        end = (Fraction(int(times[-1])) * self._base) + step
        if self._name.startswith("matroska"):  # a block that is shown for longer than the others says so itself
            own = self._read.durations[int(np.argmax(self._times))]
            end = max(end, (int(times[-1]) + own) * self._base)
        damaged = self._is_damaged_near(self._count, self._count)
        stated, is_own = self._stated_end()
        if stated is None or stated - end > _MOST * step:  # such a duration is damaged itself
            self.at_least |= stated is not None
            return None
        if not is_own and not damaged:
            # Matroska counts from zero, others from the first packet; taken from zero, none is doubted wrongly.
            end = max(end, self._read.reached)
        room = stated - end
        if damaged or self._structure.cut:
            tolerance = step / 2
        elif len(steps) and self._is_steady(steps):
            tolerance = 2 * max(step, int(steps.max()) * self._base)
        else:
            return []
        number = round(room / step) if room > step / 2 else 0
        fitting = self._behind(self._certain(number, steps), after=self._count)
        self.doubtful = [] if room > tolerance else fitting
        return fitting if room > tolerance else []

    def _is_index_read(self) -> bool:
        return len(self._stream.index_entries) == self._count

    def _stated_end(self) -> tuple[Fraction | None, bool]:
        """Return the stated end in seconds, None if there is none, and True if it is that of this stream alone."""
        stated = stated_end(self._stream)
        if stated is None and self._container.duration is None:
            stated = self._structure.duration
        if stated is not None:
            return stated, True
        if (
            self._container.duration is None
            or not self._structure.has_index
            or self._name.startswith(_WITHOUT_DURATION)
        ):
            return None, False
        stated = self._container.duration * _MICROSECOND
        # NUT states the last frame's start.
        return (stated + 1 / self._rate if self._name == "nut" else stated), False

    def _listed(self) -> int | None:
        """Return the number of pictures that the file lists, where damage makes that worth looking at."""
        if not (self._structure.cut or self.suspects):
            return None
        if self._structure.frames is None and self._name == "mxf" and self._stream.duration:
            return round(self._stream.duration * self._base * self._rate)
        stated = self._structure.frames
        if self._name != "avi":
            return stated
        # It also counts the empty chunks that make pictures last for several units of time.
        stated = (self._stream.frames or None) if stated is None else stated
        units = 1.0 if self._times is None or self._count < 2 else float(np.median(np.diff(self._times)))
        return None if stated is None else round(stated / max(1.0, units))

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


def stated_end(stream: VideoStream) -> Fraction | None:
    """Return the end of the stream in seconds, where Matroska's statistics state it."""
    stated = next((value for key, value in stream.metadata.items() if key.startswith("DURATION")), "")
    try:
        hours, minutes, seconds = stated.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds.strip())
    except (ValueError, ZeroDivisionError):
        return None
