"""The last frame is shown for as long as its source shows it, with all of its sound, in videos and animations."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import covos
from covos.formats.composition import Composition
from covos.media.inputs import open_input
from covos.media.opening import open_source
from covos.media.range import Range
from media.conftest import film  # noqa: F401 - the fixture
from stub_model import bright_model

COUNT, STEP, HELD = 8, 40, 1000
"""Frames, and milliseconds of each, and of the last."""
ALL = (COUNT - 1) * STEP + HELD


@pytest.fixture
def held(tmp_path: Path, film: Callable[..., Path]) -> Callable[[str], Path]:  # noqa: F811
    """Write a clip whose last frame is shown for a second, with sound where its container has any."""

    def write(name: str) -> Path:
        path = tmp_path / name
        if path.suffix in {".gif", ".png", ".webp"}:
            pictures = [Image.fromarray(np.full((48, 64, 3), 20 * place, np.uint8)) for place in range(COUNT)]
            durations = [STEP] * (COUNT - 1) + [HELD]
            pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
            return path
        plain = film(f"plain{path.suffix}", count=COUNT, options={"bf": "0"}, sound="aac", sound_seconds=ALL / 1000)
        with av.open(str(plain)) as source, av.open(str(path), "w") as target:
            copies = {each.index: target.add_stream_from_template(each) for each in source.streams}
            number = 0
            for packet in source.demux():
                if not packet.size:
                    continue
                if packet.stream.type == "video":
                    number += 1
                    if number == COUNT:
                        packet.duration = round(Fraction(HELD, 1000) / packet.time_base)
                packet.stream = copies[packet.stream.index]
                target.mux(packet)
        return path

    return write


def end_of(path: Path) -> tuple[float, float]:
    """Return the seconds at which the last frame ends, and those of sound."""
    with av.open(str(path)) as video:
        stream = video.streams.video[0]
        stated = stream.metadata.get("DURATION")
        frames = list(video.decode(stream))
        end = float((frames[-1].pts + frames[-1].duration) * stream.time_base)
        if stated is not None:  # of Matroska, whose reader gives each frame the length of one by the rate
            hours, minutes, seconds = stated.split(":")
            end = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
        video.seek(0)
        sound = sum(each.samples / each.sample_rate for each in video.decode(audio=0)) if video.streams.audio else 0.0
    return end, sound


@pytest.mark.parametrize("name", ["held.mp4", "held.mov", "held.mkv", "held.gif", "held.png", "held.webp"])
def test_a_source_says_for_how_long_its_last_frame_is_shown(held: Callable[[str], Path], name: str) -> None:
    with open_source(held(name)) as source:
        frames = list(source)
        assert [each.duration for each in frames[:-1]] == [None] * (COUNT - 1)
        assert frames[-1].duration * frames[-1].time_base == pytest.approx(HELD / 1000)
        assert float(source.length) == pytest.approx(ALL / 1000)
        assert source.health.complete


@pytest.mark.parametrize("name", ["held.mp4", "held.mkv", "held.webp"])
@pytest.mark.parametrize("kind", ["overlay", "prores", "ffv1", "webm", "preview=gif"])
def test_what_is_written_holds_its_last_frame(
    held: Callable[[str], Path], tmp_path: Path, name: str, kind: str
) -> None:
    result = covos.segment(held(name), model=bright_model())
    (path,) = result.save(tmp_path / "out", formats=[kind]).outputs
    assert end_of(path)[0] == pytest.approx(ALL / 1000, abs=0.011)


@pytest.mark.parametrize("kind", ["overlay", "prores"])
def test_a_part_to_the_end_has_all_of_its_sound(held: Callable[[str], Path], tmp_path: Path, kind: str) -> None:
    result = covos.segment(held("held.mov"), model=bright_model(), range=Range(start="f2"))
    (path,) = result.save(tmp_path / "out", formats=[kind]).outputs
    end, sound = end_of(path)
    assert end == pytest.approx((ALL - 2 * STEP) / 1000)
    assert sound == pytest.approx((ALL - 2 * STEP) / 1000, abs=0.025)  # AAC has 1024 samples a packet


def test_a_part_ends_where_the_next_frame_begins(film: Callable[..., Path]) -> None:  # noqa: F811
    path = film(count=5, pts=[0, 40, 80, 580, 620], time_base=Fraction(1, 1000), options={"bf": "0"})
    for taken, lasts in [(Range(end="f3"), 500), (Range(end="f2"), 40), (Range(end="f4", every=2), 540)]:
        with open_input(path, range=taken) as part:
            *_, last = part
        assert last.duration * last.time_base * 1000 == lasts


def test_each_nth_frame_lasts_as_long_as_the_others(film: Callable[..., Path]) -> None:  # noqa: F811
    with open_input(film(count=10), range=Range(every=3)) as part:
        *_, last = part
    assert (last.number, last.duration * last.time_base) == (9, Fraction(3, 25))


def test_a_constant_rate_repeats_the_last_frame(held: Callable[[str], Path], tmp_path: Path) -> None:
    result = covos.segment(held("held.mp4"), model=bright_model())
    (path,) = result.save(tmp_path / "out", formats=["overlay"], composition=Composition(constant_rate=25)).outputs
    with av.open(str(path)) as video:
        assert sum(1 for _ in video.decode(video=0)) == ALL // STEP


def test_a_cut_file_does_not_hold_its_last_frame_for_those_that_are_gone(
    film: Callable[..., Path],  # noqa: F811
) -> None:
    path = film("film.mov", count=30, container_options={"movflags": "faststart"}, options={"bf": "0", "g": "5"})
    path.write_bytes(path.read_bytes()[:-500])
    with open_source(path) as source:
        assert [each.duration for each in source] == [None] * source.health.decoded
        assert source.health.cut
