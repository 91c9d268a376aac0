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


def written(path: Path, frame: Frame, *, draw) -> list[np.ndarray]:
    rate = Fraction(25)
    with VideoWriter(path, height=48, width=64, time_base=1 / rate, frame_rate=rate, preset=LOSSLESS) as writer:
        assert frame.coded is not None
        writer.write_drawn(frame.coded, draw=draw, pts=0)
    return decoded(path)


def test_what_is_drawn_is_written_and_the_rest_is_the_source(frame: Frame, tmp_path: Path) -> None:
    assert frame.coded is not None
    planes = [frame.coded.luma.copy(), frame.coded.blue.copy(), frame.coded.red.copy()]

    def draw(on: Planes) -> None:
        on.luma[4:9, 3:20], on.red[6:9, 2:5] = 77, 99

    found = written(tmp_path / "a.mp4", frame, draw=draw)
    for plane, own in zip(planes, (frame.coded.luma, frame.coded.blue, frame.coded.red), strict=True):
        np.testing.assert_array_equal(plane, own)  # it is drawn on a copy
    planes[0][4:9, 3:20], planes[2][6:9, 2:5] = 77, 99
    for plane, other in zip(planes, found, strict=True):
        np.testing.assert_array_equal(other, plane)


def test_a_frame_in_which_nothing_is_drawn_is_the_source(frame: Frame, tmp_path: Path) -> None:
    assert frame.coded is not None
    found = written(tmp_path / "a.mp4", frame, draw=lambda _: None)
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
