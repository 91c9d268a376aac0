"""What a kind of training is to the loop."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, NoReturn, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import UsageError
from covos.data import Dataset
from covos.training.distributed import ALONE, Team
from covos.training.validate import Validation


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

    def batches(self, team: Team = ALONE) -> TorchDataset[Any]:
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


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch, which is a named tuple, to a device."""
    return type(batch)(*(part.to(device, non_blocking=True) if isinstance(part, Tensor) else part for part in batch))


def split(batch: Any, parts: int) -> Iterator[Any]:
    """Divide a batch into equal parts.

    Args:
        batch: A named tuple; what is no tensor is the same for all parts.
        parts: Of which the first dimension of each tensor is a multiple.
    """
    for index in range(parts):
        yield type(batch)(*(part.chunk(parts)[index] if isinstance(part, Tensor) else part for part in batch))


# What every recipe has.


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What every training run has; each kind of training adds its own. All rates are per step.

    A step is one change of the weights. How many processes share it, and in how many parts each computes its share,
    changes what it costs; what it learns, only as far as batch norm takes its statistics from one part.

    Attributes:
        model: Which network is trained.
        steps: In all.
        learning_rate: Peak rate.
        weight_decay: Of the optimiser.
        warmup: Steps of linear warm-up.
        power: Exponent of the polynomial decay to zero (DeepLab, section 4.1); 0 keeps the rate.
        gradient_norm: The gradient is scaled down to this norm; 0 leaves it.
        accumulate: Parts that a process computes its share of a step in, one after the other, to need less memory.
        ema: Decay of the exponential moving average of the weights, which is what is kept; 0 keeps the last weights.
        validate_every: Steps between measurements on the validation set; 0 leaves it to the ends of epochs and run.
        checkpoint_every: Steps between checkpoints; 0 likewise.
        ratio: Share of the videos in a data set's training list that is trained on, where it has no validation list;
            the rest is measured on. 0 trains on the whole list.
        videos: How many of each data set's training videos are used, at random; 0 uses all.
        seed: Of the initial weights and of everything drawn.
    """

    model: str
    steps: int
    learning_rate: float
    weight_decay: float
    warmup: int
    power: float
    gradient_norm: float
    accumulate: int = 1
    ema: float
    validate_every: int
    checkpoint_every: int
    ratio: float = 0.0
    videos: int = 0
    seed: int

    def __post_init__(self) -> None:
        self.require("accumulate", at_least=1)
        for name in (
            "learning_rate", "weight_decay", "warmup", "power", "gradient_norm", "validate_every", "checkpoint_every",
            "videos",
        ):  # fmt: skip
            self.require(name, at_least=0)
        if not 0 <= self.ratio < 1:
            self.refuse("ratio", "both parts need videos", "set it between 0 and 1, or 0 for whole lists")
        self.require_share("ema")

    def refuse(self, name: str, why: str, fix: str) -> NoReturn:
        """Refuse the value of a field."""
        raise UsageError(f"recipe: {name} = {getattr(self, name)}", why=why, fix=fix)

    def require(self, name: str, *, at_least: int) -> None:
        """Refuse a field that is less."""
        if getattr(self, name) < at_least:
            self.refuse(name, "it is too small", f"set it to {at_least} or more")

    def require_share(self, name: str) -> None:
        """Refuse a field that is no share."""
        if not 0 <= getattr(self, name) <= 1:
            self.refuse(name, "it is a share", "set it between 0 and 1")

    def check_division(self, *, processes: int) -> None:
        """Refuse a number of processes that a step cannot be divided among evenly.

        Raises:
            UsageError: It cannot.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for the card and the run's folder."""
        return asdict(self)


def check_division(what: str, count: int, *, processes: int, accumulate: int, unit: int = 1) -> None:
    """Refuse a step that cannot be divided evenly.

    Args:
        what: Is divided, in the plural.
        count: How many of them make a step.
        processes: That share the step.
        accumulate: Parts of each share.
        unit: How many must stay together.

    Raises:
        UsageError: The parts would not be equal.
    """
    if count % (processes * accumulate * unit):
        together = f", {unit} of which belong together" if unit > 1 else ""
        raise UsageError(
            f"{count} {what} a step cannot be divided among {processes} processes in {accumulate} parts each",
            why=f"{processes * accumulate} equal parts are needed{together}",
            fix="change the number of processes, accumulate, or the size of the step",
        )
