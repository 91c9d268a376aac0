"""A flash and a click at the same moment stay together, whatever the clock of the file does between them."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from covos.media import clock
from rewritten import rewritten

RATE, SOUND = 25, 48000
SECONDS = 2
FLASH = 25  # frame of each part that is white; the click begins with it
TEN_YEARS = 10 * 365 * 86_400
Piece = Callable[..., Path]


@pytest.fixture
def piece(tmp_path: Path) -> Piece:
    """Write two seconds with a flash and a click, from a start in seconds."""

    def write(name: str, *, start: float = 0.0, bframes: int = 2, stamps: Callable[[int], int] | None = None) -> Path:
        path = tmp_path / name
        options = {"avoid_negative_ts": "disabled"}
        if name.endswith("ts"):
            options |= {"muxdelay": "0", "muxpreload": "0"}
        with av.open(str(path), "w", container_options=options) as container:
            stream = container.add_stream("libx264", rate=RATE, width=64, height=48)
            stream.pix_fmt = "yuv420p"
            stream.codec_context.time_base = Fraction(1, 90_000)
            stream.options = {"g": "12", "bf": str(bframes), "crf": "12"}
            voice = container.add_stream("mp2", rate=SOUND)
            voice.codec_context.time_base = Fraction(1, SOUND)
            tick = 90_000 // RATE
            for index in range(SECONDS * RATE):
                shade = 235 if index == FLASH else 40
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), shade, np.uint8), format="rgb24")
                frame.pts = round(start * 90_000) + (stamps(index) if stamps else index * tick)
                frame.time_base = Fraction(1, 90_000)
                container.mux(stream.encode(frame))
                wave = np.zeros(SOUND // RATE, np.int16)
                if index == FLASH:
                    wave[:] = (np.sin(np.arange(len(wave)) / 6) * 20_000).astype(np.int16)
                both = np.ascontiguousarray(np.stack([wave, wave], 1).reshape(1, -1))
                sound = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
                sound.sample_rate, sound.time_base = SOUND, Fraction(1, SOUND)
                sound.pts = round(start * SOUND) + index * SOUND // RATE
                container.mux(voice.encode(sound))
            for each in (stream, voice):
                container.mux(each.encode(None))
        return path

    return write


def overlay(path: Path, target: Path) -> tuple[list[Fraction], tuple[str, ...]]:
    """Write the pictures of a source with its sound; return their times."""
    done = rewritten(path, target)
    assert done.health.missing == 0, done.health
    return done.times, done.writer.warnings


def moments(path: Path) -> tuple[list[float], list[float]]:
    """Return the seconds at which flashes and clicks begin."""
    flashes, clicks = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.to_ndarray(format="gray").mean() > 150:
                flashes.append(frame.time)
    with av.open(str(path)) as container:
        until = -1.0
        for sound in container.decode(audio=0):
            loud = np.abs(sound.to_ndarray().astype(float)).max(axis=0)
            loud = loud / (32768 if sound.format.name.startswith("s16") else 1)
            hits = np.flatnonzero(loud > 0.2)
            if len(hits) and sound.time + hits[0] / sound.sample_rate > until:
                clicks.append(sound.time + hits[0] / sound.sample_rate)
                until = clicks[-1] + 0.5
    return flashes, clicks


def joined(parts: Sequence[Path], path: Path) -> Path:
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def assert_together(path: Path, *, count: int) -> None:
    flashes, clicks = moments(path)
    assert len(flashes) == len(clicks) == count, (flashes, clicks)
    for flash, click in zip(flashes, clicks, strict=True):
        assert abs(flash - click) <= 1 / RATE, (flashes, clicks)


JOINTS = [
    (10.0, 11.5),  # half a second back
    (10.0, 11.96),  # one frame back
    (10.0, 10.0),  # two seconds back
    (5000.0, 1.0),
    (10.0, 12.0),  # as if it were one
    (10.0, 17.0),  # ahead
    (95443.0, 2.0),  # the clock of 33 bits is at its end
    (10.0, 60_000.0),
]
HAD = pytest.mark.thorough
"""For a case that another one has in it, with pictures out of order or another distance beside it."""


@pytest.mark.parametrize(
    ("first", "second", "bframes"),
    [
        *((*joint, 2) for joint in JOINTS),
        *(pytest.param(*joint, 0, marks=() if joint == (10.0, 11.96) else HAD) for joint in JOINTS),
    ],
)
def test_joined_recordings(piece: Piece, tmp_path: Path, first: float, second: float, bframes: int) -> None:
    parts = [piece(f"{k}.ts", start=start, bframes=bframes) for k, start in enumerate((first, second))]
    target = tmp_path / "overlay.mp4"
    times, warnings = overlay(joined(parts, tmp_path / "both.ts"), target)
    assert len(times) == 2 * SECONDS * RATE
    steps = [b - a for a, b in itertools.pairwise(times)]
    usual = [step for k, step in enumerate(steps) if k != SECONDS * RATE - 1]
    assert all(abs(step - Fraction(1, RATE)) < Fraction(1, 1000) for step in usual)
    assert 0 < steps[SECONDS * RATE - 1] < 10
    assert_together(target, count=2)
    assert not any("damaged" in text for text in warnings)


def test_three_recordings_that_all_begin_at_zero(piece: Piece, tmp_path: Path) -> None:
    parts = [piece(f"{k}.ts") for k in range(3)]
    target = tmp_path / "overlay.mp4"
    times, _ = overlay(joined(parts, tmp_path / "three.ts"), target)
    assert len(times) == 3 * SECONDS * RATE
    assert_together(target, count=3)


def test_a_clock_that_wraps_within_a_recording(piece: Piece, tmp_path: Path) -> None:
    path, target = piece("wrap.ts", start=(1 << 33) / 90_000 - 0.7), tmp_path / "overlay.mp4"
    times, _ = overlay(path, target)
    assert all(abs(b - a - Fraction(1, RATE)) < Fraction(1, 1000) for a, b in itertools.pairwise(times))
    assert_together(target, count=1)


@pytest.mark.parametrize("name", ["far.mkv", "far.mp4", "far.ts", "far.nut"])
@pytest.mark.parametrize("start", [pytest.param(3600.0, marks=HAD), 50_000.0])
def test_a_start_far_from_zero(piece: Piece, tmp_path: Path, name: str, start: float) -> None:
    target = tmp_path / "overlay.mp4"
    times, warnings = overlay(piece(name, start=start), target)
    assert len(times) == SECONDS * RATE
    assert_together(target, count=1)
    assert any("moved to 0" in text for text in warnings) or times[0] < 10


@pytest.mark.parametrize("name", ["early.mkv", "early.mp4"])
def test_a_start_before_zero(piece: Piece, tmp_path: Path, name: str) -> None:
    target = tmp_path / "overlay.mp4"
    times, _ = overlay(piece(name, start=-0.4), target)
    assert len(times) >= SECONDS * RATE - 12
    assert_together(target, count=1)


@pytest.mark.parametrize("name", ["pause.mkv", "pause.mp4"])
def test_ten_years_between_two_frames_are_closed(piece: Piece, tmp_path: Path, name: str) -> None:
    first, second = piece("a.mkv", bframes=0), piece("b.mkv", bframes=0)
    path = tmp_path / name
    gap = 3 * 86_400 if name.endswith("mp4") else TEN_YEARS  # 32 bits of ticks are no more
    with av.open(str(path), "w", container_options={"avoid_negative_ts": "disabled"}) as target:
        lanes = {}
        for number, part in enumerate((first, second)):
            with av.open(str(part)) as source:
                for stream in (*source.streams.video, *source.streams.audio):
                    if number == 0:
                        lanes[stream.type] = target.add_stream_from_template(stream)
                        if name.endswith("mp4"):
                            lanes[stream.type].time_base = Fraction(1, 1000)
                for packet in source.demux():
                    if packet.size:
                        move = round((number * gap) / packet.time_base)
                        packet.pts += move
                        packet.dts = packet.pts
                        packet.stream = lanes[packet.stream.type]
                        target.mux(packet)
    result = tmp_path / "overlay.mp4"
    times, _ = overlay(path, result)
    assert len(times) == 2 * SECONDS * RATE
    assert times[-1] - times[0] < 3 * SECONDS
    assert_together(result, count=2)


def test_times_that_stand_still(piece: Piece, tmp_path: Path) -> None:
    tick = 90_000 // RATE
    path = piece("still.mkv", bframes=0, stamps=lambda index: (index - (index in {10, 30})) * tick)
    target = tmp_path / "overlay.mp4"
    times, _ = overlay(path, target)
    assert len(times) == SECONDS * RATE
    assert all(a < b for a, b in itertools.pairwise(times))
    assert_together(target, count=1)


@pytest.mark.parametrize(
    ("times", "starts", "wrong"),
    [
        ([0, 40, 80, 120], [], set()),
        ([0, 40, 80, 500_000_000, 160, 200], [], {3}),
        ([4000, 4040, 4080, 0, 4160, 4200], [], {3}),
        ([4000, 4040, 4080, 0, 40, 80], [3], set()),
        ([4000, 4040, 4080, 4060, 4100, 4140], [3], set()),
        ([0, 40, 40, 80], [], set()),
        ([0, 40, 9000, 9040], [], set()),
        ([0, 40, 90_000_000, 90_000_040], [2], set()),
    ],
)
def test_a_jump_is_told_from_one_impossible_time(times: list[int], starts: list[int], wrong: set[int]) -> None:
    lane = clock._Lane(base=Fraction(1, 1000), keys=array("q", times))
    assert clock._breaks(lane, step=Fraction(40, 1000), pause=86_400) == (starts, wrong)
