"""What a run leaves in its folder: checkpoint, weights with cards, curves, pictures, a page that sums it up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import torch
from torch.utils.tensorboard import SummaryWriter

from covos.data import Dataset
from covos.models.card import Card
from covos.models.weights_file import save_weights
from covos.runtime.atomic import atomic_path
from covos.runtime.signals import DeferredSignals
from covos.training.checkpoint import State, save_checkpoint
from covos.training.history import History
from covos.training.provenance import make_card
from covos.training.summary import write_summary
from covos.training.task import Task
from covos.training.validate import Validation

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
        pictures = self.task.pictures(state.average, self.batches[state.step - 1].to(self.device))
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
