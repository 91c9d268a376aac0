"""Divergence: losses, weights and answers that are no numbers any more, or that show that nothing was learnt."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from covos.core.errors import IncompleteError
from covos.training.recipe import Recipe
from covos.training.setting import setting

WORSE = 2.0
"""The mean loss at the end over that at the start from which on a run is said to have diverged."""
WINDOW = 20
"""Steps of one kind, at the start and at the end, that are compared by their means."""
NOTHING = 0.01
"""J up to which the masks are said to miss the subject."""


def diverged(what: str, *, recipe: Recipe, checkpoint: Path | None) -> IncompleteError:
    """Make the error of a run whose numbers are lost; ``checkpoint`` is the file that a run keeps, if it keeps one."""
    kept = "no checkpoint was written yet"
    if checkpoint is not None and checkpoint.exists():
        kept = f"{checkpoint} is the last checkpoint from before"
    lower = setting("learning_rate", f"{recipe.learning_rate / 10:g}")
    return IncompleteError(
        what,
        why=f"the training diverged: learning_rate = {recipe.learning_rate:g} is too high; or a picture of the data "
        f"holds no numbers; {kept}",
        fix="begin again in another folder at a lower rate: " + lower,
    )


def infinite_buffers(network: nn.Module) -> frozenset[str]:
    """Return the names of the buffers that hold infinities before any training, as a causal mask does on purpose."""
    every = network.named_buffers(remove_duplicate=False)
    return frozenset(name for name, each in every if not bool(each.isfinite().all()))


def refuse_lost_weights(
    network: nn.Module, *, infinite: frozenset[str], step: int, recipe: Recipe, checkpoint: Path
) -> None:
    """Refuse to measure or to keep weights that are no numbers.

    Args:
        network: The network as it is after the step.
        infinite: Its `infinite_buffers` when the training began; these are left out.
        step: Steps that are done.
        recipe: Its learning rate is named.
        checkpoint: The file of the run; it is named if it exists.

    Raises:
        IncompleteError: Some are infinite or not a number.
    """
    tensors = [each for name, each in network.state_dict().items() if each.is_floating_point() and name not in infinite]
    if not bool(torch.stack([each.isfinite().all() for each in tensors]).all()):
        raise diverged(f"the weights are not finite after step {step}", recipe=recipe, checkpoint=checkpoint)


class LossTrend:
    """The first and the last losses of a run, apart for each kind of step: the names of its losses tell the kind.

    Steps of two kinds have losses of two sizes: COSNet's on still pictures count a tenth of those on pairs.
    """

    def __init__(self) -> None:
        self._first: dict[frozenset[str], list[float]] = {}
        self._last: dict[frozenset[str], deque[float]] = {}

    def add(self, losses: Mapping[str, float]) -> None:
        """Add the losses of a step, which has ``"total"`` among them."""
        kind, total = frozenset(losses), losses["total"]
        first = self._first.setdefault(kind, [])
        if len(first) < WINDOW:
            first.append(total)
        else:  # no step is in both windows
            self._last.setdefault(kind, deque(maxlen=WINDOW)).append(total)

    def worse(self) -> tuple[float, float] | None:
        """Return the mean loss of the first and of the last `WINDOW` steps of a kind that diverged; None if none did.

        A kind of fewer than twice as many steps is too short to judge.
        """
        for kind, last in self._last.items():
            before, after = sum(self._first[kind]) / WINDOW, sum(last) / WINDOW
            if len(last) == WINDOW and after > WORSE * max(before, 0.0):
                return before, after
        return None


def warning_of(trend: LossTrend | None, *, best_j: float | None) -> str | None:
    """Return a line for a run that came to its end and learnt nothing; None if all is well.

    Args:
        trend: The losses of a run from its first step on; None if not all of its steps were seen.
        best_j: The highest mean J, in [0, 1]; None if nothing was measured.
    """
    if trend is not None and (worse := trend.worse()) is not None:
        before, after = worse
        return (
            f"warning: the loss is {after:.3g} at the end and was {before:.3g} at the start, means over {WINDOW} steps "
            "of one kind: the training diverged; lower learning_rate"
        )
    if best_j is not None and best_j <= NOTHING:
        return (
            f"warning: the best J is {best_j:.3f}: the masks miss their subjects; train longer, lower learning_rate, "
            "or look at the masks of the data"
        )
    return None
