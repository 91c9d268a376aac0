"""Frames at a constant rate: which is shown at each moment, and what the file says of its rate."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import TypeAdapter

from covos.core.errors import UsageError
from covos.media.conform import Conformed, ConstantRate, constant_rate
from covos.media.presets import FFV1_OPAQUE, H264, PRORES_422
from covos.media.tags import at_rate
from covos.media.writer import VideoWriter

MS = Fraction(1, 1000)


def shown(times: list[Fraction], rate: Fraction, *, end: Fraction) -> list[tuple[int, int]]:
    """Return (number of the frame, moment) of what is shown."""
    conformed = Conformed[int](rate)
    pushed = [pair for index, time in enumerate(times) for pair in conformed.push(index, time=time)]
    return [*pushed, *conformed.end(end)]


def of_ms(times: list[int], rate: int, *, end: int) -> list[int]:
    found = shown([each * MS for each in times], Fraction(rate), end=end * MS)
    first = found[0][1]
    assert [moment for _, moment in found] == [*range(first, first + len(found))]  # each moment once
    return [frame for frame, _ in found]


@pytest.mark.parametrize(
    ("times", "rate", "end", "frames"),
    [
        ([0, 40, 80, 120], 25, 160, [0, 1, 2, 3]),  # as it is
        ([0, 38, 83, 119], 25, 160, [0, 1, 2, 3]),  # times that waver change nothing
        ([0, 20, 40, 60, 80, 100], 25, 120, [0, 2, 4]),  # half the rate: each second one, from the first
        ([0, 40, 80], 50, 120, [0, 0, 1, 1, 2, 2]),
        ([0, 40, 200, 240], 25, 280, [0, 1, 1, 1, 1, 2, 3]),  # a pause: the frame before it stays
        ([0, 4, 120, 160], 25, 200, [0, 1, 1, 2, 3]),  # the latest before the pause, not the one shown
        ([0, 1000], 25, 1030, [0] * 25 + [1]),
        ([0, 17, 33, 50, 67, 83, 100, 117, 133, 150, 167, 183], 25, 200, [0, 2, 5, 7, 10]),  # 60 a second: as long
        ([80, 120], 25, 160, [0, 1]),
        ([0], 25, 3, [0]),  # a frame at the least
    ],
)
def test_each_moment_shows_the_frame_that_is_nearest(times: list[int], rate: int, end: int, frames: list[int]) -> None:
    assert of_ms(times, rate, end=end) == frames


@given(
    st.lists(st.integers(1, 500), min_size=1, max_size=40),
    st.sampled_from([Fraction(24), Fraction(30000, 1001), Fraction(50), Fraction(7, 3)]),
)
def test_no_frame_is_shown_more_than_half_a_moment_early(steps: list[int], rate: Fraction) -> None:
    times = [Fraction(int(each), 1000) for each in np.cumsum([0, *steps])]
    found = shown(times, rate, end=times[-1] + Fraction(steps[-1], 1000))
    assert [moment for _, moment in found] == [*range(found[0][1], found[0][1] + len(found))]
    for frame, moment in found:
        now = moment / rate
        assert times[frame] <= now + 1 / (2 * rate)
        # Nothing newer was there, but for what lies in the moment itself.
        newest = max(index for index, time in enumerate(times) if time <= now + 1 / (2 * rate))
        assert frame == newest or abs(times[frame] - now) <= abs(times[newest] - now)


@pytest.mark.parametrize(
    ("given", "rate", "said"),
    [
        ("25", Fraction(25), "25"),
        (25, Fraction(25), "25"),
        (" 29.97 ", Fraction(30000, 1001), "29.97"),
        (29.97, Fraction(30000, 1001), "29.97"),
        ("23.98", Fraction(24000, 1001), "23.976"),
        ("60000/1001", Fraction(60000, 1001), "59.94"),
        (Fraction(30000, 1001), Fraction(30000, 1001), "29.97"),
        ("12.5", Fraction(25, 2), "12.5"),
        ("100/3", Fraction(100, 3), "100/3"),
    ],
)
def test_a_rate_is_written_in_one_way(given: object, rate: Fraction, said: str) -> None:
    assert TypeAdapter(ConstantRate).validate_python(given) == said
    assert constant_rate(said) == rate


@pytest.mark.parametrize("given", ["", "abc", "0", "-25", "25 fps", "1001", "1/0", "1e9", True, 0.5])
def test_what_is_no_rate_is_refused(given: object) -> None:
    with pytest.raises(UsageError, match="no frame rate") as caught:
        TypeAdapter(ConstantRate).validate_python(given)
    assert caught.value.fix == "write 25, 29.97 or 30000/1001"


@pytest.mark.parametrize("preset", [H264, PRORES_422, FFV1_OPAQUE], ids=lambda each: each.label)
@pytest.mark.parametrize(("rate", "count"), [(Fraction(25), 12), (Fraction(30000, 1001), 15)])  # of half a second
def test_a_video_of_uneven_times_has_one_rate(
    tmp_path: Path, draw: Callable[..., NDArray[np.uint8]], preset: Any, rate: Fraction, count: int
) -> None:
    path, times = tmp_path / f"out{preset.suffix}", [0, 33, 66, 180, 190, 420, 460]
    with VideoWriter(
        path, height=48, width=64, time_base=MS, frame_rate=Fraction(14), constant_rate=rate, preset=preset
    ) as writer:
        for index, time in enumerate(times):
            writer.write(draw(4 * index), pts=time)
    assert not writer.notes
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        frames = [*video.decode(stream)]
        assert stream.average_rate == rate
    moments = [round(frame.pts * frame.time_base * rate) for frame in frames]
    assert moments == [*range(len(frames))]
    assert len(frames) == count
    exact = 0 if preset.container != "matroska" else MS / 2  # which counts in thousandths
    assert all(
        abs(frame.pts * frame.time_base - moment / rate) <= exact for frame, moment in zip(frames, moments, strict=True)
    )
    expected = [frame for frame, _ in shown([each * MS for each in times], rate, end=Fraction(1, 2))]
    for frame, index in zip(frames, expected, strict=True):
        off = np.abs(frame.to_ndarray(format="rgb24").astype(int) - draw(4 * index)).mean()
        assert off < 6 < np.abs(draw(4 * index).astype(int) - draw(4 * index + 4)).mean()


def test_uneven_times_are_noted_where_editors_take_them(tmp_path: Path, draw: Callable[..., NDArray[np.uint8]]) -> None:
    with VideoWriter(
        tmp_path / "out.mkv", height=48, width=64, time_base=MS, frame_rate=None, preset=FFV1_OPAQUE
    ) as writer:
        for index, time in enumerate([0, 33, 120]):
            writer.write(draw(index), pts=time)
    assert "varies, from 33 to 87 ms" in writer.notes[0]
    assert "at a constant rate" in writer.notes[0]


@pytest.mark.parametrize(
    ("timecode", "rate", "wanted", "expected"),
    [
        ("01:00:00:04", 50, 25, "01:00:00:02"),
        ("01:00:00:12", 25, 50, "01:00:00:24"),
        ("01:00:00:12", 24, Fraction(24000, 1001), "01:00:00:12"),
        ("01:00:00:00", 24, 25, "01:00:00:00"),
        ("01:00:10;02", Fraction(30000, 1001), Fraction(60000, 1001), "01:00:10;04"),
    ],
)
def test_a_timecode_is_counted_at_another_rate(timecode: str, rate: Any, wanted: Any, expected: str) -> None:
    assert at_rate(timecode, rate=Fraction(rate), wanted=Fraction(wanted)) == expected


@pytest.mark.parametrize(
    ("timecode", "rate", "wanted", "why"),
    [
        ("01:00:00:05", 50, 25, "no frame begins"),
        ("01:00:00:00", 25, Fraction(25, 2), "does not count 12.5"),
        ("01:00:10;00", Fraction(30000, 1001), 25, "dropped numbers does not count 25"),
        ("01:00:00:00", Fraction(2604, 100), 25, "the source has 26.04 frames a second, which timecode does not count"),
        ("01:00:00:00", Fraction(2, 5), 25, "the source has 0.4 frames a second"),
        ("01:00:00;00", 30, Fraction(30000, 1001), "30 frames a second, which timecode with dropped numbers does not"),
    ],
)
def test_a_timecode_that_another_rate_does_not_count_is_lost(timecode: str, rate: Any, wanted: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        at_rate(timecode, rate=Fraction(rate), wanted=Fraction(wanted))
