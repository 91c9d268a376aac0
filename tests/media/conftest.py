"""Media made in the test: nothing is read from outside, nothing is larger than it must be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def scene(index: int, size: tuple[int, int] = (48, 64)) -> Image:
    """A ramp over which a red block moves; every corner and every frame looks different."""
    height, width = size
    y, x = np.mgrid[:height, :width]
    image = np.stack([x * 255 // width, y * 255 // height, np.full_like(x, index * 8 % 256)], -1).astype(np.uint8)
    left = (index * 2) % max(1, width - 8)
    image[height // 4 : height // 2, left : left + 8] = (255, 40, 40)
    return image


@pytest.fixture
def draw() -> Callable[..., Image]:
    return scene


@pytest.fixture
def film(tmp_path: Path) -> Callable[..., Path]:
    """Write a video and return its path."""

    def write(
        name: str = "film.mp4",
        *,
        codec: str = "libx264",
        count: int = 30,
        size: tuple[int, int] = (48, 64),
        pix_fmt: str = "yuv420p",
        pts: Sequence[int] | None = None,
        time_base: Fraction = Fraction(1, 25),
        options: dict[str, str] | None = None,
        container_options: dict[str, str] | None = None,
        turn: dict[str, Any] | None = None,
        sound: str | None = None,
        sound_samples: str | None = None,
        sound_start: float = 0.0,
        sound_seconds: float = 1.2,
        prepare: Callable[[Any], None] = lambda stream: None,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", container_options=container_options or {}) as container:
            stream = container.add_stream(codec, rate=25, options=options or {}, width=size[1], height=size[0])
            stream.pix_fmt = pix_fmt
            stream.codec_context.time_base = time_base
            if turn:
                stream.set_display_rotation(**turn)
            prepare(stream)
            voice = container.add_stream(sound, rate=48000) if sound else None
            if sound_samples:
                voice.codec_context.format = sound_samples
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(scene(index, size), format="rgb24")
                frame.pts = index if pts is None else pts[index]
                frame.time_base = time_base
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
            if voice is not None:
                _sing(container, voice, start=sound_start, seconds=sound_seconds)
        return path

    return write


def _sing(container: Any, voice: Any, *, start: float, seconds: float) -> None:
    voice.codec_context.open(strict=False)
    shape = av.AudioResampler(
        format=voice.format, layout=voice.layout, rate=48000, frame_size=voice.codec_context.frame_size or 1024
    )
    time = np.arange(int(seconds * 48000)) / 48000
    wave = (0.3 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    sound = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
    sound.sample_rate, sound.pts, sound.time_base = 48000, round(start * 48000), Fraction(1, 48000)
    for piece in (*shape.resample(sound), *shape.resample(None)):
        container.mux(voice.encode(piece))
    container.mux(voice.encode(None))


@pytest.fixture
def packets() -> Callable[[Path], dict[str, list[Any]]]:
    """The non-empty packets of a file by kind, with their times in seconds: (start, duration, bytes, position)."""

    def read(path: Path) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {"video": [], "audio": []}
        with av.open(str(path)) as container:
            for packet in container.demux(*container.streams.video, *container.streams.audio):
                if packet.size:
                    base = packet.time_base
                    entry = (packet.pts * base, (packet.duration or 0) * base, bytes(packet), packet.pos)
                    found[packet.stream.type].append(entry)
        return found

    return read
