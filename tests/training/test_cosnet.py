"""Real, very small trainings of COSNet, from files on disk to weights that load."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file, save_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import covos
from covos.core.errors import CheckpointError, InputError
from covos.models.cards import read_card, sha256_of, stored_network
from covos.models.cosnet.convert import convert
from covos.models.cosnet.network import COSNETS, Cosnet
from covos.models.registry import build_network, find_model
from covos.training import loop
from covos.training.history import read_history
from covos.training.run_folder import describe_outcome
from seen import Seen

pytestmark = pytest.mark.usefixtures("all_narrow")

Run = Callable[..., Seen]
SMALL = ("size=[48, 80]", "checkpoint_every=2")
STEPS_101 = (*SMALL, "steps=4", "batch=2", "validate_every=2")


@pytest.fixture(scope="module")
def first(all_narrow: None, run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Seen]:
    """The folder of a run of one epoch, and what it said. A test that changes it copies it."""
    folder = tmp_path_factory.mktemp("first") / "run"
    return folder, run("cosnet-resnet50", folder, *SMALL)


@pytest.fixture(scope="module")
def second(all_narrow: None, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two epochs, which is measured after each."""
    folder = tmp_path_factory.mktemp("second")
    run("cosnet-resnet50", folder, *SMALL, "epochs=2")
    return folder


def test_resnet50_as_its_recipe_says(first: tuple[Path, Seen]) -> None:
    """One of the two videos is trained on: all its pairs, two a step."""
    folder, seen = first
    assert [progress.step for progress in seen] in ([1, 2, 3, 4, 5], [*range(1, 9)])
    assert seen.measured[-1].measurement.j is not None
    (epoch,) = folder.glob("epoch-*.safetensors")
    (entry,) = [entry for entry in read_history(folder / "history.jsonl") if entry.losses is not None]
    assert epoch.name == f"epoch-001-loss-{entry.losses['total']:.4f}.safetensors"
    assert set(entry.losses) == {"total", "a", "b"}
    network = build_network(find_model(folder / "last.safetensors"))
    assert isinstance(network, Cosnet)
    assert network.fixed_size == (48, 80)
    assert network.config.outputs == 3
    assert network.config.level == 1
    assert any((folder / "tensorboard").iterdir())


def test_the_file_segments(first: tuple[Path, Seen], tianchi: Path) -> None:
    folder, _ = first
    model = covos.load_model(folder / "last.safetensors", device="cpu", precision="fp32")
    assert model.name == folder.name, "the name of the run's folder"
    result = covos.segment(tianchi / "JPEGImages" / "600103", model=model)
    assert len(result) == 4
    assert result[0].size == (90, 160)


def test_resnet101_takes_turns(run: Run, tianchi: Path, stills: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run("cosnet-resnet101", folder, *STEPS_101, "orthogonality=1e-4", data=(tianchi, stills))
    (entry,) = [entry for entry in read_history(folder / "history.jsonl") if entry.losses is not None]
    assert set(entry.losses) == {"total", "a", "b", "still", "orthogonality"}
    card = find_model(folder / "last.safetensors").card
    assert card.architecture == "cosnet_resnet101"
    assert {source["name"] for source in card.data} == {"tianchi", "pictures"}
    assert not list(folder.glob("epoch-*"))


def test_colours_are_regressed_on_request(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL, 'target="colours"')
    network = build_network(find_model(tmp_path / "last.safetensors"))
    assert isinstance(network, Cosnet)
    assert network.config.level == pytest.approx(128 / 255)


@pytest.mark.parametrize(
    "target",
    ["classes", pytest.param("colours", marks=pytest.mark.thorough)],  # `test_golden_loss` has its losses
)
def test_it_learns(run: Run, tmp_path: Path, target: str) -> None:
    seen = run(
        "cosnet-resnet50", tmp_path, *SMALL, "epochs=5", "learning_rate=0.05", f'target="{target}"', measure=False
    )
    assert seen[-1].loss < 0.8 * seen[3].loss


def test_a_resumed_run_equals_an_uninterrupted_one(
    run: Run, tianchi: Path, stills: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses and an epoch's mean too: momentum, rates, order and sums are all kept."""
    settings = (*SMALL, "epochs=2", "still_every=2", "power=0.9", "ema=0.5", "checkpoint_every=3")
    data = (tianchi, stills)
    whole = run("cosnet-resnet50", tmp_path / "whole", *settings, data=data)
    original = loop.iterate_batches

    class KilledError(Exception):
        pass

    def dying(batches: object, *, start: int, stop: int, workers: int) -> object:
        for step, batch in enumerate(original(batches, start=start, stop=stop, workers=workers), start=start):
            if step == 7:
                raise KilledError
            yield batch

    monkeypatch.setattr(loop, "iterate_batches", dying)
    with pytest.raises(KilledError):
        run("cosnet-resnet50", tmp_path / "parts", *settings, data=data)
    monkeypatch.setattr(loop, "iterate_batches", original)
    parts = run("cosnet-resnet50", tmp_path / "parts", *settings, data=data)
    assert parts[0].step == 7
    assert parts[-1].step == whole[-1].step
    names = [sorted(path.name for path in (tmp_path / each).glob("*.safetensors")) for each in ("whole", "parts")]
    assert names[0] == names[1]
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_parts_of_a_step_add_up_to_it(run: Run, tianchi: Path, stills: Path, tmp_path: Path) -> None:
    """Without batch statistics, which are those of a part."""
    settings = (*STEPS_101, "batch=4", "frozen_norms=true", "orthogonality=1e-3", "gradient_norm=1.0")
    states = []
    for parts in (1, 4):
        folder = tmp_path / str(parts)
        run("cosnet-resnet101", folder, *settings, f"accumulate={parts}", data=(tianchi, stills), measure=False)
        states.append(load_file(folder / "last.safetensors"))
    assert all(torch.isfinite(tensor).all() for tensor in states[0].values())
    for name, tensor in states[0].items():
        torch.testing.assert_close(tensor, states[1][name], rtol=1e-4, atol=1e-6, msg=name)


def test_frozen_norms_keep_their_statistics(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL, "frozen_norms=true", measure=False)
    kept = load_file(tmp_path / "last.safetensors")
    assert (kept["encoder.bn1.running_mean"] == 0).all()
    assert (kept["encoder.bn1.weight"] != 1).any()


def test_new_layers_learn_faster(run: Run, tianchi: Path, stills: Path, tmp_path: Path) -> None:
    settings = (*SMALL, "epochs=0", "steps=1", "batch=4", "frozen_norms=true", "weight_decay=0.0")
    run("cosnet-resnet50", tmp_path / "start", *settings, measure=False)
    start = tmp_path / "start" / "last.safetensors"
    moved = []
    for factor in (0, 1, 10):
        folder = tmp_path / str(factor)
        run("cosnet-resnet50", folder, *settings, f"new_layers={factor}", weights=start, measure=False)
        before, after = load_file(start), load_file(folder / "last.safetensors")
        moved.append({name: (after[name] - tensor).norm().item() for name, tensor in before.items()})
    head, encoder = "head_a.classifier.weight", "encoder.layer1.0.conv1.weight"
    assert moved[0][head] == 0
    assert moved[0][encoder] == pytest.approx(moved[1][encoder], rel=0.05) == pytest.approx(moved[2][encoder], rel=0.05)
    assert moved[2][head] == pytest.approx(10 * moved[1][head], rel=0.05)


def test_the_encoder_hardly_moves_on_pairs_and_the_heads_not_on_pictures(
    run: Run, tianchi: Path, stills: Path, tmp_path: Path
) -> None:
    data = (tianchi, stills)
    settings = (*SMALL, "epochs=0", "outputs=1", "still_every=2", "encoder_on_pairs=0.0", "frozen_norms=true")
    run("cosnet-resnet50", tmp_path / "start", *settings, "steps=1", data=data, measure=False)
    start = tmp_path / "start" / "last.safetensors"
    states = [load_file(start)]
    for steps in (1, 2):  # on pictures; then on pairs
        folder = tmp_path / str(steps)
        run("cosnet-resnet50", folder, *settings, f"steps={steps}", data=data, weights=start, measure=False)
        states.append(load_file(folder / "last.safetensors"))
    changed = [
        {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
        for before, after in pairwise(states)
    ]
    assert changed == [{"encoder", "context", "still"}, {"coattention", "head_a", "head_b"}]


def test_a_resnet_of_torchvision_starts_a_training(
    literal: ModuleType, run: Run, tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is fed as it was trained, in the run, after a stop, and in what comes out."""
    for name, depth in (("cosnet_resnet50", 6), ("cosnet_resnet101", 23)):
        monkeypatch.setitem(COSNETS, name, replace(COSNETS[name], width=8, blocks=(3, 4, depth, 3)))
    state = literal.random_state("resnet50", outputs=1, still=False, contrast=1.0, base=8)
    tensors = {
        name.removeprefix("encoder."): tensor
        for name, tensor in state.items()
        if name.startswith("encoder.") and "layer5" not in name
    }
    torch.save({**tensors, "fc.weight": torch.zeros(10, 256)}, tmp_path / "resnet50.pth")
    start = tmp_path / "start.safetensors"
    convert(tmp_path / "resnet50.pth", output=start)
    settings = (*SMALL, "steps=3", "epochs=0", "checkpoint_every=2", "frozen_norms=true", "learning_rate=0.0")
    run("cosnet-resnet50", tmp_path / "run", *settings, weights=start, measure=False)
    last = tmp_path / "run" / "last.safetensors"
    model = covos.load_model(last, device="cpu", precision="fp32")
    assert isinstance(model.network, Cosnet)
    config = model.network.config
    assert (config.stride_on, config.pool_up) == ("3x3", False)
    assert (config.preprocessing.size, config.preprocessing.std) == ((48, 80), (0.229, 0.224, 0.225))
    assert torch.equal(load_file(last)["encoder.layer3.2.conv2.weight"], tensors["layer3.2.conv2.weight"])
    content = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    torch.save({**content, "step": 2}, tmp_path / "run" / "checkpoint.pt")
    assert [seen.step for seen in run("cosnet-resnet50", tmp_path / "run", *settings, measure=False)] == [3], (
        "without --weights"
    )
    assert stored_network(last) == stored_network(tmp_path / "run" / "last.safetensors")
    assert stored_network(last).settings["stride_on"] == "3x3"  # type: ignore[union-attr]


def test_a_subset_of_the_videos(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL, "videos=1")
    card = find_model(tmp_path / "last.safetensors").card
    assert [source["items"] for source in card.data] == [1]
    assert card.scores == {}


def test_weights_of_another_network_are_refused(run: Run, tmp_path: Path) -> None:
    lite = find_model("covos-lite").path
    with pytest.raises(CheckpointError, match=r"is for the network lite(.|\n)*trains cosnet_resnet50"):
        run("cosnet-resnet50", tmp_path / "run", *SMALL, weights=lite)
    assert not (tmp_path / "run").exists()


def test_weights_with_other_outputs_are_refused(first: tuple[Path, Seen], run: Run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"head_a\.classifier"):
        run("cosnet-resnet50", tmp_path / "one", *SMALL, "outputs=1", weights=first[0] / "last.safetensors")


def test_a_run_keeps_the_weights_that_it_began_with(first: tuple[Path, Seen], run: Run, tmp_path: Path) -> None:
    start = first[0] / "last.safetensors"
    settings = (*SMALL, "epochs=0", "steps=2", "validate_every=0")
    run("cosnet-resnet50", tmp_path / "second", *settings, weights=start)
    card = find_model(tmp_path / "second" / "last.safetensors").card
    assert card.recipe["started_from"]["sha256"] == find_model(start).card.sha256
    with pytest.raises(CheckpointError, match="was not started from"):
        run("cosnet-resnet50", tmp_path / "second", *settings, weights=tmp_path / "second" / "last.safetensors")
    with pytest.raises(CheckpointError, match="was not started from"):
        run("cosnet-resnet50", first[0], *SMALL, weights=start)


def test_pictures_alone_make_no_pairs(run: Run, stills: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to make pairs of"):
        run("cosnet-resnet50", tmp_path / "run", *SMALL, data=(stills,))


def test_videos_alone_are_nothing_to_take_turns_with(run: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no still pictures"):
        run("cosnet-resnet101", tmp_path / "run", *STEPS_101)


def test_a_card_that_lost_its_settings_is_refused_where_the_file_has_none(
    first: tuple[Path, Seen], tmp_path: Path
) -> None:
    for name in ("last.json", "last.safetensors"):
        shutil.copy(first[0] / name, tmp_path)
    path, weights = tmp_path / "last.json", tmp_path / "last.safetensors"
    card = json.loads(path.read_text())
    card["recipe"]["size"] = "large"
    path.write_text(json.dumps(card))
    assert covos.load_model(weights, device="cpu").network.fixed_size == (48, 80)
    save_file(load_file(weights), weights)  # as an older covos wrote it
    path.write_text(json.dumps({**card, "sha256": sha256_of(weights)}))
    with pytest.raises(CheckpointError, match="size = 'large'"):
        covos.load_model(tmp_path / "last.safetensors", device="cpu")


def test_the_outcome_names_the_best_weights(second: Path) -> None:
    measured = [entry for entry in read_history(second / "history.jsonl") if entry.j is not None]
    assert len(measured) == 2
    best = max(measured, key=lambda entry: entry.j or 0.0)
    card = read_card(second / "best.safetensors")
    assert card is not None
    assert card.recipe["step"] == best.step
    assert describe_outcome(second) == (
        f"best  J {best.j:.3f}  F {best.f:.3f}  at step {best.step:,}: {second / 'best.safetensors'}"
    )


def test_tensorboard_has_losses_scores_and_pictures(second: Path) -> None:
    board = EventAccumulator(str(second / "tensorboard")).Reload()
    assert {"train/total", "validation/J", "validation/F"} <= set(board.Tags()["scalars"])
    history = read_history(second / "history.jsonl")
    (sequence,) = [entry.sequences for entry in history if entry.j is not None][-1].items()
    for kind, score in zip("JF", sequence[1], strict=True):
        assert board.Scalars(f"validation_{kind}/{sequence[0]}")[-1].value == pytest.approx(score)
    assert board.Tags()["images"] == ["train/predictions", "validation/worst_of_tianchi"]
