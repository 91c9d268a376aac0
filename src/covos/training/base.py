"""Bases of the kinds of training: on batches that are drawn, and on the features of a frozen covos-lite."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from covos.core.errors import UsageError
from covos.data import Dataset
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model, verify
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.follow.recipe import FollowRecipe
from covos.training.pools import DrawnBatches
from covos.training.prompt.recipe import PromptRecipe
from covos.training.recipe import Recipe

RecipeT = TypeVar("RecipeT", bound=Recipe)
FrozenRecipeT = TypeVar("FrozenRecipeT", bound=FollowRecipe | PromptRecipe)


class DrawnTask(Generic[RecipeT]):
    """A `covos.training.task.Task` on batches that are drawn at random, so that its recipe counts steps.

    Args:
        recipe: Settings.
        datasets: To train on.

    Attributes:
        network_type: Class of the network.
        batches_type: Class of the batches.
    """

    network_type: type[nn.Module]
    batches_type: type[DrawnBatches[Any, Any]]
    partial = False
    stored = torch.float16

    def __init__(self, recipe: RecipeT, datasets: Sequence[Dataset]) -> None:
        self.recipe: RecipeT = recipe
        self.datasets = datasets
        self.steps = recipe.steps

    def make_network(self) -> nn.Module:
        """Make a network with random weights."""
        return self.network_type()

    def batches(self, group: ProcessGroup = SINGLE_PROCESS) -> DrawnBatches[Any, Any]:
        """Draw this process's share of every step on the fly."""
        return self.batches_type(self.datasets, self.recipe, group=group)

    @property
    def encoder_rate(self) -> float:
        """Peak learning rate of the parameters of an encoder that is trained."""
        return self.recipe.learning_rate

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make an AdamW in groups: encoder or not, decayed or not; the loop sets each ``lr`` from its ``peak``.

        Norms, biases and the temperature are not decayed: they scale, and a scale has no reason to be small.
        """
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in network.named_parameters():
            groups.setdefault((name.startswith("encoder."), parameter.ndim > 1), []).append(parameter)
        return torch.optim.AdamW(
            [
                {
                    "params": parameters,
                    "peak": self.encoder_rate if encoder else self.recipe.learning_rate,
                    "lr": 0.0,
                    "weight_decay": self.recipe.weight_decay if decayed else 0.0,
                }
                for (encoder, decayed), parameters in sorted(groups.items())
            ]
        )

    def epoch_after(self, step: int) -> int | None:
        """Return None: the recipe counts steps."""
        return None


class FrozenEncoderTask(DrawnTask[FrozenRecipeT]):
    """A `DrawnTask` on the features of a frozen covos-lite.

    Args:
        recipe: Settings.
        datasets: To train on.

    Raises:
        UsageError: The encoder is no covos-lite, or not the one that the recipe names by its hash.
        CheckpointError: Its file is damaged.
    """

    name: str
    fresh_start = "random weights, over the frozen encoder"

    def __init__(self, recipe: FrozenRecipeT, datasets: Sequence[Dataset]) -> None:
        entry = find_model(recipe.encoder)
        verify(entry)
        if recipe.encoder_sha256 not in ("", entry.card.sha256):
            raise UsageError(
                f"{recipe.encoder} is not the encoder that the recipe names",
                why=f"its sha256 begins with {entry.card.sha256[:12]}, the recipe says {recipe.encoder_sha256[:12]}",
                fix="leave encoder_sha256 out, or give the file that it belongs to as encoder",
            )
        encoder = build_network(entry)
        if not isinstance(encoder, CovosLite):
            raise UsageError(
                f"{recipe.encoder} cannot be the encoder",
                why=f"{self.name} works on the features of a covos-lite",
                fix="name a covos-lite as encoder",
            )
        super().__init__(Recipe.model_copy(recipe, update={"encoder_sha256": entry.card.sha256}), datasets)
        self.encoder = encoder.requires_grad_(False)

    def fill(self, network: nn.Module) -> None:
        """Do nothing: all that is learnt elsewhere is in the encoder."""

    def encoder_on(self, device: torch.device) -> CovosLite:
        """Return the encoder, moved to where the batch is."""
        return self.encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def picture_table(rows: Iterable[Iterable[Tensor]]) -> Tensor:
    """Lay pictures out as a table, for TensorBoard.

    Args:
        rows: Cells of 3 x H x W each, in [0, 1].

    Returns:
        3 x (rows H) x (columns W) uint8 RGB, on the processor.
    """
    table = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    return (table.clamp(0, 1) * 255).to(torch.uint8).cpu()
