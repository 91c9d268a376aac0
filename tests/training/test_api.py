"""`covos.train` makes the run that `covos train` makes, and takes kinds of training that are not in the package."""

from __future__ import annotations

import importlib.util
import json
import runpy
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import covos
from covos.cli import main
from covos.core.errors import CheckpointError, EnvironmentProblem, InputError, UsageError
from covos.models import CovosLite
from covos.models import registry as networks
from covos.training import LiteTask, StepDone, registry
from covos.training.registry import load_recipe

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL: dict[str, Any] = {
    "steps": 4, "frames_per_step": 2, "group_sizes": [2], "crops": [(64, 96)], "crop_chances": [1.0], "warmup": 1,
    "validate_every": 2, "checkpoint_every": 2, "device": "cpu", "precision": "fp32", "workers": 0,
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's kinds of training are gone after it."""
    monkeypatch.setattr(registry, "RECIPES", dict(registry.RECIPES))
    monkeypatch.setattr(registry, "TASKS", dict(registry.TASKS))


@pytest.fixture
def own_training() -> Iterator[ModuleType]:
    """The example ``own_training.py``."""
    spec = importlib.util.spec_from_file_location("own_training", EXAMPLES / "own_training.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def test_a_call_trains_and_says_how_good(tianchi: Path, tmp_path: Path) -> None:
    steps: list[int] = []
    result = covos.train(
        "lite-finetune", tianchi, tmp_path / "run", overfit=1, **SMALL,
        on_event=lambda event: steps.append(event.step) if isinstance(event, StepDone) else None,
    )  # fmt: skip
    assert steps == [1, 2, 3, 4]
    assert (result.folder, result.steps, result.skipped) == (tmp_path / "run", 4, 0)
    assert result.weights == tmp_path / "run" / "best.safetensors"
    assert result.start is not None
    assert result.best is not None
    assert result.best.step in (2, 4)
    scored = [entry for entry in result.history if entry.j is not None]
    assert max(entry.j for entry in scored if entry.step) == pytest.approx(result.best.j)
    card = json.loads((tmp_path / "run" / "best.json").read_text())
    assert card["recipe"]["crops"] == [[64, 96]]
    model = result.load(device="cpu")
    assert model.entry.path == result.weights


def test_the_call_and_the_command_make_the_same_weights(tianchi: Path, tmp_path: Path) -> None:
    result = covos.train("lite-finetune", [tianchi], str(tmp_path / "call"), **SMALL)
    settings = [f"--set={name}={json.dumps(SMALL[name])}" for name in ("frames_per_step", "group_sizes", "crops")]
    settings += [f"--set={name}={json.dumps(SMALL[name])}" for name in ("crop_chances", "warmup", "validate_every")]
    line = ["train", "lite-finetune", "--data", str(tianchi), "-o", str(tmp_path / "command"), "--steps", "4"]
    line += [*settings, "--set=checkpoint_every=2", "--device", "cpu", "--precision", "fp32", "--workers", "0"]
    assert main([*line, "--no-check", "-q"]) == 0
    assert (tmp_path / "command" / "last.safetensors").read_bytes() == result.last.read_bytes()


def test_a_run_is_gone_on_with_and_told_again_when_it_is_done(tianchi: Path, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    def stop(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            raise StopError

    with pytest.raises(StopError):
        covos.train("lite-finetune", tianchi, tmp_path, **SMALL, on_event=stop)
    begun: list[int] = []
    done = covos.train(
        "lite-finetune", tianchi, tmp_path, **SMALL,
        on_event=[lambda event: begun.append(event.step) if isinstance(event, StepDone) else None],
    )  # fmt: skip
    assert begun == [3, 4]  # from the checkpoint after step 2
    assert covos.train("lite-finetune", tianchi, tmp_path, **SMALL) == done
    with pytest.raises(CheckpointError, match="another recipe"):
        covos.train("lite-finetune", tianchi, tmp_path, **SMALL | {"warmup": 0})
    longer = covos.train("lite-finetune", tianchi, tmp_path, **SMALL | {"steps": 6}, extend=True)
    assert longer.steps == 6


def test_recipes_are_values_by_name() -> None:
    found = covos.recipes()
    assert found["lite-finetune"].steps == 400
    assert {"lite", "follow", "prompt", "cosnet-resnet50", "cosnet-resnet101"} <= set(found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"learning_rte": 1}, "unknown fields: learning_rte"),
        ({"warmup": -1}, "warmup = -1"),
        ({"model": "heavy"}, "no such kind of training"),
        ({"precision": "fp16"}, "underflow"),
        ({"precision": "fp61"}, "no precision has this name"),
        ({"epochs": 2}, "one length"),
    ],
)
def test_wrong_settings_are_refused(tianchi: Path, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        covos.train("lite-finetune", tianchi, tmp_path / "run", **SMALL | changed)
    assert not (tmp_path / "run").exists()


def test_data_are_looked_at_first(stills: Path, tmp_path: Path) -> None:
    (stills / "images" / "p1.jpg").write_bytes(b"no picture")
    with pytest.raises(InputError, match="cannot be trained on"):
        covos.train("lite-finetune", stills, tmp_path / "run", **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_kind_of_ones_own_is_trained_by_its_name(
    own_training: ModuleType, tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    original = covos.train

    def small(*arguments: Any, **settings: Any) -> Any:
        return original(*arguments, **SMALL | settings | {"grey_share": 1.0})

    monkeypatch.setattr(covos, "train", small)
    monkeypatch.setattr(sys, "argv", ["own_training.py", str(tianchi), str(tmp_path / "run"), "--steps", "2"])
    own_training.main()
    assert "unsure: 0." in capsys.readouterr().out
    card = json.loads((tmp_path / "run" / "last.json").read_text())
    assert (card["recipe"]["model"], card["recipe"]["sure_weight"]) == ("grey-lite", 0.05)
    # Its weights are those of a covos-lite, and are used as such.
    assert covos.load_model(tmp_path / "run" / "last.safetensors", device="cpu").network.stride == 32


def test_the_example_trains_on_a_folder_and_segments_with_what_it_made(
    tianchi: Path, make_clip: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original, run = covos.train, tmp_path / "run"
    monkeypatch.setattr(covos, "train", lambda *given, **settings: original(*given, **SMALL | settings, overfit=1))
    monkeypatch.setattr(sys, "argv", ["train.py", str(tianchi), str(run), "--steps", "2", "--clip", str(make_clip())])
    runpy.run_path(str(EXAMPLES / "train.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert f"weights: {run / 'best.safetensors'}\n" in said
    assert "J on the videos that were held back: 0." in said
    assert (run / "cut" / "overlay.mp4").is_file()


def test_batches_of_ones_own_are_drawn(own_training: ModuleType, tianchi: Path) -> None:
    settings = {name: value for name, value in SMALL.items() if name not in ("device", "precision", "workers")}
    recipe = load_recipe("lite-finetune", settings=settings | {"model": "grey-lite", "grey_share": 1.0})
    task = registry.make_task(recipe, [covos.data.open_dataset(tianchi)])
    image = task.batches()[0].image
    assert torch.equal(image[:, 0], image[:, 1])
    assert torch.equal(image[:, 0], image[:, 2])


def test_a_name_is_given_once() -> None:
    class Mine(LiteTask):
        pass

    assert registry.register("mine")(Mine) is Mine
    registry.register("mine")(Mine)  # a cell of a notebook that is run again
    with pytest.raises(UsageError, match="already"):
        registry.register("lite")(Mine)


def test_a_package_brings_kinds_by_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint(name="brought", value="covos.training.lite:LiteTask", group=registry.ADDED.group),
            EntryPoint(name="broken", value="covos.nowhere:Task", group=registry.ADDED.group),
        ]
    )
    monkeypatch.setattr("covos.core.extensions.entry_points", points.select)
    assert load_recipe("lite-finetune", settings={"model": "brought"}).model == "brought"
    assert "broken" in registry.kinds()
    with pytest.raises(EnvironmentProblem, match=r"covos\.nowhere"):
        load_recipe("lite-finetune", settings={"model": "broken"})


def test_weights_of_another_network_are_refused_at_once(
    tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def late(*arguments: object, **options: object) -> None:
        raise AssertionError("the data were looked at first")

    monkeypatch.setattr("covos.training.api.check_data", late)
    with pytest.raises(CheckpointError, match=r"is for the network follow(.|\n)*the recipe trains lite"):
        covos.train("lite-finetune", tianchi, tmp_path, weights="covos-follow", **SMALL)
    assert main(["train", "lite", "--data", str(tianchi), "--check", "-w", "covos-follow", "--device", "cpu"]) == 3
    assert "is for the network follow" in capsys.readouterr().err


def test_a_network_of_ones_own_is_told_to_leave_the_start_out(
    tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "NETWORKS", dict(networks.NETWORKS))

    @networks.register_network("wide-lite")
    class WideLite(CovosLite):
        pass

    @registry.register("wide-lite")
    class WideTask(LiteTask):
        name = "covos-wide"
        architecture = "wide-lite"
        network_type = WideLite

    with pytest.raises(CheckpointError, match="is for the network lite") as caught:
        covos.train("lite-finetune", tianchi, tmp_path / "run", model="wide-lite", **SMALL)
    assert "its own start is covos-lite" in caught.value.why
    assert 'start=""' in caught.value.fix
    monkeypatch.setattr("covos.training.lite.load_imagenet_weights", lambda encoder: None)
    short = SMALL | {"steps": 1, "validate_every": 0}
    assert covos.train("lite-finetune", tianchi, tmp_path / "run", model="wide-lite", start="", **short).steps == 1
