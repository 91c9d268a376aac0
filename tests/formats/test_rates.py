"""Videos at the constant rate that an editor asks for, in whichever format, with their sound and timecode."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.formats.composition import Composition
from covos.formats.options import composed_formats
from covos.formats.table import check_formats, expected_sizes, parse_format
from covos.media.range import Range
from media.conftest import film  # noqa: F401 - the fixture
from stub_model import bright_model

PAL = Composition(constant_rate=25)
UNEVEN = [0, 33, 66, 100, 250, 283, 316, 350, 400, 433, 466, 500]


@pytest.fixture
def phone(film: Callable[..., Path]) -> Path:  # noqa: F811
    """A clip whose frames come now and then, as a phone films it, with sound that is longer."""
    return film(count=12, pts=UNEVEN, time_base=Fraction(1, 1000), sound="aac", sound_seconds=0.5333)


def stream_of(path: Path) -> tuple[Any, list[Fraction], float]:
    """Return the rate, the times of the frames and the seconds of sound."""
    with av.open(str(path)) as video:
        rate = video.streams.video[0].average_rate
        times = [frame.pts * frame.time_base for frame in video.decode(video=0)]
        video.seek(0)
        sound = sum(each.samples / each.sample_rate for each in video.decode(audio=0)) if video.streams.audio else 0.0
    return rate, times, sound


@pytest.mark.parametrize("name", ["overlay", "green", "blur", "background", "webm", "prores", "matte-video"])
def test_every_video_takes_the_rate(phone: Path, tmp_path: Path, name: str) -> None:
    result = covos.segment(phone, model=bright_model())
    (path,) = result.save(tmp_path / "out", formats=[name], composition=PAL).outputs
    rate, times, sound = stream_of(path)
    assert rate == 25
    assert np.allclose([float(each) for each in times], np.arange(13) / 25, atol=0.001)
    assert sound == pytest.approx(0.533, abs=0.03)


def test_each_object_has_its_own_video_of_the_rate(phone: Path, tmp_path: Path) -> None:
    result = covos.segment(phone, model=bright_model())
    asked = Composition(constant_rate="25", each_object=True)
    paths = result.save(tmp_path / "out", formats=["qtrle"], composition=asked).outputs
    assert [stream_of(each)[:2] for each in paths] == [(25, [Fraction(each, 25) for each in range(13)])]


def test_a_run_is_written_again_at_another_rate_with_the_same_masks(
    phone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = tmp_path / "run", tmp_path / "x.mov"
    covos.segment(phone, model=bright_model()).save(run, formats=["palette"])
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    assert main(["convert", str(run), "-o", str(out)]) == 0
    assert "write it at that of your timeline, for example at a constant rate of 25" in capsys.readouterr().err
    assert main(["convert", str(run), "-o", str(out), "--constant-rate", "50", "-y"]) == 0
    assert "varies" not in capsys.readouterr().err
    rate, times, sound = stream_of(out)
    assert (rate, len(times)) == (50, 27)
    assert sound == pytest.approx(0.533, abs=0.03)
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before


def test_sound_of_a_part_begins_and_ends_with_it(phone: Path, tmp_path: Path) -> None:
    part = covos.segment(phone, model=bright_model(), range=Range(start=0.1, end=0.4))
    (path,) = part.save(tmp_path / "out", formats=["prores"], composition=PAL).outputs
    rate, times, sound = stream_of(path)
    assert (rate, times) == (25, [Fraction(each, 25) for each in range(7)])  # 0.1 to 0.4, where the next begins
    assert sound == pytest.approx(0.3, abs=0.001)


def test_timecode_is_counted_at_the_rate(film: Callable[..., Path], tmp_path: Path) -> None:  # noqa: F811
    def prepare(stream: Any) -> None:
        stream.metadata["timecode"] = "01:00:00:10"

    clip = film("film.mov", prepare=prepare)
    result = covos.segment(clip, model=bright_model())
    for rate, timecode in (("50", "01:00:00:20"), ("25", "01:00:00:10"), ("24", None)):
        saved = result.save(tmp_path / rate, formats=["prores"], composition=Composition(constant_rate=rate))
        with av.open(str(saved.outputs[0])) as video:
            assert video.streams.video[0].metadata.get("timecode") == timecode
        lost = [each for each in saved.warnings if "timecode" in each]
        assert lost == ([] if timecode else [
            "prores: the timecode 01:00:00:10 is not kept: at 24 frames a second no frame begins at that of 25"
        ])  # fmt: skip


def test_an_uneven_clip_has_no_timecode_at_a_rate(film: Callable[..., Path], tmp_path: Path) -> None:  # noqa: F811
    def prepare(stream: Any) -> None:
        stream.metadata["timecode"] = "01:00:00:00"

    clip = film("film.mov", prepare=prepare, count=12, pts=UNEVEN, time_base=Fraction(1, 1000))
    result = covos.segment(clip, model=bright_model(), range=Range(start="f4"))
    saved = result.save(tmp_path / "out", formats=["prores"], composition=PAL)
    with av.open(str(saved.outputs[0])) as video:
        assert "timecode" not in video.streams.video[0].metadata
    assert [each for each in saved.warnings if "timecode 01:00:00:00 is not kept: the source has" in each]


def test_the_rate_is_in_the_names_of_videos_alone() -> None:
    names = ["palette", "prores", "green=tiff", "background=white,ffv1", "rgba", "blur=2%"]
    asked = composed_formats(names, Composition(constant_rate="30000/1001"))
    assert asked == (
        "palette", "prores=rate=29.97", "green=tiff", "background=white,ffv1,rate=29.97", "rgba", "blur=2%,rate=29.97",
    )  # fmt: skip
    assert check_formats(asked) == asked
    with pytest.raises(UsageError, match="constant-rate is asked for, and nothing is written that has it"):
        composed_formats(["rgba", "green=tiff"], PAL)


def test_sound_is_chosen_for_the_videos_that_can_have_it(
    phone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["overlay", "prores", "webm", "green=ffv1", "green=tiff", "palette"]
    assert composed_formats(names[:4], Composition(sound="pcm")) == (
        "overlay", "prores=sound=pcm", "webm", "green=ffv1,sound=pcm",
    )  # fmt: skip
    with pytest.raises(UsageError, match="sound pcm is asked for, and nothing is written that has it") as caught:
        composed_formats(["overlay", "webm", "green=tiff"], Composition(sound="pcm"))
    assert caught.value.remedy.command.startswith("add a format that has it: -f ffv1 or -f prores or -f qtrle")
    run = tmp_path / "run"
    covos.segment(phone, model=bright_model()).save(run, formats=["palette"])
    for asked, codec in (((), "pcm_s16le"), (("--sound", "copy"), "aac"), (("--sound", "none"), None)):
        assert main(["convert", str(run), "-o", str(tmp_path / "x.mov"), "-y", *asked]) == 0
        with av.open(str(tmp_path / "x.mov")) as video:
            assert [each.codec_context.name for each in video.streams.audio] == ([codec] if codec else [])
        assert ("the sound is aac" in capsys.readouterr().err) == (not asked)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("webm=sound=aac", ".webm files hold no AAC"),
        ("overlay=sound=pcm", ".mp4 files hold no PCM"),
        ("overlay=sound=loud", "there is no loud"),
        ("green=png,sound=none", "its pictures are files, and sound is of videos"),
        ("green=tiff,rate=25", "its pictures are files, and rate is of videos"),
        ("background=white,png,rate=25", "its pictures are files, and rate is of videos"),
        ("overlay=rate=fast", "it takes a number of frames a second, from 1 to 1000"),
        ("prores=premultiplied,rate=0", "it takes a number of frames a second"),
        ("blur=rate=x", "it takes a number of frames a second"),
        ("background=white,rate=x", "it takes a number of frames a second"),
        ("matte-video=ffv1,rate=1001", "it takes a number of frames a second"),
        ("overlay=fast", "it is no value of this format"),
    ],
)
def test_a_value_with_no_rate_is_refused(name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_formats([name])
    assert said in caught.value.why


def test_a_video_of_twice_the_rate_is_said_to_be_twice_as_large(info: Any) -> None:
    source = info(frame_count=100, frame_rate=Fraction(25), height=480, width=854)
    sizes = expected_sizes(["prores", "prores=rate=50"], info=source)
    assert sizes["prores=rate=50"] == 2 * sizes["prores"] > 0
    assert parse_format("prores=rate=50")[0].suffix_of("rate=50") == ".mov"
