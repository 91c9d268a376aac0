from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from covos.core.errors import UsageError
from covos.core.types import Frame
from covos.media.decoding import Cursor
from covos.media.opening import open_source
from covos.media.source import Source

Film = Callable[..., Path]
Kind = tuple[str, str, str, dict[str, str]]

OPEN_GOP = {"x264-params": "open-gop=1:keyint=8:bframes=3:b-adapt=0"}
PYRAMID = {"g": "6", "bf": "3", "x264-params": "b-pyramid=strict"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=8"}
X265 = {"x265-params": "log-level=none:keyint=8:open-gop=1:bframes=3"}
SOUGHT = [
    ("film.mp4", "libx264", "yuv420p", {"g": "7", "bf": "3"}),
    ("film.mp4", "libx264", "yuv420p", OPEN_GOP),
    ("film.mp4", "libx264", "yuv420p", {"g": "2", "bf": "1"}),
    ("film.mp4", "libx264", "yuv420p", PYRAMID),
    ("film.mkv", "libx264", "yuv420p", {"g": "7", "bf": "3"}),
    ("film.mkv", "libx265", "yuv420p", X265),
    ("film.mkv", "ffv1", "yuv420p", {"g": "1"}),
    ("film.webm", "libvpx-vp9", "yuv420p", {"g": "6"}),
    ("film.ts", "libx264", "yuv420p", {"g": "6"}),
]
DECODED = [
    ("film.mp4", "libx264", "yuv420p", {"g": "250"}),  # one key frame
    ("film.mp4", "libx264", "yuv420p", REFRESH),  # key frames that are not whole
    ("film.gif", "gif", "rgb8", {}),  # key frames that are patches
    ("film.apng", "apng", "rgb24", {}),
    ("film.avi", "libx264", "yuv420p", {"g": "6"}),  # no presentation times
    ("film.mpg", "mpeg2video", "yuv420p", {"g": "5", "bf": "2"}),  # some missing
    ("film.h264", "libx264", "yuv420p", {"g": "6"}),
]


@pytest.fixture
def jumps(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The frames that were successfully jumped to."""
    landed: list[int] = []
    jump = Cursor._jump

    def spy(self: Cursor, key: int) -> bool:
        arrived = jump(self, key)
        if arrived:
            landed.append(key)
        return arrived

    monkeypatch.setattr(Cursor, "_jump", spy)
    return landed


def assert_same(chosen: list[Frame], every: list[Frame], indices: list[int]) -> None:
    assert [f.index for f in chosen] == indices
    for frame in chosen:
        twin = every[frame.index]
        assert (frame.pts, frame.stem, frame.status) == (twin.pts, twin.stem, twin.status)
        np.testing.assert_array_equal(frame.image, twin.image)


def assert_select_agrees(source: Source) -> None:
    every = list(source)
    choices = [[0], [29], [0, 29], [5, 6, 7], [13, 22], list(range(30)), []]
    choices += [sorted(random.Random(seed).sample(range(30), 4)) for seed in range(6)]
    for indices in choices:
        assert_same(list(source.select(indices)), every, indices)


@pytest.mark.parametrize("kind", SOUGHT)
def test_select_seeks_and_gives_what_iteration_gives(film: Film, jumps: list[int], kind: Kind) -> None:
    name, codec, pix_fmt, options = kind
    assert_select_agrees(open_source(film(name, codec=codec, pix_fmt=pix_fmt, options=options)))
    assert jumps


@pytest.mark.parametrize("kind", DECODED)
def test_select_without_usable_key_frames_gives_what_iteration_gives(film: Film, kind: Kind) -> None:
    name, codec, pix_fmt, options = kind
    assert_select_agrees(open_source(film(name, codec=codec, pix_fmt=pix_fmt, options=options)))


def test_select_decodes_on_where_that_is_nearer(film: Film, jumps: list[int]) -> None:
    source = open_source(film(options={"g": "10", "x264-params": "scenecut=0"}))
    list(source.select([2, 8, 13, 19, 20, 28]))
    assert jumps == [10]


def test_select_by_jumping_reads_a_turned_video(film: Film) -> None:
    source = open_source(film(options={"g": "6"}, turn={"degrees": 90}))
    assert_same(list(source.select([14, 25])), list(source), [14, 25])


@pytest.mark.parametrize("indices", [[3, 2], [2, 2], [-1], [30], [0, 99]])
def test_wrong_indices_are_refused(film: Film, indices: list[int]) -> None:
    with pytest.raises(UsageError):
        open_source(film()).select(indices)


def test_select_of_a_damaged_video_keeps_the_indices_of_a_full_pass(film: Film, tmp_path: Path) -> None:
    data = bytearray(film("film.mov", codec="png", pix_fmt="rgb24", options={"pred": "none"}).read_bytes())
    pictures = [k for k in range(len(data)) if data[k : k + 4] == b"\x89PNG"]
    data[pictures[4] : pictures[4] + 30] = bytes(30)
    path = tmp_path / "damaged.mov"
    path.write_bytes(data)
    source = open_source(path)
    every = list(source)
    assert len(every) == 29
    assert_same(list(source.select([2, 4, 20])), every, [2, 4, 20])
    assert [f.index for f in source.select([28, 29])] == [28]
