"""Weights that are finished are measured as their training measured them, on the same videos."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import covos
from covos.cli import main
from covos.core.errors import CheckpointError, InputError, UsageError
from covos.core.records import write_record
from covos.data import Dataset, NoSubsetError, open_dataset
from covos.models.averaging import average
from covos.models.cards import card_path, read_card
from covos.training import measure
from covos.training.finished_weights import trained_on
from covos.training.history import HistoryEntry, read_history

from .conftest import Run

SMALL = ("size=[48, 80]", "steps=2", "epochs=0", "validate_every=1", "checkpoint_every=0", "batch=2", "ratio=0.5")
LIKE_A_TRAINING = {"device": "cpu", "precision": "fp32"}


@pytest.fixture(scope="module")
def trained(run: Run, all_narrow: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that was measured on one of two videos."""
    folder = tmp_path_factory.mktemp("run")
    run("cosnet-resnet50", folder, *SMALL)
    return folder


def scores(folder: Path) -> HistoryEntry:
    return [entry for entry in read_history(folder / "history.jsonl") if entry.j is not None][-1]


def test_the_scores_are_those_of_the_training(trained: Path, tianchi: Path) -> None:
    told: list[str] = []
    found = measure(
        trained / "last.safetensors", tianchi, on_set=lambda name, scored: told.append(name), **LIKE_A_TRAINING
    )
    assert HistoryEntry.scored(found, step=2) == scores(trained)
    assert told == ["tianchi"]
    assert found.sets["tianchi"].losses


def test_the_command_prints_and_writes_them(trained: Path, tianchi: Path, tmp_path: Path, capsys) -> None:
    file = tmp_path / "new" / "scores.json"
    line = ["validate", str(trained / "last.safetensors"), "--data", str(tianchi), "--json", str(file)]
    line += ["--device", "cpu", "--precision", "fp32"]
    assert main(line) == 0
    wanted = scores(trained)
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"validation  J {wanted.j:.3f}  F {wanted.f:.3f}"
    assert out.splitlines()[1].startswith("  tianchi: J ")
    assert "measured on tianchi (1 item)" in err
    assert "trained on" not in err
    content = json.loads(file.read_text())
    assert (content["step"], content["every"], content["trained_on"]) == (2, 5, {})
    assert (
        HistoryEntry.model_validate({name: content[name] for name in ("step", "j", "f", "sequences", "sets")}) == wanted
    )
    before = file.read_bytes()
    assert main(line) == 2
    assert main([*line, "-n"]) == 0
    assert file.read_bytes() == before
    assert main([*line, "-y", "-q", "--subset", "train", "--every", "2"]) == 0
    out, err = capsys.readouterr()
    assert len(json.loads(file.read_text())["sequences"]) == 2
    assert "trained on 1" not in err, "-q shows the scores alone"


def test_what_the_weights_were_trained_on_is_said(trained: Path, tianchi: Path, capsys) -> None:
    line = ["validate", str(trained / "last.safetensors"), "--data", str(tianchi), "--subset", "train", "--every", "9"]
    assert main([*line, "--device", "cpu", "--precision", "fp32"]) == 0
    assert "trained on 1 of the 2 videos of tianchi" in capsys.readouterr().err
    card = read_card(trained / "last.safetensors")
    assert card is not None
    assert not trained_on(card, replace(open_dataset(tianchi), name="another"))


def test_a_data_set_that_is_open_is_measured_on_whole(trained: Path, tianchi: Path) -> None:
    whole = open_dataset(tianchi, subset="train")
    found = measure(trained / "last.safetensors", [whole, whole], every=9, **LIKE_A_TRAINING)
    assert list(found.sets) == ["tianchi", "tianchi (2)"]
    assert len(found.scored["tianchi"].sequences) == 2
    with pytest.raises(UsageError, match="a data set that is open"):
        measure(trained / "last.safetensors", whole, subset="train", **LIKE_A_TRAINING)


def test_a_list_that_there_is_not_is_never_the_whole_data_set(
    trained: Path, tianchi: Path, stills: Path, capsys
) -> None:
    weights = trained / "last.safetensors"
    bare = stills.parent / "bare"
    shutil.copytree(tianchi, bare, ignore=shutil.ignore_patterns("ImageSets"))
    for data in (stills, bare, stills.parent):
        with pytest.raises(NoSubsetError, match="nonsense"):
            measure(weights, data, subset="nonsense", **LIKE_A_TRAINING)
    assert main(["validate", str(weights), "--data", str(stills), "--subset", "nonsense"]) == 2
    assert "the subset 'nonsense' does not exist" in capsys.readouterr().err


def test_data_measured_whole_beside_a_list_are_named(trained: Path, tianchi: Path, stills: Path, capsys) -> None:
    shutil.copytree(tianchi, stills.parent / "listed")
    line = ["validate", str(trained / "last.safetensors"), "--data", str(stills.parent), "--subset", "train"]
    assert main([*line, "--every", "9", "--device", "cpu", "--precision", "fp32"]) == 0
    assert "note: pictures is opened whole: it has no lists" in capsys.readouterr().err


def test_data_that_no_ratio_divides_are_not_told_to_take_one(
    trained: Path, tianchi: Path, stills: Path, capsys
) -> None:
    weights = trained / "last.safetensors"
    assert main(["validate", str(weights), "--data", str(stills), "--set", "ratio=0.8"]) == 3
    told = " ".join(capsys.readouterr().err.split())
    assert "pictures has fewer than 200 still pictures, all of which are trained on" in told
    assert "--set ratio" not in told
    alone = stills.parent / "alone"
    for part in ("JPEGImages", "Annotations"):
        shutil.copytree(tianchi / part / "600101", alone / part / "600101")
    with pytest.raises(InputError, match="alone has one video, which is trained on") as caught:
        measure(weights, alone, ratio=0.8, **LIKE_A_TRAINING)
    assert "covos.data.open_dataset(FOLDER)" in caught.value.fix
    with pytest.raises(InputError, match="tianchi has 3 videos, of which one alone is trained on") as caught:
        measure(weights, tianchi, ratio=0.8, videos=1, **LIKE_A_TRAINING)
    assert "covos.data.open_dataset(FOLDER)" in caught.value.fix, "a ratio divides several"
    assert measure("covos-lite", open_dataset(stills), **LIKE_A_TRAINING).sets["pictures"].pictures
    with pytest.raises(InputError, match="nothing to measure") as caught:
        measure(weights, [stills, tianchi], ratio=0.0, **LIKE_A_TRAINING)
    assert "a recipe with ratio=0.8" in caught.value.fix, "it divides the videos"
    with pytest.raises(InputError, match="this recipe measures on videos alone") as caught:
        measure("covos-follow", stills, **LIKE_A_TRAINING)
    assert caught.value.fix == "give videos with masks"


def test_a_recipe_that_is_given_divides_in_its_way(trained: Path, tianchi: Path) -> None:
    weights = trained / "last.safetensors"
    held = {
        seed: set(measure(weights, tianchi, every=9, split_seed=seed, **LIKE_A_TRAINING).scored["tianchi"].sequences)
        for seed in range(6)
    }
    assert {"600101"} in held.values()
    assert {"600102"} in held.values()
    with pytest.raises(InputError, match="nothing to measure on"):
        measure(weights, tianchi, ratio=0.0, **LIKE_A_TRAINING)
    with pytest.raises(CheckpointError, match="is for the network cosnet_resnet50"):
        measure(weights, tianchi, recipe="lite", ratio=0.5, **LIKE_A_TRAINING)
    with pytest.raises(UsageError, match="every = 0"):
        measure(weights, tianchi, every=0, **LIKE_A_TRAINING)
    with pytest.raises(UsageError, match="for training"):
        measure(weights, tianchi, device="cpu", precision="fp16")


def test_the_recipe_is_that_of_the_card(trained: Path, tianchi: Path, tmp_path: Path) -> None:
    mean = tmp_path / "mean.safetensors"
    average([trained / "last.safetensors", trained / "best.safetensors"], output=mean)
    found = measure(mean, tianchi, ratio=0.5, **LIKE_A_TRAINING)  # a mean has the fields that all have
    assert found.j is not None
    card = read_card(mean)
    assert card is not None
    for recipe, why in (({}, "has no recipe"), ({**card.recipe, "batch": "two"}, "cannot be used")):
        write_record(card.model_copy(update={"recipe": recipe}), card_path(mean))
        with pytest.raises(UsageError, match=why):
            measure(mean, tianchi, **LIKE_A_TRAINING)
    assert measure(mean, tianchi, recipe="cosnet-resnet50", ratio=0.5, **LIKE_A_TRAINING).j == found.j


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("covos-lite", {}),
        ("covos-follow", {"clips_per_step": 1, "clip_sizes": (2,), "crop": (64, 96)}),
        ("covos-prompt", {"frames_per_step": 4, "rounds": (1,), "crop": (64, 96)}),
    ],
)
def test_the_models_of_the_package_are_measured(name: str, small: dict[str, Any], tianchi: Path) -> None:
    """The recipe is made smaller for the losses alone."""
    found = covos.training.measure(name, _shortest(tianchi), every=3, **LIKE_A_TRAINING, **small)
    assert found.j is not None  # how good they are in small frames is asked nowhere
    assert {each.partition(",")[0] for each in found.scored["tianchi"].sequences} == {_shortest(tianchi)[0].name}
    assert "total" in found.sets["tianchi"].losses


def _shortest(root: Path) -> Dataset:
    whole = open_dataset(root, subset="train")
    return whole.subset([min(whole, key=len).name])
