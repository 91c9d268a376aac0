"""Clips of every container, and ways to damage them: shared by the benchmark and the tests."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags, ThreadType
from numpy.typing import NDArray

COUNT = 40
RATE = 25
UNEVEN = tuple(int(at) for at in np.cumsum([0, *([40, 33, 21, 160, 40, 700, 17, 40] * 8)])[:COUNT])
"""Times in milliseconds of a clip with a variable frame rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file: its name's suffix, its codec, and the options of its muxer and encoder."""

    suffix: str
    codec: str
    pixels: str = "yuv420p"
    muxer: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    container: dict[str, str] = field(default_factory=dict)
    uneven: bool = False
    audio: str | None = None
    size: tuple[int, int] = (48, 64)


_X264 = {"g": "8", "x264-params": "scenecut=0", "crf": "12"}
_LONG = {"x264-params": "scenecut=0", "crf": "12"}
_MPEG = {"g": "8", "qscale": "3", "flags": "+qscale", "global_quality": "354"}

KINDS: dict[str, Kind] = {
    "mkv": Kind(suffix="mkv", codec="libx264", options=_X264),
    "mkv, one key frame": Kind(suffix="mkv", codec="libx264", options=_LONG),
    "mkv, live": Kind(suffix="mkv", codec="libx264", options=_X264, container={"live": "1"}),
    "mkv, ffv1": Kind(suffix="mkv", codec="ffv1"),
    "mkv, sound": Kind(suffix="mkv", codec="libx264", options=_X264, audio="aac"),
    "mkv, uneven": Kind(suffix="mkv", codec="libx264", options=_X264, uneven=True),
    "webm": Kind(suffix="webm", codec="libvpx-vp9", options={"g": "8", "crf": "10", "b": "0"}),
    "webm, vp8": Kind(suffix="webm", codec="libvpx", options={"g": "8", "crf": "10", "b": "1M"}),
    "mp4": Kind(suffix="mp4", codec="libx264", options=_X264, container={"movflags": "+faststart"}),
    "mp4, index last": Kind(suffix="mp4", codec="libx264", options=_X264),
    "mp4, sound": Kind(suffix="mp4", codec="libx264", options=_X264, audio="aac"),
    "mp4, hevc": Kind(suffix="mp4", codec="libx265", options={"x265-params": "keyint=8:log-level=none"}),
    "mp4, av1": Kind(suffix="mp4", codec="libsvtav1", options={"g": "8", "svtav1-params": "preset=12"}, size=(64, 64)),
    "mp4, uneven": Kind(suffix="mp4", codec="libx264", options=_X264, uneven=True),
    "mp4, fragments": Kind(
        suffix="mp4", codec="libx264", options=_X264, container={"movflags": "+frag_keyframe+empty_moov"}
    ),
    "mov, prores": Kind(suffix="mov", codec="prores_ks", pixels="yuv422p10le"),
    "mov, png": Kind(suffix="mov", codec="png", pixels="rgb24"),
    "ts": Kind(suffix="ts", codec="libx264", options=_X264),
    "ts, sound": Kind(suffix="ts", codec="libx264", options=_X264, audio="aac"),
    "ts, mpeg2": Kind(suffix="ts", codec="mpeg2video", options=_MPEG),
    "m2ts": Kind(
        suffix="m2ts", codec="libx264", muxer="mpegts", options=_X264, container={"mpegts_m2ts_mode": "1"}, audio="aac"
    ),
    "m2ts, mpeg2": Kind(
        suffix="m2ts", codec="mpeg2video", muxer="mpegts", options=_MPEG, container={"mpegts_m2ts_mode": "1"}
    ),
    "mpg": Kind(suffix="mpg", codec="mpeg2video", options=_MPEG),
    "avi": Kind(suffix="avi", codec="mpeg4", options=_MPEG),
    "avi, mjpeg": Kind(suffix="avi", codec="mjpeg", pixels="yuvj420p"),
    "gif": Kind(suffix="gif", codec="gif", pixels="rgb8"),
    "gif, uneven": Kind(suffix="gif", codec="gif", pixels="rgb8", uneven=True),
    "apng": Kind(suffix="apng", codec="apng", pixels="rgb24"),
    "nut": Kind(suffix="nut", codec="mpeg4", options=_MPEG),
    "y4m": Kind(suffix="y4m", codec="wrapped_avframe"),
    "h264": Kind(suffix="h264", codec="libx264", options=_X264),
    "h264, one key frame": Kind(suffix="h264", codec="libx264", options=_LONG),
    "hevc": Kind(suffix="hevc", codec="libx265", options={"x265-params": "keyint=8:log-level=none"}),
    "m2v": Kind(suffix="m2v", codec="mpeg2video", options=_MPEG),
    "wmv": Kind(suffix="wmv", codec="wmv2", options=_MPEG),
    "wmv, uneven": Kind(suffix="wmv", codec="wmv2", options=_MPEG, uneven=True),
    "mxf": Kind(suffix="mxf", codec="mpeg2video", options=_MPEG),
    "flv": Kind(suffix="flv", codec="flv", options=_MPEG),
    "flv, h264": Kind(suffix="flv", codec="libx264", options=_X264),
    "mjpeg": Kind(suffix="mjpeg", codec="mjpeg", pixels="yuvj420p"),
    "ogg": Kind(suffix="ogg", codec="libvpx", options={"g": "8", "b": "1M"}),
    "ivf": Kind(suffix="ivf", codec="libvpx", options={"g": "8", "b": "1M"}),
    "obu": Kind(
        suffix="obu", codec="libsvtav1", muxer="obu", options={"g": "8", "svtav1-params": "preset=12"}, size=(64, 64)
    ),
}


def picture(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Draw a ramp with a little noise, over which a block moves: H x W x 3 uint8."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, index * 6 % 256)], -1).astype(np.int16)
    image += np.random.default_rng(index).integers(-9, 9, image.shape)
    left = index % max(1, width - 8)
    image[height // 4 : height // 2, left : left + 8] = (255, 40, 40)
    return image.clip(0, 255).astype(np.uint8)


def make_clip(kind: Kind, folder: Path, *, count: int = COUNT) -> Path:
    """Write an intact clip of a kind, without what muxers draw at random: damage by a seed is the same damage."""
    # SVT-AV1 makes the thread that opens it a real-time one if root runs it, and so all processes that it starts later.
    with ThreadPoolExecutor(max_workers=1) as own_thread:
        return own_thread.submit(_write, kind, folder / f"clip.{kind.suffix}", count=count).result()


def _write(kind: Kind, path: Path, *, count: int) -> Path:
    muxer = "yuv4mpegpipe" if kind.suffix == "y4m" else kind.muxer
    options = {"fflags": "+bitexact", **kind.container}
    with av.open(str(path), "w", format=muxer, container_options=options) as container:
        height, width = kind.size
        stream: Any = container.add_stream(kind.codec, rate=RATE, options=kind.options, width=width, height=height)
        stream.pix_fmt = kind.pixels
        stream.codec_context.thread_count = 1
        if kind.uneven:
            stream.codec_context.time_base = Fraction(1, 1000)
        voice: Any = container.add_stream(kind.audio, rate=48000) if kind.audio else None
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index, kind.size), format="rgb24").reformat(format=kind.pixels)
            frame.pts = UNEVEN[index] if kind.uneven else index
            frame.time_base = Fraction(1, 1000) if kind.uneven else Fraction(1, RATE)
            container.mux(stream.encode(frame))
            if voice is not None:
                container.mux(voice.encode(_tone(index)))
        for each in (stream, voice) if voice is not None else (stream,):
            container.mux(each.encode(None))
    return path


def _tone(index: int) -> av.AudioFrame:
    samples = 48000 // RATE
    wave = (0.2 * np.sin(np.arange(index * samples, (index + 1) * samples) / 20)).astype(np.float32)
    sound = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    sound.sample_rate, sound.pts, sound.time_base = 48000, index * samples, Fraction(1, 48000)
    return sound


Damage = Callable[[bytes], bytes]


def _hole(at: float, *, share: float = 0.1, fill: str) -> Damage:
    def damaged(data: bytes) -> bytes:
        start, size = int(len(data) * at), int(len(data) * share)
        filling = {"zeros": bytes(size), "noise": random.Random(7).randbytes(size), "nothing": b""}[fill]
        return data[:start] + filling + data[start + size :]

    return damaged


DAMAGES: dict[str, Damage] = {
    "zeros at the beginning": _hole(0.13, fill="zeros"),
    "zeros in the middle": _hole(0.45, fill="zeros"),
    "zeros at the end": _hole(0.85, fill="zeros"),
    "noise in the middle": _hole(0.45, fill="noise"),
    "bytes gone in the middle": _hole(0.45, fill="nothing"),
    "bytes gone at the beginning": _hole(0.13, fill="nothing"),
    "cut at 60 %": lambda data: data[: int(len(data) * 0.6)],
    "last bytes gone": lambda data: data[: len(data) - len(data) // 50 - 3],
}


@dataclass(slots=True)
class Plain:
    """The frames that a plain decoder on one thread gives of a file.

    Attributes:
        opened: False if it cannot open the file.
        count: Frames.
        times: Presentation times that packets state.
        numbers: Numbers of the pictures, by their colour; lossy codecs with few colours do not show them.
    """

    opened: bool = False
    count: int = 0
    times: set[int] = field(default_factory=set)
    numbers: set[int] = field(default_factory=set)


def decodable(path: Path) -> int | None:
    """Count the frames that a plain decoder on one thread gives; None if it cannot open the file."""
    plain = decode_plainly(path)
    return plain.count if plain.opened else None


def decode_plainly(path: Path) -> Plain:
    """Decode a file by a plain decoder on one thread, past all errors."""
    plain = Plain()
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            stream.codec_context.thread_type = ThreadType.NONE
            stream.codec_context.flags |= Flags.output_corrupt.value
            plain.opened = True
            failures = 0
            while failures < 32:
                try:
                    for packet in container.demux(stream):
                        if packet.size:
                            plain.times |= {packet.pts} if packet.pts is not None else set()
                            _decode(stream, packet, plain)
                except IndexError:
                    break
                except av.FFmpegError:
                    failures += 1
                else:
                    break
            _decode(stream, None, plain)
    except (av.FFmpegError, IndexError, ValueError, AttributeError):  # the last: a codec is no longer known
        plain.opened = plain.count > 0
    return plain


def _decode(stream: Any, packet: Any, plain: Plain) -> None:
    try:
        frames = stream.decode(packet)
    except (av.FFmpegError, ValueError):
        return
    for frame in frames:
        plain.count += 1
        blue = frame.to_ndarray(format="rgb24")[-frame.height // 4 :, :, 2]  # below the block that moves
        plain.numbers.add(round(float(blue.mean()) / 6))
