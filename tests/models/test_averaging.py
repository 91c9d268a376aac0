from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from covos.cli import main
from covos.core.errors import CheckpointError, UsageError
from covos.models.averaging import average
from covos.models.cards import Card, read_card, sha256_of
from covos.models.checkpoints import save_weights
from covos.models.cosnet.network import COSNETS, Cosnet, as_trained
from covos.models.registry import build_network, empty_network, find_model


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, config in COSNETS.items():
        monkeypatch.setitem(COSNETS, name, replace(config, width=8, blocks=(1, 1, 1, 1)))


def made(
    path: Path, *, seed: int, name: str = "cosnet_resnet50", outputs: int = 3, size: tuple[int, int] = (48, 80)
) -> Path:
    torch.manual_seed(seed)
    config = replace(COSNETS[name], outputs=outputs)
    network = Cosnet(as_trained(config, size=size, classes=True))
    with torch.no_grad():
        for buffer in network.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
    card = Card(
        name=name,
        architecture=name,
        version="0",
        commit="",
        recipe={"size": list(size), "target": "classes", "seed": seed, "steps": 4, "step": 4, "balanced": False},
        data=({"name": "tianchi", "items": 2, "licence": "own"}, {"name": f"set{seed}", "items": 1, "licence": "own"}),
        scores={"training validation, every fifth frame": {"J": 0.5 + seed / 10, "F": 0.25}},
        licence="own",
    )
    save_weights(path, network, card=card, precision=torch.float32)
    return path


def test_the_mean_of_three(tmp_path: Path) -> None:
    files = [made(tmp_path / f"{seed}.safetensors", seed=seed) for seed in range(3)]
    card = average(files, output=tmp_path / "mean.safetensors")
    mean, parents = load_file(tmp_path / "mean.safetensors"), [load_file(file) for file in files]
    assert mean.keys() == parents[0].keys()
    assert any(name.endswith("running_var") for name in mean)
    for name, tensor in mean.items():
        expected = torch.stack([parent[name].double() for parent in parents]).mean(dim=0)
        torch.testing.assert_close(tensor.double(), expected, rtol=1e-6, atol=1e-7, msg=name)
    assert read_card(tmp_path / "mean.safetensors") == card
    assert card.scores == {}
    assert card.name == "mean"
    assert [parent["sha256"] for parent in card.recipe["averaged"]] == [sha256_of(file) for file in files]
    assert [parent["file"] for parent in card.recipe["averaged"]] == ["0.safetensors", "1.safetensors", "2.safetensors"]
    (score,) = card.recipe["averaged"][2]["scores"].values()
    assert score["J"] == 0.7
    assert card.recipe["size"] == [48, 80]
    assert "seed" not in card.recipe
    assert "steps" not in card.recipe
    assert [each["name"] for each in card.data] == ["tianchi", "set0", "set1", "set2"]
    network = build_network(find_model(tmp_path / "mean.safetensors"))
    assert isinstance(network, Cosnet)
    assert network.fixed_size == (48, 80)


@pytest.mark.parametrize("model", ["covos-lite", "covos-follow", "covos-prompt"])
def test_models_in_half_precision(tmp_path: Path, model: str) -> None:
    entry = find_model(model)
    other = tmp_path / "other.safetensors"
    tensors = load_file(entry.path)
    network = empty_network(entry)
    network.load_state_dict(tensors, strict=False)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    save_weights(other, network, card=entry.card)
    card = average([model, other], output=tmp_path / "mean.safetensors")
    mean = load_file(tmp_path / "mean.safetensors")
    name = next(name for name, tensor in tensors.items() if tensor.dtype == torch.float16)
    assert mean[name].dtype == torch.float16
    torch.testing.assert_close(mean[name].float(), tensors[name].float() * 1.25, rtol=2e-3, atol=1e-6)
    assert card.recipe.get("encoder_sha256") == entry.card.recipe.get("encoder_sha256")


def test_what_cannot_be_averaged(tmp_path: Path) -> None:
    one = made(tmp_path / "one.safetensors", seed=1)
    output = tmp_path / "mean.safetensors"
    for other, said in (
        (made(tmp_path / "a.safetensors", seed=2, name="cosnet_resnet101"), "of two networks"),
        (made(tmp_path / "b.safetensors", seed=2, outputs=1), r"head_a\.classifier"),
        (made(tmp_path / "c.safetensors", seed=2, size=(64, 80)), r"in two ways: preprocessing\.size = \(64, 80\)"),
    ):
        with pytest.raises(CheckpointError, match=said):
            average([one, other], output=output)
    with pytest.raises(UsageError, match="two files or more"):
        average([one], output=output)
    with pytest.raises(UsageError, match="count twice"):
        average([one, one], output=output)
    with pytest.raises(UsageError, match="end it with"):
        average([one, one], output=tmp_path / "mean.pth")
    output.with_suffix(".json").write_text("mine")
    with pytest.raises(UsageError, match=r"mean\.json exists"):
        average([one, made(tmp_path / "other.safetensors", seed=4)], output=output)
    assert output.with_suffix(".json").read_text() == "mine"
    output.with_suffix(".json").unlink()
    damaged = made(tmp_path / "d.safetensors", seed=3)
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    with pytest.raises(CheckpointError, match="damaged"):
        average([one, damaged], output=output)
    assert not output.exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [str(made(tmp_path / f"{seed}.safetensors", seed=seed)) for seed in range(2)]
    output = tmp_path / "mean.safetensors"
    command = ["models", "average", *files, "-o", str(output)]
    assert main(command) == 0
    first, second, last = capsys.readouterr().out.splitlines()
    assert first.split()[:3] == ["averaged", "0.safetensors", sha256_of(Path(files[0]))[:12]]
    assert "J 0.600" in second
    assert last == str(output)
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*command, "-y", "-q"]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(output.with_suffix(".json").read_text())["architecture"] == "cosnet_resnet50"
