"""Walk through a file's own structure: does it end early, where does it not go on, how many frames does it list?

Only headers are read, never pictures. Their faults are evidence of damage; a file without any may still have damaged
pictures, which the decoder finds.
"""

from __future__ import annotations

import mmap
import re
from bisect import bisect_right
from fractions import Fraction
from itertools import islice
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

from covos.core.signatures import PNG
from covos.media.asf import ASF, PacketWalk
from covos.media.dv import dv
from covos.media.mp4 import MP4_FIRST, mp4
from covos.media.mpeg import packet_size, program_stream, transport_stream
from covos.media.nut import checksum, nut
from covos.media.obu import OBU_FIRST, obu
from covos.media.structure_found import MOST_BREAKS, Content, Structure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


_EBML = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_CLUSTER = b"\x1f\x43\xb6\x75"
_UPPER = frozenset(
    (
        _CLUSTER,
        _EBML,
        b"\x1c\x53\xbb\x6b",  # Cues
        b"\x15\x49\xa9\x66",  # Info
        b"\x16\x54\xae\x6b",  # Tracks
        b"\x12\x54\xc3\x67",  # Tags
        b"\x11\x4d\x9b\x74",  # SeekHead
        b"\x10\x43\xa7\x70",  # Chapters
        b"\x19\x41\xa4\x69",  # Attachments
        b"\xec",  # Void
        b"\xbf",  # CRC-32
    )
)
_IN_CLUSTER = frozenset((b"\xe7", b"\xa3", b"\xa0", b"\xab", b"\xa7", b"\x58\x54", b"\xaf", b"\xec", b"\xbf"))
_GIF_PICTURE = re.compile(rb"\x21\xf9\x04....\x00\x2c", re.DOTALL)
_GIF_TRAILER = 0x3B
_GIF_UNEVEN = 3
"""Pictures for each one with uneven blocks: an encoder that leaves blocks half empty does so in most pictures."""
_FLV_TAG = re.compile(rb"(?=[\x08\x09\x12](...)....\x00\x00\x00)", re.DOTALL)
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_DATA = bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c")
_OGG = b"OggS"
_AVI_HEAD = 256  # bytes in which the header of an AVI begins
_KLV = b"\x06\x0e\x2b\x34"


def examine(path: Path) -> Structure:
    """Walk through a file; a container that is not known here gives an empty finding."""
    size = path.stat().st_size
    if size == 0:
        return Structure()
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            return _walker(content[:16], content)(content)
        except IndexError:
            return Structure(cut=True)  # the file ends within a header


def _walker(head: bytes, content: Content) -> Callable[[Content], Structure]:
    for is_it, walk in (
        (head[4:8] in MP4_FIRST, mp4),
        (head[:4] == _EBML, _matroska),
        (head[:4] == b"RIFF", _riff),
        (head[:4] == b"GIF8", _gif),
        (head[:8] == PNG, _png),
        (head[:4] == b"DKIF", _ivf),
        (head[:3] == b"FLV", _flv),
        (head[:4] == _OGG, _ogg),
        (head[:4] == b"nut/", nut),
        (head[:9] == b"YUV4MPEG2", _yuv4mpeg),
        (head[:16] == ASF, _asf),
        (head[:4] == _KLV, _mxf),
        (head[:4] == b"\x00\x00\x01\xba", program_stream),
        (head[:3] == OBU_FIRST, obu),
    ):
        if is_it:
            return walk
    return transport_stream if packet_size(content) else dv


def _number(content: Content, at: int) -> tuple[int | None, int]:
    """Read an EBML size at an offset: its value, None for "unknown" (all ones), and its length; 0 if it is none."""
    first = content[at] if at < len(content) else 0
    if first == 0:
        return None, 0
    length = 9 - first.bit_length()
    if at + length > len(content):
        return None, 0
    most = (1 << 7 * length) - 1
    value = int.from_bytes(content[at : at + length], "big") & most
    return (None if value == most else value), length


def _matroska(content: Content) -> Structure:
    """Walk segments and clusters (RFC 8794, RFC 9559), to the next cluster after each break."""
    size = len(content)
    breaks: list[int] = []
    value, length = _number(content, 4)
    at = 4 + length + (value or 0)
    if content[at : at + 4] != _SEGMENT:
        return Structure()
    value, length = _number(content, at + 4)
    at += 4 + length
    end = size if value is None else at + value
    states_size = value is not None
    cluster_end: int | None = None  # of the cluster that is walked through; at most the file's for an unknown size
    while at < min(end, size) and len(breaks) < MOST_BREAKS:
        first = content[at]
        id_length = 9 - first.bit_length() if first >= 0x10 else 0
        name = content[at : at + id_length]
        inside = cluster_end is not None and at < cluster_end and name in _IN_CLUSTER
        value, length = _number(content, at + id_length) if name in _UPPER or inside else (None, 0)
        start = at + id_length + length
        if length == 0 or (value is None and name != _CLUSTER):
            if at + 12 > size and not states_size:
                return Structure(cut=True, breaks=tuple(breaks))
            breaks.append(at)
            at = content.find(_CLUSTER, at + 1)
            if at < 0:
                break
            cluster_end = None
            continue
        if name == _CLUSTER:
            cluster_end = start + value if value is not None else size
            at = start
            continue
        after = start + (value or 0)
        if inside and cluster_end is not None and after > cluster_end and after <= size:
            breaks.append(at)
        if not inside:
            cluster_end = None
        if after > size and (later := content.find(_CLUSTER, at + 1)) >= 0:
            breaks.append(at)
            at, cluster_end = later, None
            continue
        if after > size:
            return Structure(cut=True, breaks=tuple(breaks))
        at = after
    return Structure(cut=end > size, breaks=tuple(breaks))


def _riff(content: Content) -> Structure:
    """Walk from chunk to chunk, to the first one that has no name or does not end inside the file."""
    size = len(content)
    stated = int.from_bytes(content[4:8], "little") + 8
    at, end = 12, min(stated, size)
    while at + 8 <= end:
        name, length = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "little")
        if name == b"LIST" and content[at + 8 : at + 12] in (b"movi", b"rec "):
            at += 12
            continue
        if not all(32 <= byte < 127 for byte in name) or at + 8 + length > size >= stated:
            return Structure(cut=stated > size, breaks=(at,))
        at += 8 + length + length % 2
    # A second part follows in files of some gigabytes: the header counts the frames of the first alone.
    head = content.find(b"avih", 0, _AVI_HEAD) if size - stated < len(b"RIFF0000") else -1
    frames = int.from_bytes(content[head + 24 : head + 28], "little") if head >= 0 else 0
    return Structure(cut=stated > size, frames=frames or None)


def _flv(content: Content) -> Structure:
    """Walk from tag to tag; behind a break, to the next one that states its own length twice."""
    size, at = len(content), int.from_bytes(content[5:9], "big") + 4
    breaks: list[int] = []
    while at + 11 <= size and len(breaks) < MOST_BREAKS:
        length = int.from_bytes(content[at + 1 : at + 4], "big")
        end = at + 11 + length
        # Some writers leave the size behind a tag at zero.
        is_told = end + 4 > size or int.from_bytes(content[end : end + 4], "big") in (0, length, 11 + length)
        if content[at] & 0x1F in (8, 9, 18) and is_told:
            at = end + 4
            continue
        breaks.append(at)
        at = _next_tag(content, at + 1)
    return Structure(cut=at > size, breaks=tuple(breaks))


def _next_tag(content: Content, at: int) -> int:
    for found in _FLV_TAG.finditer(content, at):
        length = int.from_bytes(found[1], "big")
        end = found.start() + 11 + length
        if length and content[end : end + 4] == (11 + length).to_bytes(4, "big"):
            return found.start()
    return len(content)


def _ogg(content: Content) -> Structure:
    """Walk the pages (RFC 3533, section 6): their numbers rise one by one, and each stream's last page says so.

    Behind it a recording may follow whose streams have the same names, and are counted anew (section 4).
    """
    size, at = len(content), 0
    breaks: list[int] = []
    numbers: dict[bytes, int] = {}
    unfinished: set[bytes] = set()
    while at + 27 <= size and len(breaks) < MOST_BREAKS:
        if content[at : at + 4] != _OGG:
            breaks.append(at)
            at = content.find(_OGG, at + 1)
            if at < 0:
                return Structure(cut=bool(unfinished), breaks=tuple(breaks))
            continue
        kind, stream = content[at + 5], bytes(content[at + 14 : at + 18])
        number = int.from_bytes(content[at + 18 : at + 22], "little")
        if kind & 2 and number == 0 and stream not in unfinished:
            numbers.pop(stream, None)
        segments = content[at + 26]
        end = at + 27 + segments + sum(content[at + 27 : at + 27 + segments])
        # A page whose checksum is wrong is skipped by readers, whatever it held.
        if (stream in numbers and number != numbers[stream] + 1) or (end <= size and not _is_whole(content[at:end])):
            breaks.append(at)
        numbers[stream] = number
        (unfinished.discard if kind & 4 else unfinished.add)(stream)
        at = end
    return Structure(cut=at > size or bool(unfinished), breaks=tuple(breaks))


def _is_whole(page: bytes) -> bool:
    return checksum(page[:22] + bytes(4) + page[26:]) == int.from_bytes(page[22:26], "little")


def _gif(content: Content) -> Structure:
    size = len(content)
    pictures = [found.start() for found in _GIF_PICTURE.finditer(content)]
    frames = len(pictures)
    at = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    walked = 0
    uneven: list[int] = []
    while at < size:
        kind = content[at]
        if kind == _GIF_TRAILER or (kind == 0 and size - at < 16 and content[at:].count(0) == size - at):  # or padding
            if uneven and _GIF_UNEVEN * len(uneven) < walked:
                more = sum(_between(pictures, where) for where in uneven)
                return Structure(breaks=tuple(uneven), frames=max(frames, walked) + more, is_total=False)
            return Structure(frames=frames)
        start, is_picture = at, kind == 0x2C
        if kind == 0x21:
            at += 2
        elif is_picture and at + 10 < size:
            packed = content[at + 9]
            at += 11 + (3 << (packed & 7) + 1 if packed & 0x80 else 0)
        else:
            return Structure(breaks=(at,), frames=frames + _between(pictures, at), is_total=False)
        lengths = []
        while at < size and content[at]:
            lengths.append(content[at])
            at += 1 + content[at]
        at += 1
        if is_picture:
            walked += 1
            # Encoders fill all blocks of a picture but the last one. If few pictures are otherwise, bytes are gone.
            if len(set(lengths[:-1])) > 1 or (len(lengths) > 1 and lengths[-1] > lengths[0]):
                uneven.append(start)
    return Structure(cut=True, frames=frames, is_total=False)


def _between(pictures: list[int], place: int) -> int:
    """Estimate how many pictures lay in the widest gap up to the one after a place, by the usual distance."""
    distances = np.diff(pictures[: bisect_right(pictures, place) + 1])
    if len(distances) < 2:
        return 0
    return max(0, round(float(distances.max()) / float(np.median(np.diff(pictures)))) - 1)


def _png(content: Content) -> Structure:
    """Walk from chunk to chunk; one whose checksum is wrong is a break, since readers skip a picture of wrong size."""
    size, at, frames = len(content), 8, None
    breaks: list[int] = []
    while at + 12 <= size:
        length, name = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        end = at + 12 + length
        if not name.isalpha():
            return Structure(breaks=(*breaks, at), frames=frames)
        if (
            end <= size
            and len(breaks) < MOST_BREAKS
            and crc32(content[at + 4 : end - 4]) != int.from_bytes(content[end - 4 : end], "big")
        ):
            breaks.append(at)
        if name == b"acTL":
            frames = int.from_bytes(content[at + 8 : at + 12], "big")
        if name == b"IEND":
            return Structure(breaks=tuple(breaks), frames=frames)
        at = end
    return Structure(cut=True, breaks=tuple(breaks), frames=frames)


def _ivf(content: Content) -> Structure:
    size, at = len(content), int.from_bytes(content[6:8], "little") or 32
    frames = int.from_bytes(content[24:28], "little") or None
    before = -1
    while at + 12 <= size:
        length, pts = (int.from_bytes(content[at + a : at + b], "little") for a, b in ((0, 4), (4, 12)))
        if length == 0 or pts <= before or pts > 1 << 48:
            return Structure(breaks=(at,), frames=frames)
        before = pts
        if at + 12 + length > size:
            break
        at += 12 + length
    return Structure(cut=at < size, frames=frames)


def _yuv4mpeg(content: Content) -> Structure:
    size, at = len(content), content.find(b"\n") + 1
    unit = _yuv4mpeg_unit(content, at)
    if unit is None:
        return Structure()
    count, rest = divmod(size - at, unit)
    wrong = (at + unit * each for each in range(count) if content[at + unit * each : at + unit * each + 5] != b"FRAME")
    return Structure(cut=rest > 0, breaks=tuple(islice(wrong, 1)), frames=count + (rest > 0), is_total=False)


def _yuv4mpeg_unit(content: Content, at: int) -> int | None:
    """Return the bytes of a frame with its header, for planes of 8 bits and more."""
    fields = {field[:1]: field[1:] for field in bytes(content[:at]).split()[1:]}
    header = content.find(b"\n", at) + 1 - at
    try:
        width, height = int(fields[b"W"]), int(fields[b"H"])
    except (KeyError, ValueError):
        return None
    space = fields.get(b"C", b"420")
    across, down = -(-width // 2), -(-height // 2)
    chroma = {b"444": width * height, b"422": across * height, b"411": -(-width // 4) * height, b"mono": 0}
    planes = width * height + 2 * chroma.get(space[:4] if space[:4] == b"mono" else space[:3], across * down)
    if space == b"444alpha":
        planes += width * height
    deep = re.search(rb"(?:p|mono)(\d+)$", space)
    return header + planes * (2 if deep else 1) if header > 0 else None


def _asf(content: Content) -> Structure:
    size = len(content)
    breaks: list[int] = []
    properties, data = content.find(_ASF_PROPERTIES), content.find(_ASF_DATA)
    if properties < 0 or data < 0:
        return Structure()
    count = int.from_bytes(content[properties + 56 : properties + 64], "little")
    live = content[properties + 88] & 1
    unit = int.from_bytes(content[properties + 92 : properties + 96], "little")
    start = data + 50
    if not unit or unit != int.from_bytes(content[properties + 96 : properties + 100], "little"):
        return Structure()
    stated = start + count * unit if count and not live else 0
    first, walk = content[start : start + 1], PacketWalk()
    for at in range(start, min(size, stated or size) - unit + 1, unit):
        if content[at : at + 1] != first and not stated and content[at : at + 16].count(0) < 12:
            break  # an index follows
        if not walk.goes_on(content[at : at + unit]) or content[at : at + 1] != first:
            breaks.append(at)
    ticks, preroll = (int.from_bytes(content[properties + a : properties + a + 8], "little") for a in (64, 80))
    duration = Fraction(ticks, 10_000_000) - Fraction(preroll, 1000)
    return Structure(
        cut=stated > size, breaks=tuple(breaks[:MOST_BREAKS]), duration=duration if stated and duration > 0 else None
    )


def _mxf(content: Content) -> Structure:
    size, at = len(content), 0
    breaks: list[int] = []
    while at < size and len(breaks) < MOST_BREAKS:
        if content[at : at + 4] != _KLV:
            breaks.append(at)
            at = content.find(_KLV, at)
            if at < 0:
                break
            continue
        length, width = content[at + 16] if at + 16 < size else 0, 1
        if length & 0x80:
            width = 1 + (length & 0x7F)
            length = int.from_bytes(content[at + 17 : at + 16 + width], "big")
        end = at + 16 + width + length
        if end > size:
            if (later := content.find(_KLV, at + 16)) < 0:
                return Structure(cut=True, breaks=tuple(breaks))
            breaks.append(at)
            end = later
        at = end
    # The footer partition pack ends a file that was finished.
    finished = content.find(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x04") >= 0
    open_header = content.find(b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01\x01\x02\x01") >= 0
    return Structure(cut=not finished and not open_header, breaks=tuple(breaks))
