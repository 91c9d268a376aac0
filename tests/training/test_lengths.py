"""How long a run is: in steps or epochs, made longer, and on few videos on purpose."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from covos.cli import main
from covos.core.errors import CheckpointError, UsageError
from covos.models.cards import read_card
from covos.models.registry import find_model
from covos.training import Finished, Started, loop
from covos.training.check import check_data
from covos.training.gather import gather
from covos.training.history import read_history
from covos.training.registry import load_recipe, recipe_names
from covos.training.run_folder import describe_outcome
from seen import Seen

Run = Callable[..., Seen]
SMALL = ("size=[48, 80]", "epochs=0", "batch=2", "validate_every=2", "checkpoint_every=2", "learning_rate=0.001")
GATHERED = pytest.mark.thorough
"""For recipes whose few videos the loop gathers as for all, and whose measures `test_follow` and `test_prompt` have."""
LITE = ("frames_per_step=4", "group_sizes=[2]", "crops=[[64, 96]]", "crop_chances=[1.0]")


# Steps and epochs.


@pytest.mark.parametrize("name", recipe_names())
def test_steps_work_everywhere(name: str) -> None:
    recipe = load_recipe(name, steps=7)
    assert recipe.steps == 7
    assert getattr(recipe, "epochs", 0) == 0


def test_epochs_work_where_they_are_counted() -> None:
    for name in ("cosnet-resnet50", "cosnet-resnet101"):
        recipe = load_recipe(name, epochs=3)
        assert (recipe.steps, getattr(recipe, "epochs", None)) == (0, 3)
    with pytest.raises(UsageError, match=r"lite counts no epochs(.|\n)*steps=\.\.\."):
        load_recipe("lite", epochs=3)
    with pytest.raises(UsageError, match="one length"):
        load_recipe("cosnet-resnet50", epochs=3, steps=4)
    with pytest.raises(UsageError):
        load_recipe("cosnet-resnet50", epochs=0)


@pytest.mark.usefixtures("narrow")
def test_the_options_of_the_command(tianchi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["--set", "size=[48, 80]", "--set", "checkpoint_every=2"]
    command = ["train", "cosnet-resnet50", "--data", str(tianchi), "--device", "cpu", "--workers", "0", *sets]
    assert main([*command, "--check", "--steps", "3"]) == 0
    out = capsys.readouterr().out
    assert "on this machine: 3 steps of" in out
    (memory,) = [line for line in out.splitlines() if line.startswith("memory: ")]
    assert memory.startswith("memory: at most ")
    assert "GB in the process" in memory
    run = [*command, "--no-check", "-o", str(tmp_path / "run")]
    assert main([*run, "--steps", "3"]) == 0
    capsys.readouterr()
    assert main([*run, "--steps", "3"]) == 0
    assert "the run was done before, at step 3" in capsys.readouterr().err
    assert main([*run, "--steps", "5"]) == 3
    said = capsys.readouterr().err
    assert "holds a run of another length" in said
    assert "add --extend to make it longer, or give a new run another folder" in said
    assert main([*run, "--steps", "5", "--extend"]) == 0
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["step"] == 5
    assert main([*command, "--no-check", "-o", str(tmp_path / "passes"), "--epochs", "1"]) == 0
    assert len(list((tmp_path / "passes").glob("epoch-*.safetensors"))) == 1


# A run that is made longer.


@pytest.mark.usefixtures("narrow")
def test_a_finished_run_goes_on(run: Run, tmp_path: Path) -> None:
    settings = (*SMALL, "power=1.0")
    run("cosnet-resnet50", tmp_path / "run", *settings, "steps=4")
    with pytest.raises(CheckpointError, match=r"steps: 4 there, 8 here(.|\n)*add extend=True"):
        run("cosnet-resnet50", tmp_path / "run", *settings, "steps=8")
    seen = run("cosnet-resnet50", tmp_path / "run", *settings, "steps=8", extend=True)
    assert [step.step for step in seen] == [5, 6, 7, 8]
    assert isinstance(seen.events[0], Started)
    assert (seen.events[0].step, seen.events[0].steps) == (4, 8)
    # The rates are those of a run of the new length.
    assert [step.rates["encoder"] for step in seen] == pytest.approx([0.001 * (1 - step / 8) for step in (4, 5, 6, 7)])
    history = read_history(tmp_path / "run" / "history.jsonl")
    assert [entry.step for entry in history if entry.j is not None] == [2, 4, 6, 8]
    card = read_card(tmp_path / "run" / "last.safetensors")
    assert card is not None
    assert (card.recipe["step"], card.recipe["steps"], card.recipe["extended"]) == (8, 8, [4])
    again = run("cosnet-resnet50", tmp_path / "run", *settings, "steps=8", extend=True)
    assert [type(event) for event in again.events] == [Finished], "a run that is done tells its end again"
    assert again.events == seen.events[-1:]
    with pytest.raises(UsageError, match=r"holds no run to extend(.|\n)*begun without"):
        run("cosnet-resnet50", tmp_path / "other", *settings, "steps=8", extend=True)


@pytest.mark.usefixtures("narrow")
def test_a_longer_run_can_be_stopped_too(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same command goes on, with --extend or without, and gives what an unstopped one gives."""
    settings = (*SMALL, "power=1.0", "validate_every=0")
    run("cosnet-resnet50", tmp_path / "whole", *settings, "steps=4")
    for name in ("parts", "plain"):
        shutil.copytree(tmp_path / "whole", tmp_path / name)
    run("cosnet-resnet50", tmp_path / "whole", *settings, "steps=8", extend=True)
    original = loop.iterate_batches

    class KilledError(Exception):
        pass

    def dying(batches: object, *, start: int, stop: int, workers: int) -> object:
        for step, loaded in enumerate(original(batches, start=start, stop=stop, workers=workers), start=start):  # type: ignore[arg-type]
            if step == 7:
                raise KilledError
            yield loaded

    for name, again in (("parts", True), ("plain", False)):
        with monkeypatch.context() as patch:
            patch.setattr(loop, "iterate_batches", dying)
            with pytest.raises(KilledError):
                run("cosnet-resnet50", tmp_path / name, *settings, "steps=8", extend=True)
        rest = run("cosnet-resnet50", tmp_path / name, *settings, "steps=8", extend=again)
        assert [step.step for step in rest] == [7, 8]
        whole, other = (load_file(tmp_path / each / "last.safetensors") for each in ("whole", name))
        assert all(torch.equal(tensor, other[key]) for key, tensor in whole.items())


@pytest.mark.usefixtures("narrow")
def test_only_the_length_may_change_and_only_grow(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL, "steps=4")
    with pytest.raises(CheckpointError, match="ask for 4 steps or more"):
        run("cosnet-resnet50", tmp_path, *SMALL, "steps=3", extend=True)
    with pytest.raises(CheckpointError, match="seed: 0 there, 1 here"):
        run("cosnet-resnet50", tmp_path, *SMALL, "steps=8", "seed=1", extend=True)


@pytest.mark.usefixtures("narrow")
def test_epochs_are_added(run: Run, tmp_path: Path) -> None:
    settings = ("size=[48, 80]", "checkpoint_every=2", "videos=1")
    first = run("cosnet-resnet50", tmp_path, *settings, "epochs=1")
    seen = run("cosnet-resnet50", tmp_path, *settings, "epochs=2", extend=True)
    assert seen[0].step == first[-1].step + 1
    assert sorted(path.name[:9] for path in tmp_path.glob("epoch-*.safetensors")) == ["epoch-001", "epoch-002"]


# The same few videos, trained and measured on.


def test_the_first_videos_by_the_seed(tianchi: Path, stills: Path) -> None:
    for seed in range(4):
        one, two = (gather([tianchi], seed=seed, overfit=count) for count in (1, 2))
        assert one.train == one.validation
        names = [[video.name for dataset in data.train for video in dataset] for data in (one, two)]
        assert len(names[0]) == 1
        assert len(names[1]) == 2
        assert set(names[0]) < set(names[1])
    both = gather([tianchi, stills], seed=0, overfit=1)
    assert [[video.kind for video in dataset] for dataset in both.train] == [["video"], ["image"]]
    with pytest.raises(UsageError, match=r"no 9 videos to overfit on(.|\n)*overfit=2"):
        gather([tianchi], seed=0, overfit=9)
    found = check_data(gather([tianchi], seed=0, overfit=2))
    assert found.problems == ()
    assert "to train on and to measure on" in found.counts[0]


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("cosnet-resnet50", ("size=[48, 80]", "epochs=0")),
        ("cosnet-resnet101", ("size=[48, 80]", "batch=2")),
        ("lite-finetune", LITE),
        pytest.param("follow", ("clips_per_step=2", "clip_sizes=[3]", "crop=[64, 96]"), marks=GATHERED),
        pytest.param("prompt", ("frames_per_step=4", "crop=[64, 96]"), marks=GATHERED),
    ],
)
def test_every_recipe_can_be_overfitted(
    run: Run, tianchi: Path, stills: Path, tmp_path: Path, name: str, overrides: tuple[str, ...]
) -> None:
    weights = find_model("covos-lite").path if name == "lite-finetune" else None
    data = (tianchi, stills)
    seen = run(name, tmp_path, *overrides, "steps=2", "overfit=1", data=data, weights=weights)
    validation = seen.measured[-1].measurement.scored["tianchi"]
    assert len({sequence.partition(",")[0] for sequence in validation.sequences}) == 1
    card = read_card(tmp_path / "best.safetensors")
    assert card is not None
    assert card.recipe["overfit"] == 1
    assert "training videos themselves (overfitting on purpose), every fifth frame" in card.scores
    assert "training validation, every fifth frame" not in card.scores
    assert describe_outcome(tmp_path)


@pytest.mark.usefixtures("narrow")
def test_the_option_says_how_many(tianchi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sets = ["--set", "size=[48, 80]"]
    command = ["train", "cosnet-resnet50", "--data", str(tianchi), "--device", "cpu", "--workers", "0", *sets]
    assert main([*command, "--overfit", "2", "--steps", "2", "-o", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().err
    assert "tianchi (2); measured on tianchi (2 videos)" in said
    assert "are trained on, too" not in said
    assert main([*command, "--overfit", "0", "--steps", "2", "-o", str(tmp_path / "other")]) == 2
