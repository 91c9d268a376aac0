"""Bare DV states no length and no times: frames of one size, whose blocks tell their places."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from covos.media.source import Health
from covos.media.structure import examine
from covos.media.video import VideoSource

COUNT = 5
KINDS = {
    "525 lines": (480, "yuv411p", Fraction(30000, 1001), 120_000),
    "625 lines": (576, "yuv420p", Fraction(25), 144_000),
    "DVCPRO50": (576, "yuv422p", Fraction(25), 288_000),
}


def recording(kind: str) -> bytearray:
    height, pixels, rate, size = KINDS[kind]
    encoder: Any = av.CodecContext.create("dvvideo", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 720, height, pixels
    encoder.time_base, encoder.framerate = 1 / rate, rate
    found = bytearray()
    for index in range(COUNT):
        grey = av.VideoFrame.from_ndarray(np.full((height, 720, 3), 40 * index, np.uint8), format="rgb24")
        frame = grey.reformat(format=pixels)
        frame.pts = index
        found += b"".join(bytes(packet) for packet in encoder.encode(frame))
    assert len(found) == COUNT * size
    return found


def read(content: bytearray, folder: Path) -> tuple[int, Health]:
    path = folder / "clip.dv"
    path.write_bytes(content)
    with VideoSource(path, name=str(path), deinterlace="off") as source:
        return sum(1 for _ in source), source.health


@pytest.mark.parametrize("kind", KINDS)
def test_each_size_of_frame(kind: str, tmp_path: Path) -> None:
    content, size = recording(kind), KINDS[kind][-1]
    count, health = read(content, tmp_path)
    assert (count, health.complete, health.at_least) == (COUNT, True, False)
    assert examine(tmp_path / "clip.dv").frames == COUNT
    del content[2 * size + 1000 : 2 * size + 9000]
    count, health = read(content, tmp_path)
    assert not health.complete
    assert health.at_least or count + health.missing >= COUNT
    found = examine(tmp_path / "clip.dv")
    assert (found.cut, found.breaks[0]) == (True, 2 * size)


def test_a_cut_in_the_midst_of_a_frame(tmp_path: Path) -> None:
    count, health = read(recording("625 lines")[: 3 * 144_000 + 100], tmp_path)
    assert (health.complete, health.at_least, health.cut) == (False, True, True)
    assert count + health.missing >= 4


@pytest.mark.parametrize("number", [0, 3])
def test_blocks_that_were_overwritten(number: int, tmp_path: Path) -> None:
    content = recording("625 lines")
    content[number * 144_000 + 4000 : number * 144_000 + 8000] = bytes(4000)
    count, health = read(content, tmp_path)
    assert (count, health.missing, health.complete) == (COUNT, 0, False)
    assert examine(tmp_path / "clip.dv").breaks == (number * 144_000,)


def test_arbitrary_bits_of_blocks_are_no_damage(tmp_path: Path) -> None:
    content = recording("625 lines")
    for at in range(80, len(content), 80):
        if content[at] >> 5:
            content[at] ^= 0x05
    assert read(content, tmp_path)[1].complete


def test_another_file_with_the_mark_of_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "other"
    path.write_bytes(b"\x1f\x07\x00\xbf" * 100_000)
    assert examine(path).frames is None
