"""What a run leaves in its folder: checkpoint, weights with cards, curves, pictures, a page that sums it up."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter

import covos
from covos.core.errors import CheckpointError
from covos.core.files import atomic_path
from covos.core.signals import DeferredSignals
from covos.data import Dataset
from covos.models.checkpoints import Card, save_weights
from covos.training.summary import History, write_summary
from covos.training.task import Recipe, Task, to_device
from covos.training.validate import Validation

# Checkpoints of a run: everything that the next step depends on, written whole or not at all.
#
# The batch of a step is a function of the seed, the step and the process, and nothing else in the loop draws random
# numbers after the start, so weights, average, optimiser and step are all there is to keep.


@dataclass(slots=True)
class State:
    """What a run consists of while it goes.

    Attributes:
        network: Being trained.
        average: Its moving average.
        optimizer: With its moments.
        step: Steps done.
        best_j: Highest validation J so far.
        due: Whether the measurement after this step is still to be made.
        epoch_losses: Sum of the total loss over the steps of the epoch so far, and their number.
        started_from: Hash and recipe of the weights that were fine-tuned; None for a fresh start.
    """

    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0
    best_j: float = -1.0
    due: bool = False
    epoch_losses: tuple[float, int] = (0.0, 0)
    started_from: dict[str, Any] | None = None


_PLAIN = ("step", "best_j", "due", "epoch_losses", "started_from")


def save_checkpoint(path: Path, state: State, *, recipe: Recipe) -> None:
    """Write a checkpoint in place of the one before."""
    content = {
        "network": state.network.state_dict(),
        "average": state.average.state_dict(),
        "optimizer": state.optimizer.state_dict(),
        "recipe": json.dumps(recipe.to_dict()),
        **{name: getattr(state, name) for name in _PLAIN},
    }
    with atomic_path(path) as temporary:
        torch.save(content, temporary)


def restore_checkpoint(path: Path, state: State, *, recipe: Recipe) -> None:
    """Continue from a checkpoint.

    Raises:
        CheckpointError: It cannot be read, or was made with another recipe.
    """
    try:
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        kept = json.loads(content["recipe"])
    except Exception as error:
        raise CheckpointError(
            f"{path} cannot be read", why=str(error).splitlines()[0], fix="start anew in another folder"
        ) from error
    current = json.loads(json.dumps(recipe.to_dict()))
    # A field that is newer than the checkpoint had its default's effect.
    before = {each.name: each.default for each in fields(recipe) if each.default is not MISSING} | kept
    changed = sorted(name for name in current if before.get(name) != current[name])
    if changed:
        raise CheckpointError(
            f"{path} was made with another recipe",
            why="; ".join(f"{name}: {before.get(name)} there, {current[name]} here" for name in changed),
            fix="use the same recipe, or start anew in another folder",
        )
    state.network.load_state_dict(content["network"])
    state.average.load_state_dict(content["average"])
    state.optimizer.load_state_dict(content["optimizer"])
    # Older checkpoints lack some.
    for name in _PLAIN:
        setattr(state, name, content.get(name, getattr(state, name)))


# The card of trained weights: which settings, data and code made them.

LICENCES = {
    "davis2016": "DAVIS 2016: CC BY-NC; most sequences by the authors under CC BY 4.0",
    "ccp": "Clothing Co-Parsing: Apache-2.0",
    "horses": "Weizmann Horse: no licence stated",
    "humans": "no licence stated; masks by a matting service",
    "imagenet_soft": "ImageNet samples: research use; labels by ISNet (MIT)",
    "objects_soft": "Caltech-101: research use; labels by ISNet (MIT)",
}
"""Terms of the data sets that the embedded weights are made from; others are the user's to know."""


def current_commit() -> str:
    """The commit of the running code, with ``+changes`` if files differ from it; empty outside a repository."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def make_card(
    task: Task,
    datasets: Sequence[Dataset],
    *,
    measured: Validation | None,
    state: State,
) -> Card:
    """The card of a run's weights as they are.

    Args:
        task: With the recipe of the run.
        datasets: Trained on.
        measured: At this step, if it was.
        state: Of the run.
    """
    scores = {}
    if measured is not None:
        scores["training validation, every fifth frame"] = {
            "J": round(measured.j, 4),
            "F": round(measured.f, 4),
            "sequences": {name: [round(j, 4), round(f, 4)] for name, (j, f) in measured.sequences.items()},
        }
    return Card(
        name=task.name,
        architecture=task.architecture,
        version=covos.__version__,
        commit=current_commit(),
        recipe={**task.recipe.to_dict(), "step": state.step}
        | ({} if state.started_from is None else {"started_from": state.started_from}),
        data=tuple(
            {"name": d.name, "items": len(d), "licence": LICENCES.get(d.name, "as its owner says")} for d in datasets
        ),
        scores=scores,
        licence="code Apache-2.0; the weights inherit the terms of the data: research and non-commercial use",
    )


LOG_EVERY = 20
VALIDATION_STRIDE = 5
"""Score every fifth frame while training: neighbours say the same, and the time is better spent on steps."""


class Keeper:
    """Measures and writes for the process that leads.

    Args:
        folder: Of the run.
        task: What is trained.
        datasets: Trained on.
        validation: To measure on; None measures nothing.
        state: As the run begins or goes on.
        device: Where to compute.
        precision: Of the arithmetic.
    """

    def __init__(
        self,
        folder: Path,
        *,
        task: Task,
        datasets: Sequence[Dataset],
        validation: Dataset | None,
        state: State,
        device: torch.device,
        precision: torch.dtype,
    ) -> None:
        self.folder = folder
        self.task = task
        self.datasets = datasets
        self.validation = validation
        self.device = device
        self.precision = precision
        # Whole steps, not this process's share: pictures are drawn of one.
        self.batches = task.batches()
        self.card = make_card(task, datasets, measured=None, state=state)
        self.recent: dict[str, list[float]] = {}
        with atomic_path(folder / "recipe.json") as temporary:
            temporary.write_text(json.dumps(task.recipe.to_dict(), indent=2) + "\n")
        self.history = History(folder / "history.jsonl", step=state.step)
        # Curves beyond the checkpoint belong to steps that will be done again.
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=state.step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.board.close()
        self.history.close()

    def note(self, state: State, losses: dict[str, float]) -> None:
        """Note the losses of the step that was just done, and whether it is one to measure after."""
        total, count = state.epoch_losses
        state.epoch_losses = total + losses["total"], count + 1
        last, ends = state.step == self.task.steps, self.task.epoch_after(state.step) is not None
        state.due = _due(state.step, self.task.recipe.validate_every) or ends or last
        for name, value in losses.items():
            self.recent.setdefault(name, []).append(value)
        if _due(state.step, LOG_EVERY) or last:
            # Means: steps may be of two kinds in turn, and the last would always be of the same.
            means = {name: sum(values) / len(values) for name, values in self.recent.items()}
            self.recent.clear()
            self.history.add(step=state.step, losses=means)
            for name, value in means.items():
                self.board.add_scalar(f"train/{name}", value, state.step)

    def settle(self, state: State, signals: DeferredSignals) -> Validation | None:
        """Measure and write what is due after the step that was just done.

        Measuring may take minutes, so a signal ends it; a run that is continued from there measures first.
        """
        epoch, last = self.task.epoch_after(state.step), state.step == self.task.steps
        measured = None
        if state.due:
            try:
                with signals.at_once():
                    measured = self._measure(state)
            except (KeyboardInterrupt, SystemExit):
                self.checkpoint(state)
                raise
            state.due = False
        if epoch is not None:
            mean = state.epoch_losses[0] / state.epoch_losses[1]
            self._save(f"epoch-{epoch:03}-loss-{mean:.4f}", state)
            state.epoch_losses = 0.0, 0
        if last:
            self.card = self._save("last", state)
        if _due(state.step, self.task.recipe.checkpoint_every) or epoch is not None or last:
            self.checkpoint(state)
        return measured

    def _measure(self, state: State) -> Validation | None:
        pictures = self.task.pictures(state.average, to_device(self.batches[state.step - 1], self.device))
        self.board.add_image("train/predictions", pictures, state.step)
        measured = None
        if self.validation is not None:
            measured = self.task.measure(
                state.average,
                self.validation,
                device=self.device,
                precision=self.precision,
                every=VALIDATION_STRIDE,
            )
            self._log_validation(state, measured)
        self.card = make_card(self.task, self.datasets, measured=measured, state=state)
        if measured is not None and measured.j > state.best_j:
            self._save("best", state)
            state.best_j = measured.j
        write_summary(self.folder, card=self.card, steps=self.task.steps, pictures=pictures)
        return measured

    def checkpoint(self, state: State) -> None:
        """Write everything that the next step depends on."""
        save_checkpoint(self.folder / "checkpoint.pt", state, recipe=self.task.recipe)

    def _save(self, name: str, state: State) -> Card:
        path = self.folder / f"{name}.safetensors"
        return save_weights(path, state.average, card=self.card, precision=self.task.stored)

    def _log_validation(self, state: State, measured: Validation) -> None:
        self.history.add(step=state.step, j=measured.j, f=measured.f, sequences=measured.sequences)
        self.board.add_scalar("validation/J", measured.j, state.step)
        self.board.add_scalar("validation/F", measured.f, state.step)
        for name, (j, _) in measured.sequences.items():
            self.board.add_scalar(f"validation_J/{name}", j, state.step)


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
