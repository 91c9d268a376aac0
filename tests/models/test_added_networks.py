"""A network that is not in the package is trained, stored, loaded and used as those of the package are."""

from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import covos
from covos.core.errors import CheckpointError, EnvironmentProblem, UsageError
from covos.models import CovosLite, register_network, registry
from covos.models.averaging import average
from covos.models.cards import Card, stored_network
from covos.models.checkpoints import save_weights
from covos.models.lite import Features
from covos.training import LiteTask, register
from covos.training import registry as kinds


class Tinted(CovosLite):
    """A covos-lite that weighs red by a factor."""

    def __init__(self, *, red: float = 0.5) -> None:
        super().__init__()
        self.red = red
        self.level = nn.Parameter(torch.zeros(1))

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that change what it computes."""
        return {"red": self.red}

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> Features:
        """Encode frames."""
        weight = image_BCHW.new_tensor([self.red, 1.0, 1.0]).view(1, 3, 1, 1)
        return super().encode(image_BCHW * weight, motion_B4HW)


@pytest.fixture(autouse=True)
def _own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test's networks and kinds of training are gone after it."""
    for module, names in ((registry, ("NETWORKS",)), (kinds, ("RECIPES", "TASKS"))):
        for name in names:
            monkeypatch.setattr(module, name, dict(getattr(module, name)))


def stored(folder: Path, network: nn.Module, *, architecture: str = "tinted") -> Path:
    """A weights file with its card."""
    card = Card(
        name="mine", architecture=architecture, version="0", commit="", recipe={}, data=(), scores={}, licence="none"
    )
    save_weights(folder / "mine.safetensors", network, card=card)
    return folder / "mine.safetensors"


def test_a_file_is_loaded_into_what_its_settings_say(tmp_path: Path, clip: Path) -> None:
    register_network("tinted")(Tinted)
    torch.manual_seed(0)
    path = stored(tmp_path, Tinted(red=0.25))
    found = stored_network(path)
    assert found is not None
    assert (found.architecture, found.settings) == ("tinted", {"red": 0.25})
    model = covos.load_model(path, device="cpu")
    assert isinstance(model.network, Tinted)
    assert model.network.red == 0.25
    result = covos.segment(clip, model=path, device="cpu")
    assert len(result) == 8


def test_a_network_that_nobody_added_is_refused(tmp_path: Path) -> None:
    path = stored(tmp_path, Tinted())
    with pytest.raises(CheckpointError, match="register_network"):
        covos.load_model(path)


def test_a_network_that_cannot_segment_is_refused(tmp_path: Path) -> None:
    register_network("plain")(lambda: nn.Conv2d(3, 1, 1))
    path = stored(tmp_path, nn.Conv2d(3, 1, 1), architecture="plain")
    with pytest.raises(UsageError, match="memorise, segment"):
        covos.load_model(path)


def test_names_are_given_once() -> None:
    register_network("tinted")(Tinted)
    register_network("tinted")(Tinted)
    with pytest.raises(UsageError, match="already"):
        register_network("lite")(Tinted)


def test_a_package_brings_networks_by_entry_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = EntryPoints(
        [
            EntryPoint(name="brought", value="covos.models.lite:CovosLite", group=registry.ADDED.group),
            EntryPoint(name="broken", value="covos.nowhere:Network", group=registry.ADDED.group),
        ]
    )
    monkeypatch.setattr("covos.core.extensions.entry_points", points.select)
    path = stored(tmp_path, CovosLite(), architecture="brought")
    assert isinstance(covos.load_model(path, device="cpu").network, CovosLite)
    broken = stored(tmp_path, CovosLite(), architecture="broken")
    with pytest.raises(EnvironmentProblem, match=r"covos\.nowhere"):
        covos.load_model(broken)


def test_it_is_trained_and_used(tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.training.lite.load_imagenet_weights", lambda encoder: None)
    register_network("tinted")(Tinted)

    @register("tinted")
    class TintedTask(LiteTask):
        name = "covos-tinted"
        architecture = "tinted"
        network_type = Tinted

    tianchi = Path(__file__).parents[1] / "fixtures" / "tianchi"
    result = covos.train(
        "lite", tianchi, tmp_path / "run", steps=1, model="tinted", frames_per_step=2, group_sizes=[2], workers=0,
        crops=[(64, 96)], crop_chances=[1.0], device="cpu", precision="fp32", check=False,
    )  # fmt: skip
    model = result.load(device="cpu")
    assert (model.name, type(model.network)) == ("run", Tinted)
    assert len(covos.segment(clip, model=model)) == 8


def test_files_of_an_added_network_are_averaged(tmp_path: Path) -> None:
    register_network("tinted")(Tinted)
    files = []
    for level in (0.0, 1.0):
        (folder := tmp_path / str(level)).mkdir()
        torch.manual_seed(0)
        network = Tinted(red=0.25)
        torch.nn.init.constant_(network.level, level)
        files.append(stored(folder, network))
    average(files, output=tmp_path / "mean.safetensors")
    mean = covos.load_model(tmp_path / "mean.safetensors", device="cpu").network
    assert isinstance(mean, Tinted)
    assert (mean.red, mean.level.item()) == (0.25, 0.5)
