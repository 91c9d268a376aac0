"""Open a video file safely, say what is wrong with one that cannot be, and read its packets."""

from __future__ import annotations

import mmap
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import av
from av.codec.context import Flags, ThreadType
from av.container.core import Flags as ContainerFlags
from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext

from covos.core.device import codec_threads
from covos.core.errors import SourceError
from covos.core.limits import limits, raising
from covos.core.memory import refuse_shortage
from covos.media import source
from covos.media.mp4 import MP4_FIRST, mp4_boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

# Only formats that carry their own pictures. A playlist (ffconcat, HLS, DASH, SDP) would open other files or hosts.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,"
    "nut,mxf,dv,yuv4mpegpipe,mjpeg,rm,wtv,vc1,dirac,"
    "wav,mp3,aac,flac,ac3,eac3,aiff,caf,amr"  # sound alone is opened to be refused with its own reason
)
_PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"v=0", b"[playlist]", b"RTSPtext")
_TEXTS = frozenset((".txt", ".md", ".csv", ".tsv", ".json", ".xml", ".html", ".log", ".yaml", ".toml", ".srt", ".vtt"))
"""Suffixes of files that do not pretend to be anything but text."""
_JPEG = b"\xff\xd8\xff"
_NOT_READ = {
    b"\0\0\0\0\x01\xbc": "a GXF film",
    b"FWS": "a Flash film (SWF)",
    b"CWS": "a Flash film (SWF)",
    b"ZWS": "a Flash film (SWF)",
    b"\0\0\1\0": "an icon (ICO)",
    b"8BPS": "a Photoshop picture (PSD)",
    **dict.fromkeys((b"SDPX", b"XPDS"), "a DPX picture"),
    b"\x80\x2a\x5f\xd7": "a Cineon picture",
    b"v/1\1": "an OpenEXR picture",
    b"%PDF": "a PDF document",  # FFmpeg takes the photographs in it for a film
}
_OF_FILM = frozenset({"a DPX picture", "a Cineon picture"})
FILM_SUFFIXES = frozenset({".cin", ".dpx"})
KEEPING_FILM = "convert it to TIFF or PNG of 16 bits, or to OpenEXR, which keep all its bits"
# The headers of an Ogg recording that is joined to another come as packets, and no decoder takes them for pictures.
_OGG_HEADER = re.compile(rb"OVP80|[\x80-\x82]theora")
_READ_ERRORS_IN_A_ROW = 32
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}
_PLACEHOLDER = 8  # bytes: a header that says that nothing is coded
STRICT = "crccheck+explode"
"""Checks of a decoder that refuses damaged packets, instead of painting over what they lack."""
_NOT_STRICT = frozenset({"tiff"})
"""Codecs of which such a decoder refuses intact packets, too: those of FFmpeg's own encoder."""


def open_container(path: Path) -> InputContainer:
    """Open a media file by its content."""
    try:
        with path.open("rb") as file:
            head = file.read(max(map(len, _NOT_READ)))
    except OSError as error:
        raise unread(path, error) from error
    if name := _name_of_unread(head):
        raise _unread(path, name)
    try:
        container = av.open(
            # Absolute, so that FFmpeg cannot take a name such as "concat:a|b" for a protocol.
            str(path.absolute()),
            # Photographs one after another: FFmpeg takes them for one, if that is the name's suffix.
            format="mjpeg" if head.startswith(_JPEG) else None,
            options={
                "format_whitelist": FORMATS,
                "protocol_whitelist": "file",
                "max_pixels": str(limits().pixels),
            },
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        refuse_shortage(error)
        raise unreadable(path, error) from error
    try:
        _refuse_encrypted(path, container)
        source.check_streams(str(path), len(container.streams))
    except SourceError:
        container.close()
        raise
    # Left on, FFmpeg invents wrong presentation times for files that have none, such as H.264 in AVI.
    generate_times: Any = ContainerFlags.gen_pts.value
    container.flags &= ~generate_times
    return container


def _refuse_encrypted(path: Path, container: InputContainer) -> None:
    """Refuse an mp4 whose samples are encrypted (ISO/IEC 23001-7): without its key, rubbish would come out."""
    if not container.format.name.startswith("mov") or not container.streams.video:
        return
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for kind, start, end in mp4_boxes(content, len(content)):
            stop = min(end, len(content))
            at = content.find(b"encv", start, stop) if kind == b"moov" else -1
            if at >= 0 and content.find(b"schm", at, stop) >= 0:
                raise SourceError(
                    f"{path}: its pictures are encrypted",
                    why="they can be decoded with a key alone, which is not asked for",
                    fix="decrypt it with the program that made it, or export it without protection",
                )


def picture_stream(container: InputContainer, path: Path, *, strict: bool = False) -> VideoStream:
    """Choose the video stream to read, set up to decode all that it can, or to refuse what is damaged."""
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
    judges = strict and context.name not in _NOT_STRICT
    context.options = {"max_pixels": str(limits().pixels), **({"err_detect": STRICT} if judges else {})}
    context.thread_count, context.thread_type = codec_threads(), ThreadType.AUTO
    # Damaged pictures come out, marked, instead of vanishing.
    context.flags |= Flags.output_corrupt.value
    return stream


def size_unknown(path: Path) -> SourceError:
    """Return the error of a file whose header states no size of its frames, and none of whose frames can be decoded.

    FFmpeg gives none if the header is damaged, and if the codec refused it as above ``max_pixels`` while probing.
    """
    return SourceError(
        f"{path}: the size of its frames is unknown, and none can be decoded",
        why=f"its header is damaged; or, less likely, a frame has more than {limits().pixels} pixels",
        fix="copy or export it again; if its frames are that large, in smaller ones, or " + raising("pixels"),
    )


def decoder_of(stream: VideoStream) -> VideoCodecContext:
    """Return the decoder of a stream that `picture_stream` has set up.

    It is the stream's own, unless that would drop the alpha which VP8 and VP9 carry beside the picture.
    """
    own = stream.codec_context
    name = _WITH_ALPHA.get(own.name)
    if name is None or not any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items()):
        return own
    decoder = av.CodecContext.create(name, "r")
    assert isinstance(decoder, VideoCodecContext)
    decoder.options = dict(own.options)
    decoder.flags |= Flags.output_corrupt.value
    return decoder


def packets_of(
    container: InputContainer, *streams: Stream, failed: Callable[[], None] = lambda: None
) -> Iterator[Packet[Any]]:
    """Yield the packets of these streams that are not empty (as the one at the end is), going on after read errors.

    Args:
        container: Fresh.
        streams: Of this container.
        failed: Called at each read error.
    """
    failures, is_ogg = 0, container.format.name == "ogg"
    while failures < _READ_ERRORS_IN_A_ROW:
        try:
            for packet in container.demux(*streams):
                if packet.size:
                    failures = 0
                    if not (is_ogg and _OGG_HEADER.match(memoryview(packet))):
                        yield packet
        except av.FFmpegError as error:
            refuse_shortage(error)
            failures += 1
            failed()
        except IndexError:
            # PyAV trips at the end of a file in which FFmpeg met further streams while reading, as in damaged MPEG-TS.
            return
        else:
            return


def is_shown(packet: Packet[Any], *, codec: str) -> bool:
    """Return True if the packet is meant to give a displayed frame.

    Packets before an mp4 edit list's start, and VP8 reference frames that are never shown, are decoded only. Some
    encoders of MPEG-4 put placeholders where a picture lies in the packet before, or stays as it was.
    """
    if packet.is_discard or (codec == "mpeg4" and packet.size <= _PLACEHOLDER):
        return False
    return codec != "vp8" or bool(memoryview(packet)[0] & 0x10)  # show_frame: RFC 6386, section 9.1


def _name_of_unread(head: bytes) -> str:
    return next((name for magic, name in _NOT_READ.items() if head.startswith(magic)), "")


def _unread(path: Path, name: str) -> SourceError:
    return SourceError(
        f"{path}: it is {name}, which is not read" if name else f"{path}: it is of a kind that is not read",
        why="covos opens only kinds of files whose losses it can find",
        fix=KEEPING_FILM if name in _OF_FILM else "convert it to mp4, or a picture to PNG",
    )


def unread(path: Path, error: OSError) -> SourceError:
    """Return the error of a file that its disk or network does not give."""
    why = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or str(error)
    return SourceError(f"{path} cannot be read", why=why, fix="check the disk or network that it is on")


def unreadable(path: Path, error: Exception) -> SourceError:
    """Return the error of a file that FFmpeg does not open, with the reason that its bytes show."""
    try:
        with path.open("rb") as file:
            head = file.read(512)
            lacks_index = head[4:8] in MP4_FIRST and _lacks_index(file)
    except OSError as gone:
        return unread(path, gone)
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_PLAYLISTS) or b"<MPD" in head:
        what = "it is a playlist, not a video"
        why = "playlists are not opened, because they can point to other files and hosts"
        fix = "give the video that it lists"
    elif b"\x00" not in head and _is_text(head):
        what = "it is a text file" if path.suffix.lower() in _TEXTS else "it is a text file, whatever its name says"
        why = "no media format begins like this"
        fix = "give a video or an image"
    elif isinstance(error, EOFError):
        what = "it ends before its first frame"
        why = "there is a header and nothing after it"
        fix = "copy or record it again"
    elif head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        what = "it is a WebP that was cut short, or is damaged"
        why = "its decoder takes such a file whole or not at all"
        fix = "copy or export it again"
    elif lacks_index:
        what = "it was cut short"
        why = "the mp4 index (moov) is missing: the recording or copy did not finish"
        fix = "copy it again, or repair it with a tool such as untrunc"
    elif (name := _name_of_unread(head)) or isinstance(error, av.ArgumentError):
        return _unread(path, name)
    else:
        what = "it cannot be opened as a video or an image"
        why = str(error.args[1] if isinstance(error, av.FFmpegError) and len(error.args) > 1 else error)
        fix = "check that it plays elsewhere; convert it to mp4 if it does"
    return SourceError(f"{path}: {what}", why=why, fix=fix)


def _lacks_index(file: BinaryIO) -> bool:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(kind != b"moov" for kind, _, _ in mp4_boxes(content, len(content)))


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut by the end of the buffer
    return True
