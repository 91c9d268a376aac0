"""Data sets that are open are trained on, predicted and scored as they are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch

import covos
from covos.core.errors import CheckpointError, SourceError, UsageError
from covos.data import Dataset, open_dataset
from covos.predict import open_subset, predict
from covos.training import Console, LiteTask, StepDone, register, registry

SMALL: dict[str, Any] = {
    "steps": 2, "frames_per_step": 2, "group_sizes": [2], "crops": [(64, 96)], "crop_chances": [1.0], "warmup": 1,
    "validate_every": 2, "checkpoint_every": 2, "device": "cpu", "precision": "fp32", "workers": 0, "check": False,
}  # fmt: skip


@pytest.fixture
def root(tianchi: Path, tmp_path: Path) -> Path:
    """Three short annotated videos without lists, and a small copy of one."""
    for number, (name, source) in enumerate({"a": "600101", "b": "600102", "c": "600101"}.items()):
        for kind in ("JPEGImages", "Annotations"):
            shutil.copytree(tianchi / kind / source, tmp_path / "SET" / kind / name)
        picture = next(iter((tmp_path / "SET/JPEGImages" / name).iterdir()))
        image = cv2.imread(str(picture))
        image[:4, :4] = 40 * number  # each picture is another one
        cv2.imwrite(str(picture), image)
    return tmp_path / "SET"


def names(*datasets: Dataset) -> list[list[str]]:
    return [[video.name for video in each] for each in datasets]


def of_card(file: Path) -> list[dict[str, Any]]:
    return list(json.loads(file.with_suffix(".json").read_text())["data"])


def test_the_flow_of_the_seed_on_the_same_objects(root: Path, tmp_path: Path) -> None:
    training, validation = open_dataset(root).split(0.7, seed=3)
    result = covos.train("lite-finetune", training, tmp_path / "run", validation=validation, **SMALL)
    assert result.best is not None
    (entry,) = (each for each in result.history if each.j is not None and each.step)
    assert set(entry.sets or {}) == {"SET"}
    record = json.loads((tmp_path / "run" / "data.json").read_text())
    assert [each["videos"] for each in record["train"]] == names(training)
    assert [each["videos"] for each in record["validation"]] == names(validation)
    assert of_card(result.weights)[0]["videos"] == names(training)[0]
    done = predict(validation, output=tmp_path / "masks", model=result.weights)
    assert [made.name for made in done.made] == names(validation)[0]
    scores = covos.evaluate(done, validation, protocol="davis2016")
    assert [each.name for each in scores.sequences] == names(validation)[0]
    assert "1 video of it" in scores.table()


def test_several_objects_and_folders_go_together(root: Path, tianchi: Path, tmp_path: Path) -> None:
    whole = open_dataset(root)
    result = covos.train(
        "lite-finetune", [whole.subset("a"), tianchi], tmp_path / "run", validation=[whole.subset("b")], **SMALL
    )
    assert [each["videos"] for each in of_card(result.weights)] == [["a"], ["600101", "600102"]]


def test_without_validation_an_object_is_divided_as_its_folder_is(root: Path, tmp_path: Path) -> None:
    for name, data in (("object", open_dataset(root)), ("folder", root)):
        covos.train("lite-finetune", data, tmp_path / name, **SMALL)
    assert (tmp_path / "object/data.json").read_bytes() == (tmp_path / "folder/data.json").read_bytes()
    assert (tmp_path / "object/last.safetensors").read_bytes() == (tmp_path / "folder/last.safetensors").read_bytes()
    unmeasured = covos.train("lite-finetune", open_dataset(root), tmp_path / "all", validation=(), **SMALL)
    assert unmeasured.best is None
    assert of_card(unmeasured.weights)[0]["videos"] == ["a", "b", "c"]


def test_a_run_goes_on_with_its_own_data_alone(root: Path, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(event: object) -> None:
        if isinstance(event, StepDone):
            raise StopError

    whole = open_dataset(root)
    training, validation = whole.split(0.7, seed=3)
    given: dict[str, Any] = {**SMALL, "validation": validation, "checkpoint_every": 1}
    straight = covos.train("lite-finetune", training, tmp_path / "straight", **given)
    with pytest.raises(StopError):
        covos.train("lite-finetune", training, tmp_path / "run", **given, on_event=_second(stop))
    few = training.subset(names(training)[0][:1])
    with pytest.raises(CheckpointError, match=r"begun with other data\s+why: gone are: "):
        covos.train("lite-finetune", few, tmp_path / "run", **given)
    with pytest.raises(CheckpointError, match="new are: "):
        covos.train("lite-finetune", whole, tmp_path / "run", **{**given, "validation": ()})
    moved = tmp_path / "elsewhere" / "SET2"
    shutil.copytree(root, moved)
    resumed = covos.train("lite-finetune", training, tmp_path / "run", **given)
    assert resumed.last.read_bytes() == straight.last.read_bytes()
    again = open_dataset(moved).subset(names(training)[0])
    assert covos.train("lite-finetune", again, tmp_path / "run", **given).steps == 2


def _second(stop: Any) -> Any:
    def heard(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            stop(event)

    return heard


def test_one_seed_divides_for_all_recipes(root: Path, tmp_path: Path) -> None:
    measured = [each.name for each in open_dataset(root, subset="val", ratio=0.8)]
    assert {recipe.split_seed for recipe in covos.recipes().values()} == {0}
    covos.train("lite-finetune", root, tmp_path / "run", **SMALL, seed=7)
    record = json.loads((tmp_path / "run" / "data.json").read_text())
    assert record["validation"][0]["videos"] == measured
    other = [each.name for each in open_dataset(root, subset="val", ratio=0.8, seed=5)]
    assert other != measured
    covos.train("lite-finetune", root, tmp_path / "other", **SMALL, split_seed=5)
    record = json.loads((tmp_path / "other" / "data.json").read_text())
    assert record["validation"][0]["videos"] == other


def test_a_run_of_an_older_covos_divided_by_its_only_seed(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    covos.train("lite-finetune", root, folder, **SMALL, split_seed=1)
    checkpoint = torch.load(folder / "checkpoint.pt", weights_only=True)
    kept = json.loads(checkpoint["recipe"])
    assert (kept.pop("split_seed"), kept.pop("start"), kept["seed"]) == (1, "covos-lite", 1)
    torch.save({**checkpoint, "recipe": json.dumps(kept)}, folder / "checkpoint.pt")
    (folder / "data.json").unlink()
    with pytest.raises(CheckpointError, match="split_seed: 1 there, 0 here"):
        covos.train("lite-finetune", root, folder, **SMALL)
    assert covos.train("lite-finetune", root, folder, **SMALL, split_seed=1).steps == 2


def test_the_videos_that_are_held_back_are_offered(root: Path) -> None:
    with pytest.raises(SourceError, match=r"add ratio=0\.8"):
        open_subset(root, subset="val")
    with pytest.raises(SourceError) as caught:
        open_subset(root, subset="test")
    assert "ratio=" not in str(caught.value)


def test_a_recipe_is_taken_as_it_is_handed_out(root: Path, tmp_path: Path) -> None:
    recipe = covos.recipes()["lite-finetune"]
    given = covos.train(recipe, root, tmp_path / "given", **SMALL)
    named = covos.train("lite-finetune", root, tmp_path / "named", **SMALL)
    assert given.last.read_bytes() == named.last.read_bytes()  # both go on from covos-lite


class Foreign:
    def __repr__(self) -> str:
        return "Foreign()"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"recipe": 3}, "3 is no recipe"),
        ({"data": 3}, "3 cannot be trained on"),
        ({"data": [Foreign()]}, r"Foreign\(\) cannot be trained on"),
        ({"data": []}, "nothing to train on"),
        ({"output": 3}, "no folder for the run"),
        ({"validation": "SET"}, "no data set that is open"),
        ({"validation": Foreign()}, "no data set that is open"),
        ({"on_event": 3}, "on_event: 3 cannot take events"),
        ({"on_event": [None]}, "on_event: None cannot take events"),
        ({"on_event": Console}, r"write Console\(\)"),
    ],
)
def test_other_things_are_refused_before_a_folder_is_made(
    root: Path, tmp_path: Path, changed: dict[str, Any], said: str
) -> None:
    given: dict[str, Any] = {"recipe": "lite-finetune", "data": root, "output": tmp_path / "run"} | changed
    with pytest.raises(UsageError, match=said):
        covos.train(**given, **SMALL)
    assert not (tmp_path / "run").exists()


def test_videos_and_overlaps_are_refused(root: Path, tmp_path: Path) -> None:
    whole = open_dataset(root)
    with pytest.raises(UsageError, match="cannot be trained on"):
        covos.train("lite-finetune", whole[0], tmp_path / "run", **SMALL)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no data set that is open"):
        covos.train("lite-finetune", root, tmp_path / "run", validation=whole[0], **SMALL)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="2 videos would be both trained and measured on: a, b"):
        covos.train("lite-finetune", whole, tmp_path / "run", validation=whole[:2], **SMALL)
    with pytest.raises(UsageError, match="overfit"):
        covos.train("lite-finetune", whole[:1], tmp_path / "run", validation=whole[1:], overfit=1, **SMALL)
    assert not (tmp_path / "run").exists()


def test_prediction_and_scoring_refuse_other_things(root: Path, tmp_path: Path) -> None:
    whole = open_dataset(root)
    for given in (3, whole[0]):
        with pytest.raises(UsageError, match="cannot be predicted"):
            predict(given, output=tmp_path / "out")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="cannot be scored"):
            covos.evaluate(given, root, protocol="davis2016")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="is no ground truth"):
            covos.evaluate(root, given, protocol="davis2016")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no folder"):
        predict(whole, output=3)  # type: ignore[arg-type]
    part = Dataset(name="SET", layout="tianchi", root=root, videos=(whole[0][:2],))
    with pytest.raises(UsageError, match="a is a part of a video: 2 of"):
        predict(part, output=tmp_path / "out")
    with pytest.raises(UsageError, match="a subset of a data set that is open"):
        covos.evaluate(root, whole, protocol="davis2016", subset="val")
    assert not (tmp_path / "out").exists()


def test_only_a_kind_of_training_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))
    for thing in (dict, 3, LiteTask.losses):
        with pytest.raises(UsageError, match="no kind of training"):
            register("x")(thing)  # type: ignore[type-var]
    assert "x" not in registry.TASKS
