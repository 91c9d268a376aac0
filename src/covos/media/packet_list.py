"""Read all packets of a video file once, and keep a few facts of each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from covos.media import source
from covos.media.container import is_shown, packets_of
from covos.media.picture_order import Place, order_reader

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

WITHOUT_PLACES = ("mov,mp4", "mpegts", "mpeg", "asf", "avi", "gif", "apng", "mjpeg")
"""Packets of these lie elsewhere than their positions say, or in pieces; `structure` looks for their damage."""
# A run of zeros is impossible inside a picture of these; before a start code it may stand.
_ZEROS = re.compile(rb"\x00{64,}(?!\x00|\x01)")
_ANY_ZEROS = re.compile(rb"\x00{64,}")
_WITHOUT_ZEROS = frozenset({"h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "mjpeg"})
# The beginning of the pictures of an AVI: one that lost its header is read as a bare stream, and filling lies before.
_AVI_PICTURES = re.compile(rb"LIST....movi", re.DOTALL)
_JPEG_END = b"\xff\xd9"
_JPEG_START = b"\xff\xd8\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A packet of pictures that is not to be shown.

    Attributes:
        packet: How many that are shown come before it.
        pts: Its time of display.
        dts: Its time of decoding.
        is_discarded: True if an edit list leaves it out; False if the picture says so itself.
    """

    packet: int
    pts: int
    dts: int
    is_discarded: bool


@dataclass(slots=True, kw_only=True)
class PacketList:
    """The facts that are kept of each packet of pictures."""

    pts: list[int | None] = field(default_factory=list)
    dts: list[int | None] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)  # 0 where unknown
    keys: list[bool] = field(default_factory=list)
    places: list[int] = field(default_factory=list)  # -1 where unknown
    sizes: list[int] = field(default_factory=list)
    suspects: set[int] = field(default_factory=set)  # packets at which damage shows
    endless: list[int] = field(default_factory=list)  # JPEG without its end
    order: list[Place | None] = field(default_factory=list)  # of those that are not to be shown, too
    shown: list[int] = field(default_factory=list)  # how many are to be shown, up to each of these
    swallowed: dict[int, int] = field(default_factory=dict)  # of a suspect: bytes or pictures that are not its own
    skipped: list[int] = field(default_factory=list)  # bytes before each that belong to no packet
    overheads: list[int] = field(default_factory=list)
    trusts_marks: bool = True  # those of a transport stream are made at each join, too
    ends_torn: bool = False  # the last packet of any stream is marked as damaged, or could not be read
    last_end: int = 0  # offset of the byte after the last packet of any stream
    hidden: list[Hidden] = field(default_factory=list)  # packets of pictures that are not to be shown
    reached: Fraction = Fraction(0)  # end of the last packet of any stream, in seconds


def list_packets(container: InputContainer, stream: VideoStream, *, alone: bool) -> PacketList:
    """Read all packets of a fresh container; of the other streams too, unless ``alone``."""
    read, codec = PacketList(trusts_marks=container.format.name != "mpegts"), stream.codec_context.name
    # The others are read along where the container may state only the file's duration, which may be theirs.
    others = () if alone else tuple(s for s in container.streams if s.type in {"video", "audio", "subtitle", "data"})
    order = order_reader(codec, stream.codec_context.extradata or b"")
    has_places = not container.format.name.startswith(WITHOUT_PLACES)
    before: int | None = None
    begun = widest = 0
    overlaps: list[int] = []

    def failed() -> None:
        read.ends_torn = True  # until another packet comes

    for packet in packets_of(container, *(others or (stream,)), failed=failed):
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None:
            read.reached = max(read.reached, (time + (packet.duration or 0)) * packet.time_base)
        place = packet.pos
        if place is not None and before is not None and place > before:
            read.overheads.append(place - before)
            widest = max(widest, place - before)
        if has_places and place is not None and before is not None and begun < place < before:
            overlaps.append(len(read.pts))
        begun = begun if place is None else place
        before = place + packet.size if place is not None else None
        read.last_end = before or 0  # unknown where the last packet has no place
        read.ends_torn = packet.is_corrupt and read.trusts_marks
        if packet.stream_index != stream.index:
            continue
        shown = is_shown(packet, codec=codec)
        if order is not None:
            read.order.append(order.place(bytes(packet)))
            read.shown.append(len(read.pts) + shown)
        if not shown:
            if packet.pts is not None and packet.dts is not None:
                number, is_discarded = len(read.pts), packet.is_discard
                read.hidden.append(Hidden(packet=number, pts=packet.pts, dts=packet.dts, is_discarded=is_discarded))
            continue
        _look_inside(read, packet, codec=codec)
        source.check_frames(container.name, len(read.pts) + 1)
        read.pts.append(packet.pts)
        read.dts.append(packet.dts)
        read.durations.append(packet.duration or 0)
        read.keys.append(packet.is_keyframe)
        read.places.append(-1 if place is None else place)
        read.sizes.append(packet.size)
        read.skipped.append(widest)
        widest = 0
    # A packet that states more bytes than lie before the next one has swallowed others. If most do, their common
    # beginning is stored once, or they are stored compressed.
    if 2 * len(overlaps) < len(read.pts):
        read.suspects |= {number for each in overlaps for number in (max(0, each - 1), each)}
    if 2 * len(read.endless) < len(read.pts):  # some cameras never write it
        read.suspects |= set(read.endless)
    return read


def _look_inside(read: PacketList, packet: Packet[Any], *, codec: str) -> None:
    """Note a packet that is marked as damaged, or holds what no intact one does."""
    number = len(read.pts)
    if packet.is_corrupt and read.trusts_marks:
        read.suspects.add(number)
    if codec not in _WITHOUT_ZEROS:
        return
    content = memoryview(packet)
    pattern = _ANY_ZEROS if codec == "mjpeg" else _ZEROS
    begun = None if number else _AVI_PICTURES.search(content)
    if begun is not None:
        read.suspects.add(number)
    if zeros := sum(len(found.group()) for found in pattern.finditer(content, begun.end() if begun else 0)):
        read.suspects.add(number)
        read.swallowed[number] = zeros
    if codec == "mjpeg" and not bytes(content[-16:]).rstrip(b"\x00").endswith(_JPEG_END):
        read.endless.append(number)
    if codec == "mjpeg" and packet.size > 1 << 12 and (starts := bytes(content).count(_JPEG_START)) > 3:
        read.suspects.add(number)
        read.swallowed[number] = packet.size * (starts - 1) // starts
