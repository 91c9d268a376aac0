from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import pytest

from covos.media.opening import open_source
from covos.media.packets import PacketTable
from covos.media.video import Timeline

Film = Callable[..., Path]
MS = Fraction(1, 1000)
UNEVEN = [0, 40, 41, 100, 400, 1000, 1017, 2500]


@pytest.mark.parametrize("name", ["vfr.mp4", "vfr.mkv", "vfr.mov"])
@pytest.mark.parametrize("start", [0, 137, 5000])
def test_variable_times_and_the_start_are_kept(film: Film, name: str, start: int) -> None:
    wanted = [start + t for t in UNEVEN]
    path = film(name, count=8, pts=wanted, time_base=MS)
    frames = list(open_source(path))
    assert [f.pts * f.time_base for f in frames] == [t * MS for t in wanted]


def test_a_tiny_time_base_is_kept(film: Film) -> None:
    base = Fraction(1, 1_000_000)
    path = film(count=6, pts=[33_367 * k for k in range(6)], time_base=base)
    with open_source(path) as source:
        assert [f.pts for f in source] == [33_367 * k for k in range(6)]
    assert source.info.time_base == base


def test_frames_before_an_edit_list_are_neither_shown_nor_expected(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "trimmed.mp4"
    with av.open(str(film())) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts -= 7 * 512
                packet.dts -= 7 * 512
                packet.stream = copy
                target.mux(packet)
    with open_source(path) as trimmed:
        assert [f.pts for f in trimmed] == [512 * k for k in range(23)]
        assert trimmed.info.frame_count == 23
        assert trimmed.health.complete


def test_avi_with_reordered_frames_has_the_times_of_its_packets(film: Film) -> None:
    # AVI has decoding times only; FFmpeg's own guess for presentation times runs back and forth.
    with open_source(film("film.avi", options={"bf": "3"})) as source:
        assert [f.pts for f in source] == list(range(30))
        assert source.health.warnings == ()


def test_a_bare_stream_gets_its_times_from_the_frame_rate(film: Film) -> None:
    with open_source(film("film.h264")) as source:
        assert [f.time for f in source] == [k / 25 for k in range(30)]
        assert any("states no times" in text for text in source.health.warnings)


def test_hidden_reference_frames_of_vp8_are_not_expected(film: Film, tmp_path: Path) -> None:
    path = tmp_path / "hidden.mkv"
    with av.open(str(film("film.webm", codec="libvpx"))) as source, av.open(str(path), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        for index, packet in enumerate(p for p in source.demux(stream) if p.size):
            twins = [(packet.pts, bytes(packet))]
            if index == 10:  # the same, not to be shown
                twins.insert(0, (packet.pts - 1, bytes([bytes(packet)[0] & ~0x10]) + bytes(packet)[1:]))
            for pts, data in twins:
                twin = av.Packet(data)
                twin.stream, twin.time_base = copy, packet.time_base
                twin.pts = twin.dts = pts
                twin.is_keyframe = packet.is_keyframe
                target.mux(twin)
    with open_source(path) as hidden:
        assert len(list(hidden)) == hidden.info.frame_count == 30
        assert hidden.health.complete


def timeline(warnings: list[str], **changes: Any) -> Timeline:
    stated = {"frame_rate": Fraction(25), "first_dts": 0, "has_pts": True} | changes
    return Timeline(PacketTable(count=0, seeking=None, **stated), time_base=MS, warn=warnings.append)


def picture(pts: int | None, dts: int | None = None) -> Any:
    return SimpleNamespace(pts=pts, dts=dts)


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([0, 40, 80], [0, 40, 80]),
        ([-80, -40, 0], [-80, -40, 0]),
        ([0, 40, 40, 80], [0, 40, 41, 80]),
        ([0, 40, 20, 80], [0, 40, 41, 80]),
        ([0, 40, 5000, 5040], [0, 40, 5000, 5040]),
        ([0, 40, None, 120], [0, 40, 80, 120]),
        ([None, 40, None, None], [0, 40, 80, 120]),
    ],
    ids=["plain", "negative", "repeated", "backwards", "gap", "hole", "holes"],
)
def test_times_always_advance(stated: list[int | None], expected: list[int]) -> None:
    warnings: list[str] = []
    clock = timeline(warnings)
    assert [clock.at(picture(pts)) for pts in stated] == expected
    is_plain = None not in stated and stated == expected
    assert bool(warnings) != is_plain


def test_made_up_times_do_not_drift() -> None:
    clock = timeline([], frame_rate=Fraction(30000, 1001), first_dts=None, has_pts=False)
    times = [clock.at(picture(None)) for _ in range(3001)]
    assert times[3000] == 100_100
    assert max(abs(t - k * 1001 / 30) for k, t in enumerate(times)) <= 0.5


def test_decoding_times_are_used_where_there_are_no_others() -> None:
    clock = timeline([], has_pts=False)
    assert [clock.at(picture(None, dts)) for dts in (80, 120, 160, None, None)] == [0, 40, 80, 120, 160]
