"""Parts of a source: places in words, frames of each part, seeking, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import covos
from covos.core.errors import UsageError
from covos.core.types import Tags
from covos.media import video
from covos.media.inputs import open_input
from covos.media.opening import open_source
from covos.media.presets import PRORES_4444
from covos.media.range import WHOLE, Range, as_range, in_words, place_of
from covos.media.writer import VideoWriter
from stub_model import bright_model

Film = Callable[..., Path]
MS = Fraction(1, 1000)
GROUPS = {"g": "10", "x264-params": "scenecut=0"}


def numbers(path: Path, **what: object) -> list[int]:
    with open_input(path, range=Range(**what)) as part:  # type: ignore[arg-type]
        taken = [frame.number for frame in part]
        assert len(taken) == part.info.frame_count == part.health.decoded
        assert part.health.complete
        return taken


@pytest.mark.parametrize(
    ("what", "taken"),
    [
        ({"start": 0.4, "end": 0.8}, range(10, 20)),
        ({"start": "00:00:00.4", "end": "0:0.8"}, range(10, 20)),
        ({"start": "f10", "end": "f20"}, range(10, 20)),
        ({"start": "f10", "end": ".8"}, range(10, 20)),
        ({"start": 0.399, "end": "0.801"}, range(10, 20)),  # as players round
        ({"start": 0.41}, range(11, 30)),
        ({"end": "f3"}, range(3)),
        ({"every": 7}, range(0, 30, 7)),
        ({"start": "f4", "end": "f11", "every": 3}, range(4, 11, 3)),
        ({"end": 2.0}, range(30)),  # the sound of a clip outlasts its pictures
        ({"start": "f29"}, range(29, 30)),
    ],
)
def test_the_frames_of_a_range(film: Film, what: dict[str, object], taken: range) -> None:
    assert numbers(film(), **what) == list(taken)


def test_places_follow_the_times_of_the_frames_and_not_their_rate(film: Film) -> None:
    late = film("late.mkv", pts=[5000 + 40 * k + 1000 * (k > 10) for k in range(30)], time_base=MS)
    assert numbers(late, start=0.2, end=1.3) == list(range(5, 11))
    assert numbers(late, start=1.4, end=1.6) == list(range(11, 15))


@pytest.mark.parametrize(
    ("what", "why", "said"),
    [
        ({"start": 1.3}, "30 frames, 1.20 seconds", "start 1.3: up to f29"),
        ({"start": "f30"}, "30 frames", "start f30: up to f29"),
        ({"end": 2.3}, "30 frames, 1.20 seconds", "end 2.3: up to f30"),
        ({"end": "f31"}, "30 frames", "end f31: up to f30"),
        ({"start": "f20", "end": 0.5}, "0.5 is not after f20; ", "start f20 and end 0.5"),
        ({"start": 0.405, "end": 0.407}, "no frame begins in between; ", "start 0.405 and end 0.407"),
    ],
)
def test_what_is_not_in_the_clip_is_refused_in_words(film: Film, what: dict[str, object], why: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_input(film(), range=Range(**what))  # type: ignore[arg-type]
    assert why in caught.value.why
    option, _, place = said.partition(": ")
    assert caught.value.what.startswith(option)
    assert place in caught.value.fix
    if place:  # what is offered can be taken
        (name,) = what
        numbers(film(), **{name: place.split()[-1]})


@pytest.mark.parametrize(
    "place",
    ["f", "12,5", "-1", "1:2:3:4", "1:75", "1:60:00", "0:1:60", "f1.5", "", "nan", True, None.__class__, -0.5, "1e9"],
)
def test_what_is_no_place_is_refused_before_anything_is_opened(place: object) -> None:
    for name in ("start", "end"):
        with pytest.raises(UsageError, match=f"^{name} .* is no place in a video"):
            Range(**{name: place})  # type: ignore[arg-type]


def timed(path: Path, timecode: str | None, *, rate: Fraction = Fraction(25)) -> Path:
    """Thirty frames that state this timecode for the first."""
    with VideoWriter(
        path,
        height=48,
        width=64,
        time_base=1 / rate,
        frame_rate=rate,
        preset=PRORES_4444,
        tags=Tags(timecode=timecode),
    ) as writer:
        for index in range(30):
            writer.write(np.zeros((48, 64, 4), np.uint8), pts=index)
    return path


NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("stated", "rate", "what", "taken"),
    [
        (None, Fraction(25), {"start": "00:00:00:10", "end": "00:00:01:00"}, range(10, 25)),
        ("01:00:00:00", Fraction(25), {"start": "01:00:00:10", "end": "01:00:01:00"}, range(10, 25)),
        ("01:00:00:00", Fraction(25), {"start": "01:00:00:10", "end": 0.6, "every": 2}, range(10, 15, 2)),
        ("01:00:00:20", Fraction(25), {"start": "01:00:01:00"}, range(5, 30)),
        # Numbers 0 and 1 of this minute are dropped; people write a colon for a semicolon.
        ("00:00:59;20", NTSC, {"start": "00:01:00;02", "end": "00:01:00;07"}, range(10, 15)),
        ("00:00:59;20", NTSC, {"start": "00:01:00:02"}, range(10, 30)),
        ("00:00:59:20", NTSC, {"start": "00:01:00:02"}, range(12, 30)),
        (None, NTSC, {"start": "00:00:00;02"}, range(2, 30)),
    ],
)
def test_a_timecode_is_a_place(
    tmp_path: Path, stated: str | None, rate: Fraction, what: dict[str, object], taken: range
) -> None:
    assert numbers(timed(tmp_path / "film.mov", stated, rate=rate), **what) == list(taken)


@pytest.mark.parametrize(
    ("rate", "what", "why", "fix"),
    [
        (25, {"start": "00:59:59:24"}, "states the timecode 01:00:00:00", "write 01:00:00:00"),
        (25, {"start": "01:00:00:25"}, "a second has 25 frames", "up to 24"),
        (25, {"end": "01:00:01:06"}, "30 frames, 1.20 seconds; ", "up to f30"),
        (12, {"start": "00:00:00:01"}, "no frame rate that timecodes count", "f300"),
        (12, {"start": "00:00:00;01"}, "no frame rate that timecodes count", "f300"),
        (
            29.56,
            {"start": "00:00:03:00"},
            "timecodes count: 29.56 frames",
            "write f90, which it is at 30 frames a second",
        ),
        (29.83, {"end": "00:01:00:12"}, "timecodes count: 29.83 frames", "write f1812, which"),
        (29.56, {"start": "00:00:03:30"}, "no frame rate that timecodes count", "f300"),
    ],
)
def test_a_timecode_that_no_frame_has_is_refused_in_words(
    tmp_path: Path, rate: float, what: dict[str, object], why: str, fix: str
) -> None:
    path = timed(tmp_path / "film.mov", "01:00:00:00" if rate == 25 else None, rate=Fraction(str(rate)))
    with pytest.raises(UsageError) as caught:
        open_input(path, range=Range(**what))  # type: ignore[arg-type]
    assert why in caught.value.why
    assert fix in caught.value.fix


def test_a_semicolon_needs_a_rate_that_drops_numbers(film: Film) -> None:
    with pytest.raises(UsageError) as caught:
        open_input(film(), range=Range(start="00:00:00;05"))
    assert "no frame rate that drops numbers, as ; says" in caught.value.why


def test_reversed_ranges_are_refused_before_anything_is_opened() -> None:
    for start, end in ((3, 2), ("1:00", 60), ("f5", "f5"), ("01:00:00:05", "01:00:00:04")):
        with pytest.raises(UsageError, match="leave no frame"):
            Range(start=start, end=end)  # type: ignore[arg-type]
    for wrong in (range(5, 2, -1), range(0), range(-3, 2), 5, (1, 2)):
        with pytest.raises(UsageError):
            as_range(wrong)
    assert as_range(range(3, 9, 2)) == Range(start="f3", end="f9", every=2)
    assert as_range(range(9)) == Range(end="f9")
    assert as_range(None) is WHOLE


@given(start=st.integers(0, 20), count=st.integers(1, 20), every=st.integers(1, 5))
def test_the_place_of_a_frame_is_the_way_back_from_its_number(start: int, count: int, every: int) -> None:
    frames = [np.zeros((8, 8, 3), np.uint8)] * (start + count)
    with open_input(frames, range=Range(start=f"f{start}", every=every)) as part:
        taken = [frame.number for frame in part]
        assert [place_of(number, part.info) for number in taken] == list(range(len(taken)))
        assert Range.taken(part.info).frames(open_input(frames)) == range(start, taken[-1] + 1, every)
        for number in {*range(start + count + 2)} - {*taken}:
            with pytest.raises(UsageError, match="is not taken"):
                place_of(number, part.info)


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.ts", "film.avi"])
def test_a_part_is_sought_and_its_frames_are_those_of_the_whole(
    film: Film, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = film(name, options=GROUPS)
    with open_source(path) as source:
        whole = list(source)

    def from_the_beginning(*_: object, **__: object) -> object:
        raise AssertionError("it decodes from the beginning")

    with open_input(path, range=Range(start="f13", end="f27", every=2)) as part:
        if name != "film.avi":  # which states no times of the pictures
            monkeypatch.setattr(video, "decode_file", from_the_beginning)
        for _ in range(2):
            frames = list(part)
            assert [frame.pts for frame in frames] == [whole[frame.number].pts for frame in frames]
            assert all((frame.image == whole[frame.number].image).all() for frame in frames)
        assert part.health.complete
        assert (part.info.frame_rate, in_words(part.info)) == (
            Fraction(25, 2),
            "frames 13 to 25 of the source, one of 2, times from zero",
        )


def test_a_part_of_a_folder_tells_its_own_damage_and_its_own_files(tmp_path: Path) -> None:
    for index in range(6):
        Image.new("RGB", (64, 48), (40 * index, 0, 0)).save(tmp_path / f"{index}.png")
    with open_input(tmp_path, range=Range(start="f1", every=2)) as part:
        known = part.content(), part.content_of_files()
        assert [name for name, _ in part.content_of_files()] == ["1.png", "3.png", "5.png"]
        damaged = tmp_path / "3.png"
        damaged.write_bytes(damaged.read_bytes()[:60])
        assert [(frame.stem, frame.pts, frame.status) for frame in part] == [
            ("1", 1, "ok"),
            ("3", 3, "unreadable"),
            ("5", 5, "ok"),
        ]
        assert part.health.unreadable == (1,)
    (tmp_path / "2.png").unlink()  # nothing of this part
    Image.new("RGB", (64, 48)).save(tmp_path / "3.png")
    Image.new("RGB", (64, 48), (120, 0, 0)).save(tmp_path / "3.png")
    Image.new("RGB", (64, 48), (80, 0, 0)).save(tmp_path / "2.png")
    with open_input(tmp_path, range=Range(start="f1", every=2)) as again:
        assert (again.content(), again.content_of_files()) == known


def test_a_number_that_a_file_bears_is_answered_with_its_frame(tmp_path: Path) -> None:
    for number in range(1001, 1007):
        Image.new("RGB", (16, 12)).save(tmp_path / f"shot.{number}.png")
    for what in {"end": "f1005"}, {"start": "f1005"}:
        with pytest.raises(UsageError, match="frame 1005 is beyond the end") as caught:
            open_input(tmp_path, range=Range(**what))
        assert caught.value.fix == "shot.1005 is frame 4: write f4"
    with pytest.raises(UsageError) as caught:
        open_input(tmp_path, range=Range(end="f1007"))
    assert caught.value.fix == "give a place up to f6, or leave it out"
    result = covos.segment(tmp_path, model=bright_model())
    with pytest.raises(UsageError) as caught:
        result.trim(Range(end="f1003"))
    assert caught.value.fix == "shot.1003 is frame 2: write f2"
