"""What training covos-follow is to the loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from covos.data import Dataset
from covos.errors import UsageError
from covos.models.follow import CovosFollow
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model, verify
from covos.training.distributed import ALONE, Team
from covos.training.follow.batches import ClipBatch, ClipBatches
from covos.training.follow.pictures import clip_grid
from covos.training.follow.recipe import FollowRecipe
from covos.training.follow.step import batch_losses
from covos.training.follow.validate import validate_following
from covos.training.validate import Validation


class FollowTask:
    """A `covos.training.task.Task`.

    Args:
        recipe: Settings.
        datasets: To train on.

    Raises:
        UsageError: The encoder is no covos-lite, or not the one that the recipe names by its hash.
        CheckpointError: Its file is damaged.
    """

    name = "covos-follow"
    architecture = "follow"
    fresh_start = "random weights, over the frozen encoder"
    partial = False
    stored = torch.float16

    def __init__(self, recipe: FollowRecipe, datasets: Sequence[Dataset]) -> None:
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
                why="covos-follow works on the features of a covos-lite",
                fix="name a covos-lite as encoder",
            )
        self.recipe = replace(recipe, encoder_sha256=entry.card.sha256)
        self.datasets = datasets
        self.steps = recipe.steps
        self.eyes = eyes.requires_grad_(False)

    def make_network(self) -> CovosFollow:
        """With random weights."""
        return CovosFollow()

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

    def batches(self, team: Team = ALONE) -> ClipBatches:
        """Drawn on the fly."""
        return ClipBatches(self.datasets, self.recipe, team=team)

    def losses(self, network: nn.Module, batch: ClipBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.follow.step.Losses`."""
        assert isinstance(network, CovosFollow)
        return batch_losses(network, self._eyes(batch), batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        """Clips and what was found in them."""
        assert isinstance(network, CovosFollow)
        return clip_grid(network, self._eyes(batch), batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Follow the first annotation of each video, through the engine that users run."""
        assert isinstance(network, CovosFollow)
        eyes = self.eyes.to(device)
        return validate_following(network, eyes, dataset, device=device, precision=precision, every=every)

    def epoch_after(self, step: int) -> int | None:
        """Never: the recipe counts steps."""
        return None

    def _eyes(self, batch: ClipBatch) -> CovosLite:
        return self.eyes.to(batch.image.device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
