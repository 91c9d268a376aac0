"""An mp4 whose units of time cannot be hides its frames behind an edit list: they are told to be missing."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from covos.media.video import VideoSource
from covos.media.writer import VideoWriter

Film = Callable[..., Path]


def patched(path: Path, box: bytes, offset: int, value: int) -> Path:
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.find(box) + 4 + offset, value)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("unit", [0, 1, 2**31])
def test_impossible_units_of_time_are_told(film: Film, unit: int) -> None:
    path = patched(film(), b"mdhd", 12, unit)
    with VideoSource(path, name=path.name) as source:
        frames = sum(1 for _ in source)
        assert frames + source.health.missing >= 30
        assert frames == 30 or not source.health.complete


@pytest.mark.parametrize("unit", [1000, 12800, 90000])
def test_slow_and_fast_films_are_intact(film: Film, unit: int) -> None:
    path = patched(film(), b"mdhd", 12, unit)
    patched(path, b"elst", 8, 2**31 - 1)  # as long as it may be: all is shown
    with VideoSource(path, name=path.name) as source:
        assert sum(1 for _ in source) == 30
        assert not source.health.missing


def test_a_frame_that_lasts_for_ever_can_be_written(tmp_path: Path, draw: Callable[..., object]) -> None:
    from fractions import Fraction

    with VideoWriter(
        tmp_path / "out.mp4", height=48, width=64, time_base=Fraction(1, 12800), frame_rate=Fraction(1, 900_000)
    ) as video:
        video.write(draw(0), pts=0)
    assert (tmp_path / "out.mp4").stat().st_size
