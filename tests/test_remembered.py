"""Answers that are kept are those that the network would give again, and no others are kept."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

import covos
import remembered
from covos.models.lite import CovosLite


class Doubling(nn.Module):
    """Doubles; it counts how often."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    @remembered.remembering
    def double(self, given: Tensor, *, by: float = 2.0) -> Tensor:
        self.calls += 1
        return given * by


@pytest.fixture
def network() -> Iterator[Doubling]:
    made = Doubling()
    remembered.KEPT.add(made)
    yield made
    remembered.KEPT.discard(made)


@torch.inference_mode()
def test_an_input_is_computed_once(network: Doubling) -> None:
    given = torch.arange(6.0)
    for _ in range(2):
        assert torch.equal(network.double(given.clone()), 2 * given)
    assert network.calls == 1
    # Another value, another shape, another argument.
    assert torch.equal(network.double(given + 1), 2 * given + 2)
    assert network.double(given.view(2, 3)).shape == (2, 3)
    assert torch.equal(network.double(given, by=3.0), 3 * given)
    assert network.calls == 4
    # A number of a column, whose stride is that of the column, and nothing at all.
    assert network.double(torch.tensor([[3], [4]]).mT[:, :1].T).item() == 6
    assert network.double(given[:0]).numel() == 0


def test_training_and_networks_that_may_change_are_computed_anew(network: Doubling) -> None:
    given = torch.ones(2)
    for _ in range(2):
        network.double(given)
    assert network.calls == 2
    other = Doubling()
    with torch.inference_mode():
        for _ in range(2):
            other.double(given)
    assert other.calls == 2


@torch.inference_mode()
def test_the_oldest_answers_go(network: Doubling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "MOST", remembered._held + 4 * 5)
    network.double(torch.zeros(3))
    network.double(torch.ones(3))
    assert remembered._held <= remembered.MOST
    network.double(torch.ones(3))
    assert network.calls == 2


def test_the_package_s_network_answers_as_it_would_again() -> None:
    network = covos.load_model(device="cpu", precision="fp32").network
    assert network in remembered.KEPT
    frame = torch.rand(1, 3, 64, 96)
    with torch.inference_mode():
        first = network.encode(frame)
        assert network.encode(frame.clone()) is first
        again = CovosLite.encode.__wrapped__(network, frame)  # type: ignore[attr-defined]
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
