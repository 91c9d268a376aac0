"""An animated PNG with a hole gives its frames on both sides of it, and tells of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from covos.core.types import Frame
from covos.media.apng import is_torn_apng, read_torn
from covos.media.images import kind_of
from covos.media.opening import open_source
from covos.media.source import Health
from loaded import damage_inputs

INPUTS: Any = damage_inputs()
COUNT = 16
CHUNK = 4096
"""Bytes of a piece of a picture, as the encoder cuts it."""


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    made: Path = INPUTS.make_clip(INPUTS.KINDS["apng"], tmp_path_factory.mktemp("clip"), count=COUNT)
    return made.read_bytes()


def without(content: bytes, start: float, end: float, *, fill: bool = False) -> bytes:
    first, last = int(len(content) * start), int(len(content) * end)
    return content[:first] + bytes(last - first) * fill + content[last:]


def read(path: Path) -> tuple[list[Frame], Health]:
    with open_source(path) as source:
        return list(source), source.health


def numbers(frames: list[Frame]) -> list[int]:
    """Return the number of each frame, told by its time; a picture lasts 40 ms."""
    return [frame.pts // 40 for frame in frames]


@pytest.mark.parametrize("fill", [True, False])
def test_frames_behind_a_hole_come(content: bytes, tmp_path: Path, fill: bool) -> None:
    whole, path = tmp_path / "whole.png", tmp_path / "hole.png"
    whole.write_bytes(content)
    path.write_bytes(without(content, 0.45, 0.55, fill=fill))
    intact, (frames, health) = read(whole)[0], read(path)
    assert (kind_of(whole), kind_of(path)) == ("video", "animated")
    assert numbers(frames) == [0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15]
    assert (health.missing, health.at_least, health.concealed, health.complete) == (1, False, (7,), False)
    assert [lost.pts for lost in health.lost] == [320]
    assert any("1 frame missing of 16, at 0.32 s" in text for text in health.warnings)
    for frame in frames:
        if frame.status == "ok":
            np.testing.assert_array_equal(frame.image, intact[frame.pts // 40].image)


def test_the_first_frame_may_be_gone(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hole.png"
    path.write_bytes(without(content, 0.005, 0.11, fill=True))
    frames, health = read(path)
    assert numbers(frames)[-10:] == list(range(6, 16))
    assert len(frames) + health.missing == COUNT


def test_two_holes(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "holes.png"
    path.write_bytes(without(without(content, 0.6, 0.7), 0.2, 0.3))
    frames, health = read(path)
    assert numbers(frames)[-4:] == [12, 13, 14, 15]
    assert len(frames) >= 12
    assert len(frames) + health.missing == COUNT


def test_without_the_number_of_frames_it_is_a_least(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hole.png"
    at = content.index(b"acTL")
    path.write_bytes(without(content[: at + 6] + b"\7" + content[at + 7 :], 0.45, 0.55))
    frames, health = read(path)
    assert len(frames) == COUNT - 1
    assert health.at_least


def test_a_patch_over_a_lost_frame_is_marked(tmp_path: Path) -> None:
    path, base = tmp_path / "patches.png", Image.fromarray(INPUTS.picture(0, (48, 64)))
    pictures = [base.copy() for _ in range(8)]
    for index, picture in enumerate(pictures):
        noise = np.random.default_rng(index).integers(0, 255, (16, 16, 3), np.uint8)
        picture.paste(Image.fromarray(noise), (4 * index, 8))
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=40)
    content = path.read_bytes()
    heads = [at for at in range(len(content)) if content[at : at + 4] == b"fcTL"]
    path.write_bytes(content[: heads[3] + 60] + content[heads[4] - 40 :])
    frames, health = read(path)
    assert len(frames) + health.missing == 8
    assert numbers(frames)[-1] == 7
    assert len(health.concealed) == len([each for each in numbers(frames) if each >= 3])


@pytest.mark.parametrize("end", [0.3, 0.999])
def test_a_cut_file_is_left_to_its_own_reader(content: bytes, end: float) -> None:
    assert read_torn(content) is None
    assert read_torn(content[: int(len(content) * end)]) is None


def test_sizes_that_no_memory_holds_are_not_believed(content: bytes) -> None:
    import zlib

    head = bytearray(without(content, 0.45, 0.55))
    head[16:24] = b"\x7f\xff\xff\xff" * 2
    head[29:33] = zlib.crc32(bytes(head[12:29])).to_bytes(4, "big")
    assert read_torn(bytes(head)) is None


def test_a_picture_whose_chunks_go_on_is_not_read_whole(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: bytes) -> None:
        raise AssertionError("it was read whole")

    monkeypatch.setattr("covos.media.apng.read_torn", refuse)
    still, whole, torn = tmp_path / "still.png", tmp_path / "whole.png", tmp_path / "torn.png"
    Image.fromarray(INPUTS.picture(0, (48, 64))).save(still)
    whole.write_bytes(content)
    torn.write_bytes(without(content, 0.45, 0.55))
    assert (kind_of(still), kind_of(whole)) == ("still", "video")
    with pytest.raises(AssertionError, match="read whole"):
        kind_of(torn)


@pytest.mark.parametrize("place", range(12))
def test_no_hole_is_passed_over(content: bytes, tmp_path: Path, place: int) -> None:
    path, start = tmp_path / "a.png", place / 12
    for damaged in (without(content, start, start + 0.02, fill=place % 2 == 0), content[: int(len(content) * start)]):
        path.write_bytes(damaged)
        assert is_torn_apng(path) == (damaged.startswith(content[:8]) and read_torn(damaged) is not None)


def test_numbers_that_leap_again_and_again_are_not_believed() -> None:
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    leaps = [(1 << 30) + 10 * index if index % 2 else 9 for index in range(400)]
    frames = [
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 1, 1, 0, 0, 1, 25, 0, 0))
        + chunk(b"fdAT", struct.pack(">I", number + 1) + zlib.compress(bytes(2)))
        for number in (1, 3, 5, 7, *leaps)
    ]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)) + chunk(b"acTL", struct.pack(">II", 404, 0))
    found = read_torn(b"\x89PNG\r\n\x1a\n" + head + bytes(40) + b"".join(frames) + chunk(b"IEND", b""))
    assert found is not None
    assert len(found.kept) == 404
    assert len(found.durations) <= 100_000 + 404
