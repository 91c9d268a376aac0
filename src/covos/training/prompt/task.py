"""What training covos-prompt is to the loop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from covos.data import Dataset
from covos.models.prompt import CovosPrompt
from covos.training.distributed import ALONE, Team
from covos.training.frozen import OnFrozenEyes
from covos.training.prompt.batches import PromptBatch, PromptBatches
from covos.training.prompt.pictures import prompt_grid
from covos.training.prompt.recipe import PromptRecipe
from covos.training.prompt.step import batch_losses
from covos.training.prompt.validate import validate_prompts
from covos.training.validate import Validation


class PromptTask(OnFrozenEyes[PromptRecipe]):
    """A `covos.training.task.Task`; see `OnFrozenEyes`."""

    name = "covos-prompt"
    architecture = "prompt"

    def make_network(self) -> CovosPrompt:
        """With random weights."""
        return CovosPrompt()

    def batches(self, team: Team = ALONE) -> PromptBatches:
        """Drawn on the fly."""
        return PromptBatches(self.datasets, self.recipe, team=team)

    def losses(self, network: nn.Module, batch: PromptBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """See `covos.training.prompt.step.Losses`."""
        assert isinstance(network, CovosPrompt)
        eyes = self.eyes_on(batch.image.device)
        return batch_losses(network, eyes, batch, self.recipe, precision=precision)._asdict()

    def pictures(self, network: nn.Module, batch: PromptBatch) -> Tensor:
        """Frames, what was shown of them and what was found."""
        assert isinstance(network, CovosPrompt)
        return prompt_grid(network, self.eyes_on(batch.image.device), batch)

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Click on the subject of annotated frames, through the engine that users run."""
        assert isinstance(network, CovosPrompt)
        eyes = self.eyes_on(device)
        return validate_prompts(network, eyes, dataset, device=device, precision=precision, every=every)
