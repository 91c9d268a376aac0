"""Kinds of training, as the training loop sees them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import UsageError
from covos.data import Dataset
from covos.evaluation import SaliencyScores
from covos.models.lite import CovosLite
from covos.models.registry import build_network, find_model, verify
from covos.training.distributed import SINGLE_PROCESS, ProcessGroup
from covos.training.recipe import FollowRecipe, PromptRecipe, Recipe
from covos.training.validate import Validation, score_pictures, validate

LOSS_FRAMES = 32
"""Frames of a data set that the validation loss is of, about."""

RecipeT = TypeVar("RecipeT", bound=Recipe)
FrozenRecipeT = TypeVar("FrozenRecipeT", bound=FollowRecipe | PromptRecipe)


class Task(ABC, Generic[RecipeT]):
    """A kind of training. Unless a kind says otherwise, its recipe counts steps and its optimiser is AdamW.

    Attributes:
        name: Name of the kind of model that is made, for messages.
        architecture: Architecture of its network, in the registry of models.
        fresh_start: The start of a network that is given no weights, in words.
        recipe_type: The recipe with its settings.
        network_type: Makes a network with random weights, by torch's generator.
        batches_type: Makes the batches of a process: item s depends on the seed, s and the process alone.
        partial: True if a step may leave some parameters without a gradient.
        stored: Precision of the matrices in files of weights.
        plain: Fields of the recipe that are replaced to draw the batches of the validation loss: no augmentation that
            can be turned off.
        steps: Number of steps in all.
    """

    name: str
    architecture: str
    fresh_start: str
    recipe_type: ClassVar[type[Recipe]]
    network_type: ClassVar[type[nn.Module]]
    batches_type: ClassVar[Callable[..., TorchDataset[Any]]]
    partial = False
    stored = torch.float16
    plain: ClassVar[Mapping[str, Any]] = MappingProxyType({})

    def __init__(self, recipe: RecipeT, datasets: Sequence[Dataset]) -> None:
        self.recipe: RecipeT = recipe
        self.datasets = datasets
        self.steps = recipe.steps

    def make_network(self, settings: Mapping[str, Any] | None = None) -> nn.Module:
        """Make a network with random weights.

        Args:
            settings: Those of the weights that will be loaded into it (see `covos.models.cards.StoredNetwork`).
        """
        return self.network_type()

    def fill(self, network: nn.Module) -> None:
        """Give a network the weights that it starts from if there are none to fine-tune."""

    def batches(self, group: ProcessGroup = SINGLE_PROCESS) -> TorchDataset[Any]:
        """Return this process's share of every step."""
        return self.batches_type(self.datasets, self.recipe, group=group)

    def validation_batches(self, dataset: Dataset) -> Iterator[Any]:
        """Yield batches of the videos of a data set, the same at every time and in every run: for the validation loss.

        Together they have `LOSS_FRAMES` frames or a few more.

        Raises:
            InputError: No batch can be made of the videos.
        """
        batches = self.batches_type((dataset,), self.recipe.model_copy(update={**self.plain, "seed": 0}))
        step, frames = 0, 0
        while frames < LOSS_FRAMES:
            batch = batches[step]
            step, frames = step + 1, frames + self.frames(batch)
            yield batch

    def frames(self, batch: Any) -> int:
        """Return the number of frames of a batch."""
        return int(batch.image.shape[:-3].numel())

    @property
    def encoder_rate(self) -> float:
        """Peak learning rate of the parameters of an encoder that is trained."""
        return self.recipe.learning_rate

    def make_optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        """Make an AdamW in groups: encoder or not, decayed or not; the loop sets each ``lr`` from its ``peak``.

        The ``name`` of a group is what its rate is called where it is shown; groups of one name have one rate.
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
                    "name": "encoder" if encoder else "rest",
                }
                for (encoder, decayed), parameters in sorted(groups.items())
            ]
        )

    def rate_factor(self, group: Mapping[str, Any], step: int) -> float:
        """Return the factor on the rate of a group of the optimiser's parameters in the step after so many."""
        return 1.0

    def epoch_after(self, step: int) -> int | None:
        """Return the number of the epoch that ends when so many steps are done; None if none does."""
        return None

    def measures_after(self, step: int) -> bool:
        """Return True if the network is measured when so many steps are done."""
        every = self.recipe.validate_every
        return step == self.steps or bool(every and step % every == 0) or self.epoch_after(step) is not None

    @abstractmethod
    def losses(self, network: Any, batch: Any, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return scalar losses by name, each a mean over the batch; ``"total"`` is minimised."""

    @abstractmethod
    def pictures(self, network: Any, batch: Any) -> Tensor:
        """Draw the predictions of a network in evaluation mode on a batch: 3 x H x W uint8 RGB."""

    def measure(
        self, network: Any, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
    ) -> Validation:
        """Score a network in evaluation mode, by the engine that users run, on every so many frames of each video."""
        return validate(network, dataset, device=device, precision=precision, every=every)

    def measure_pictures(
        self, network: Any, dataset: Dataset, *, device: torch.device, precision: torch.dtype
    ) -> SaliencyScores | None:
        """Score a network in evaluation mode on still pictures; None if it finds nothing in them by itself."""
        if not self.recipe.measures_pictures:
            return None
        return score_pictures(network, dataset, device=device, precision=precision)


class FrozenEncoderTask(Task[FrozenRecipeT]):
    """Training on the features of a frozen covos-lite."""

    fresh_start = "random weights, over the frozen encoder"

    def __init__(self, recipe: FrozenRecipeT, datasets: Sequence[Dataset]) -> None:
        entry = find_model(recipe.encoder)
        verify(entry)
        if recipe.encoder_sha256 and recipe.encoder_sha256 not in entry.card.hashes:
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

    def encoder_on(self, device: torch.device) -> CovosLite:
        """Return the encoder, moved to where the batch is."""
        return self.encoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def picture_table(rows: Iterable[Iterable[Tensor]]) -> Tensor:
    """Lay rows of pictures, 3 x H x W each in [0, 1], out as one uint8 table on the processor, for TensorBoard."""
    table = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    return (table.clamp(0, 1) * 255).to(torch.uint8).cpu()


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch, which is a named tuple, to a device."""
    return type(batch)(*(part.to(device, non_blocking=True) if isinstance(part, Tensor) else part for part in batch))


def split(batch: Any, parts: int) -> Iterator[Any]:
    """Divide a batch, which is a named tuple, into equal parts; what is no tensor is the same for all."""
    for index in range(parts):
        yield type(batch)(*(part.chunk(parts)[index] if isinstance(part, Tensor) else part for part in batch))
