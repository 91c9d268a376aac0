"""What a training tells while it goes: events, curves, scores of every data set, and the score of its start."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import covos.training
from covos.cli import main
from covos.core.errors import InputError
from covos.models.cards import read_card
from covos.models.registry import find_model
from covos.training import Finished, Measured, Saved, Started, StepDone, loop, pools, run_log
from covos.training.cosnet import CosnetTask
from covos.training.follow import FollowTask
from covos.training.gather import TrainingData, gather
from covos.training.history import HistoryEntry, read_history
from covos.training.lite import LiteTask
from covos.training.measuring import named, validation_losses
from covos.training.prepared import prepare
from covos.training.prompt import PromptTask
from covos.training.registry import load_recipe, make_task
from covos.training.run_folder import describe_outcome
from covos.training.task import Task
from on_cpu import training_of
from seen import Seen

Run = Callable[..., Seen]
AT_FULL_SIZE = True
"""See `conftest.py`."""
SMALL = ("size=[48, 80]", "steps=4", "epochs=0", "validate_every=2", "checkpoint_every=2", "batch=2")
LITE = ("steps=2", "frames_per_step=4", "group_sizes=[2]", "crops=[[64, 96]]", "crop_chances=[1.0]")


@pytest.fixture
def two_sets(tianchi: Path, tmp_path: Path) -> Path:
    """Two copies of the two videos: each is divided, so there are two data sets to measure on."""
    for name in ("first", "second"):
        shutil.copytree(tianchi, tmp_path / "data" / name)
    return tmp_path / "data"


@pytest.mark.usefixtures("narrow")
def test_the_events_of_a_run(run: Run, tmp_path: Path) -> None:
    seen = run("cosnet-resnet50", tmp_path, *SMALL)
    kinds = [type(event) for event in seen.events]
    assert kinds[0] is Started
    assert kinds[-1] is Finished
    assert [event.step for event in seen] == [1, 2, 3, 4]
    assert [event.step for event in seen.measured] == [2, 4]
    assert kinds.index(StepDone) < kinds.index(Measured) < kinds.index(Saved)
    started, finished = seen.events[0], seen.events[-1]
    assert isinstance(started, Started)
    assert isinstance(finished, Finished)
    assert (started.step, started.steps, started.validation) == (0, 4, ("tianchi",))
    assert finished.best is not None
    assert finished.start is None
    assert finished.weights == tmp_path / "best.safetensors"
    assert finished.best.j == max(event.measurement.j or 0 for event in seen.measured)
    saved = [(event.kind, event.step) for event in seen.events if isinstance(event, Saved)]
    assert {("checkpoint", 2), ("checkpoint", 4), ("last", 4)} <= set(saved)
    assert [event.step for event in seen.measured if event.best] == [step for kind, step in saved if kind == "best"]


@pytest.mark.usefixtures("narrow")
def test_a_step_tells_rates_speed_and_memory(run: Run, tmp_path: Path) -> None:
    seen = run("cosnet-resnet50", tmp_path, *SMALL, "power=1.0", "new_layers=10.0", "learning_rate=0.001")
    for step, done in enumerate(seen):
        assert done.rates == pytest.approx({"encoder": 0.001 * (1 - step / 4), "new_layers": 0.01 * (1 - step / 4)})
        assert set(done.losses) == {"total", "a", "b"}
        assert done.frames == 4  # two pairs
        assert 0 < done.waiting < done.seconds
        assert done.frames_per_second == pytest.approx(4 / done.seconds)
        assert done.memory is not None
        assert done.memory.gpu is None
        assert (done.memory.process or 0) > 1e8
    assert seen[1].loss == pytest.approx((seen[0].losses["total"] + seen[1].losses["total"]) / 2)


def test_events_are_public_and_light() -> None:
    assert {"Finished", "Measured", "Saved", "Skipped", "Started", "StepDone", "TrainingEvent"} <= set(
        covos.training.__all__
    )
    assert all(getattr(covos.training, name) is not None for name in covos.training.__all__)


@pytest.mark.usefixtures("narrow")
def test_what_a_listener_raises_ends_the_run(tmp_path: Path, tianchi: Path) -> None:
    class EnoughError(Exception):
        pass

    def listener(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 2:
            raise EnoughError

    recipe = load_recipe("cosnet-resnet50", overrides=SMALL)
    data = gather([tianchi], seed=0, ratio=0.5)
    with pytest.raises(EnoughError):
        loop.train(training_of(recipe, TrainingData(train=data.train)), folder=tmp_path, on_event=listener)


@pytest.mark.usefixtures("narrow")
def test_history_and_tensorboard_have_what_is_to_be_watched(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL)
    board = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    tags = set(board.Tags()["scalars"])
    assert {
        "train/total", "learning_rate/encoder", "learning_rate/new_layers", "speed/frames_per_second",
        "speed/seconds_per_step", "speed/waiting_share", "memory_GB/process", "validation/J", "validation/F",
        "validation_sets/tianchi/J", "validation_sets/tianchi/F", "validation_loss/tianchi/total",
    } <= tags  # fmt: skip
    assert board.Tags()["images"] == ["train/predictions", "validation/worst_of_tianchi"]
    steps, *scores = [
        [entry for entry in read_history(tmp_path / "history.jsonl") if (entry.losses is None) == scored]
        for scored in (False, True)
    ]
    (entry,) = steps
    assert set(entry.rates or ()) == {"encoder", "new_layers"}
    assert entry.frames_per_second is not None
    assert 0 < (entry.waiting or 0) < 1
    assert (entry.memory or {})["process"] > 1e8
    assert [each.step for each in scores[0]] == [2, 4]
    assert "total" in ((scores[0][0].sets or {})["tianchi"].losses or {})


@pytest.mark.usefixtures("narrow")
def test_the_worst_frame_is_shown_beside_the_truth(run: Run, tmp_path: Path) -> None:
    seen = run("cosnet-resnet50", tmp_path, *SMALL)
    (validation,) = seen.measured[-1].measurement.scored.values()
    worst = validation.worst
    assert worst is not None
    assert worst.mask.shape == worst.truth.shape == worst.image.shape[:2]
    picture = seen.measured[-1].pictures["validation/worst_of_tianchi"]
    height, width = worst.mask.shape
    assert picture.shape == (3, height, 2 * width)
    assert picture.dtype == torch.uint8
    right = picture[:, :, width:].permute(1, 2, 0).numpy()
    assert np.array_equal(right[~worst.truth], worst.image[~worst.truth])
    assert (right[worst.truth] != worst.image[worst.truth]).any()


# Several data sets.


@pytest.mark.usefixtures("narrow")
def test_every_validation_set_is_measured_and_named(
    run: Run, two_sets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seen = run("cosnet-resnet50", tmp_path / "run", *SMALL, data=(two_sets,))
    for event in seen.measured:
        sets = event.measurement.scored
        assert list(sets) == ["first", "second"]
        assert event.measurement.j == pytest.approx(np.mean([each.j for each in sets.values()]))
        assert event.measurement.f == pytest.approx(np.mean([each.f for each in sets.values()]))
    entry = read_history(tmp_path / "run" / "history.jsonl")[-1]
    assert set(entry.sets or ()) == {"first", "second"}
    assert {name.partition("/")[0] for name in entry.sequences or ()} == {"first", "second"}
    board = EventAccumulator(str(tmp_path / "run" / "tensorboard")).Reload()
    assert {"validation_sets/first/J", "validation_sets/second/J"} <= set(board.Tags()["scalars"])
    card = read_card(tmp_path / "run" / "best.safetensors")
    assert card is not None
    assert set(card.scores["training validation, every fifth frame"]["sets"]) == {"first", "second"}
    _, *lines = describe_outcome(tmp_path / "run").splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["first", "second"]
    command = ["train", "cosnet-resnet50", "--data", str(two_sets), "-o", str(tmp_path / "told"), "--device", "cpu"]
    sets_ = [word for setting in SMALL for word in ("--set", setting)]
    assert main([*command, "--workers", "0", "--no-check", *sets_]) == 0
    said = capsys.readouterr().err
    assert "measured on first (1 video), second (1 video)" in said
    assert "  first: J 0." in said
    assert "  second: J 0." in said


def test_two_sets_of_one_name_are_told_apart(tianchi: Path) -> None:
    (dataset,) = gather([tianchi], seed=0, ratio=0.5).validation
    assert list(named([dataset, dataset, dataset])) == ["tianchi", "tianchi (2)", "tianchi (3)"]


def test_pictures_are_held_back_and_their_maps_are_scored(
    run: Run, stills: Path, tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "LEAST", 5)
    monkeypatch.setattr(pools, "held_back", lambda name: name == "p3")
    data = gather([tianchi, stills], seed=0)
    assert [[video.name for video in each] for each in data.pictures] == [["p3"]]
    assert "p3" not in [video.name for dataset in data.train for video in dataset]
    lite = find_model("covos-lite").path
    seen = run("lite-finetune", tmp_path, *LITE, "validate_every=2", data=(tianchi, stills), weights=lite)
    scores = seen.measured[-1].measurement.sets["pictures"]
    assert scores.videos is None
    assert scores.pictures is not None
    assert scores.pictures.pictures == 1
    assert 0 < scores.pictures.mae < 0.5 < scores.pictures.max_f
    entry = read_history(tmp_path / "history.jsonl")[-1]
    assert (entry.sets or {})["pictures"].mae == pytest.approx(scores.pictures.mae)
    assert "pictures" not in seen.measured[-1].measurement.scored  # reported, not chosen by
    card = read_card(tmp_path / "last.safetensors")
    assert card is not None
    assert "1 still picture of pictures" in card.scores


@pytest.mark.parametrize(
    ("name", "measured"), [("lite-finetune", ["p3"]), ("follow", []), ("prompt", []), ("matte", [])]
)
def test_pictures_are_measured_on_only_by_what_finds_something_in_them(
    stills: Path, tianchi: Path, monkeypatch: pytest.MonkeyPatch, name: str, measured: list[str]
) -> None:
    monkeypatch.setattr(pools, "LEAST", 5)
    monkeypatch.setattr(pools, "held_back", lambda name: name == "p3")
    prepared = prepare(
        load_recipe(name, settings={"ratio": 0.5}),
        (tianchi, stills),
        weights=None,
        device="cpu",
        precision="fp32",
        workers=0,
    )
    assert [video.name for each in prepared.data.pictures for video in each] == measured
    assert len(prepared.data.videos) == (name != "matte")  # a mask cannot say how good a matte is
    assert "p3" not in [video.name for dataset in prepared.data.train for video in dataset]


# The validation loss.


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("name", "overrides", "kind"),
    [
        ("cosnet-resnet50", ("size=[48, 80]",), CosnetTask),
        ("lite", LITE, LiteTask),
        ("follow", ("clips_per_step=2", "clip_sizes=[3]", "crop=[64, 96]"), FollowTask),
        ("prompt", ("frames_per_step=4", "crop=[64, 96]"), PromptTask),
    ],
)
def test_the_validation_loss_is_the_same_at_every_time(
    tianchi: Path, name: str, overrides: tuple[str, ...], kind: type[Task[object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("covos.training.task.LOSS_FRAMES", 4)
    monkeypatch.setattr("covos.training.lite.LOSS_FRAMES", 4)
    data = gather([tianchi], seed=0, ratio=0.5)
    found = []
    for seed in (0, 0, 5):
        task = make_task(load_recipe(name, overrides=(*overrides, f"seed={seed}")), data.train)
        assert isinstance(task, kind)
        torch.manual_seed(1)
        network = task.make_network().eval()
        (dataset,) = data.validation
        found.append(validation_losses(task, network, dataset, device=torch.device("cpu"), precision=torch.float32))
    assert found[0] == found[1] == found[2]  # the frames are those of any run, whatever its seed
    assert found[0]["total"] > 0


def test_lite_sees_whole_frames_in_the_validation_loss(tianchi: Path) -> None:
    data = gather([tianchi], seed=0, ratio=0.5)
    task = make_task(load_recipe("lite", overrides=LITE), data.train)
    (dataset,) = data.validation
    (batch,) = task.validation_batches(dataset)
    assert batch.image.shape == (2, 3, 64, 96)
    assert batch.image.dtype == torch.uint8
    assert batch.motion.abs().max() > 0
    (video,) = dataset.videos
    record = video.annotated[len(video.annotated) // 4]
    assert record.image is not None
    whole = cv2.cvtColor(cv2.imread(str(record.image)), cv2.COLOR_BGR2RGB)
    small = cv2.resize(whole, (96, 64), interpolation=cv2.INTER_AREA).astype(np.float32)
    shown = batch.image[0].permute(1, 2, 0).numpy().astype(np.float32)
    assert np.corrcoef(small.ravel(), shown.ravel())[0, 1] > 0.95


def test_videos_that_make_no_batch_have_no_loss(tianchi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = gather([tianchi], seed=0, ratio=0.5)
    task = make_task(load_recipe("lite", overrides=LITE), data.train)

    def none(dataset: object) -> object:
        raise InputError("no", why="pairs", fix="here")

    monkeypatch.setattr(task, "validation_batches", none)
    network = task.make_network().eval()
    (dataset,) = data.validation
    assert validation_losses(task, network, dataset, device=torch.device("cpu"), precision=torch.float32) == {}


# The weights that a run starts from.


@pytest.mark.usefixtures("narrow")
def test_the_start_is_measured_and_said(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path / "first", *SMALL)
    start = tmp_path / "first" / "last.safetensors"
    # A rate that ruins it: no step is better than the start.
    seen = run("cosnet-resnet50", tmp_path / "second", *SMALL, "learning_rate=0.0", weights=start)
    first, *later = seen.measured
    assert first.step == 0
    assert first.measurement.j == pytest.approx(find_score(start), abs=1e-4)
    assert not first.best
    assert [event.step for event in later] == [2, 4]
    finished = seen.events[-1]
    assert isinstance(finished, Finished)
    assert finished.start is not None
    assert finished.start.j == first.measurement.j
    said = describe_outcome(tmp_path / "second")
    assert said.startswith(f"start  J {finished.start.j:.3f}  F {finished.start.f:.3f}  ->  best  J ")
    best = max(event.measurement.j or 0 for event in later)
    assert ("no step was better than the weights that the run started from" in said) == (best <= finished.start.j)
    # A run from random weights has no start to compare with.
    assert describe_outcome(tmp_path / "first").startswith("best  J ")


def find_score(weights: Path) -> float:
    card = read_card(weights)
    assert card is not None
    return float(card.scores["training validation, every fifth frame"]["J"])


@pytest.mark.parametrize(
    ("j", "said"), [(0.7, "these are better than best"), (0.8, "these are as good as best"), (0.9, None)]
)
def test_the_start_is_called_better_only_if_it_is(j: float, said: str | None, tmp_path: Path) -> None:
    entries = HistoryEntry(step=0, j=0.8, f=0.5), HistoryEntry(step=2, j=j, f=0.5)
    (tmp_path / "history.jsonl").write_text("".join(entry.line() for entry in entries))
    lines = describe_outcome(tmp_path).splitlines()[1:]
    assert len(lines) == (said is not None)
    assert said is None or said in lines[0]


def test_a_small_gain_is_seen(tmp_path: Path) -> None:
    def outcome(j: float, f: float) -> str:
        entries = HistoryEntry(step=0, j=0.9731, f=0.9852), HistoryEntry(step=2, j=j, f=f)
        (tmp_path / "history.jsonl").write_text("".join(entry.line() for entry in entries))
        return describe_outcome(tmp_path).splitlines()[0].rpartition(":")[0]

    start = "start  J 0.9731  F 0.9852  ->  best"
    assert outcome(0.9734, 0.9841) == f"{start}  J 0.9734  F 0.9841  at step 2 (the best by J)"
    assert outcome(0.9734, 0.9861) == f"{start}  J 0.9734  F 0.9861  at step 2"
    assert outcome(0.975, 0.98) == "start  J 0.973  F 0.985  ->  best  J 0.975  F 0.980  at step 2 (the best by J)"


@pytest.mark.usefixtures("narrow")
def test_a_run_that_was_never_better_says_so(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("cosnet-resnet50", tmp_path / "first", *SMALL)
    original = CosnetTask.measure
    measured: list[int] = []

    def falling(self: CosnetTask, *arguments: object, **named: object) -> object:
        found = original(self, *arguments, **named)  # type: ignore[arg-type]
        measured.append(1)
        return type(found)(j=0.9 - 0.1 * len(measured), f=0.5, sequences=found.sequences)

    monkeypatch.setattr(CosnetTask, "measure", falling)
    seen = run("cosnet-resnet50", tmp_path / "second", *SMALL, weights=tmp_path / "first" / "last.safetensors")
    finished = seen.events[-1]
    assert isinstance(finished, Finished)
    assert finished.start is not None
    assert finished.best is not None
    assert (finished.start.j, finished.best.j) == pytest.approx((0.8, 0.7))
    said = describe_outcome(tmp_path / "second")
    assert said.startswith("start  J 0.800  F 0.500  ->  best  J 0.700  F 0.500  at step 2: ")
    assert "no step was better than the weights that the run started from" in said


@pytest.mark.usefixtures("narrow")
def test_without_tensorboard_a_run_keeps_its_history_and_says_what_it_lacks(
    run: Run, tmp_path: Path, tianchi: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = run_log.find_spec
    monkeypatch.setattr(run_log, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    run("cosnet-resnet50", tmp_path / "run", *SMALL)
    assert not (tmp_path / "run" / "tensorboard").exists()
    assert [entry.step for entry in read_history(tmp_path / "run" / "history.jsonl") if entry.losses] == [4]
    with pytest.warns(UserWarning, match="TensorBoard is not installed"):
        covos.train(
            "lite-finetune", tianchi, tmp_path / "lite", check=False, device="cpu", precision="fp32", workers=0,
            steps=1, frames_per_step=4, group_sizes=[2], crops=[[64, 96]], crop_chances=[1.0], ratio=0.0,
            validate_every=0, checkpoint_every=1, warmup=0,
        )  # fmt: skip
