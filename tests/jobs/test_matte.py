"""Mattes of a run: kept with its soft answer, so that nothing that is made of them later needs a network."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import covos
import covos.work.base
from checked_output import check_output
from covos.cli import main
from covos.core.errors import UsageError
from covos.events import Event, FrameDone
from covos.job import Job
from covos.masks import write_label_map
from covos.media.opening import open_source
from covos.model import Model
from covos.models.matte import CovosMatte
from covos.plan import Plan
from covos.runs.schema import load_report
from covos.task import Find
from starving import at, starve


@pytest.fixture
def clip(make_clip: Callable[..., Path]) -> Path:
    return make_clip(height=96, width=128, frames=5)


def run(clip: Path, folder: Path, model: Model, *formats: str, **more: object) -> None:
    plan = Plan(source=clip, formats=formats, **{"matte": True, **more})  # type: ignore[arg-type]
    Job(plan, folder, load=lambda _plan: model).run()
    assert check_output(folder) == []


def alphas(folder: Path) -> NDArray[np.int16]:
    return np.stack([np.asarray(Image.open(path))[..., 3] for path in sorted(folder.glob("*.png"))]).astype(np.int16)


@pytest.fixture
def no_matting(monkeypatch: pytest.MonkeyPatch) -> None:
    def computing(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was loaded again")

    monkeypatch.setattr(covos.work.base, "load_matte_engine", computing)


def test_alpha_is_the_matte_and_the_masks_stay(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "with", model, "palette", "rgba")
    run(clip, tmp_path / "without", model, "palette", "rgba", matte=None)
    masks = [sorted((tmp_path / name / "masks").glob("*.png")) for name in ("with", "without")]
    assert [path.read_bytes() for path in masks[0]] == [path.read_bytes() for path in masks[1]]
    assert (alphas(tmp_path / "with" / "rgba") != alphas(tmp_path / "without" / "rgba")).any()
    settings = load_report(tmp_path / "with").settings
    assert settings["matte"]["name"] == "covos-matte"
    assert "matte" not in load_report(tmp_path / "without").settings


@pytest.mark.usefixtures("model")
def test_a_format_is_added_and_converted_without_the_network(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "both", model, "palette", "rgba", "matte")
    run(clip, tmp_path / "out", model, "palette")
    request.getfixturevalue("no_matting")
    run(clip, tmp_path / "out", model, "rgba")
    covos.convert(tmp_path / "out", formats=["rgba", "matte"], output=tmp_path / "converted")
    expected = alphas(tmp_path / "both" / "rgba")
    assert (alphas(tmp_path / "out" / "rgba") == expected).all()
    assert (alphas(tmp_path / "converted" / "rgba") == expected).all()
    grey = np.asarray(Image.open(tmp_path / "converted" / "matte" / "00002.png"))
    assert (grey == expected[2]).all()


def test_a_run_without_mattes_is_not_taken_for_one_with(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "out", model, "palette", matte=None)
    with pytest.raises(UsageError, match="why: matte: none before, one with weights") as caught:
        run(clip, tmp_path / "out", model, "rgba")
    assert (
        f"covos convert {tmp_path / 'out'} --matte -f rgba -o {tmp_path / 'out-rgba'}/" in caught.value.remedy.command
    )
    _, _, said = caught.value.remedy.command.partition("masks that are there: ")
    _, *arguments = shlex.split(said.partition("; else")[0])
    assert main([*arguments, "--device", "cpu"]) == 0
    assert load_report(tmp_path / "out-rgba").settings["matte"]["name"] == "covos-matte"
    with pytest.raises(UsageError) as caught:
        run(clip, tmp_path / "out", model, "palette")
    assert " --matte -f prores " in caught.value.remedy.command, "a hard format has no matte"
    with pytest.raises(UsageError, match="references: 5 before, 3 now") as caught:
        run(clip, tmp_path / "out", model, "rgba", task=Find(references=3))
    assert "--matte" not in caught.value.remedy.command, "it would be of other masks"


def test_a_run_with_a_matte_gives_it_to_a_format_that_is_added(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "both", model, "palette", "rgba")
    run(clip, tmp_path / "out", model, "palette")
    request.getfixturevalue("no_matting")
    run(clip, tmp_path / "out", model, "rgba", matte=None)
    assert (alphas(tmp_path / "out" / "rgba") == alphas(tmp_path / "both" / "rgba")).all()
    assert load_report(tmp_path / "out").settings["matte"]["name"] == "covos-matte"
    run(clip, tmp_path / "out", model, "rgba", matte=None)  # and is done


@pytest.mark.usefixtures("model")
def test_the_plain_alpha_of_a_run_with_a_matte_comes_from_its_journal(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "never", model, "palette", "rgba", "matte", matte=None)
    run(clip, tmp_path / "out", model, "matte")
    request.getfixturevalue("no_matting")
    run(clip, tmp_path / "out", model, "palette", "rgba", matte=False)
    plain = alphas(tmp_path / "never" / "rgba")
    assert (alphas(tmp_path / "out" / "rgba") == plain).all()
    report = load_report(tmp_path / "out")
    assert report.settings["formats"] == ["matte", "palette", "rgba=plain"]
    assert report.settings["matte"]["name"] == "covos-matte", "the run still has it"
    run(clip, tmp_path / "out", model, "rgba", matte=False)  # and is done
    # Outputs that are written anew stay plain.
    run(clip, tmp_path / "grown", model, "rgba", matte=None, edges=covos.Edges(grow=2))
    run(clip, tmp_path / "out", model, "matte", edges=covos.Edges(grow=2))
    assert (alphas(tmp_path / "out" / "rgba") == alphas(tmp_path / "grown" / "rgba")).all()


@pytest.mark.usefixtures("model")
def test_the_plain_alpha_of_a_format_that_is_there_is_made_beside_the_run(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "never", model, "rgba", matte=None)
    run(clip, tmp_path / "out", model, "rgba")
    request.getfixturevalue("no_matting")
    with pytest.raises(UsageError, match="the format rgba=plain beside the format rgba in") as caught:
        run(clip, tmp_path / "out", model, "rgba", matte=False)
    _, *arguments = shlex.split(caught.value.fix.partition(" writes it without the network")[0])
    assert main(arguments) == 0
    assert (alphas(tmp_path / "out-rgba" / "rgba") == alphas(tmp_path / "never" / "rgba")).all()


@pytest.mark.usefixtures("model")
def test_the_matte_of_a_run_is_left_out_of_what_is_made_of_it(
    clip: Path, tmp_path: Path, model: Model, request: pytest.FixtureRequest
) -> None:
    run(clip, tmp_path / "never", model, "rgba", "matte", matte=None)
    run(clip, tmp_path / "out", model, "palette", "rgba")
    request.getfixturevalue("no_matting")
    plain = alphas(tmp_path / "never" / "rgba")
    assert main(["convert", str(tmp_path / "out"), "--no-matte", "-f", "rgba", "-o", str(tmp_path / "cli")]) == 0
    covos.convert(tmp_path / "out", formats=["rgba", "matte"], output=tmp_path / "python", matte=False)
    covos.load_result(tmp_path / "out").without_matte().save(tmp_path / "saved", formats=["rgba"])
    for name in ("cli", "python", "saved"):
        assert (alphas(tmp_path / name / "rgba") == plain).all()
        assert "matte" not in load_report(tmp_path / name).settings
    for made in (tmp_path / "python" / "matte").iterdir():
        assert made.read_bytes() == (tmp_path / "never" / "matte" / made.name).read_bytes()
    covos.convert(tmp_path / "out", formats=["rgba"], output=tmp_path / "kept")
    assert (alphas(tmp_path / "kept" / "rgba") == alphas(tmp_path / "out" / "rgba")).all()


def test_a_run_says_that_the_memory_ran_out_at_its_matte(
    clip: Path, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(clip, tmp_path / "enough", model, "rgba")
    starve(monkeypatch, CovosMatte, "forward", rule=at(1))
    run(clip, tmp_path / "less", model, "rgba")
    report = load_report(tmp_path / "less")
    assert report.degraded
    assert [step.kind for step in report.steps_down] == ["again"]
    assert (alphas(tmp_path / "less" / "rgba") == alphas(tmp_path / "enough" / "rgba")).all()
    starve(monkeypatch, CovosMatte, "forward", rule=at(1))
    converted = covos.convert(tmp_path / "less", formats=["rgba"], output=tmp_path / "again", matte=True, device="cpu")
    assert any("tried once more" in text for text in converted.warnings)


def test_a_run_that_was_stopped_ends_as_one_that_was_not(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "whole", model, "rgba")

    class StoppedError(BaseException):
        pass

    def stop(event: Event) -> None:
        if isinstance(event, FrameDone) and event.index == 3:
            raise StoppedError

    plan = Plan(source=clip, formats=("rgba",), matte=True)  # type: ignore[arg-type]
    with pytest.raises(StoppedError):
        Job(plan, tmp_path / "out", load=lambda _plan: model).run(stop)
    run(clip, tmp_path / "out", model, "rgba")
    assert (alphas(tmp_path / "out" / "rgba") == alphas(tmp_path / "whole" / "rgba")).all()


def test_edges_are_changed_after_the_matte(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "plain", model, "rgba")
    run(clip, tmp_path / "grown", model, "rgba", edges=covos.Edges(grow=3))
    plain, grown = alphas(tmp_path / "plain" / "rgba"), alphas(tmp_path / "grown" / "rgba")
    assert (grown >= plain).all()
    assert grown.sum() > plain.sum()


def test_results_in_memory_have_mattes(clip: Path, tmp_path: Path, model: Model) -> None:
    result = covos.segment(clip, model=model, matte=True)
    assert result[2].matte is not None
    result.save(tmp_path / "saved", formats=["rgba"])
    expected = np.rint(result[2].matte * 255)
    assert np.abs(alphas(tmp_path / "saved" / "rgba")[2] - expected).max() <= 1
    streamed = list(covos.stream(clip, model=model, matte=True))
    assert streamed[2].matte is not None
    assert np.abs(streamed[2].matte - result[2].matte).max() <= 0.02
    assert covos.segment(clip, model=model)[2].matte is None


def test_masks_that_are_there_get_mattes_later(clip: Path, model: Model) -> None:
    masks = covos.segment(clip, model=model)
    later = masks.with_matte(device="cpu", precision="fp32")
    assert later == masks
    assert later[2].matte is not None
    at_once = covos.segment(clip, model=model, matte=True)
    assert at_once[2].matte is not None
    # The probability was kept at 8 bits in between.
    assert np.abs(later[2].matte - at_once[2].matte).mean() < 0.01


def test_masks_from_elsewhere_get_mattes(clip: Path, tmp_path: Path) -> None:
    drawn = np.zeros((96, 128), np.uint8)
    drawn[30:70, 40:90] = 1
    (tmp_path / "masks").mkdir()
    for index in range(5):
        write_label_map(tmp_path / "masks" / f"{index:05d}.png", drawn)
    masks = covos.load_result(tmp_path / "masks", source=clip)
    found = masks.with_matte(device="cpu", precision="fp32")
    assert found == masks
    matte = found[2].matte
    assert matte is not None
    assert (matte[48:52, 60:70] == 1).all()  # beyond that, the band grows into what is no edge
    assert (matte[:15] == 0).all()
    assert ((matte > 0) & (matte < 1)).any()


def test_a_matte_that_is_found_later_is_of_the_masks_before_their_edges(
    clip: Path, tmp_path: Path, model: Model
) -> None:
    edges = covos.Edges(grow=6)
    run(clip, tmp_path / "at once", model, "rgba", edges=edges)
    run(clip, tmp_path / "later", model, "palette", "rgba", matte=None, edges=edges)
    covos.convert(tmp_path / "later", formats=["rgba", "palette"], output=tmp_path / "matted", matte=True, device="cpu")
    expected, found = alphas(tmp_path / "at once" / "rgba"), alphas(tmp_path / "matted" / "rgba")
    assert (expected > 0).any()
    # The kept answer has 8 bits, by which the band differs here and there.
    assert (np.abs(found - expected) > 8).mean() < 0.01
    for mask in sorted((tmp_path / "later" / "masks").iterdir()):
        assert (tmp_path / "matted" / "masks" / mask.name).read_bytes() == mask.read_bytes()


def test_a_mask_that_was_edited_keeps_its_own_matte(clip: Path, tmp_path: Path, model: Model) -> None:
    run(clip, tmp_path / "out", model, "palette", matte=None, edges=covos.Edges(grow=6))
    edited = sorted((tmp_path / "out" / "masks").iterdir())[2]
    with Image.open(edited) as image:
        palette, size = image.getpalette(), image.size
    mask = Image.new("P", size)
    mask.putpalette(palette or [])
    mask.paste(1, (70, 60, 110, 90))
    mask.save(edited)
    covos.convert(tmp_path / "out", formats=["rgba"], output=tmp_path / "matted", matte=True, device="cpu")
    alpha = alphas(tmp_path / "matted" / "rgba")[2]
    assert alpha[70:80, 80:100].min() > 200
    assert alpha[:40].max() == 0


def test_a_picture_is_known_to_be_one(
    clip: Path, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, told = covos.work.base.load_matte_engine, list[bool]()

    def loading(*arguments: Any, still: bool, **options: Any) -> Any:
        told.append(still)
        return load(*arguments, still=still, **options)

    monkeypatch.setattr(covos.work.base, "load_matte_engine", loading)
    picture = tmp_path / "picture.png"
    Image.fromarray(next(iter(open_source(clip))).image).save(picture)
    run(picture, tmp_path / "one", model, "rgba")
    run(clip, tmp_path / "many", model, "rgba")
    assert told == [True, False]
