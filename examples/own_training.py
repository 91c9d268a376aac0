"""Train with a loss and with batches of your own: two classes under a name, and a call of `covos.train`.

python examples/own_training.py DATA RUN [--steps N]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import Tensor

import covos
from covos.training import Console, LiteTask, StepDone, TrainingEvent, register
from covos.training.lite import GroupBatch, GroupBatches
from covos.training.recipe import LiteRecipe, Share


class GreyRecipe(LiteRecipe):
    """The settings of covos-lite's recipes, and two more.

    Attributes:
        grey_share: Share of the batches without colours.
        sure_weight: Weight of a loss that asks for probabilities near 0 and 1.
    """

    grey_share: Share = 0.3
    sure_weight: float = 0.05


class GreyBatches(GroupBatches):
    """Some of the batches lose their colours. Item s depends on the seed and s alone, so a run can be resumed."""

    recipe: GreyRecipe

    def __getitem__(self, step: int) -> GroupBatch:
        batch = super().__getitem__(step)
        drawn = torch.rand((), generator=torch.Generator().manual_seed(self.recipe.seed + step))
        if drawn < self.recipe.grey_share:
            grey = batch.image.float().mean(dim=1, keepdim=True).to(torch.uint8)
            batch = batch._replace(image=grey.expand_as(batch.image))
        return batch


@register("grey-lite")
class GreyTask(LiteTask):
    """A covos-lite that also learns from grey frames, and is asked to be sure of what it says."""

    recipe_type = GreyRecipe
    batches_type = GreyBatches

    def losses(self, network: torch.nn.Module, batch: GroupBatch, *, precision: torch.dtype) -> dict[str, Tensor]:
        """Return the losses of covos-lite, and the entropy of the still-image head's probability."""
        losses = super().losses(network, batch, precision=precision)
        still = network.encode(batch.image.float() / 255, batch.motion).still_B1HW.float()
        p = still.sigmoid()
        losses["unsure"] = torch.nn.functional.binary_cross_entropy_with_logits(still, p)
        losses["total"] = losses["total"] + self.recipe.sure_weight * losses["unsure"]
        return losses


class Log:
    """Keeps the loss of each step; a logger of another service is as short."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def __call__(self, event: TrainingEvent) -> None:
        """Take an event."""
        if isinstance(event, StepDone):
            self.losses.append(event.losses["unsure"])


def main() -> None:
    """Train, and say how good it became."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--steps", type=int, default=200)
    given = parser.parse_args()
    log = Log()
    result = covos.train(
        "lite-finetune",
        given.data,
        given.run,
        steps=given.steps,
        on_event=[Console(), log],
        model="grey-lite",
        grey_share=0.5,
    )
    print(f"unsure: {log.losses[0]:.3f} -> {log.losses[-1]:.3f}; {result.weights}")


if __name__ == "__main__":
    main()
