"""Sound of a part of a clip: cut to the sample at both ends, in step with the pictures."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from covos.media.presets import FFV1, H264, PRORES_4444, VP9_ALPHA, Preset
from covos.media.range import Range
from covos.media.writer import VideoWriter
from rewritten import rewritten

RATE = 48000


@pytest.fixture
def clip(tmp_path: Path) -> Callable[[str, str], Path]:
    """Five seconds with a rising tone: its pitch tells its place."""

    def make(name: str, codec: str) -> Path:
        path = tmp_path / name
        time = np.arange(5 * RATE) / RATE
        wave = (0.5 * np.sin(2 * np.pi * (200 + 100 * time) * time)).astype(np.float32)
        with av.open(str(path), "w") as container:
            stream: Any = container.add_stream("libx264", rate=25, options={"g": "10"}, width=64, height=48)
            stream.pix_fmt = "yuv420p"
            voice: Any = container.add_stream(codec, rate=RATE)
            voice.layout = "stereo"
            voice.codec_context.open(strict=False)
            shape = av.AudioResampler(
                format=voice.format, layout="stereo", rate=RATE, frame_size=voice.codec_context.frame_size or 1000
            )
            sound = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
            pieces = [*shape.resample(sound), *shape.resample(None)]
            for index in range(125):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
                while pieces and pieces[0].pts <= index * RATE / 25:
                    container.mux(voice.encode(pieces.pop(0)))
            container.mux(stream.encode(None))
            for piece in [*pieces, None]:
                container.mux(voice.encode(piece))
        return path

    return make


def written(path: Path, target: Path, preset: Preset, part: Range) -> VideoWriter:
    def picture(image: np.ndarray) -> np.ndarray:
        if not preset.has_alpha:
            return image
        return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])

    return rewritten(path, target, preset=preset, part=part, picture=picture).writer


def heard(path: Path) -> tuple[Fraction, np.ndarray[Any, Any]]:
    """The time of the first sample, and the samples of the left channel."""
    with av.open(str(path)) as container:
        shape = av.AudioResampler(format="fltp", layout="stereo", rate=RATE)
        sounds = list(container.decode(audio=0))
        pieces = [piece.to_ndarray()[0] for sound in sounds for piece in shape.resample(sound)]
        assert sounds[0].pts is not None
        return sounds[0].pts * sounds[0].time_base, np.concatenate(pieces)


def seen(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("source", "codec", "preset"),
    [
        ("film.mp4", "aac", H264),
        ("film.mov", "pcm_s16le", PRORES_4444),
        ("film.mkv", "flac", FFV1),
        ("film.mov", "alac", PRORES_4444),
        ("film.mkv", "libopus", VP9_ALPHA),
        ("film.mkv", "pcm_s16le", H264),
    ],
)
@pytest.mark.parametrize("start", ["f5", "f83"])
def test_sound_is_cut_to_the_sample(
    clip: Callable[[str, str], Path], tmp_path: Path, source: str, codec: str, preset: Preset, start: str
) -> None:
    path, target = clip(source, codec), tmp_path / f"out{preset.suffix}"
    first = int(start[1:])
    writer = written(path, target, preset, Range(start=start, end=f"f{first + 21}"))
    if codec != "pcm_s16le" or preset is PRORES_4444:
        assert writer.warnings == ()
    times = seen(target)
    assert times[0] == 0
    assert len(times) == 21
    begins, samples = heard(target)
    _, whole = heard(path)
    assert begins == 0
    with av.open(str(target)) as container:
        voice = container.streams.audio[0]
        if preset.container in {"mp4", "mov"}:  # where decoders give the last packet whole
            assert voice.duration == 21 * RATE / 25
        else:
            assert len(samples) == 21 * RATE / 25
    # The tone rises, so that it fits in one place alone. Matroska has times in thousandths.
    place, some = first * RATE // 25 + 5000, samples[5000:9000]
    off = min(range(-100, 100), key=lambda by: float(np.abs(some - whole[place + by :][:4000]).mean()))
    assert abs(off) <= (RATE // 1000 if source.endswith("mkv") else 0)
    if codec in {"alac", "flac", "pcm_s16le"} and preset is not H264:
        assert np.abs(samples - whole[first * RATE // 25 + off :][: len(samples)]).max() < 1e-4


def test_times_of_the_source_are_kept_if_asked(clip: Callable[[str, str], Path], tmp_path: Path) -> None:
    path, target = clip("film.mp4", "aac"), tmp_path / "out.mov"
    written(path, target, PRORES_4444, Range(start="f75", end="f100", every=5, times="source"))
    assert seen(target) == [Fraction(index, 25) for index in range(75, 100, 5)]
    begins, samples = heard(target)
    assert begins == 3
    assert len(samples) == RATE
