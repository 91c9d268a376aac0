"""A real, very small training: from files on disk to weights that load."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from covos.cli import main
from covos.core.errors import CheckpointError, EnvironmentProblem, IncompleteError, InputError, UsageError
from covos.core.files import LOCK, exclusive
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model
from covos.training import loop
from covos.training.gather import TrainingData, gather
from covos.training.lite import GroupBatches, LiteTask
from covos.training.loading import iterate_batches
from covos.training.losses import EPS, read_mask_bce
from covos.training.recipe import Recipe
from covos.training.registry import load_recipe
from on_cpu import training_of
from seen import Seen
from starving import at, starve

SMALL = (
    "steps=4", "frames_per_step=2", "group_sizes=[2]", "crops=[[64, 96]]", "crop_chances=[1.0]", "warmup=1",
    "validate_every=2", "checkpoint_every=2", "paste_share=0.3",
)  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def _no_download() -> Iterator[None]:
    """ImageNet weights are an optional package; random ones do for these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("covos.training.lite.load_imagenet_weights", lambda encoder: None)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A DAVIS tree of two training videos and a validation video, and a folder of pictures with masks."""
    root = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)

    def write(image: Path, mask: Path, x: int) -> None:
        picture = rng.integers(0, 90, (72, 128, 3), dtype=np.uint8)
        truth = np.zeros((72, 128), np.uint8)
        cv2.circle(truth, (x, 36), 16, 255, -1)
        picture[truth > 0] = (30, 200, 240)
        image.parent.mkdir(parents=True, exist_ok=True)
        mask.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(image), picture)
        cv2.imwrite(str(mask), truth)

    davis = root / "davis"
    for name in ("one", "two", "held"):
        for index in range(5):
            write(
                davis / "JPEGImages/480p" / name / f"{index:05}.jpg",
                davis / "Annotations/480p" / name / f"{index:05}.png",
                30 + 12 * index,
            )
    lists = davis / "ImageSets/480p"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("one\ntwo\n")
    (lists / "val.txt").write_text("held\n")
    for index in range(3):
        write(root / "pictures/images" / f"p{index}.jpg", root / "pictures/masks" / f"p{index}.png", 60)
    return root


def recipe(*more: str) -> Recipe:
    return load_recipe("lite", overrides=(*SMALL, *more))


def run(root: Path, folder: Path, *more: str) -> Seen:
    seen = Seen()
    loop.train(training_of(recipe(*more), gather([root], seed=0)), folder=folder, on_event=seen)
    return seen


@pytest.fixture(scope="module")
def whole(root: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    """The folder of a run that is done, and what it said. A test that changes it copies it."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run(root, folder)


@pytest.fixture
def finished(whole: tuple[Path, Seen], tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(whole[0], tmp_path / "run")


def test_data_are_divided_by_their_lists(root: Path) -> None:
    data = gather([root], seed=0)
    assert {dataset.name: [video.name for video in dataset] for dataset in data.train} == {
        "davis": ["one", "two"],
        "pictures": ["p0", "p1", "p2"],
    }
    (measured,) = data.validation
    assert [video.name for video in measured] == ["held"]


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.jpg"), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(InputError):
        gather([tmp_path], seed=0)


def test_batches_depend_on_seed_and_step_alone(root: Path) -> None:
    data = gather([root], seed=0).train
    batches = GroupBatches(data, recipe())
    first = batches[1]
    again = next(iterate_batches(GroupBatches(data, recipe()), start=1, stop=2, workers=0))
    for one, other in zip(first[:3], again.batch[:3], strict=True):
        assert torch.equal(one, other)  # type: ignore[arg-type]
    assert first.image.shape == (2, 3, 64, 96)
    assert first.image.dtype == torch.uint8
    assert not torch.equal(first.image, batches[2].image)
    for step in range(4):
        assert 0 <= batches[step].target.min() <= batches[step].target.max() <= 1


def test_a_training_leaves_all_it_promises(whole: tuple[Path, Seen]) -> None:
    folder, seen = whole
    assert [progress.step for progress in seen] == [1, 2, 3, 4]
    assert [event.step for event in seen.measured] == [2, 4]
    names = {path.name for path in folder.iterdir()}
    assert {"best.safetensors", "best.json", "last.safetensors", "last.json", "checkpoint.pt"} <= names
    assert json.loads((folder / "recipe.json").read_text())["steps"] == 4
    assert any((folder / "tensorboard").iterdir())
    entry = find_model(folder / "last.safetensors")
    assert [source["name"] for source in entry.card.data] == ["davis", "pictures"]
    assert entry.card.recipe["step"] == 4
    assert set(entry.card.scores) == {"training validation, every fifth frame"}
    build_network(entry)


def test_training_learns(root: Path, tmp_path: Path) -> None:
    seen = run(root, tmp_path, "steps=24", "validate_every=0", "warmup=5", "paste_share=0.0")
    assert seen[-1].loss < 0.9 * seen[3].loss  # it is 0.87; where nothing is learned, 1.01


def test_a_resumed_run_equals_an_uninterrupted_one(
    root: Path, whole: tuple[Path, Seen], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop.iterate_batches

    class KilledError(Exception):
        pass

    def dying(batches: GroupBatches, *, start: int, stop: int, workers: int) -> object:
        for step, batch in enumerate(original(batches, start=start, stop=stop, workers=workers), start=start):
            if step == 3:
                raise KilledError
            yield batch

    monkeypatch.setattr(loop, "iterate_batches", dying)
    with pytest.raises(KilledError):
        run(root, tmp_path / "parts")
    monkeypatch.setattr(loop, "iterate_batches", original)
    assert [progress.step for progress in run(root, tmp_path / "parts")] == [3, 4]
    one, other = (load_file(folder / "last.safetensors") for folder in (whole[0], tmp_path / "parts"))
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_a_run_is_not_mixed_with_another(root: Path, finished: Path) -> None:
    with pytest.raises(CheckpointError, match="seed: 0 there, 1 here"):
        run(root, finished, "seed=1")
    (finished / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(CheckpointError, match="cannot be read"):
        run(root, finished)


def test_two_trainings_never_write_to_one_folder(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with exclusive(folder / LOCK), pytest.raises(EnvironmentProblem, match="run is in use") as refused:
        run(root, folder)
    assert f"another covos works in it: process {os.getpid()} on " in refused.value.why
    assert refused.value.fix == "wait until it is done, or give this training another folder"
    assert not list(folder.iterdir())


def test_a_training_reads_nothing_in_a_folder_in_which_another_works(root: Path, finished: Path) -> None:
    """It would go on from a checkpoint that the other has left behind meanwhile."""
    (finished / "checkpoint.pt").write_bytes(b"broken")
    (finished / "data.json").write_bytes(b"broken")
    with exclusive(finished / LOCK), pytest.raises(EnvironmentProblem, match="run is in use"):
        run(root, finished)


def test_a_training_that_is_refused_leaves_no_folder(root: Path, tmp_path: Path) -> None:
    training = training_of(recipe(), gather([root], seed=0))
    with pytest.raises(UsageError, match="holds no run to extend"):
        loop.train(training, folder=tmp_path / "new" / "run", extend=True)
    assert not list(tmp_path.iterdir())


def test_fine_tuning_starts_from_the_given_weights(root: Path, tmp_path: Path) -> None:
    data = gather([root], seed=0)
    start = find_model("covos-lite")
    frozen = recipe("steps=1", "learning_rate=0.0", "encoder_learning_rate=0.0", "validate_every=1", "ema=0.0")
    loop.train(training_of(frozen, TrainingData(train=data.train), start=start.path), folder=tmp_path)
    before, after = load_file(start.path), load_file(tmp_path / "last.safetensors")
    for name, tensor in before.items():
        if "running" not in name:  # batch-norm statistics follow the data at any rate of learning
            assert torch.equal(tensor, after[name]), name


def test_parts_of_a_step_are_whole_groups(root: Path, tmp_path: Path) -> None:
    settings = ("frames_per_step=8", "group_sizes=[4]", "steps=2", "validate_every=0")
    assert [progress.step for progress in run(root, tmp_path, *settings, "accumulate=2")] == [1, 2]
    with pytest.raises(UsageError, match="8 frames a step cannot be divided"):
        run(root, tmp_path / "other", *settings, "accumulate=4")
    assert not (tmp_path / "other").exists()


def test_a_checkpoint_from_before_a_field_was_there_is_continued(root: Path, finished: Path) -> None:
    path = finished / "checkpoint.pt"
    content = torch.load(path, weights_only=True)
    settings = json.loads(content["recipe"])
    del settings["accumulate"], content["due"], content["started_from"]
    torch.save({**content, "recipe": json.dumps(settings), "step": 3}, path)
    assert [progress.step for progress in run(root, finished)] == [4]
    torch.save({**content, "recipe": json.dumps({**settings, "accumulate": 2}), "step": 3}, path)
    with pytest.raises(CheckpointError, match="accumulate: 2 there, 1 here"):
        run(root, finished)


def test_a_damaged_history_is_said(root: Path, finished: Path) -> None:
    (finished / "history.jsonl").write_text('{"step": 1, "losses": {"total": 1.0}}\nbroken\n')
    content = torch.load(finished / "checkpoint.pt", weights_only=True)
    torch.save({**content, "step": 3}, finished / "checkpoint.pt")
    with pytest.raises(CheckpointError, match="line 2"):
        run(root, finished)


def test_divergence_stops_the_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object, **named: object) -> object:
        return {"total": torch.tensor(float("nan"), requires_grad=True)}

    monkeypatch.setattr(LiteTask, "losses", broken)
    with pytest.raises(IncompleteError, match="loss is not finite at step 1: nan") as caught:
        run(root, tmp_path)
    assert caught.value.exit_code == 4
    assert "no checkpoint was written yet" in caught.value.why
    assert "learning_rate=" in caught.value.fix


def test_weights_that_are_no_numbers_replace_no_checkpoint(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = LiteTask.losses

    def lost(task: LiteTask, network: CovosLite, batch: object, **named: object) -> object:
        losses = plain(task, network, batch, **named)
        if (tmp_path / "checkpoint.pt").exists():  # from step 3 on
            losses["total"].register_hook(lambda gradient: gradient * float("nan"))
        return losses

    monkeypatch.setattr(LiteTask, "losses", lost)
    with pytest.raises(IncompleteError, match=r"after step|at step") as caught:
        run(root, tmp_path, "validate_every=0")
    assert f"{tmp_path / 'checkpoint.pt'} is the last checkpoint from before" in caught.value.why
    kept = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 2
    assert all(each.isfinite().all() for each in kept["network"].values())


def test_a_probability_that_is_no_number_gives_such_a_loss() -> None:
    read, target = torch.rand(2, 1, 4, 4), torch.rand(2, 1, 4, 4)
    weight = torch.ones_like(read)
    usual = torch.nn.functional.binary_cross_entropy(read.clamp(EPS, 1 - EPS), target)
    torch.testing.assert_close(read_mask_bce(read, target, weight), usual)
    read[0, 0, 0, 0] = float("nan")
    assert read_mask_bce(read, target, weight).isnan()


def test_the_command_trains(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = [word for setting in (*SMALL, "steps=1") for word in ("--set", setting)]
    command = ["train", "lite", "--data", str(root), "-o", str(tmp_path / "run"), "--device", "cpu", *settings]
    assert main([*command, "--workers", "0"]) == 0
    out, err = capsys.readouterr()
    assert out.strip() == str(tmp_path / "run" / "last.safetensors")
    assert "davis (2), pictures (3); measured on davis" in err
    (best,) = [line for line in err.splitlines() if line.startswith("best  J ")]
    assert best.endswith(str(tmp_path / "run" / "best.safetensors"))
    assert main([*command, "--set", "steps=zero"]) == 2
    assert main(["train", "lite", "--data", str(tmp_path / "none"), "-o", str(tmp_path / "other")]) == 3
    assert not (tmp_path / "other").exists()


def test_out_of_memory_names_what_a_step_depends_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starve(monkeypatch, CovosLite, "encode", rule=at(1))
    with pytest.raises(EnvironmentProblem, match="out of memory in a step of 4 frames, 2 at a time") as failed:
        run(root, tmp_path / "run", "frames_per_step=4", "accumulate=2", "checkpoint_every=1")
    assert "CUDA out of memory" in failed.value.why
    assert "--set accumulate=4" in failed.value.remedy.command
    assert all(name in failed.value.fix for name in ("frames_per_step", "crops", "the last checkpoint is intact"))
