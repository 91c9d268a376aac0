from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from covos.core.errors import CheckpointError, UsageError
from covos.core.records import write_record
from covos.models.cards import METADATA, Card, StoredNetwork, card_path, read_card, sha256_of, stored_network
from covos.models.checkpoints import load_weights, save_weights
from covos.models.cosnet.network import COSNET_RESNET50, COSNETS, Cosnet, as_trained
from covos.models.registry import (
    build_follower,
    build_matter,
    build_network,
    build_prompter,
    find_follower,
    find_model,
    list_models,
)

CARD = Card(name="tiny", architecture="lite", version="0", commit="", recipe={}, data=(), scores={}, licence="none")


def tiny() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def test_round_trip_in_half_precision(tmp_path: Path) -> None:
    network = tiny()
    network[1].running_var.fill_(1e-7)  # underflows in float16: statistics must stay float32
    card = save_weights(tmp_path / "w.safetensors", network, card=CARD)
    other = tiny()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    load_weights(tmp_path / "w.safetensors", other)
    for name, tensor in network.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], tensor, atol=1e-3, rtol=1e-3)
    assert torch.equal(other[1].running_var, network[1].running_var)
    assert load_file(tmp_path / "w.safetensors")["0.weight"].dtype == torch.float16
    assert card.sha256 == sha256_of(tmp_path / "w.safetensors")
    assert card.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert read_card(tmp_path / "w.safetensors") == card


class Masked(nn.Module):
    """A network with a finite mask and a weight that are beyond half precision, and with a true infinity."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([[1.0, 7e4]]))
        self.small = nn.Parameter(torch.tensor([[1.0, 6e4]]))
        self.register_buffer("mask", torch.full((3, 3), -1e9).triu(1))
        self.register_buffer("endless", torch.full((3, 3), float("-inf")).triu(1))
        self.register_buffer("precise", torch.full((3,), 1e300, dtype=torch.float64))


def test_numbers_that_half_precision_does_not_hold_keep_theirs(tmp_path: Path) -> None:
    network, other = Masked(), Masked()
    save_weights(tmp_path / "w.safetensors", network, card=CARD)
    with torch.no_grad():
        other.weight.zero_()
        other.mask.zero_()
    load_weights(tmp_path / "w.safetensors", other)
    assert torch.equal(other.mask, network.mask)
    assert torch.equal(other.weight, network.weight)
    kinds = {name: tensor.dtype for name, tensor in load_file(tmp_path / "w.safetensors").items()}
    assert kinds == {
        "weight": torch.float32,
        "small": torch.float16,
        "mask": torch.float32,
        "endless": torch.float16,
        "precise": torch.float64,
    }


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda tensors: tensors.pop("0.bias"), "0.bias is missing"),
        (lambda tensors: tensors.update(extra=torch.zeros(1)), "extra is unexpected"),
        (lambda tensors: tensors.update({"0.bias": torch.zeros(5)}), r"0.bias is \(5,\) instead of \(4,\)"),
        (lambda tensors: tensors["0.bias"].fill_(float("nan")), "NaN"),
        (lambda tensors: tensors["0.bias"].fill_(float("inf")), "infinity"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, damage: object, reason: str) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, tiny(), card=CARD)
    tensors = load_file(path)
    damage(tensors)  # type: ignore[operator]
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match=reason):
        load_weights(path, tiny())


def test_a_pickle_is_refused_unexecuted(tmp_path: Path) -> None:
    marker = tmp_path / "executed"

    class Attack:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (marker,))

    path = tmp_path / "w.safetensors"
    path.write_bytes(pickle.dumps(Attack()))
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        load_weights(path, tiny())
    assert not marker.exists()


@pytest.mark.parametrize("length", [0, 4, 100])
def test_a_cut_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, tiny(), card=CARD)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_weights(path, tiny())


def test_every_embedded_model_loads_and_matches_its_card() -> None:
    models = list_models()
    assert "covos-lite" in [entry.name for entry in models]
    for entry in models:
        assert sha256_of(entry.path) == entry.card.sha256
        eyes = find_model("covos-lite")
        network: nn.Module
        if entry.card.architecture == "follow":
            network = build_follower(entry, encoder=eyes)
        elif entry.card.architecture == "prompt":
            network = build_prompter(entry, encoder=eyes)
        elif entry.card.architecture == "matte":
            network = build_matter(entry)
        else:
            network = build_network(entry)
        assert not network.training
        assert sum(parameter.numel() for parameter in network.parameters()) == entry.card.parameters
        assert entry.card.data
        assert all(source["licence"] for source in entry.card.data)
        assert entry.card.scores


def test_embedded_models_fit_their_budget() -> None:
    assert sum(entry.path.stat().st_size for entry in list_models()) <= 16e6


def test_unknown_model_names_the_known() -> None:
    with pytest.raises(UsageError, match="covos-lite"):
        find_model("covos-huge")


def test_damaged_model_file_is_noticed(tmp_path: Path) -> None:
    source = find_model("covos-lite")
    copy = tmp_path / "mine.safetensors"
    data = bytearray(source.path.read_bytes())
    data[-1] ^= 1
    copy.write_bytes(data)
    write_record(source.card, card_path(copy))
    with pytest.raises(CheckpointError, match="sha256"):
        build_network(find_model(copy))


def test_a_file_without_card_or_of_unknown_architecture_is_refused(tmp_path: Path) -> None:
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(b"")
    with pytest.raises(CheckpointError, match="no card"):
        find_model(copy)
    content = CARD.model_dump(mode="json")
    content["architecture"] = "other"
    card_path(copy).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="other"):
        find_model(copy)
    card_path(copy).write_text("{")
    with pytest.raises(CheckpointError, match="not a model card"):
        find_model(copy)


NARROW = replace(COSNET_RESNET50, width=8, blocks=(1, 1, 1, 1))


def narrow_cosnet() -> Cosnet:
    torch.manual_seed(0)
    return Cosnet(as_trained(replace(NARROW, outputs=1), size=(48, 64), classes=True))


def cosnet_card(**changes: object) -> Card:
    return CARD.model_copy(update={"architecture": "cosnet_resnet50", **changes})


def test_the_bytes_are_those_of_the_tensors_and_settings(tmp_path: Path) -> None:
    """Neither the name, nor the card, nor the order of the tensors, nor how they lie in memory changes the file."""
    network = narrow_cosnet()
    first = save_weights(tmp_path / "first.safetensors", network, card=cosnet_card())

    class Reordered(Cosnet):
        def state_dict(self, *args: object, **kwargs: object) -> dict[str, torch.Tensor]:
            tensors = super().state_dict(*args, **kwargs)
            return {name: tensors[name] for name in reversed(tensors)}

    other = Reordered(network.config)
    other.load_state_dict(network.state_dict())
    other.to(memory_format=torch.channels_last)
    card = cosnet_card(name="another", recipe={"seed": 7}, version="9")
    second = save_weights(tmp_path / "second.safetensors", other, card=card)
    assert second.sha256 == first.sha256
    assert (tmp_path / "first.safetensors").read_bytes() == (tmp_path / "second.safetensors").read_bytes()
    changed = Cosnet(replace(network.config, align_corners=False))
    changed.load_state_dict(network.state_dict())
    third = save_weights(tmp_path / "third.safetensors", changed, card=cosnet_card())
    assert third.sha256 != first.sha256, "what it computes is another thing"


WRITER = """
import sys
from pathlib import Path
import torch
from torch import nn
from covos.models.checkpoints import Card, save_weights
torch.manual_seed(0)
network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
card = Card(name="x", architecture="lite", version="0", commit="", recipe={}, data=(), scores={}, licence="none")
print(save_weights(Path(sys.argv[1]), network, card=card).sha256)
"""


def test_processes_write_the_same_bytes(tmp_path: Path) -> None:
    """Hash maps of Python and of Rust are seeded anew in each process."""
    here = save_weights(tmp_path / "here.safetensors", tiny(), card=CARD).sha256
    line = [sys.executable, "-c", WRITER, str(tmp_path / "there.safetensors")]
    environment = {**os.environ, "PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run(line, env=environment, check=True, capture_output=True, text=True).stdout.strip() == here


def test_the_file_says_which_network_it_is(tmp_path: Path) -> None:
    """The card's recipe is where the weights come from, and nothing more."""
    path, network = tmp_path / "mine.safetensors", narrow_cosnet()
    save_weights(path, network, card=cosnet_card(recipe={"size": [96, 96], "target": "colours"}))
    built = build_network(find_model(path))
    assert isinstance(built, Cosnet)
    assert built.config == network.config
    stored = stored_network(path)
    assert stored is not None
    assert (stored.architecture, stored.settings) == ("cosnet_resnet50", network.settings)


def test_a_file_of_before_is_read_by_its_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COSNETS, "cosnet_resnet50", NARROW)
    path, network = tmp_path / "mine.safetensors", narrow_cosnet()
    card = save_weights(path, network, card=cosnet_card(recipe={"size": [48, 64], "target": "classes"}))
    save_file(load_file(path), path, metadata={"architecture": "cosnet_resnet50", "name": "mine"})
    assert stored_network(path) is None
    write_record(card.model_copy(update={"sha256": sha256_of(path)}), card_path(path))
    built = build_network(find_model(path))
    assert isinstance(built, Cosnet)
    assert built.config == network.config


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (StoredNetwork(architecture="lite").text, "the file is for lite, its card says cosnet_resnet50"),
        ("{}", "architecture: it is missing"),
        ('{"architecture": "cosnet_resnet50", "new": 1}', "new: there is no such field"),
        ('{"architecture": "cosnet_resnet50", "settings": {"outputs": 1}}', "blocks: "),
        (
            StoredNetwork(architecture="cosnet_resnet50", settings={**narrow_cosnet().settings, "new": 1}).text,
            "new: unexpected",
        ),
    ],
)
def test_a_file_of_another_network_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "mine.safetensors"
    card = save_weights(path, narrow_cosnet(), card=cosnet_card())
    save_file(load_file(path), path, metadata={METADATA: text})
    write_record(card.model_copy(update={"sha256": sha256_of(path)}), card_path(path))
    with pytest.raises(CheckpointError) as caught:
        build_network(find_model(path))
    assert reason in caught.value.why


def test_what_was_trained_on_an_earlier_file_of_the_same_tensors_fits(tmp_path: Path) -> None:
    eyes, follower = find_model("covos-lite"), find_model("covos-follow")
    (before,) = eyes.card.earlier_sha256
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(follower.path.read_bytes())
    recipe = {**follower.card.recipe, "encoder_sha256": before}
    write_record(follower.card.model_copy(update={"recipe": recipe}), card_path(copy))
    assert find_follower(copy, encoder=eyes).path == copy
