"""Pictures as they were coded: read where they are displayed so, and written back where nothing was drawn."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from covos.core.types import Frame, Planes
from covos.engines.encoding import at_source_size
from covos.media.displayed import PictureReader, plane_of
from covos.media.opening import open_source
from covos.media.picture import picture_at
from covos.media.presets import H264
from covos.media.writer import VideoWriter

SIZE = (48, 64)
LOSSLESS = replace(H264, crf=0)


def picture(*, pixels: str = "yuv420p", size: tuple[int, int] = SIZE) -> av.VideoFrame:
    noise = np.random.default_rng(0).integers(30, 220, (6, 8, 3), dtype=np.uint8)
    image = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC)
    return av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=pixels)


def read(made: av.VideoFrame, *, size: tuple[int, int] = SIZE) -> Planes | None:
    return PictureReader("x", size=size[::-1], warn=print).coded(made)


def test_the_planes_are_those_that_were_coded() -> None:
    made = picture()
    planes = read(made)
    assert planes is not None
    assert planes.matrix == 6
    for place, plane in enumerate((planes.luma, planes.blue, planes.red)):
        np.testing.assert_array_equal(plane, plane_of(made, place))


def full_range(made: av.VideoFrame) -> av.VideoFrame:
    made.color_range = 2
    return made


def hdr(made: av.VideoFrame) -> av.VideoFrame:
    made.color_trc = 16
    return made


@pytest.mark.parametrize(
    "made",
    [picture(pixels="yuv444p"), picture(pixels="yuv420p10le"), full_range(picture()), hdr(picture())],
    ids=["444", "10 bits", "full range", "HDR"],
)
def test_what_is_coded_in_another_way_has_none(made: av.VideoFrame) -> None:
    assert read(made) is None


def test_other_sizes_have_none() -> None:
    assert read(picture(), size=(96, 128)) is None
    assert read(picture(size=(47, 64)), size=(47, 64)) is None


@pytest.fixture
def frame(tmp_path: Path) -> Frame:
    with VideoWriter(
        tmp_path / "in.mp4", height=48, width=64, time_base=Fraction(1, 25), frame_rate=Fraction(25)
    ) as writer:
        writer.write(picture().to_ndarray(format="rgb24"), pts=0)
    with open_source(tmp_path / "in.mp4") as source:
        (only,) = source
    return only


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        (made,) = container.decode(video=0)
        return [plane_of(made, place).copy() for place in range(3)]


def written(path: Path, frame: Frame, *, window: tuple[slice, slice] | None, preset=LOSSLESS) -> list[np.ndarray]:
    drawn = frame.image.copy()
    drawn[11:30, 9:41] = (250, 20, 20)
    rate = Fraction(25)
    with VideoWriter(path, height=48, width=64, time_base=1 / rate, frame_rate=rate, preset=preset) as writer:
        if window is None:
            writer.write(drawn, pts=0)
        else:
            assert frame.coded is not None
            writer.write_drawn(drawn[window], coded=frame.coded, window=window, pts=0)
    return decoded(path)


def test_beyond_the_window_the_source_is_written_back(frame: Frame, tmp_path: Path) -> None:
    assert frame.coded is not None
    found = written(tmp_path / "a.mp4", frame, window=(slice(6, 34), slice(4, 46)))
    whole = written(tmp_path / "b.mp4", frame, window=None)
    for place, plane in enumerate((frame.coded.luma, frame.coded.blue, frame.coded.red)):
        by = 2 if place else 1
        drawn = np.s_[12 // by : 28 // by, 10 // by : 40 // by]
        np.testing.assert_array_equal(found[place][drawn], whole[place][drawn])
        outside = np.ones(plane.shape, bool)
        outside[6 // by : 34 // by, 4 // by : 46 // by] = False
        np.testing.assert_array_equal(found[place][outside], plane[outside])


def test_a_frame_in_which_nothing_is_drawn_is_the_source(frame: Frame, tmp_path: Path) -> None:
    assert frame.coded is not None
    found = written(tmp_path / "a.mp4", frame, window=(slice(0, 0), slice(0, 0)))
    for plane, other in zip((frame.coded.luma, frame.coded.blue, frame.coded.red), found, strict=True):
        np.testing.assert_array_equal(other, plane)


def test_a_video_that_codes_otherwise_says_so(frame: Frame, tmp_path: Path) -> None:
    assert frame.coded is not None
    rate = Fraction(25)
    with VideoWriter(tmp_path / "a.mp4", height=48, width=64, time_base=1 / rate, frame_rate=rate) as writer:
        assert writer.codes_like(frame.coded)
        assert not writer.codes_like(replace(frame.coded, matrix=1))
        assert not writer.codes_like(replace(frame.coded, luma=frame.coded.luma[:46]))
        writer.write(frame.image, pts=0)


def test_a_window_has_the_colours_of_the_whole_picture(frame: Frame) -> None:
    assert frame.coded is not None
    for rows, columns in [(slice(0, 48), slice(0, 64)), (slice(6, 34), slice(4, 46)), (slice(40, 48), slice(60, 64))]:
        found, wanted = frame.coded.within((rows, columns)), frame.image[rows, columns]
        assert found.shape == wanted.shape
        # By a quarter of a sample of chroma, which PyAV cannot place.
        assert np.abs(found.astype(int) - wanted).mean() < 4
    assert not frame.coded.within((slice(0, 0), slice(0, 0))).size


def test_a_picture_is_made_when_it_is_looked_at_and_once(frame: Frame) -> None:
    assert frame.later is not None
    assert frame.size == SIZE
    assert frame.image is frame.image
    whole = frame.image.astype(float)
    small = picture_at(frame, (24, 32))
    assert small.shape == (24, 32, 3)
    np.testing.assert_allclose(small, whole.reshape(24, 2, 32, 2, 3).mean(axis=(1, 3)), atol=6)
    assert picture_at(frame, SIZE) is not None
    np.testing.assert_array_equal(picture_at(frame, SIZE), frame.image)
    assert picture_at(frame, (96, 128)).shape == (96, 128, 3)
    assert frame.placed(7, source_index=9).index == 7


def test_a_turned_picture_is_made_smaller_as_it_is_shown() -> None:
    made = picture(size=(48, 64))
    reader = PictureReader("x", size=(64, 48), warn=print)
    later = reader.later(made)
    assert later is not None
    np.testing.assert_array_equal(later.whole, reader.read(made).image)


def test_a_scaled_frame_has_none(frame: Frame) -> None:
    assert at_source_size(replace(frame, source_size=(96, 128))).coded is None
