"""Which prompter answers, and that a report says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from covos.core.errors import CheckpointError, EnvironmentProblem, UsageError
from covos.engines.grabcut import GrabCutPrompter
from covos.engines.prompt import NetworkPrompter, RelayPrompter
from covos.model import Model
from covos.models import registry
from covos.models.cards import Card
from covos.models.checkpoints import save_weights
from covos.models.prompt import CovosPrompt


@pytest.fixture
def without_network(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that came without covos-prompt, and would prefer it."""
    monkeypatch.setattr(registry, "list_models", lambda: (model.entry,))


def random_prompter(path: Path, *, encoder: str) -> Path:
    torch.manual_seed(0)
    card = Card(
        name="covos-prompt",
        architecture="prompt",
        version="0",
        commit="",
        recipe={"encoder_sha256": encoder},
        data=(),
        scores={},
        licence="none",
    )
    save_weights(path, CovosPrompt(), card=card)
    return path


def test_grabcut_needs_no_weights(model: Model) -> None:
    chosen = model.prompter("grabcut")
    assert isinstance(chosen.prompter, GrabCutPrompter)
    assert chosen.described == {"name": "grabcut"}


def test_both_answer_in_turn_unless_one_is_chosen(model: Model) -> None:
    chosen = model.prompter("auto")
    assert isinstance(chosen.prompter, RelayPrompter)
    assert chosen.described["name"] == "grabcut+covos-prompt"
    assert isinstance(model.prompter("covos-prompt").prompter, NetworkPrompter)


@pytest.mark.usefixtures("without_network")
def test_grabcut_stands_in_for_what_is_not_there_and_says_so(model: Model) -> None:
    chosen = model.prompter("auto")
    assert isinstance(chosen.prompter, GrabCutPrompter)
    assert chosen.described["name"] == "grabcut"
    assert chosen.described["instead_of"] == "covos-prompt"
    assert "the weights of covos-prompt are not there" in chosen.described["why"]


@pytest.mark.usefixtures("without_network")
def test_what_is_asked_for_by_name_is_not_replaced(model: Model, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="the weights of covos-prompt are not there"):
        model.prompter("covos-prompt")
    with pytest.raises(UsageError, match="covos-lite cannot understand clicks"):
        model.prompter("covos-lite")
    with pytest.raises(UsageError, match=r"unknown prompter 'magic'[\s\S]*auto, grabcut, covos-prompt; or the path"):
        model.prompter("magic")
    with pytest.raises(CheckpointError, match="does not belong to covos-lite"):
        model.prompter(random_prompter(tmp_path / "other.safetensors", encoder="0" * 64))


def test_a_network_answers_in_a_session_and_in_its_report(
    model: Model, random_follower: Path, clip: Path, tmp_path: Path
) -> None:
    weights = random_prompter(tmp_path / "prompt.safetensors", encoder=model.entry.card.sha256)
    assert isinstance(model.prompter(weights).prompter, NetworkPrompter)
    with model.session(clip, follower=random_follower, prompter=weights) as session:
        answer = session.add_points(0, points=[(8, 20)])
        assert answer.prompter == "covos-prompt"
        assert answer.mask[20, 8]
        settings = session.origin().settings
    assert settings["prompts"][0]["prompter"] == "covos-prompt"
    assert settings["prompter"]["name"] == "covos-prompt"
    assert len(settings["prompter"]["sha256"]) == 64
