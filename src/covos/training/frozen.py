"""What trainings on the features of a frozen covos-lite share: the encoder, the optimiser, the absence of epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import nn

from covos.core.errors import UsageError
from covos.data import Dataset
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model, verify
from covos.training.follow.recipe import FollowRecipe
from covos.training.prompt.recipe import PromptRecipe

RecipeT = TypeVar("RecipeT", FollowRecipe, PromptRecipe)


class OnFrozenEyes(Generic[RecipeT]):
    """The common part of their tasks, see `covos.training.task.Task`.

    Args:
        recipe: Settings.
        datasets: To train on.

    Raises:
        UsageError: The encoder is no covos-lite, or not the one that the recipe names by its hash.
        CheckpointError: Its file is damaged.
    """

    name: str
    fresh_start = "random weights, over the frozen encoder"
    partial = False
    stored = torch.float16

    def __init__(self, recipe: RecipeT, datasets: Sequence[Dataset]) -> None:
        entry = find_model(recipe.encoder)
        verify(entry)
        if recipe.encoder_sha256 not in ("", entry.card.sha256):
            raise UsageError(
                f"{recipe.encoder} is not the encoder that the recipe names",
                why=f"its sha256 begins with {entry.card.sha256[:12]}, the recipe says {recipe.encoder_sha256[:12]}",
                fix="leave encoder_sha256 out, or give the file that it belongs to as encoder",
            )
        eyes = build_network(entry)
        if not isinstance(eyes, CovosLite):
            raise UsageError(
                f"{recipe.encoder} cannot be the encoder",
                why=f"{self.name} works on the features of a covos-lite",
                fix="name a covos-lite as encoder",
            )
        self.recipe: RecipeT = recipe.model_copy(update={"encoder_sha256": entry.card.sha256})
        self.datasets = datasets
        self.steps = recipe.steps
        self.eyes = eyes.requires_grad_(False)

    def fill(self, network: nn.Module) -> None:
        """Nothing: all that is learnt elsewhere is in the encoder."""

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """AdamW in two groups: decayed or not."""
        groups: dict[bool, list[nn.Parameter]] = {}
        for parameter in network.parameters():
            groups.setdefault(parameter.ndim > 1, []).append(parameter)
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "peak": self.recipe.learning_rate,
                    "lr": 0.0,
                    "weight_decay": self.recipe.weight_decay if decayed else 0.0,
                }
                for decayed, parameters in sorted(groups.items())
            ]
        )

    def epoch_after(self, step: int) -> int | None:
        """Never: the recipe counts steps."""
        return None

    def eyes_on(self, device: torch.device) -> CovosLite:
        """The encoder, where the batch is."""
        return self.eyes.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
