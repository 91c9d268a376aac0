"""Every container, damaged in every way: what a plain decoder gives comes out, and what does not is told."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from covos.core.errors import SourceError
from covos.media.source import Health
from covos.media.structure import examine
from covos.media.video import VideoSource
from loaded import damage_inputs

INPUTS: Any = damage_inputs()
UNKNOWABLE = {("mjpeg", "bytes gone in the middle"), ("mjpeg", "bytes gone at the beginning")}
"""Bytes that were taken out of a bare stream of photographs may leave one picture of two halves behind."""


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bytes of an intact clip of each kind, made when first asked for."""

    class Made(dict[str, bytes]):
        def __missing__(self, name: str) -> bytes:
            folder = tmp_path_factory.mktemp("clip")
            self[name] = INPUTS.make_clip(INPUTS.KINDS[name], folder).read_bytes()
            return self[name]

    return Made()


def read(path: Path) -> tuple[list[Any], Health]:
    with VideoSource(path, name=str(path)) as source:
        frames = [(frame.index, frame.pts, frame.status) for frame in source]
        return frames, source.health


@pytest.mark.parametrize("name", INPUTS.KINDS)
def test_an_intact_file_is_not_called_damaged(name: str, clips: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"clip.{INPUTS.KINDS[name].suffix}"
    path.write_bytes(clips[name])
    found = examine(path)
    assert (found.cut, found.breaks) == (False, ())
    frames, health = read(path)
    assert len(frames) == INPUTS.COUNT
    assert health.complete, health
    assert (health.lost, health.at_least, health.concealed) == ((), False, ())


def every_second() -> list[Any]:
    """All kinds with all kinds of damage: of a kind every second damage, and of a damage every second kind."""
    return [
        pytest.param(name, damage, marks=pytest.mark.thorough if (row + column) % 2 else ())
        for row, name in enumerate(INPUTS.KINDS)
        for column, damage in enumerate(INPUTS.DAMAGES)
    ]


@pytest.mark.parametrize(("name", "damage"), every_second())
def test_no_frame_is_lost_without_a_word(name: str, damage: str, clips: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"clip.{INPUTS.KINDS[name].suffix}"
    path.write_bytes(INPUTS.DAMAGES[damage](clips[name]))
    decodable = INPUTS.decodable(path)
    try:
        frames, health = read(path)
    except SourceError:
        assert not decodable or decodable < 3
        return
    assert len(frames) >= decodable
    assert [index for index, _, _ in frames] == list(range(len(frames)))
    assert all(before < after for (_, before, _), (_, after, _) in itertools.pairwise(frames))
    assert health.decoded == len(frames)
    assert health.missing == len(health.lost)
    assert [index for index, _, status in frames if status == "concealed"] == list(health.concealed)
    if len(frames) < INPUTS.COUNT and (name, damage) not in UNKNOWABLE:
        assert not health.complete
        assert health.at_least or health.missing >= INPUTS.COUNT - len(frames)
    for lost in health.lost:
        assert -1 <= lost.after < len(frames)
        assert lost.after < 0 or lost.pts > frames[lost.after][1]
    assert health.missing == 0 or any("missing of" in text for text in health.warnings)


def test_the_times_of_lost_frames_are_told(clips: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    path.write_bytes(INPUTS.DAMAGES["zeros in the middle"](clips["mkv, ffv1"]))
    frames, health = read(path)
    stated = [pts for _, pts, _ in frames]
    assert sorted([*stated, *(lost.pts for lost in health.lost)]) == [40 * index for index in range(INPUTS.COUNT)]
    said = f"{health.missing} frames missing of {INPUTS.COUNT}, at {health.lost[0].pts / 1000:.2f} to"
    assert any(text.startswith(said) for text in health.warnings)


@pytest.mark.parametrize("name", ["mkv, uneven", "mp4, uneven", "gif, uneven", "wmv, uneven"])
def test_pauses_of_an_intact_file_are_no_losses(name: str, clips: dict[str, bytes], tmp_path: Path) -> None:
    path = tmp_path / f"clip.{INPUTS.KINDS[name].suffix}"
    path.write_bytes(clips[name])
    frames, health = read(path)
    assert max(b - a for (_, a, _), (_, b, _) in itertools.pairwise(frames)) > 10 * min(
        b - a for (_, a, _), (_, b, _) in itertools.pairwise(frames)
    )
    assert health.complete
