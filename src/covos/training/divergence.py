"""Divergence: losses, weights and answers that are no numbers any more, or that show that nothing was learnt."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from covos.core.errors import IncompleteError
from covos.training.recipe import Recipe

WORSE = 2.0
"""The loss at the end over that of the first steps from which on a run is said to have diverged."""
NOTHING = 0.01
"""J up to which the masks are said to miss the subject."""


def diverged(what: str, *, recipe: Recipe, checkpoint: Path | None) -> IncompleteError:
    """Make the error of a run whose numbers are lost; ``checkpoint`` is the file that a run keeps, if it keeps one."""
    kept = "no checkpoint was written yet"
    if checkpoint is not None and checkpoint.exists():
        kept = f"{checkpoint} is the last checkpoint from before"
    return IncompleteError(
        what,
        why=f"the training diverged: learning_rate = {recipe.learning_rate:g} is too high; or a picture of the data "
        f"holds no numbers; {kept}",
        fix=f"begin again in another folder at a lower rate: --set learning_rate={recipe.learning_rate / 10:g}",
    )


def refuse_lost_weights(network: nn.Module, *, step: int, recipe: Recipe, checkpoint: Path) -> None:
    """Refuse to measure or to keep weights that are no numbers.

    Raises:
        IncompleteError: Some are infinite or not a number.
    """
    tensors = [each for each in network.state_dict().values() if each.dtype.is_floating_point]
    if not bool(torch.stack([each.isfinite().all() for each in tensors]).all()):
        raise diverged(f"the weights are not finite after step {step}", recipe=recipe, checkpoint=checkpoint)


def warning_of(*, first_loss: float | None, last_loss: float | None, best_j: float | None) -> str | None:
    """Return a line for a run that came to its end and learnt nothing; None if all is well."""
    if first_loss is not None and last_loss is not None and last_loss > WORSE * max(first_loss, 0.0):
        return (
            f"warning: the loss ended at {last_loss:.3g}, and its first steps had {first_loss:.3g}: the training "
            "diverged; lower learning_rate"
        )
    if best_j is not None and best_j <= NOTHING:
        return (
            f"warning: the best J is {best_j:.3f}: the masks miss their subjects; train longer, lower learning_rate, "
            "or look at the masks of the data"
        )
    return None
