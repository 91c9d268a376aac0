"""What training covos-follow is to the loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from covos.data import Dataset
from covos.models.follow import CovosFollow
from covos.training.distributed import ALONE, Team
from covos.training.follow.batches import ClipBatch, ClipBatches
from covos.training.follow.pictures import clip_grid
from covos.training.follow.recipe import FollowRecipe
from covos.training.follow.step import batch_losses
from covos.training.follow.validate import validate_following
from covos.training.frozen import OnFrozenEyes
from covos.training.validate import Validation


class FollowTask(OnFrozenEyes[FollowRecipe]):
    """A `covos.training.task.Task`; see `OnFrozenEyes`."""

    name = "covos-follow"
    architecture = "follow"

    def make_network(self) -> CovosFollow:
        """With random weights."""
        return CovosFollow()

    def batches(self, team: Team = ALONE) -> ClipBatches:
        """Drawn on the fly."""
        return ClipBatches(self.datasets, self.recipe, team=team)

    def losses(self, network: nn.Module, batch: ClipBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.follow.step.Losses`."""
        assert isinstance(network, CovosFollow)
        eyes = self.eyes_on(batch.image.device)
        return batch_losses(network, eyes, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: ClipBatch) -> Tensor:
        """Clips and what was found in them."""
        assert isinstance(network, CovosFollow)
        return clip_grid(network, self.eyes_on(batch.image.device), batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Follow the first annotation of each video, through the engine that users run."""
        assert isinstance(network, CovosFollow)
        eyes = self.eyes.to(device)
        return validate_following(network, eyes, dataset, device=device, precision=precision, every=every)
