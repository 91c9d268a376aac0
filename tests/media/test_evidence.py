"""Damage that only one thing in a file tells of."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from covos.core.errors import SourceError
from covos.media.nut import checksum
from covos.media.source import Health
from covos.media.structure import examine
from covos.media.video import VideoSource
from media.test_losses import INPUTS

COUNT = 24
SYNC = bytes.fromhex("4e4be4adeeca4569")
"""Begins each sync point of a NUT file."""


@pytest.fixture
def damaged(tmp_path: Path) -> Callable[..., tuple[list[int], Health]]:
    """Read a clip of a kind whose bytes were changed; return the times of its frames, and what is missing."""

    def look(kind: str, change: Callable[[bytearray], None]) -> tuple[list[int], Health]:
        content = bytearray(INPUTS.make_clip(INPUTS.KINDS[kind], tmp_path, count=COUNT).read_bytes())
        change(content)
        path = tmp_path / f"damaged.{INPUTS.KINDS[kind].suffix}"
        path.write_bytes(content)
        with VideoSource(path, name=str(path)) as source:
            return [frame.pts for frame in source], source.health

    return look


def tags(content: bytes) -> list[tuple[int, int]]:
    """Return where each tag of pictures of an FLV begins and ends."""
    at, found = 13, []
    while at + 15 <= len(content):
        end = at + 15 + int.from_bytes(content[at + 1 : at + 4], "big")
        if content[at] == 9:
            found.append((at, end))
        at = end
    return found


def test_each_break_of_an_flv_is_seen(damaged, tmp_path: Path) -> None:
    def change(content: bytearray) -> None:
        places = tags(content)
        for number in (3, 18):
            content[places[number][0]] = 0x1F  # no kind of tag

    times, health = damaged("flv", change)
    assert len(times) == COUNT - 2
    assert [lost.pts for lost in health.lost] == [120, 720]
    assert len(examine(tmp_path / "damaged.flv").breaks) == 2


def test_the_first_picture_of_an_flv(damaged) -> None:
    def change(content: bytearray) -> None:
        content[tags(content)[0][0]] = 0x1F

    times, health = damaged("flv", change)
    assert times[0] == 40
    assert [lost.pts for lost in health.lost] == [0]


def test_a_time_of_display_that_cannot_be(damaged) -> None:
    # The distance from the time at which it is decoded: 24 bits, of which the lowest value becomes 49 days.
    def change(content: bytearray) -> None:
        at, _ = tags(content)[6]
        content[at + 13 : at + 16] = b"\x80\0\0"

    times, _ = damaged("flv, h264", change)
    assert len(times) == COUNT
    assert max(times) < 2000


def test_the_last_picture_of_a_transport_stream(damaged) -> None:
    def change(content: bytearray) -> None:
        last = max(at for at in range(0, len(content), 188) if content[at + 1] & 0x40 and content[at + 2] == 0)
        content[last + 4 if not content[last + 3] & 0x20 else last + 5 + content[last + 4]] ^= 0xFF  # its start code

    times, health = damaged("ts, mpeg2", change)
    assert len(times) == COUNT - 1
    assert not health.complete


@pytest.mark.parametrize("kind", ["avi", "avi, mjpeg"])
def test_a_number_of_frames_that_cannot_be_floods_nothing(kind: str, damaged) -> None:
    def change(content: bytearray) -> None:
        for name, after in ((b"avih", 24), (b"strh", 40)):
            place = content.find(name) + after
            assert int.from_bytes(content[place : place + 4], "little") == COUNT
            content[place : place + 4] = struct.pack("<I", 1 << 31)
        del content[len(content) * 2 // 3 :]

    times, health = damaged(kind, change)
    assert 8 < len(times) < COUNT
    assert health.missing < COUNT
    assert health.at_least


def test_frames_of_a_nut_that_cannot_begin(damaged, tmp_path: Path) -> None:
    def change(content: bytearray) -> None:
        syncs = [found.start() for found in re.finditer(re.escape(SYNC), content)]
        content[syncs[2] + len(SYNC) + 3] ^= 0xFF  # its checksum is wrong
        del content[syncs[1] - 9 : syncs[1]]  # the end of the frame before

    times, health = damaged("nut", change)
    assert len(times) < COUNT
    assert health.missing == COUNT - len(times)
    assert len(examine(tmp_path / "damaged.nut").breaks) == 2


def test_a_nut_header_of_more_codes_than_bytes(tmp_path: Path) -> None:
    content = bytearray(INPUTS.make_clip(INPUTS.KINDS["nut"], tmp_path, count=COUNT).read_bytes())
    start, end = 34, 34 + content[33]
    content[52] = 0x7F  # the number of codes of the first kind, which is 1
    content[end - 4 : end] = checksum(bytes(content[start : end - 4])).to_bytes(4, "big")
    (tmp_path / "damaged.nut").write_bytes(content)
    assert examine(tmp_path / "damaged.nut").breaks == (0,)


@pytest.mark.parametrize("kind", ["mp4", "mp4, sound", "mov, prores"])
def test_tables_of_samples_that_differ(kind: str, tmp_path: Path) -> None:
    content = bytearray(INPUTS.make_clip(INPUTS.KINDS[kind], tmp_path, count=COUNT).read_bytes())
    path = tmp_path / f"damaged.{INPUTS.KINDS[kind].suffix}"
    path.write_bytes(content)
    assert not examine(path).breaks
    at = content.find(b"stsz", content.find(b"vide")) + 12
    assert int.from_bytes(content[at : at + 4], "big") == COUNT
    content[at : at + 4] = struct.pack(">I", COUNT - 7)
    path.write_bytes(content)
    assert examine(path).frames == COUNT
    with VideoSource(path, name=str(path)) as source:
        frames = sum(1 for _ in source)
        assert frames == COUNT - 7
        assert source.health.missing >= 7


def test_a_size_in_an_apng_that_cannot_be(damaged) -> None:
    """Readers pass over such a picture; only the checksum of its header tells."""

    def change(content: bytearray) -> None:
        content[[found.start() for found in re.finditer(b"fcTL", content)][5] + 8] ^= 1

    times, health = damaged("apng", change)
    assert len(times) + health.missing == COUNT
    assert not health.complete


def hole(at: float, *, share: float) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        start, size = int(len(content) * at), int(len(content) * share)
        content[start : start + size] = bytes(size)

    return change


@pytest.mark.parametrize(("at", "share"), [(0.1, 0.12), (0.3, 0.05)])
def test_bare_av1_goes_on_behind_a_hole(damaged, tmp_path: Path, at: float, share: float) -> None:
    """At its beginning, too, where nothing tells the size in time; the number that is missing is one that can be."""
    times, health = damaged("obu", hole(at, share=share))
    assert 0 < len(times) < COUNT
    assert not health.complete
    assert COUNT - 3 <= len(times) + health.missing <= COUNT
    assert len(examine(tmp_path / "damaged.obu").breaks) == 1


def test_a_damaged_header_is_told_before_a_limit(damaged) -> None:
    with pytest.raises(SourceError) as refused:
        damaged("obu", hole(0.08, share=0.08))
    assert refused.value.why.startswith("its header is damaged; or, less likely, a frame has more than")


def test_bare_av1_ends_in_a_unit(damaged, tmp_path: Path) -> None:
    def change(content: bytearray) -> None:
        del content[-3:]

    times, health = damaged("obu", change)
    assert health.cut
    assert (len(times), health.missing) == (COUNT - 1, 1)


def test_ogg_recordings_that_were_joined_are_whole(tmp_path: Path) -> None:
    """The second has its own headers, and pages that are counted from zero (RFC 3533, section 4)."""
    one = INPUTS.make_clip(INPUTS.KINDS["ogg"], tmp_path, count=COUNT).read_bytes()
    for name, content, whole in (("joined", one + one, True), ("hurt", one[: len(one) // 2] + one, False)):
        path = tmp_path / f"{name}.ogg"
        path.write_bytes(content)
        with VideoSource(path, name=str(path)) as source:
            count, health = len(list(source)), source.health
        assert health.complete == whole, (name, health)
        assert bool(examine(path).breaks) != whole
        assert (count == 2 * COUNT) == whole


def test_the_filling_of_a_lost_avi_header_is_no_frames(tmp_path: Path) -> None:
    """FFmpeg reads on behind it as bare H.264; filling lies before the pictures, which are all there."""
    kind = INPUTS.Kind(suffix="avi", codec="libx264", options={"g": "6", "bf": "0"})
    content = INPUTS.make_clip(kind, tmp_path, count=COUNT).read_bytes()
    assert content.count(b"JUNK")
    path = tmp_path / "headless.avi"
    path.write_bytes(bytes(1024) + content[content.index(b"JUNK") + 8 :])
    with VideoSource(path, name=str(path)) as source:
        assert len(list(source)) == COUNT
        assert source.info.codec == "h264"
        assert source.health.missing == 0
