"""The interface between the training loop and the kinds of training."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from covos.data import Dataset
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.validate import Validation


class Task(Protocol):
    """A kind of training, as the loop sees it.

    Attributes:
        recipe: The settings.
        name: Name of the model that is made.
        architecture: Architecture of its network, in the registry of models.
        steps: Number of steps in all; a recipe that counts epochs leaves this to the data.
        fresh_start: The start of a network that is given no weights, in words.
        partial: True if a step may leave some parameters without a gradient.
        stored: Precision of the matrices in files of weights.
    """

    recipe: Any
    name: str
    architecture: str
    steps: int
    fresh_start: str
    partial: bool
    stored: torch.dtype

    def make_network(self) -> nn.Module:
        """Make a network with random weights, by torch's generator."""

    def fill(self, network: nn.Module) -> None:
        """Give a network the weights that it starts from if there are none to fine-tune."""

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make an optimiser; each group's peak rate is kept as ``peak``, and the loop sets ``lr`` from it."""

    def batches(self, group: ProcessGroup = SINGLE_PROCESS) -> TorchDataset[Any]:
        """Return this process's share of every step: item s depends on the seed, s and the process alone."""

    def losses(self, network: nn.Module, batch: Any, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return scalar losses by name, each a mean over the batch; ``"total"`` is minimised."""

    def pictures(self, network: nn.Module, batch: Any) -> Tensor:
        """Draw the predictions of a network in evaluation mode on a batch: 3 x H x W uint8 RGB."""

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Score a network in evaluation mode on annotated videos, by every so many of their frames."""

    def epoch_after(self, step: int) -> int | None:
        """Return the number of the epoch that ends when so many steps are done; None if none does."""


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch, which is a named tuple, to a device."""
    return type(batch)(*(part.to(device, non_blocking=True) if isinstance(part, Tensor) else part for part in batch))


def split(batch: Any, parts: int) -> Iterator[Any]:
    """Divide a batch into equal parts.

    Args:
        batch: A named tuple; what is no tensor is the same for all parts.
        parts: Number of parts; it divides the first dimension of each tensor.
    """
    for index in range(parts):
        yield type(batch)(*(part.chunk(parts)[index] if isinstance(part, Tensor) else part for part in batch))
