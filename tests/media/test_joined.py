"""Recordings that were joined byte by byte: all are read, or it is told that the second is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from covos.media.joined import second_file
from covos.media.opening import open_source
from loaded import damage_inputs

INPUTS: Any = damage_inputs()
COUNT = 8


def twice(name: str, folder: Path) -> tuple[Path, int]:
    clip: Path = INPUTS.make_clip(INPUTS.KINDS[name], folder, count=COUNT)
    content, path = clip.read_bytes(), clip.with_stem("twice")
    path.write_bytes(2 * content)
    return path, len(content)


@pytest.mark.parametrize("name", ["mp4", "mp4, index last", "mov, png", "apng", "nut", "wmv", "flv", "ivf"])
def test_a_second_recording_that_is_not_read_is_told(name: str, tmp_path: Path) -> None:
    path, size = twice(name, tmp_path)
    assert second_file(path) == size
    with open_source(path) as source:
        frames, health = list(source), source.health
    assert len(frames) >= COUNT
    assert health.at_least
    assert not health.complete
    assert any(f"another file begins in it, at byte {size}," in text for text in health.warnings)


@pytest.mark.parametrize("name", ["mkv", "webm", "ts, sound", "mpg", "gif", "h264", "mjpeg", "ogg"])
def test_others_go_on(name: str, tmp_path: Path) -> None:
    path, _ = twice(name, tmp_path)
    assert second_file(path) is None
    with open_source(path) as source:
        assert (len(list(source)), source.health.complete) == (2 * COUNT, True)


def test_fragments_that_are_passed_over_at_a_join_are_counted(tmp_path: Path) -> None:
    path, _ = twice("mp4, fragments", tmp_path)
    with open_source(path) as source:
        frames, health = list(source), source.health
    assert len(frames) + health.missing == 2 * COUNT
    assert health.complete == (len(frames) == 2 * COUNT)


def test_a_photograph_with_a_film_behind_it_is_a_photograph(tmp_path: Path) -> None:
    from PIL import Image

    path = tmp_path / "motion.jpg"
    Image.fromarray(INPUTS.picture(0, (48, 64))).save(path)
    clip = INPUTS.make_clip(INPUTS.KINDS["mp4"], tmp_path, count=COUNT)
    path.write_bytes(path.read_bytes() + clip.read_bytes())
    with open_source(path) as source:
        assert (len(list(source)), source.info.kind, source.health.complete) == (1, "image", True)
