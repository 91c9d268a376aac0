"""Tell what happens in a training, as values: whoever trains passes a function that takes them.

    >>> def log(event):
    ...     if isinstance(event, StepDone):
    ...         wandb.log({**event.losses, **event.rates}, step=event.step)

The console, ``history.jsonl`` and TensorBoard are listeners of the same events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from torch import Tensor

from covos.training.memory import Memory
from covos.training.validate import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A run begins, or goes on.

    Attributes:
        step: Steps that are done.
        steps: Steps in all.
        origin: What the network starts from, in words.
        folder: Folder of the run.
        validation: Names of the data sets that are measured on.
    """

    step: int
    steps: int
    origin: str
    folder: Path
    validation: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone:
    """A step is done: the weights were changed once.

    Attributes:
        step: Steps that are done, from 1.
        steps: Steps in all.
        losses: Losses of this step by name; ``"total"`` is what is minimised.
        loss: Mean of ``"total"`` over the last 20 steps.
        rates: Learning rate of each group of parameters, by the group's name.
        frames: Frames that the step saw, of all processes together.
        seconds: Seconds of this step: waiting for its data, and computing.
        waiting: Seconds of it that were spent on waiting for the data.
        seconds_per_step: Mean of ``seconds`` over the last 20 steps.
        memory: Peak memory so far.
    """

    step: int
    steps: int
    losses: Mapping[str, float]
    loss: float
    rates: Mapping[str, float] = field(default_factory=dict)
    frames: int = 0
    seconds: float = 0.0
    waiting: float = 0.0
    seconds_per_step: float
    memory: Memory | None = None

    @property
    def frames_per_second(self) -> float:
        """Throughput of this step."""
        return self.frames / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The network was measured; what is measured is the average of the weights.

    Attributes:
        step: Steps that are done; 0 for the weights that a run starts from.
        measurement: Scores and losses of each data set by its name; empty if there is nothing to measure on.
        pictures: Pictures by name, 3 x H x W uint8 RGB: predictions on a batch of the training, and of each data set
            the worst frame of the worst sequence, with the prediction beside the truth.
        best: True if no measurement of this run had a higher mean J before; the start does not count.
    """

    step: int
    measurement: Measurement
    pictures: Mapping[str, Tensor] = field(default_factory=dict)
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """A file stands under its final name: weights with their card beside them, or a checkpoint.

    Weights of the kind ``"kept"`` are among the best (`Recipe.keep_best`), and go when better ones come.
    """

    step: int
    path: Path
    kind: Literal["best", "kept", "last", "epoch", "checkpoint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file could not be read, and something else was drawn. It is reported once for each file.

    Attributes:
        step: The step that it was drawn for, from 1.
        what: The failure, with the file's path.
        why: The reason.
    """

    step: int
    what: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Mean J and F of the data sets that are measured on, and the step at which the weights had them."""

    step: int
    j: float
    f: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A run is done.

    Attributes:
        step: Steps that are done.
        start: Scores of the weights that it started from; None for a fresh start or without videos to measure on.
        best: Highest scores, those of ``best.safetensors``; None if nothing was measured.
        weights: ``best.safetensors``, or ``last.safetensors`` if nothing was measured.
        skipped: Number of files that could not be read.
    """

    step: int
    start: Scored | None
    best: Scored | None
    weights: Path
    skipped: int = 0


TrainingEvent: TypeAlias = Started | StepDone | Measured | Saved | Skipped | Finished
