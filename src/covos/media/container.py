"""Open a video file safely, say what is wrong with one that cannot be, and list the packets that it promises."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

import av
import numpy as np
from av.codec.context import Flags, ThreadType
from av.container.core import Flags as ContainerFlags
from av.stream import Disposition

from covos.core.errors import SourceError
from covos.core.limits import limits, raising
from covos.media import source

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

# Only formats that carry their own pictures. A playlist (ffconcat, HLS, DASH, SDP) would open other files or hosts.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,"
    "nut,mxf,dv,yuv4mpegpipe,mjpeg,rm,wtv,vc1,dirac,"
    "wav,mp3,aac,flac,ac3,eac3,aiff,caf,amr"  # sound alone is opened to be refused with its own reason
)
_PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"v=0", b"[playlist]", b"RTSPtext")
_READ_ERRORS_IN_A_ROW = 32
_MICROSECOND = Fraction(1, 1_000_000)
_FASTEST = 1000  # frames a second; a higher stated rate is damage

_EBML = b"\x1a\x45\xdf\xa3"
_MATROSKA_SEGMENT = b"\x18\x53\x80\x67"
_GIF_TRAILER = b";"
_MP4_FIRST = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def open_container(path: Path) -> InputContainer:
    """Open a media file by its content."""
    try:
        container = av.open(
            # Absolute, so that FFmpeg cannot take a name such as "concat:a|b" for a protocol.
            str(path.absolute()),
            options={
                "format_whitelist": _FORMATS,
                "protocol_whitelist": "file",
                "max_pixels": str(limits().pixels),
            },
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    try:
        source.check_streams(str(path), len(container.streams))
    except SourceError:
        container.close()
        raise
    # Left on, FFmpeg invents wrong presentation times for files that have none, such as H.264 in AVI.
    generate_times: Any = ContainerFlags.gen_pts.value
    container.flags &= ~generate_times
    return container


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """Choose the video stream to read, set up to decode all that it can."""
    pictures = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not pictures:
        has_sound = bool(container.streams.audio)
        raise SourceError(
            f"{path}: it is sound only" if has_sound else f"{path}: it has no video stream",
            why=f"it holds no pictures, or only cover art ({container.format.name})",
            fix="give a file with moving pictures",
        )
    best = container.streams.best("video")
    stream = next((s for s in pictures if best is not None and s.index == best.index), pictures[0])
    if stream.codec_context is None:
        raise SourceError(
            f"{path}: its video codec is not supported",
            why="this build of FFmpeg has no decoder for it",
            fix="convert it to H.264 mp4 first",
        )
    context = stream.codec_context
    source.check_pixels(str(path), height=context.height, width=context.width)
    # FFmpeg leaves the size at zero where the codec refused it as above max_pixels while probing.
    if context.width <= 0 or context.height <= 0:
        raise SourceError(
            f"{path}: the size of its frames is unknown",
            why=f"the header is damaged, or a frame has more than {limits().pixels} pixels",
            fix=f"convert it again from the original, in smaller frames; or {raising('pixels')}",
        )
    context.options = {"max_pixels": str(limits().pixels)}
    context.thread_type = ThreadType.AUTO
    # Damaged pictures come out, marked, instead of vanishing.
    context.flags |= Flags.output_corrupt.value
    return stream


def packets_of(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the packets of these streams that are not empty (as the one at the end is), going on after read errors."""
    failures = 0
    while failures < _READ_ERRORS_IN_A_ROW:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    failures = 0
                    yield packet
        except av.FFmpegError:
            failures += 1
        except IndexError:
            # PyAV trips at the end of a file in which FFmpeg met further streams while reading, as in damaged MPEG-TS.
            return
        else:
            return


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
        seeking: Their times; None where the container has none or repeats them.
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
            source.check_frames(container.name, len(pts) + 1)
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


def is_cut(path: Path) -> bool:
    """Return True if the file ends before the size that its container (MP4, MOV, Matroska, AVI, GIF) states, if any."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(12)
        if start[4:8] in _MP4_FIRST:
            return any(end > size for _, end in _mp4_boxes(file, size))
        if start[:4] == _EBML:
            return _matroska_end(file) > size
        if start[:4] == b"RIFF":
            return int.from_bytes(start[4:8], "little") + 8 > size
        if start[:4] == b"GIF8":
            file.seek(max(0, size - 16))
            return not file.read().rstrip(b"\x00").endswith(_GIF_TRAILER)
    return False


def _mp4_boxes(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int]]:
    """Yield (type, end offset) of each top-level box (ISO/IEC 14496-12, 4.2)."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if not kind.isalnum():
            return  # padding or rubbish after the last box
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at
        if length < 8:
            return
        at += length
        yield kind, at


def _matroska_end(file: BinaryIO) -> int:
    """Return the offset at which the segment ends, 0 where it has no stated size (RFC 8794, RFC 9559)."""
    file.seek(4)
    head_size = _variable_int(file)
    if head_size is None:
        return 0
    file.seek(head_size, os.SEEK_CUR)
    if file.read(4) != _MATROSKA_SEGMENT:
        return 0
    size = _variable_int(file)
    return 0 if size is None else file.tell() + size


def _variable_int(file: BinaryIO) -> int | None:
    """Read an EBML element size; None for "unknown" (all ones) and at the end of the file."""
    first = file.read(1)
    if not first or first[0] == 0:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big") & ((1 << 7 * length) - 1)
    return None if value == (1 << 7 * length) - 1 else value


def _unreadable(path: Path, error: Exception) -> SourceError:
    with path.open("rb") as file:
        head = file.read(512)
        is_mp4 = head[4:8] in _MP4_FIRST
        lacks_index = is_mp4 and all(kind != b"moov" for kind, _ in _mp4_boxes(file, path.stat().st_size))
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_PLAYLISTS) or b"<MPD" in head:
        what = "it is a playlist, not a video"
        why = "playlists are not opened, because they can point to other files and hosts"
        fix = "give the video that it lists"
    elif b"\x00" not in head and _is_text(head):
        what = "it is a text file, whatever its name says"
        why = "no media format begins like this"
        fix = "give a video, an image, or a folder of images"
    elif isinstance(error, EOFError):
        what = "it ends before its first frame"
        why = "there is a header and nothing after it"
        fix = "copy or record it again"
    elif lacks_index:
        what = "it was cut short"
        why = "the mp4 index (moov) is missing: the recording or copy did not finish"
        fix = "copy it again, or repair it with a tool such as untrunc"
    else:
        what = "it cannot be opened as a video or an image"
        why = str(error.args[1] if isinstance(error, av.FFmpegError) and len(error.args) > 1 else error)
        fix = "check that it plays elsewhere; convert it to mp4 if it does"
    return SourceError(f"{path}: {what}", why=why, fix=fix)


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut by the end of the buffer
    return True
