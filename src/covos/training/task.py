"""What a kind of training is to the loop."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from covos.data import Dataset
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.validate import Validation


class TrainingBatch(Protocol):
    """A named tuple whose tensors have what makes up the batch in their first dimension."""

    def to(self, device: torch.device) -> Self:
        """The batch on a device."""


class Task(Protocol):
    """A kind of training, as the loop sees it.

    Attributes:
        recipe: Its settings.
        name: Of the model that is made.
        architecture: Of its network, in the registry of models.
        steps: In all; a recipe that counts epochs leaves this to the data.
        fresh_start: What the network starts from if it is given no weights, in words.
        partial: Whether a step may leave some parameters without a gradient.
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
        """A network with random weights, by torch's generator."""

    def fill(self, network: nn.Module) -> None:
        """Give a network what it starts from if there are no weights to fine-tune."""

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """An optimiser; each group's peak rate is kept as ``peak``, and the loop sets ``lr`` from it."""

    def batches(self, group: ProcessGroup = SINGLE_PROCESS) -> TorchDataset[Any]:
        """This process's share of every step: item s depends on the seed, s and the process alone."""

    def losses(self, network: nn.Module, batch: Any, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Scalar losses by name; ``"total"`` is what is minimised. Each is a mean over the batch."""

    def pictures(self, network: nn.Module, batch: Any) -> Tensor:
        """What a network in evaluation mode makes of a batch: 3 x H x W uint8 RGB."""

    def measure(
        self, network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """How good a network in evaluation mode is on annotated videos, by every so many of their frames."""

    def epoch_after(self, step: int) -> int | None:
        """The number of the epoch that ends when so many steps are done; None if none does."""


def split(batch: Any, parts: int) -> Iterator[Any]:
    """Divide a batch into equal parts.

    Args:
        batch: A named tuple, see `TrainingBatch`; what is no tensor is the same for all parts.
        parts: Of which the first dimension of each tensor is a multiple.
    """
    for index in range(parts):
        yield type(batch)(*(part.chunk(parts)[index] if isinstance(part, Tensor) else part for part in batch))
