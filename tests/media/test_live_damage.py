"""Live videos are decoded tolerantly; what is lost or damaged in them is counted as it passes."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from covos.core.errors import SourceError, UsageError
from covos.media.live_damage import LiveDamage
from covos.media.live_sink import LiveSink
from covos.media.live_video import LiveSource
from covos.media.picture_order import Place
from media.test_order import without

Film = Callable[..., Path]


def passed(path: Path | str) -> tuple[int, str]:
    with LiveSource(str(path)) as source:
        return sum(1 for _ in source), str(source.damage)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video", "libvpx-vp9", "mjpeg"])
def test_an_intact_stream_has_no_damage(film: Film, codec: str) -> None:
    options = {"libx265": {"x265-params": "keyint=10:log-level=none:open-gop=1"}, "mjpeg": {}}
    own = options.get(codec, {"g": "10", "bf": "2"})
    path = film("clip.mkv", codec=codec, options=own, pix_fmt="yuvj420p" if codec == "mjpeg" else "yuv420p")
    assert passed(path) == (30, "")


def through_a_pipe(content: bytes, monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], str]:
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        with LiveSource("-") as source:
            return [float(frame.seconds) for frame in source], str(source.damage)


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg2video"])
def test_an_intact_stream_through_a_pipe_has_no_damage(
    film: Film, monkeypatch: pytest.MonkeyPatch, codec: str, suffix: str
) -> None:
    """Pictures that come later than others are decoded before them: the count begins with the first of all."""
    own = {"x265-params": "keyint=10:log-level=none:open-gop=1"} if codec == "libx265" else {"g": "10", "bf": "2"}
    path = film(f"clip.{suffix}", codec=codec, options=own)
    times, said = through_a_pipe(path.read_bytes(), monkeypatch)
    assert (len(times), said) == (30, "")


def test_a_stream_that_is_joined_in_its_midst_is_counted_from_its_first_whole_picture(
    film: Film, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = film("clip.ts", options={"g": "10", "bf": "2"}, size=(96, 128)).read_bytes()
    start = len(content) // 188 // 3 * 188
    times, said = through_a_pipe(content[start:], monkeypatch)
    assert len(times) >= 10
    assert said == ""


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_clock_that_jumps_back_squeezes_no_frames(film: Film, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    content = film(f"clip.{suffix}", options={"g": "10", "bf": "0"}).read_bytes()
    times, _ = through_a_pipe(2 * content, monkeypatch)
    assert times == pytest.approx([each / 25 for each in range(60)], abs=2e-3)


@pytest.mark.parametrize("name", ["clip.gif", "clip.ogg", "clip.mkv"])
def test_what_a_file_lacks_is_told_by_its_structure(film: Film, name: str) -> None:
    codec, pixels = {"gif": ("gif", "rgb8"), "ogg": ("libvpx", "yuv420p"), "mkv": ("libvpx", "yuv420p")}[name[-3:]]
    path = film(name, codec=codec, pix_fmt=pixels, options={})
    content = path.read_bytes()
    assert passed(path) == (30, "")
    path.write_bytes(
        content[: len(content) * 45 // 100] + bytes(len(content) // 10) + content[len(content) * 55 // 100 :]
    )
    frames, said = passed(path)
    assert frames < 30
    assert said


def test_a_second_recording_in_a_file_is_told(film: Film) -> None:
    path = film("clip.mp4")
    content = path.read_bytes()
    path.write_bytes(2 * content)
    assert passed(path) == (30, f"another file begins at byte {len(content)}, which is not read")


def test_what_is_lost_on_the_way_is_counted(film: Film, tmp_path: Path) -> None:
    whole = film("whole.mkv", options={"g": "10", "bf": "0"}, size=(96, 128))
    frames, said = passed(without(whole, tmp_path / "less.ts", gone={13, 14, 15}))
    assert said.startswith(f"{30 - frames} frames missing")
    content = without(whole, tmp_path / "whole.ts", gone=()).read_bytes()
    middle = len(content) // 188 // 2 * 188
    (tmp_path / "hole.ts").write_bytes(content[:middle] + content[middle + 6 * 188 :])
    frames, said = passed(tmp_path / "hole.ts")
    assert frames >= 20
    assert "damaged" in said


def test_packets_that_cannot_be_decoded_do_not_end_it(film: Film) -> None:
    path = film("clip.mkv", codec="mjpeg", pix_fmt="yuvj420p")
    content = bytearray(path.read_bytes())
    starts = [at for at in range(len(content)) if content[at : at + 3] == b"\xff\xd8\xff"]
    content[starts[4] : starts[5] - 40] = bytes(starts[5] - 40 - starts[4])
    path.write_bytes(content)
    frames, said = passed(path)
    assert frames >= 28
    assert "1 packet not to be decoded" in said


@pytest.mark.parametrize("gone", [(), (700,), (509, 510, 511, 512), (1990,)])
def test_places_are_compared_over_any_length(gone: tuple[int, ...]) -> None:
    damage = LiveDamage()
    for start in range(0, 2000, 4):  # each fourth is shown last and comes first
        for number in (start, start - 2, start - 3, start - 1):
            if number >= 0 and number not in gone:
                damage.put(Place(number == 0, 2 * number % 256, 256))
    damage.end()
    assert damage.left_out == len(gone)


def test_a_playlist_opens_nothing_else(film: Film, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    film("film.ts")
    for name, text in {
        "a.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfilm.ts\n#EXT-X-ENDLIST\n",
        "a.txt": "ffconcat version 1.0\nfile 'film.ts'\n",
    }.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(SourceError, match="playlist"):
            LiveSource(str(tmp_path / name))
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
            with pytest.raises(SourceError):
                LiveSource("-")


def test_a_link_is_no_output(film: Film, tmp_path: Path) -> None:
    kept = tmp_path / "kept.mkv"
    kept.write_text("kept")
    (tmp_path / "out.mkv").symlink_to(kept)
    with pytest.raises(UsageError, match="link"):
        LiveSink(
            os.fspath(tmp_path / "out.mkv"),
            container=None,
            pixels="gray",
            size=(4, 4),
            frame_rate=Fraction(25),
            overwrite=True,
        )
    assert kept.read_text() == "kept"
