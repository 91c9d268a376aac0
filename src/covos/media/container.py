"""Open a video file for reading, safely, and say what is wrong with one that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
from av.codec.context import Flags, ThreadType
from av.container.core import Flags as ContainerFlags
from av.stream import Disposition

from covos.errors import SourceError
from covos.media import limits
from covos.media.integrity import lacks_moov

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

# Only formats that carry their own pictures. A playlist (ffconcat, HLS, DASH, SDP) would open other files or hosts.
_FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mpegts,mpeg,mpegvideo,m4v,h264,hevc,obu,ivf,flv,asf,ogg,"
    "nut,mxf,dv,yuv4mpegpipe,mjpeg,rm,wtv,vc1,dirac,"
    "wav,mp3,aac,flac,ac3,eac3,aiff,caf,amr"  # sound alone is opened to be refused with its own reason
)
_PLAYLISTS = (b"ffconcat", b"#EXTM3U", b"v=0", b"[playlist]", b"RTSPtext")
_READ_ERRORS_IN_A_ROW = 32


def open_container(path: Path) -> InputContainer:
    """Open a media file by its content.

    Raises:
        SourceError: It is not media, is a playlist, or is damaged beyond opening.
    """
    try:
        container = av.open(
            # Absolute, so that FFmpeg cannot take a name such as "concat:a|b" for a protocol.
            str(path.absolute()),
            options={
                "format_whitelist": _FORMATS,
                "protocol_whitelist": "file",
                "max_pixels": str(limits.MAX_PIXELS),
            },
            metadata_errors="replace",
        )
    except (av.FFmpegError, ValueError, OSError) as error:
        raise _unreadable(path, error) from error
    # Left on, FFmpeg invents wrong presentation times for files that have none, such as H.264 in AVI.
    generate_times: Any = ContainerFlags.gen_pts.value
    container.flags &= ~generate_times
    return container


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The video stream to read, set up to decode all that it can.

    Raises:
        SourceError: There is none, its codec is unknown, or its frames are too large.
    """
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
    limits.check_pixels(str(path), height=context.height, width=context.width)
    # FFmpeg leaves the size at zero where the codec refused it as above max_pixels while probing.
    if context.width <= 0 or context.height <= 0:
        raise SourceError(
            f"{path}: the size of its frames is unknown",
            why=f"the header is damaged, or a frame has more than {limits.MAX_PIXELS} pixels",
            fix="convert it again from the original, at most 8192x8192",
        )
    context.options = {"max_pixels": str(limits.MAX_PIXELS)}
    context.thread_type = ThreadType.AUTO
    # Damaged pictures come out, marked, instead of vanishing.
    context.flags |= Flags.output_corrupt.value
    return stream


def packets_of(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """Yield the non-empty packets of these streams, going on after read errors.

    An empty packet would tell the decoder that the stream has ended; the caller ends it itself.
    """
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


def _unreadable(path: Path, error: Exception) -> SourceError:
    with path.open("rb") as file:
        head = file.read(512)
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_PLAYLISTS) or b"<MPD" in head:
        return SourceError(
            f"{path}: it is a playlist, not a video",
            why="playlists are not opened, because they can point to other files and hosts",
            fix="give the video that it lists",
        )
    if b"\x00" not in head and _is_text(head):
        return SourceError(
            f"{path}: it is a text file, whatever its name says",
            why="no media format begins like this",
            fix="give a video, an image, or a folder of images",
        )
    if isinstance(error, EOFError):
        return SourceError(
            f"{path}: it ends before its first frame",
            why="there is a header and nothing after it",
            fix="copy or record it again",
        )
    if lacks_moov(path):
        return SourceError(
            f"{path}: it was cut short",
            why="the mp4 index (moov) is missing: the recording or copy did not finish",
            fix="copy it again, or repair it with a tool such as untrunc",
        )
    return SourceError(
        f"{path}: it cannot be opened as a video or an image",
        why=str(error.args[1] if isinstance(error, av.FFmpegError) and len(error.args) > 1 else error),
        fix="check that it plays elsewhere; convert it to mp4 if it does",
    )


def _is_text(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.start >= len(head) - 3  # a character cut by the end of the buffer
    return True
