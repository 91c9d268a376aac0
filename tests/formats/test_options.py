"""An option that changes nothing in any of the formats is refused, wherever it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.formats.composition import Composition
from covos.formats.options import SHOWN_IN, composed_formats, refuse_idle
from covos.formats.table import FORMATS
from covos.job import Job
from covos.plan import Plan
from media.conftest import film  # noqa: F401 - the fixture
from stub_model import bright_model

HARD = {
    "palette", "binary", "npz", "coco", "ytvis", "cvat", "labelstudio", "yolo", "overlay", "sheet", "preview",
}  # fmt: skip
NAMED = {"coco", "ytvis", "cvat", "labelstudio", "yolo", "exr"}
VIDEOS = {"overlay", "background", "blur", "green", "prores", "qtrle", "ffv1", "webm", "matte-video"}
STRAIGHT = {"prores", "qtrle", "ffv1", "tiff", "rgba", "webm", "cutout", "cutout-gif"}
FEATHER = covos.Edges(feather=3)


def taken(option: str) -> set[str]:
    found = set()
    for name in FORMATS:
        try:
            refuse_idle([name], [option])
        except UsageError:
            continue
        found.add(name)
    return found


@pytest.mark.parametrize(
    ("option", "formats"),
    [
        ("feather", {*FORMATS} - HARD),
        ("matte", {*FORMATS} - HARD),
        ("label", NAMED),
        ("alpha straight", STRAIGHT),
        ("alpha premultiplied", {"prores", "qtrle", "ffv1", "tiff", "exr"}),
        ("light_wrap", {"background", "blur"}),
        ("shadow", {"background"}),
        ("keep_hdr", {"prores", "ffv1", "rgba", "exr"}),
        ("times source", VIDEOS),
        ("constant_rate", VIDEOS),
        ("sound none", VIDEOS),
        ("sound copy", VIDEOS),
        ("sound aac", VIDEOS - {"webm"}),
        ("sound pcm", {"prores", "qtrle", "ffv1"}),
    ],
)
def test_an_option_is_taken_by_the_formats_that_show_it(option: str, formats: set[str]) -> None:
    assert taken(option) == formats


def test_every_option_of_a_composition_is_in_the_table() -> None:
    assert {field for field in Composition.model_fields if field not in {"alpha", "sound"}} < {*SHOWN_IN}


def test_labels_are_the_names_of_files_of_each_object() -> None:
    refuse_idle(["palette", "prores=each"], ["label"])
    with pytest.raises(UsageError, match="label is asked for, and nothing is written that has it"):
        refuse_idle(["palette", "exr=invert"], ["label"])


def test_one_format_that_shows_it_is_enough() -> None:
    refuse_idle(["palette", "webm", "coco"], ["feather", "matte", "label", "alpha straight"])
    with pytest.raises(UsageError) as caught:
        refuse_idle(["palette", "overlay"], ["feather"])
    assert caught.value.why == "the formats are palette, overlay"
    assert caught.value.remedy.command.startswith("add a format that has it: -f background or -f blur")
    assert caught.value.fix.endswith("; or leave it out")


def test_straight_alpha_that_a_format_has_anyway_is_not_in_its_name() -> None:
    straight = Composition(alpha="straight")
    assert composed_formats(["prores", "rgba", "exr"], straight) == ("prores", "rgba", "exr")
    assert composed_formats(["exr"], Composition(alpha="premultiplied")) == ("exr",)
    with pytest.raises(UsageError, match="alpha straight is asked for, and nothing is written that has it"):
        composed_formats(["exr", "palette"], straight)
    with pytest.raises(UsageError, match="prores straight beside the format prores=premultiplied"):
        composed_formats(["prores=premultiplied"], straight)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-f", "palette", "--feather", "3"), "feather"),
        (("--feather", "3"), "feather"),
        (("-f", "exr", "--alpha", "straight"), "alpha straight"),
        (("-o", "x.mp4", "--label", "car"), "label"),
        (("-o", "x.png", "--start", "f0", "--end", "f1", "--label", "1=car"), "label"),
        (("-o", "x.mp4", "--matte"), "matte"),
        (("-o", "x.npz", "--start", "f1", "--times", "source"), "times source"),
    ],
)
def test_the_command_line_refuses_it(
    make_clip: Callable[..., Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    clip = make_clip()
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    output = () if "-o" in arguments else ("-o", "out")
    assert main(["segment", str(clip), *output, *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[0] == (
        f"error: {said} is asked for, and nothing is written that has it"
    )
    assert sorted(tmp_path.iterdir()) == before


def test_python_and_a_plan_refuse_it(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    clip, model = make_clip(), bright_model()
    with pytest.raises(UsageError, match="feather is asked for"):
        Job(Plan(source=clip, edges=FEATHER), tmp_path / "out", load=lambda _plan: model)
    result = covos.segment(clip, model=model, edges=FEATHER)  # its edges are seen when it is saved
    result.save(tmp_path / "soft", formats=["rgba"])
    with pytest.raises(UsageError, match="feather is asked for"):
        result.save(tmp_path / "hard", edges=FEATHER)
    with pytest.raises(UsageError, match="feather is asked for"):
        covos.convert(tmp_path / "soft", formats=["coco"], output=tmp_path / "hard", edges=FEATHER)
    with pytest.raises(UsageError, match="matte is asked for"):
        covos.convert(tmp_path / "soft", formats=["coco"], output=tmp_path / "hard", matte=True)
    with pytest.raises(UsageError, match="label is asked for"):
        result.save(tmp_path / "hard.mp4", label="car")
    with pytest.raises(UsageError, match="alpha straight is asked for"):
        result.save(tmp_path / "hard", formats=["exr"], composition=Composition(alpha="straight"))
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("hard")]


def test_times_of_the_source_are_kept_where_all_of_it_is_taken(
    film: Callable[..., Path],  # noqa: F811
    tmp_path: Path,
) -> None:
    clip = film("film.mkv", count=5, pts=[2000 + 40 * each for each in range(5)], time_base=Fraction(1, 1000))
    result = covos.segment(clip, model=bright_model())
    result.save(tmp_path / "masks", formats=["palette"])
    for times, start in (("source", 2), ("zero", 0)):
        saved = covos.convert(
            tmp_path / "masks", formats=["prores"], output=tmp_path / times, range=covos.Range(times=times)
        )
        with av.open(str(saved.outputs[0])) as video:
            assert [frame.time for frame in video.decode(video=0)] == [start + each / 25 for each in range(5)]


def test_all_of_a_source_is_no_part_for_its_times(film: Callable[..., Path], tmp_path: Path) -> None:  # noqa: F811
    """Its sound is copied as it is, with the pictures, and a video of one frame stays one."""
    late = {"pts": [3000 + 40 * each for each in range(30)], "time_base": Fraction(1, 1000), "sound_start": 3.0}
    clip = film("late.mp4", sound="aac", **late)
    kept, result = covos.Range(times="source"), covos.segment(clip, model=bright_model())
    for name, taken in (("asked", covos.segment(clip, model=bright_model(), range=kept)), ("cut", result.trim(kept))):
        (path,) = taken.save(tmp_path / name, formats=["overlay"]).outputs
        assert _packets(path) == _packets(clip)
        with av.open(str(path)) as video:
            assert next(video.decode(video=0)).time == 3
        again = covos.load_result(tmp_path / name)
        assert (again.info.times, again.info.whole, again.info.is_part) == ("source", True, False)
        assert again.trim(covos.Range(start="f2")).info.is_part
    one = film("one.mp4", count=1)
    saved = covos.segment(one, model=bright_model(), range=kept).save(tmp_path / "one", formats=["overlay"])
    assert [path.name for path in saved.outputs] == ["overlay.mp4"]


def _packets(path: Path) -> list[tuple[bytes, Fraction]]:
    """Return the packets of sound and their times in seconds."""
    with av.open(str(path)) as video:
        return [(bytes(each), each.pts * each.time_base) for each in video.demux(audio=0) if each.size]


def test_a_way_to_compute_is_refused_where_nothing_is_computed(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    covos.segment(make_clip(), model=bright_model()).save(tmp_path / "masks", formats=["palette"])
    for option, value in (("device", "cpu"), ("precision", "fp32"), ("runtime", "torch")):
        more = (f"--{option}", value, "-f", "binary", "-o", str(tmp_path / "no"))
        for matte in ((), ("--no-matte",)):
            assert main(["convert", str(tmp_path / "masks"), *more, *matte]) == 2
            assert f"{option} {value} is asked for, and no network runs" in capsys.readouterr().err
        with pytest.raises(UsageError, match="no matte is looked for"):
            covos.convert(tmp_path / "masks", formats=["binary"], output=tmp_path / "no", **{option: value})
    assert not (tmp_path / "no").exists()


def test_times_of_a_folder_are_kept_for_what_is_made_of_it(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    part = covos.Range(start="f2", times="source")
    plan = Plan(source=make_clip(), range=part, formats=("palette",))
    Job(plan, tmp_path / "masks", load=lambda _plan: bright_model()).run()
    covos.convert(tmp_path / "masks", formats=["overlay"], output=tmp_path / "later")
    with av.open(str(tmp_path / "later" / "overlay.mp4")) as video:
        assert next(video.decode(video=0)).time > 0


def test_labels_of_a_folder_are_kept_for_what_is_made_of_it(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    result = covos.segment(make_clip(), model=bright_model())
    result.save(tmp_path / "masks", formats=["palette"], label="car")
    covos.convert(tmp_path / "masks", formats=["coco"], output=tmp_path / "later")
    assert '"car"' in (tmp_path / "later" / "coco.json").read_text()
    result.save(tmp_path / "x.mp4", label="car", keep=True)  # its folder stays


def test_soft_edges_are_seen_in_the_formats_that_a_run_has(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    clip, model = make_clip(), bright_model()
    Job(Plan(source=clip, formats=("rgba",)), tmp_path / "out", load=lambda _plan: model).run()
    again = Plan(source=clip, formats=("palette",), edges=FEATHER)
    saved = Job(again, tmp_path / "out", load=lambda _plan: model).run()
    assert {path.name for path in saved.outputs} == {"rgba", "masks"}
