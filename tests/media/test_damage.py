from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from covos.core.errors import SourceError
from covos.media import decoding
from covos.media.inputs import open_input
from covos.media.opening import open_source
from covos.media.range import Range
from covos.media.structure import examine

Film = Callable[..., Path]


def cut(path: Path, *, keep: float) -> Path:
    data = path.read_bytes()
    shorter = path.with_name(f"cut{path.suffix}")
    shorter.write_bytes(data[: int(len(data) * keep)])
    return shorter


def flipped(path: Path, *, seed: int, flips: int = 10) -> Path:
    data, chance = bytearray(path.read_bytes()), random.Random(seed)
    for _ in range(flips):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    broken = path.with_name(f"broken{path.suffix}")
    broken.write_bytes(data)
    return broken


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("film.mkv", "libx264", {}),
        ("film.webm", "libvpx-vp9", {}),
        ("film.mp4", "libx264", {"movflags": "+faststart"}),
        ("film.mp4", "libx264", {"movflags": "+frag_keyframe+empty_moov"}),
        ("film.gif", "gif", {}),
    ],
)
def test_a_cut_file_gives_what_is_left_and_says_what_is_not(
    film: Film, name: str, codec: str, options: dict[str, str]
) -> None:
    pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
    whole = film(name, codec=codec, pix_fmt=pix_fmt, container_options=options, options={"g": "6"})
    assert not examine(whole).cut
    with open_source(cut(whole, keep=0.6)) as source:
        frames = list(source)
        health = source.health
    assert 0 < len(frames) < 30
    assert health.decoded == len(frames)
    assert health.cut
    assert not health.complete
    assert any("shorter than its header says" in text for text in health.warnings)


def test_a_cut_matroska_says_how_many_frames_its_header_promised(film: Film) -> None:
    with open_source(cut(film("film.mkv"), keep=0.6)) as source:
        got = len(list(source))
        assert got < 20
        assert source.health.expected == 30
        assert source.health.missing == 30 - got
        said = f"{30 - got} frames missing of 30, at {got / 25:.2f} to 1.16 s: the file is damaged or cut"
        assert said in source.health.warnings


def test_a_cut_mp4_expects_the_frames_of_its_index(film: Film) -> None:
    whole = film(container_options={"movflags": "+faststart"})
    with open_source(cut(whole, keep=0.8)) as source:
        list(source)
        assert source.health.expected == 30
        assert source.info.frame_count < 30


def test_an_abandoned_pass_is_not_taken_for_damage(film: Film) -> None:
    with open_source(film()) as source:
        next(iter(source))
        assert source.health.warnings == ()


@pytest.mark.parametrize("sound_seconds", [0.5, 4.0])
def test_sound_of_another_length_is_not_taken_for_damage(film: Film, sound_seconds: float) -> None:
    for name in ("film.mkv", "film.mp4", "film.ts"):
        with open_source(film(name, sound="aac", sound_seconds=sound_seconds)) as source:
            assert source.info.has_audio
            assert len(list(source)) == 30
            assert source.health.complete, (name, source.health)
            assert source.health.warnings == ()


def test_a_long_last_frame_is_not_taken_for_damage(film: Film) -> None:
    for name in ("film.mkv", "film.mp4"):
        with open_source(film(name, count=4, pts=[0, 3000, 6000, 6040], time_base=Fraction(1, 1000))) as source:
            assert len(list(source)) == 4
            assert source.health.complete


def with_a_damaged_packet(path: Path, number: int) -> Path:
    with av.open(str(path)) as container:
        wanted = [p for p in container.demux(video=0) if p.size][number]
        where, size = path.read_bytes().index(bytes(wanted)), wanted.size
    data = bytearray(path.read_bytes())
    data[where + 4 : where + size] = bytes(255 - b for b in data[where + 4 : where + size])
    path.write_bytes(data)
    return path


def test_damaged_packets_are_counted_and_later_frames_come(film: Film) -> None:
    path = with_a_damaged_packet(film("film.mkv", options={"g": "10", "x264-params": "scenecut=0"}), 12)
    with open_source(path) as source:
        frames = list(source)
        health = source.health
    assert frames[-1].time == pytest.approx(29 / 25)
    assert health.missing + len(health.concealed) > 0
    assert health.decoded + health.missing == 30
    assert [f.index for f in frames if f.status == "concealed"] == list(health.concealed)


@pytest.mark.parametrize("number", [3, 12, 20])
def test_a_part_of_a_damaged_clip_has_the_frames_and_the_damage_of_the_whole(film: Film, number: int) -> None:
    path = with_a_damaged_packet(film("film.mkv", options={"g": "10", "x264-params": "scenecut=0"}), number)
    with open_source(path) as source:
        whole, all_health = list(source), source.health
    assert all_health.warnings
    with open_input(path, range=Range(start="f5")) as part:
        rest, health = list(part), part.health
    assert [(f.stem, f.pts, f.status) for f in rest] == [(f.stem, f.pts, f.status) for f in whole[5:]]
    assert [f.index for f in rest] == list(range(len(rest)))
    if number < 5:
        assert (health.complete, health.undecodable, health.warnings) == (True, 0, ())
        (said,) = all_health.warnings
        assert health.notes == (f"outside of the part that is taken: {said.replace(' of 30', '')}",)
    else:
        assert health.warnings == tuple(said.replace("of 30", "of 25") for said in all_health.warnings)
        assert (health.complete, health.undecodable, health.notes) == (False, all_health.undecodable, ())
    assert health.missing == sum(lost.after >= 4 for lost in all_health.lost)
    assert health.expected == len(rest) + health.missing
    assert health.concealed == tuple(index - 5 for index in all_health.concealed if index >= 5)
    with open_input(path, range=Range(start="f5", end="f17")) as part:
        middle, health = list(part), part.health
    assert [f.pts for f in middle] == [f.pts for f in whole[5:17]]
    assert (health.decoded, health.missing) == (12, sum(4 <= lost.after < 16 for lost in all_health.lost))
    assert health.concealed == tuple(index - 5 for index in all_health.concealed if 5 <= index < 17)
    assert health.complete == (number != 12)


def test_a_part_of_a_cut_clip_says_what_is_missing(film: Film) -> None:
    path = cut(film(container_options={"movflags": "+faststart"}), keep=0.8)
    with open_source(path) as source:
        got, cut_health = len(list(source)), source.health
    assert got < 29
    with open_input(path, range=Range(start="f2")) as part:
        list(part)
        assert (part.health.decoded, part.health.expected, part.health.cut) == (got - 2, 28, True)
        assert part.health.warnings == tuple(said.replace("of 30", "of 28") for said in cut_health.warnings)
    with open_input(path, range=Range(start="f2", end="f5")) as part:
        list(part)
        assert (part.health.decoded, part.health.expected, part.health.cut) == (3, 3, False)
        assert part.health.complete
        assert part.health.warnings == ()
        assert part.health.notes == (f"outside of the part that is taken: {cut_health.warnings[0]}",)
    with open_input(path, range=Range(end="f29")) as part:  # the end is asked for, and is not there
        list(part)
        assert (part.health.decoded, part.health.expected, part.health.cut) == (got, 29, True)
        assert len(part.health.lost) == 29 - got, "one more is missing behind the part"
        assert "outside of the part that is taken: 1 frame missing, at 1.16 s" in part.health.notes[0]


def alone(path: Path) -> int:
    """Frames that a decoder on one thread gives."""
    count = 0
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.output_corrupt.value
        for packet in (*(p for p in container.demux(stream) if p.size), None):
            try:
                count += len(stream.decode(packet))
            except av.FFmpegError:
                continue
    return count


def test_decoding_on_several_threads_loses_nothing_to_damage_near_the_end(film: Film) -> None:
    path = film("film.mkv", options={"g": "10"})
    recovered = 0  # videos of which a single pass on several threads would have lost frames
    for seed in range(40):
        broken = flipped(path, seed=seed)
        try:
            source = open_source(broken)
        except SourceError:
            continue
        frames = list(source)
        assert len(frames) >= alone(broken)
        assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
        recovered += len(frames) > sum(
            1 for _ in decoding._decode_strictly(broken, tally=decoding.Tally()) if _ is not None
        )
    assert recovered > 0


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("film.mp4", "libx264", "yuv420p"),
        ("film.mkv", "libx264", "yuv420p"),
        ("film.webm", "libvpx-vp9", "yuv420p"),
        ("film.avi", "mpeg4", "yuv420p"),
        ("film.ts", "libx264", "yuv420p"),
        ("film.gif", "gif", "rgb8"),
        ("film.mov", "png", "rgb24"),
    ],
)
def test_no_damage_breaks_the_reader(film: Film, name: str, codec: str, pix_fmt: str) -> None:
    """Every mutant is either refused with a reason, or read with consistent frames and an honest count."""
    path = film(name, codec=codec, pix_fmt=pix_fmt)
    read = 0
    for seed in range(25):
        broken = flipped(path, seed=seed, flips=1 + seed % 20) if seed % 5 else cut(path, keep=seed / 25)
        try:
            source = open_source(broken)
        except SourceError:
            continue
        frames = list(source)
        health = source.health
        assert [f.index for f in frames] == list(range(len(frames)))
        assert all(a.pts < b.pts for a, b in itertools.pairwise(frames))
        assert {f.size for f in frames} == {(source.info.height, source.info.width)}
        assert health.decoded == len(frames)
        assert health.decoded + health.missing >= health.expected
        read += 1
    assert read > 3


def test_metadata_in_another_encoding_is_no_obstacle(film: Film) -> None:
    def tag(stream: av.VideoStream) -> None:
        stream.container.metadata["title"] = "TITLE___TITLE"

    for name in ("film.mp4", "film.mkv", "film.avi"):
        path = film(name, prepare=tag)
        data = path.read_bytes()
        assert b"TITLE___TITLE" in data
        path.write_bytes(data.replace(b"TITLE___TITLE", b"\xff\xfe\xc3\x28caf\xe9_\xa0\xa1\xf0\x28"))
        assert len(list(open_source(path))) == 30


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "flv", "nut", "avi"])
@pytest.mark.parametrize("pauses", [[1] * 19, [500] * 6 + [17] * 17], ids=["one tick apart", "slow, then fast"])
def test_a_last_frame_that_lasts_longer_is_not_taken_for_damage(film: Film, suffix: str, pauses: list[int]) -> None:
    pts = [sum(pauses[:index]) for index in range(len(pauses) + 1)]
    path = film(
        f"last.{suffix}",
        codec="mpeg4" if suffix == "avi" else "libx264",
        count=len(pts),
        pts=pts,
        time_base=Fraction(1, 1000),
        options={} if suffix == "avi" else {"bf": "0"},
    )
    with open_source(path) as source:
        assert len(list(source)) == len(pts)
        assert source.health.complete, source.health


def test_tiff_in_a_film_is_intact(film: Film) -> None:
    path = film("film.mov", codec="tiff", pix_fmt="rgb24", count=4)
    with open_source(path) as source:
        assert [frame.status for frame in source] == ["ok"] * 4
        assert source.health.complete
