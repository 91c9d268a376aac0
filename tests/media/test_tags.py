"""Colours, timecode and reel of a video: what is written is tagged as what it is, and read back as it was."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from covos.core.types import Colour, Tags
from covos.media.opening import open_source
from covos.media.presets import FFV1, H264, PRORES_4444, QTRLE, VP9_ALPHA, Preset
from covos.media.tags import at_rate, later
from covos.media.writer import VideoWriter

PRESETS = [H264, VP9_ALPHA, PRORES_4444, QTRLE, FFV1]
HD, NTSC, PAL = (1, 1, 1), (6, 1, 6), (5, 1, 6)
RED = (200, 40, 30)


def tagged(path: Path, primaries: int, transfer: int, matrix: int, *, size: tuple[int, int] = (48, 64)) -> Path:
    """A red video that states these numbers; 2 is unspecified. Its colours are coded by ``matrix``, or by BT.601."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=size[1], height=size[0], pix_fmt="yuv444p")
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = primaries, transfer, matrix
        context.color_range = 1
        frame = av.VideoFrame.from_ndarray(np.full((*size, 3), RED, np.uint8), format="rgb24")
        coded = frame.reformat(format="yuv444p", dst_colorspace=6 if matrix == 2 else matrix, dst_color_range=1)
        for _ in range(2):
            container.mux(stream.encode(coded))
        container.mux(stream.encode(None))
    return path


def found(path: Path) -> tuple[tuple[int, int, int], list[int]]:
    """The numbers that a file states, of its container and its frames alike, and the red that they decode to."""
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        frame = next(container.decode(video=0))
        # qtrle has no place for a matrix in its frames; its pixels are RGB.
        assert (context.color_primaries, context.color_trc) == (frame.color_primaries, frame.color_trc)
        assert context.colorspace == frame.colorspace
        rgb = VideoReformatter().reformat(frame, format="rgb24", src_colorspace=frame.colorspace or None, threads=1)
        return (frame.color_primaries, frame.color_trc, frame.colorspace), rgb.to_ndarray()[24, 32].tolist()


def write(path: Path, preset: Preset, tags: Tags, *, count: int = 2, rate: Fraction = Fraction(25)) -> VideoWriter:
    image = np.full((48, 64, 4 if preset.has_alpha else 3), (*RED, 255)[: 4 if preset.has_alpha else 3], np.uint8)
    with VideoWriter(
        path, height=48, width=64, time_base=1 / rate, frame_rate=rate, preset=preset, tags=tags
    ) as writer:
        for index in range(count):
            writer.write(image, pts=index)
    return writer


@pytest.mark.parametrize("colour", [HD, NTSC, PAL, (9, 1, 1), (12, 13, 1)])
@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.codec)
def test_a_video_states_the_colours_that_it_has(tmp_path: Path, preset: Preset, colour: tuple[int, int, int]) -> None:
    path = tmp_path / f"out{preset.suffix}"
    primaries, transfer, matrix = colour
    write(path, preset, Tags(colour=Colour(primaries=primaries, transfer=transfer, matrix=matrix)))
    stated, red = found(path)
    assert stated[:2] == (primaries, transfer)
    assert stated[2] == (matrix if preset.is_yuv else 0)
    np.testing.assert_allclose(red, RED, atol=3)


@pytest.mark.parametrize(
    ("stated", "size", "colour"),
    [
        ((2, 2, 2), (48, 64), NTSC),
        ((2, 2, 2), (576, 64), PAL),
        ((2, 2, 5), (48, 64), PAL),
        ((1, 1, 1), (48, 64), HD),
        ((6, 6, 6), (48, 64), (6, 6, 6)),
        ((9, 1, 9), (48, 64), (1, 1, 6)),  # brought to BT.709
    ],
)
def test_the_colours_of_a_source_are_those_of_what_is_made_of_it(
    tmp_path: Path, stated: tuple[int, int, int], size: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    with open_source(tagged(tmp_path / "in.mkv", *stated, size=size)) as source:
        found_colour, image = source.info.tags.colour, next(iter(source)).image
    assert found_colour == Colour(primaries=colour[0], transfer=colour[1], matrix=colour[2])
    if stated[0] != 9:
        np.testing.assert_allclose(image[24, 32], RED, atol=2)


def test_pictures_that_state_nothing_are_coded_as_players_take_them(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4", H264, Tags())
    assert found(tmp_path / "out.mp4")[0] == (1, 1, 6)
    image = np.full((720, 1280, 3), RED, np.uint8)
    with VideoWriter(tmp_path / "hd.mp4", height=720, width=1280, time_base=Fraction(1, 25), frame_rate=None) as writer:
        writer.write(image, pts=0)
    stated, red = found(tmp_path / "hd.mp4")
    assert stated == HD
    np.testing.assert_allclose(red, RED, atol=3)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.codec)
def test_timecode_and_reel_are_carried_over(tmp_path: Path, preset: Preset) -> None:
    path = tmp_path / f"out{preset.suffix}"
    write(path, preset, Tags(timecode="01:02:03;04", reel="A001"), rate=Fraction(30000, 1001))
    with open_source(path) as source:
        tags = source.info.tags
        assert len(list(source)) == 2
        assert source.health.warnings == ()
    assert tags.timecode == "01:02:03;04"
    assert tags.reel == (None if preset is H264 else "A001")  # mp4 has no place for it


def test_a_timecode_that_the_frame_rate_does_not_count_is_told(tmp_path: Path) -> None:
    writer = write(tmp_path / "out.mov", PRORES_4444, Tags(timecode="01:02:03:04"), rate=Fraction(12))
    assert "timecode 01:02:03:04 is not kept" in writer.warnings[0]
    assert found(tmp_path / "out.mov")


@pytest.mark.parametrize(
    ("timecode", "frames", "rate", "expected"),
    [
        ("01:00:00:00", 0, 25, "01:00:00:00"),
        ("01:00:00:24", 1, 25, "01:00:01:00"),
        ("23:59:59:23", 1, 24, "00:00:00:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("00:01:00;02", 0, Fraction(30000, 1001), "00:01:00;02"),
    ],
)
def test_a_later_timecode(timecode: str, frames: int, rate: Any, expected: str) -> None:
    assert later(timecode, frames, rate=Fraction(rate)) == expected


@pytest.mark.parametrize(
    ("timecode", "every", "rate", "expected"),
    [
        ("01:00:00:00", 2, 50, "01:00:00:00"),
        ("01:00:59:48", 2, 50, "01:00:59:24"),
        ("01:00:00:096", 4, 100, "01:00:00:024"),
        ("00:01:00;04", 2, Fraction(60000, 1001), "00:01:00;02"),  # the first number that is not dropped, in both
        ("10:00:00:15", 5, Fraction(120000, 1001), "10:00:00:03"),
    ],
)
def test_the_timecode_of_each_nth_frame_is_on_the_same_clock(
    timecode: str, every: int, rate: Any, expected: str
) -> None:
    whole, fewer = Fraction(rate), Fraction(rate) / every
    assert at_rate(timecode, rate=whole, wanted=fewer) == expected
    # Three frames of what is left are as long as their multiple of the whole.
    there = later(timecode, every * 3, rate=whole)
    assert at_rate(there, rate=whole, wanted=fewer) == later(expected, 3, rate=fewer)


@pytest.mark.parametrize(
    ("timecode", "every", "rate", "said"),
    [
        ("01:00:00:00", 2, 25, "timecode does not count 12.5 frames a second"),
        ("01:00:00;00", 5, Fraction(120000, 1001), "timecode with dropped numbers does not count 23.976 frames"),
        ("01:00:00:00", 3, 75, "the source has 75 frames a second, which timecode does not count"),
        ("01:00:00:03", 2, 50, "at 25 frames a second no frame begins at that of 50"),
    ],
)
def test_why_each_nth_frame_has_no_timecode(timecode: str, every: int, rate: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        at_rate(timecode, rate=Fraction(rate), wanted=Fraction(rate) / every)


def in_the_container_alone(path: Path, colour: tuple[int, int, int]) -> Path:
    """A red ProRes whose pictures state nothing; its container states these numbers, by which it is coded."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("prores_ks", rate=25, width=64, height=48, pix_fmt="yuv422p10le")
        context = stream.codec_context
        context.color_primaries, context.color_trc, context.colorspace = colour
        context.color_range = 1
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), RED, np.uint8), format="rgb24")
        coded = frame.reformat(format="yuv422p10le", dst_colorspace=colour[2], dst_color_range=1)
        coded.color_primaries = coded.color_trc = coded.colorspace = 2
        for index in range(6):
            coded.pts = index
            container.mux(stream.encode(coded))
        container.mux(stream.encode(None))
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        assert (first.color_primaries, first.color_trc, first.colorspace) == (2, 2, 2)  # else it shows nothing
    return path


def test_colours_that_the_container_alone_states_are_read(tmp_path: Path) -> None:
    with open_source(in_the_container_alone(tmp_path / "film.mov", HD)) as source:
        assert source.info.tags.colour == Colour(primaries=1, transfer=1, matrix=1)
        for frame in (*source, *source.select([4])):
            np.testing.assert_allclose(frame.image[24, 32], RED, atol=2)


def test_hdr_that_the_container_alone_states_is_known(tmp_path: Path) -> None:
    with open_source(in_the_container_alone(tmp_path / "film.mov", (9, 18, 9))) as source:
        assert source.info.tags.hdr == Colour(primaries=9, transfer=18, matrix=9)


def test_damage_leaves_the_colours_of_the_container(tmp_path: Path) -> None:
    path = in_the_container_alone(tmp_path / "film.mov", HD)
    content = bytearray(path.read_bytes())
    at = content.index(b"icpf", content.index(b"icpf") + 4)
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    with open_source(path) as source:
        frames = list(source)
        assert not source.health.complete
    np.testing.assert_allclose([frames[0].image[24, 32], frames[-1].image[24, 32]], [RED, RED], atol=2)
