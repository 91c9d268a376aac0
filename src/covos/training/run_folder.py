"""The folder of a run: the recipe, checkpoints, weights with their cards, the history, and TensorBoard's files."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any

import torch
from pydantic import ValidationError
from torch.utils.tensorboard import SummaryWriter

import covos
from covos.core.errors import CheckpointError
from covos.core.files import atomic_path, open_own, refuse_links
from covos.core.guarded import read_guarded
from covos.core.records import Record, faults, write_record
from covos.core.signals import DeferredSignals
from covos.data import Dataset
from covos.models.checkpoints import Card, save_weights
from covos.training.state import TrainingState, save_checkpoint
from covos.training.task import Task, to_device
from covos.training.validate import Validation

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
    """Return the commit of the running code, with ``+changes`` if files differ from it; empty outside a repository."""
    output = partial(subprocess.check_output, cwd=Path(__file__).parent, text=True, stderr=subprocess.DEVNULL)
    try:
        commit, changes = output(["git", "rev-parse", "HEAD"]), output(["git", "status", "--porcelain", "--", "."])
        return commit.strip() + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def make_card(
    task: Task[Any], datasets: Sequence[Dataset], *, measured: Validation | None, state: TrainingState
) -> Card:
    """Make the card of a run's weights as they are: the settings, data and code that made them, and their scores."""
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
        recipe={**task.recipe.model_dump(mode="json"), "step": state.step}
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


class HistoryEntry(Record):
    """One line of a run's ``history.jsonl``: either the means of the losses since the entry before, or scores."""

    step: int
    losses: dict[str, float] | None = None
    j: float | None = None
    f: float | None = None
    sequences: dict[str, tuple[float, float]] | None = None

    def line(self) -> str:
        """Return the entry as JSON, with the line's end."""
        return json.dumps(self.model_dump(exclude_none=True)) + "\n"


def read_history(path: Path) -> list[HistoryEntry]:
    """Read a run's history; it is empty if there is no file."""
    if not path.exists():
        return []
    entries = []
    content = read_guarded(
        path, what=f"{path} cannot be read", fix="remove it, or start anew in another folder", error=CheckpointError
    )
    for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
        try:
            entries.append(HistoryEntry.model_validate_json(line))
        except ValidationError as error:
            raise CheckpointError(
                f"{path} is damaged", why=f"line {number}: {faults(error)}", fix="remove that line, or the file"
            ) from error
    return entries


def describe_outcome(folder: Path) -> str:
    """Return a line that says how good a run's best weights are, and where they lie; empty if nothing was measured."""
    measured = [(entry.j, entry) for entry in read_history(folder / "history.jsonl") if entry.j is not None]
    if not measured:
        return ""
    j, best = max(measured, key=lambda pair: pair[0])
    return f"best  J {j:.3f}  F {best.f:.3f}  at step {best.step:,}: {folder / 'best.safetensors'}"


class RunFolder:
    """Measures, and writes what a run leaves, in the one process that does so."""

    def __init__(
        self,
        folder: Path,
        *,
        task: Task[Any],
        datasets: Sequence[Dataset],
        validation: Dataset | None,
        state: TrainingState,
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
        write_record(task.recipe, folder / "recipe.json")
        # Entries and curves beyond the checkpoint belong to steps that will be done again.
        history = folder / "history.jsonl"
        kept = [entry for entry in read_history(history) if entry.step <= state.step]
        with atomic_path(history) as temporary:
            temporary.write_text("".join(entry.line() for entry in kept))
        self.history: IO[str] = open_own(history, "a", encoding="utf-8")
        refuse_links(folder, folder / "tensorboard")
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=state.step)

    def close(self) -> None:
        """Close the files."""
        self.board.close()
        self.history.close()

    def log_losses(self, state: TrainingState, losses: dict[str, float]) -> None:
        """Log the losses of the step that was just done, and mark the state if it is one to measure after."""
        total, count = state.epoch_losses
        state.epoch_losses = total + losses["total"], count + 1
        state.due = self.task.measures_after(state.step)
        for name, value in losses.items():
            self.recent.setdefault(name, []).append(value)
        if state.step % LOG_EVERY == 0 or state.step == self.task.steps:
            # Means: steps may be of two kinds in turn, and the last would always be of the same.
            means = {name: sum(values) / len(values) for name, values in self.recent.items()}
            self.recent.clear()
            self._add_to_history(HistoryEntry(step=state.step, losses=means))
            for name, value in means.items():
                self.board.add_scalar(f"train/{name}", value, state.step)

    def finish_step(self, state: TrainingState, signals: DeferredSignals) -> Validation | None:
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
        every = self.task.recipe.checkpoint_every
        if (every and state.step % every == 0) or epoch is not None or last:
            self.checkpoint(state)
        return measured

    def _measure(self, state: TrainingState) -> Validation | None:
        pictures = self.task.pictures(state.average, to_device(self.batches[state.step - 1], self.device))
        self.board.add_image("train/predictions", pictures, state.step)
        measured = None
        if self.validation is not None:
            measured = self.task.measure(
                state.average, self.validation, device=self.device, precision=self.precision, every=VALIDATION_STRIDE
            )
            self._log_validation(state, measured)
        self.card = make_card(self.task, self.datasets, measured=measured, state=state)
        if measured is not None and measured.j > state.best_j:
            self._save("best", state)
            state.best_j = measured.j
        return measured

    def checkpoint(self, state: TrainingState) -> None:
        """Write everything that the next step depends on."""
        save_checkpoint(self.folder / "checkpoint.pt", state, recipe=self.task.recipe)

    def _save(self, name: str, state: TrainingState) -> Card:
        path = self.folder / f"{name}.safetensors"
        return save_weights(path, state.average, card=self.card, precision=self.task.stored)

    def _log_validation(self, state: TrainingState, measured: Validation) -> None:
        self._add_to_history(HistoryEntry(step=state.step, j=measured.j, f=measured.f, sequences=measured.sequences))
        self.board.add_scalar("validation/J", measured.j, state.step)
        self.board.add_scalar("validation/F", measured.f, state.step)
        for name, (j, f) in measured.sequences.items():
            self.board.add_scalar(f"validation_J/{name}", j, state.step)
            self.board.add_scalar(f"validation_F/{name}", f, state.step)

    def _add_to_history(self, entry: HistoryEntry) -> None:
        self.history.write(entry.line())
        self.history.flush()
