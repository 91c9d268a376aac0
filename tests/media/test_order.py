"""Pictures of bare streams tell their place in the order of display: what is left out of it is counted."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from pathlib import Path

import av
import pytest

from covos.media.order_gaps import left_out
from covos.media.picture_order import Place, order_reader
from covos.media.source import Health
from covos.media.video import VideoSource
from media.test_losses import INPUTS

COUNT = 24
FILM = 30
"""Pictures of a film of the tests, where none else is asked for."""
X264 = [
    "scenecut=0:keyint=8",
    "bframes=0",
    "open-gop=1:keyint=12",
    "bframes=8:b-pyramid=strict",
    "slices=3",
    "interlaced=1",
]
X265 = ["keyint=8", "open-gop=1:keyint=12:bframes=4", "temporal-layers=1:bframes=3", "slices=2"]
MPEG = [{"g": "8"}, {"bf": "2", "g": "12"}, {"bf": "2", "flags": "+cgop", "sc_threshold": "1000000000"}]
KINDS = {
    **{f"h264 {each}": INPUTS.Kind(suffix="h264", codec="libx264", options={"x264-params": each}) for each in X264},
    **{
        f"hevc {each}": INPUTS.Kind(
            suffix="hevc", codec="libx265", options={"x265-params": f"{each}:log-level=none"}, size=(144, 176)
        )
        for each in X265
    },
    **{f"m2v {each}": INPUTS.Kind(suffix="m2v", codec="mpeg2video", options=each) for each in MPEG},
}
ONES = [name for name in KINDS if name not in {"h264 interlaced=1", "h264 slices=3", "hevc slices=2"}]
"""Kinds of which a picture is one unit."""


def opened(path: Path) -> VideoSource:
    return VideoSource(path, name=path.name)


def read(path: Path) -> tuple[int, Health]:
    with VideoSource(path, name=str(path)) as source:
        return sum(1 for _ in source), source.health


def pictures(content: bytes, codec: str) -> list[tuple[int, int]]:
    """Return where the pictures of a stream begin and end: units that hold one, up to the next start code."""
    found, at = [], content.find(b"\0\0\1")
    while at >= 0:
        end = content.find(b"\0\0\1", at + 3)
        kind = content[at + 3]
        is_one = {"h264": kind & 0x1F in {1, 5}, "hevc": kind >> 1 < 32, "m2v": kind == 0}[codec]
        if is_one and codec == "m2v":
            # The slices of the picture follow its header.
            while end >= 0 and content[end + 3] not in {0x00, 0xB3, 0xB8}:
                end = content.find(b"\0\0\1", end + 3)
        if is_one:
            found.append((at, end if end >= 0 else len(content)))
        at = end
    return found


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_left_out_of_an_intact_stream(name: str, tmp_path: Path) -> None:
    frames, health = read(INPUTS.make_clip(KINDS[name], tmp_path, count=COUNT))
    assert frames == COUNT
    assert health.complete, health


@pytest.mark.parametrize("name", ONES)
def test_pictures_that_are_left_out_are_counted(name: str, tmp_path: Path) -> None:
    content = INPUTS.make_clip(KINDS[name], tmp_path, count=COUNT).read_bytes()
    codec = name.split(maxsplit=1)[0]
    units = pictures(content, codec)
    assert len(units) == COUNT
    first, last = units[9][0], units[10][1]
    path = tmp_path / f"gone.{codec}"
    path.write_bytes(content[:first] + content[last:])
    frames, health = read(path)
    assert frames < COUNT
    assert not health.complete
    assert health.missing >= COUNT - frames
    assert any("at least" in text for text in health.warnings)


def places(*numbers: int | None, step: int = 2, frames: bool = False) -> list[Place | None]:
    return [
        None
        if each is None
        else Place(each == 0, each * step % 64, 64, each if frames else 0, 16 if frames else 1, frames)
        for each in numbers
    ]


@pytest.mark.parametrize(
    ("numbers", "gone"),
    [
        ((0, 4, 2, 1, 3, 8, 6, 5, 7), []),
        ((0, 4, 2, 3, 8, 6, 5, 7), [0]),
        ((0, 1, 2, 5, 6, 7, 0, 1, 2, 3), [2, 2]),
        # Its first picture is gone: the places of a group are there twice.
        ((0, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5), [5]),
        # A picture that does not tell its place, or a wrong one, fills the gap.
        ((0, 1, 2, None, 4, 5), []),
        ((0, 1, 2, 29, 4, 5), []),
        ((0, 1, 2, 2, 4, 5), []),
        # Counted on over the modulus of 64.
        (tuple(range(60)), []),
        ((*range(40), *range(43, 60)), [39, 39, 39]),
        # No step that most have.
        ((0, 1, 3, 8, 10, 17), []),
        ((), []),
        ((None, None), []),
        ((0,), []),
    ],
)
def test_gaps(numbers: tuple[int | None, ...], gone: list[int]) -> None:
    assert left_out(places(*numbers)) == gone


def test_a_frame_that_others_refer_to_and_that_no_gap_shows() -> None:
    # At the end of a group there is none after it in display.
    told = [
        Place(each == 0, place, 64, number, 16, True) for each, (place, number) in enumerate([(0, 0), (2, 1), (4, 2)])
    ]
    told += [Place(False, 6, 64, 4, 16, True), Place(True, 0, 64, 0, 16, True)]
    assert left_out(told) == [3]


@pytest.mark.parametrize("codec", ["h264", "hevc", "mpeg2video"])
def test_rubbish_has_no_place(codec: str) -> None:
    reader = order_reader(codec)
    assert reader is not None
    for content in (
        b"",
        b"\0\0\1",
        b"\0\0\1\x65",
        b"\0\0\1\x67\xff" + b"\0" * 90,
        b"\0\0\1\x42\1" + b"\0" * 40,
        b"\xff" * 99,
    ):
        assert reader.place(content) is None


def test_other_codecs_tell_none() -> None:
    assert order_reader("vp9") is None


def without(path: Path, target: Path, *, gone: Collection[int]) -> Path:
    """Copy the packets of a clip, but for some, with their times."""
    with av.open(str(path)) as container, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(container.streams.video[0])
        for number, packet in enumerate(packet for packet in container.demux(video=0) if packet.size):
            if number not in gone:
                packet.stream = stream
                copy.mux(packet)
    return target


_CODED = {
    "libx264": {"g": "10", "bf": "0"},
    "libx265": {"x265-params": "keyint=10:log-level=none:open-gop=1"},
    "mpeg2video": {"g": "10", "bf": "2"},
}


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov", "flv", "nut", "avi", "ts"])
@pytest.mark.parametrize("codec", _CODED)
@pytest.mark.parametrize("gone", [(13, 14, 15), (14,), (10,)])
def test_packets_that_are_gone_from_a_container(
    film: Callable[..., Path], tmp_path: Path, codec: str, suffix: str, gone: tuple[int, ...]
) -> None:
    if suffix in {"flv", "avi"} and (codec, suffix) not in {("libx264", "flv"), ("mpeg2video", "avi")}:
        pytest.skip("it does not go into this container, or without the times of its pictures")
    whole = film("whole.mkv", codec=codec, options=_CODED[codec])
    with opened(without(whole, tmp_path / f"intact.{suffix}", gone=())) as source:
        assert len(list(source)) == FILM
        assert source.health.complete
    with opened(without(whole, tmp_path / f"less.{suffix}", gone=gone)) as source:
        assert len(list(source)) < FILM
        health = source.health
    assert health.missing >= 1
    assert not health.complete
    assert health.at_least or health.decoded + health.missing >= FILM


def test_pictures_that_are_not_to_be_shown_leave_no_gap(film: Callable[..., Path], tmp_path: Path) -> None:
    whole = film("whole.mp4", options={"g": "10", "bf": "2"})
    content = bytearray(whole.read_bytes())
    at = content.find(b"elst") + 12
    duration, start = struct.unpack_from(">Ii", content, at)
    unit = 512  # of the 12800 a second that the writer counts in
    struct.pack_into(">Ii", content, at, duration - 4 * 40, start + 4 * unit)
    (tmp_path / "later.mp4").write_bytes(content)
    with opened(tmp_path / "later.mp4") as source:
        assert len(list(source)) == FILM - 4
        assert source.health.complete


def test_a_pause_between_pictures_that_follow_each_other_is_none_gone(film: Callable[..., Path]) -> None:
    times = [*range(12), *range(20, 30), *range(31, 70, 3)]
    for name in ("paused.mkv", "paused.mp4"):
        with opened(film(name, count=len(times), pts=times, options={"g": "10", "bf": "2"})) as source:
            assert len(list(source)) == len(times)
            assert source.health.complete
