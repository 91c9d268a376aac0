"""Mutants of clips of every container, each through the command: what must hold of any video holds of them."""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from children import in_child
from covos.model import Model
from faults import fuzz_media
from faults import picture_mutants as pictures
from faults import stream_invariants as streams
from faults.invariants import STATING, described, look_at
from faults.lanes import lane_of
from faults.media_mutants import (
    CHANGES,
    COUNT,
    INPUTS,
    KINDS,
    PACKETS_GONE,
    PACKETS_GONE_AT_KEY,
    UNSEEN,
    clip_of,
    is_unseen,
    mutant,
    without_packets,
)
from faults.picture_invariants import look_at_pictures

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a fork")
MUTANTS = 1  # of each kind; `make fuzz` tries others by the dozen, every night
# One of each way in which containers keep pictures and their times.
SAMPLE = ("mkv, sound", "webm", "mp4", "mp4, fragments", "mov, png", "ts, sound", "mpg", "avi", "gif", "apng")


@posix
@pytest.mark.parametrize("kind", SAMPLE)
def test_mutants_of_every_container(bright: Model, tmp_path: Path, kind: str) -> None:
    clip = clip_of(kind, tmp_path)
    content, intact = clip.read_bytes(), INPUTS.decode_plainly(clip)
    path = tmp_path / f"mutant.{KINDS[kind].suffix}"
    for number in range(MUTANTS):
        name, data = mutant(content, f"short/{kind}/{number}")
        path.write_bytes(data)
        looked = look_at(path, tmp_path / "out", model=bright, intact=intact)
        assert looked.broken == (), (name, described(looked))
        assert looked.withheld == 0, (name, described(looked))
        assert looked.lost == 0 or is_unseen(kind, name), (name, described(looked))


PICTURES_AND_STREAMS = (
    "folder of png", "folder of jpg", "folder of tiff, jpeg", "still png", "still jpg", "still webp", "still avif",
    "stream of mkv", "stream of ts, sound", "stream of h264", "stream of y4m", "stream of gif",
)  # fmt: skip


@posix
@pytest.mark.parametrize("kind", PICTURES_AND_STREAMS)
def test_mutants_of_pictures_and_streams(bright: Model, tmp_path: Path, kind: str) -> None:
    lane = lane_of(kind, tmp_path, model=bright)
    for number in range(MUTANTS):
        found = lane(f"short/{kind}/{number}")
        looked = found.looked
        assert (looked.broken, looked.withheld, looked.lost) == ((), 0, 0), (found.change, described(looked))


@posix
@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("stream of mpg", "T/stream of mpg/5"),  # a stream of no known codec
        ("stream of gif", "T/stream of gif/0"),  # holes of which no reader tells
        ("stream of gif", "N27/stream of gif/7"),  # times between those of the rate
    ],
)
def test_mutants_that_once_were_lost_as_a_stream(bright: Model, tmp_path: Path, kind: str, seed: str) -> None:
    looked = lane_of(kind, tmp_path, model=bright)(seed).looked
    assert (looked.lost, looked.withheld, looked.broken) == (0, 0, ()), described(looked)


READ = pytest.mark.thorough
"""For kinds whose intact clips `tests/media/test_losses.py` reads whole; the command adds nothing that is of a kind."""


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "as_pipe"),
    [
        *((kind, True) for kind in streams.KINDS),
        *(pytest.param(kind, False, marks=() if kind in SAMPLE else READ) for kind in streams.KINDS),
    ],
)
def test_an_intact_stream(bright: Model, tmp_path: Path, kind: str, as_pipe: bool) -> None:
    clip = clip_of(kind, tmp_path)
    intact = INPUTS.decode_plainly(clip)
    looked = streams.look_at_stream(clip, tmp_path / "out.mkv", model=bright, intact=intact, as_pipe=as_pipe)
    assert (looked.code, looked.frames, looked.broken) == (0, COUNT, ()), described(looked)


@posix
@pytest.mark.slow
@pytest.mark.parametrize("kind", pictures.KINDS)
def test_intact_pictures(bright: Model, tmp_path: Path, kind: str) -> None:
    own, place = pictures.KINDS[kind], tmp_path / "pictures"
    paths = pictures.make_pictures(own, place)
    intact: Any = [pictures.read_plainly(path) for path in paths]
    found = look_at_pictures(
        place, paths, tmp_path / "out", model=bright, intact=intact, gone=set(), checked=own.is_checked
    )
    assert (found.looked.code, found.looked.frames, found.looked.broken, found.unseen) == (0, len(paths), (), 0)


@posix
@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=READ if kind in INPUTS.KINDS and kind not in SAMPLE else ()) for kind in KINDS],
)
def test_an_intact_clip(bright: Model, tmp_path: Path, kind: str) -> None:
    clip = clip_of(kind, tmp_path)
    intact = INPUTS.decode_plainly(clip)
    assert len(intact.times) == COUNT or KINDS[kind].suffix not in STATING
    looked = look_at(clip, tmp_path / "out", model=bright, intact=intact)
    assert (looked.code, looked.frames, looked.broken) == (0, COUNT, ()), described(looked)


@posix
@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("wmv", "A/wmv/1"),  # pieces of pictures do not follow on one another
        ("wmv", "A/wmv/13"),
        ("wmv", "A/wmv/35"),
        ("gif", "A/gif/33"),  # a picture swallows those after it
        ("gif, uneven", "A/gif, uneven/27"),
        ("ts, sound", "A/ts, sound/1"),  # damaged AAC on its way into mp4
        ("ts, sound", "B/ts, sound/52"),  # no whole packet of sound
        ("flv, sound", "B/flv, sound/43"),  # MP3 at a rate that mp4 does not hold
        ("nut", "AUD7/nut/3"),  # one picture, and nothing readable behind it
        ("avi, pcm", "AUD7/avi, pcm/6"),  # a chunk that ends far behind the file
        ("mxf", "AUD7/mxf/5"),  # its times are counted while reading: no gap tells
        ("mp4, hevc", "F15/mp4, hevc/24"),  # the time of one picture lies behind the film
        ("mkv, sound", "F15/mkv, sound/26"),  # too few pictures to tell the usual interval
        ("mp4, hevc", "F16/mp4, hevc/28"),  # times of display that hide most samples
        ("mp4, av1", "F17/mp4, av1/17"),  # a sample of more bytes than the file has
        ("ivf", "F16/ivf/36"),  # a picture that says that it is hidden
        ("avi, mjpeg", "F16/avi, mjpeg/16"),  # two billion frames by its header
        ("flv", "F16/flv/17"),  # a few bytes that belong to no tag
        ("wmv", "F16/wmv/4"),  # the last packet holds several pictures
        ("mkv, mp2", "AUD7/mkv, mp2/0"),  # no packet of pictures is left
    ],
)
def test_mutants_that_once_were_lost_or_ended_the_run(bright: Model, tmp_path: Path, kind: str, seed: str) -> None:
    assert_all_is_told(kind, seed, tmp_path, bright)


@posix
@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        ("ivf", "AUD7/ivf/7"),  # one time is damaged; the header counts the pictures
        ("flv, h264", "AUD7/flv, h264/1"),  # a packet that stands twice
        ("ts, sound", "AUD7/ts, sound/5"),  # cut in the midst of the last sound
        ("mpg", "AUD7/mpg/3"),
        ("mkv, uneven", "F15/mkv, uneven/33"),  # a pause beside damage inside of a packet
        ("mkv, uneven", "F15/mkv, uneven/6"),  # a length that no reader needs
        ("mkv, uneven", "F15/mkv, uneven/9"),
        ("mp4, index last", "F15/mp4, index last/37"),  # one of three tables differs
    ],
)
def test_mutants_that_once_were_false_alarms(bright: Model, tmp_path: Path, kind: str, seed: str) -> None:
    assert_all_is_told(kind, seed, tmp_path, bright)


def assert_all_is_told(kind: str, seed: str, folder: Path, model: Model) -> None:
    clip, path = clip_of(kind, folder), folder / f"mutant.{KINDS[kind].suffix}"
    intact = INPUTS.decode_plainly(clip)
    path.write_bytes(mutant(clip.read_bytes(), seed)[1])
    looked = look_at(path, folder / "out", model=model, intact=intact)
    assert (looked.lost, looked.withheld, looked.alarm, looked.broken) == (0, 0, False, ()), described(looked)


def test_losses_that_may_go_unseen_are_of_kinds_and_changes_that_there_are() -> None:
    for each in UNSEEN:
        assert set(each.kinds) <= KINDS.keys()
        assert set(each.changes) <= CHANGES.keys() | {PACKETS_GONE, PACKETS_GONE_AT_KEY}
    assert is_unseen("hevc", "noise and cut")
    assert not is_unseen("mkv", "cut")


@pytest.mark.parametrize(
    ("counts", "code"),
    [({}, 0), ({"alarms": 1, "unseen": 3}, 0), ({"lost": 1}, 1), ({"withheld": 1}, 1), ({"broken": 1}, 1)],
)
def test_the_long_lane_fails_where_a_frame_was_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], counts: dict[str, int], code: int
) -> None:
    monkeypatch.setattr("sys.argv", ["fuzz_media", "--kind", "apng"])
    monkeypatch.setattr(fuzz_media, "tried", lambda *_, **__: Counter(counts))
    assert fuzz_media.main() == code
    assert ("failed: " in capsys.readouterr().out) == bool(code)


@posix
def test_lost_frames_are_counted(bright: Model, tmp_path: Path) -> None:
    """The checker itself: a file that is whole and short is one that lost frames without a word."""
    looked = look_at(clip_of("mkv", tmp_path), tmp_path / "out", model=bright, intact=INPUTS.Plain(count=COUNT + 3))
    assert looked.lost == 3


@posix
def test_a_child_that_dies_hangs_or_raises_is_told() -> None:
    assert in_child(lambda: [1]).answer == [1]
    assert in_child(os.abort).end == "died"
    assert in_child(lambda: time.sleep(60), seconds=0.2).end == "hung"
    assert in_child(lambda: 1 / 0).end == "raised"


def test_mutants_are_others_and_the_same_for_a_seed() -> None:
    content = bytes(range(256)) * 40
    made = [mutant(content, f"{number}") for number in range(60)]
    assert made == [mutant(content, f"{number}") for number in range(60)]
    assert sum(data != content for _, data in made) > 50
    assert set(itertools.chain.from_iterable(name.split(" and ") for name, _ in made)) == set(CHANGES)


@posix
@pytest.mark.parametrize("kind", ["mkv", "mp4, hevc", "flv, h264", "ts, mpeg2"])
def test_whole_packets_that_are_gone_are_told(bright: Model, tmp_path: Path, kind: str) -> None:
    clip = clip_of(kind, tmp_path)
    intact, path = INPUTS.decode_plainly(clip), tmp_path / f"less.{KINDS[kind].suffix}"
    for number in range(2):
        assert without_packets(clip, path, f"{kind}/{number}") is not None
        looked = look_at(path, tmp_path / "out", model=bright, intact=intact)
        assert (looked.code, looked.lost, looked.broken) == (4, 0, ()), described(looked)
