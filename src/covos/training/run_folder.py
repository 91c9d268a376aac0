"""The folder of a run: the recipe, checkpoints, and weights with their cards."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

import covos
from covos.core.errors import CovosError
from covos.core.files import refuse_links
from covos.core.places import name_of
from covos.core.progress import counted
from covos.core.records import write_record
from covos.core.signals import DeferredSignals
from covos.data import Dataset
from covos.models.cards import Card, card_path
from covos.models.checkpoints import save_weights
from covos.training.data_record import DataRecord
from covos.training.divergence import refuse_lost_weights
from covos.training.events import Finished, Measured, Saved, Scored, StepDone, TrainingEvent
from covos.training.history import read_history
from covos.training.measuring import measure_all, named, worst_pictures
from covos.training.prepared import Training
from covos.training.state import TrainingState, save_checkpoint
from covos.training.task import Task, to_device
from covos.training.validate import Measurement, SetScores

LICENCES = {
    "davis2016": "DAVIS 2016: CC BY-NC; most sequences by the authors under CC BY 4.0",
    "ccp": "Clothing Co-Parsing: Apache-2.0",
    "duts": "DUTS (Wang et al., CVPR 2017): academic use; pictures of ImageNet: research use",
    "sprites": "rendered by benchmarks/render_sprites.py: as covos",
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
    task: Task[Any], datasets: Sequence[Dataset], *, folder: Path, measured: Measurement | None, state: TrainingState
) -> Card:
    """Make the card of a run's weights as they are: the settings, data and code that made them, and their scores."""
    recipe: dict[str, Any] = {**task.recipe.model_dump(mode="json"), "step": state.step}
    if state.started_from is not None:
        recipe["started_from"] = state.started_from
    if state.extended:
        recipe["extended"] = list(state.extended)
    if state.skips.files:
        recipe["files_skipped"] = len(state.skips.files)
    return Card(
        name=task.recipe.name or name_of(folder),
        architecture=task.architecture,
        version=covos.__version__,
        commit=current_commit(),
        recipe=recipe,
        data=tuple(
            {
                "name": d.name,
                "items": len(d),
                "licence": LICENCES.get(d.name, "as its owner says"),
                **({"videos": moving} if (moving := [video.name for video in d if video.kind == "video"]) else {}),
            }
            for d in datasets
        ),
        scores={} if measured is None else _scores(measured, overfit=bool(task.recipe.overfit)),
        licence="code Apache-2.0; the weights inherit the terms of the data: research and non-commercial use",
    )


def _scores(measured: Measurement, *, overfit: bool) -> dict[str, Any]:
    """Return the scores of a card: the means over the data sets, and each of them."""
    scores: dict[str, Any] = {}
    if measured.scored:
        protocol = "training videos themselves (overfitting on purpose)" if overfit else "training validation"
        scores[f"{protocol}, every fifth frame"] = {
            **{name: round(value, 4) for name, value in (("J", measured.j), ("F", measured.f)) if value is not None},
            "sets": {name: _set_score(found) for name, found in measured.sets.items() if found.videos is not None},
        }
    pictures = {name: found.pictures for name, found in measured.sets.items() if found.pictures is not None}
    for name, found in pictures.items():
        scores[f"{counted(found.pictures, 'still picture')} of {name}"] = {
            "MAE": round(found.mae, 4),
            "max F": round(found.max_f, 4),
        }
    return scores


def _set_score(found: SetScores) -> dict[str, Any]:
    assert found.videos is not None
    return {
        "J": round(found.videos.j, 4),
        "F": round(found.videos.f, 4),
        "losses": {name: round(value, 4) for name, value in found.losses.items()},
        "sequences": {name: [round(j, 4), round(f, 4)] for name, (j, f) in found.videos.sequences.items()},
    }


def _name_of(step: int) -> str:
    """Return the name of weights that are kept beside the best."""
    return f"step-{step:06}"


def describe_outcome(folder: Path) -> str:
    """Return lines that say how good a run's best weights are and where they lie.

    Without a video to measure on, none are the best.

    If the weights that the run started from were measured, their score is beside it, and it is said if no step was
    better.
    """
    measured = [(entry.j, entry) for entry in read_history(folder / "history.jsonl") if entry.j is not None]
    trained = [(j, entry) for j, entry in measured if entry.step]
    if not trained:
        return f"no video was measured, so no weights count as the best; the last ones: {folder / 'last.safetensors'}"
    j, best = max(trained, key=lambda pair: pair[0])
    start = next((entry for _, entry in reversed(measured) if not entry.step), None)
    # A gain that three digits do not show would look like none.
    digits = 3 if start is None or start.j == j or f"{start.j:.3f}" != f"{j:.3f}" else 4
    rule = "" if start is None or (start.f or 0) <= (best.f or 0) else " (the best by J)"
    line = f"best  J {j:.{digits}f}  F {best.f:.{digits}f}  at step {best.step:,}{rule}: {folder / 'best.safetensors'}"
    lines = [line]
    if start is not None:
        assert start.j is not None
        lines = [f"start  J {start.j:.{digits}f}  F {start.f:.{digits}f}  ->  {line}"]
        if j <= start.j:
            beside = "are as good as" if j == start.j else "are better than"
            lines.append(
                f"no step was better than the weights that the run started from: these {beside} "
                "best.safetensors; keep them, or train longer or at a lower rate"
            )
    if len(best.sets or ()) > 1:
        lines += (f"  {name}: {entry}" for name, entry in (best.sets or {}).items())
    return "\n".join(lines)


def finished(folder: Path, state: TrainingState) -> Finished:
    """Return the event of a run that is done, with what it made."""
    start = None if state.start is None else Scored(step=0, j=state.start[0], f=state.start[1])
    best = None if state.best_j < 0 else Scored(step=state.best_step, j=state.best_j, f=state.best_f)
    weights = folder / f"{'last' if best is None else 'best'}.safetensors"
    return Finished(step=state.step, start=start, best=best, weights=weights, skipped=len(state.skips.files))


class RunFolder:
    """Measures, and writes what a run leaves, in the one process that does so; it reports its work as events."""

    def __init__(
        self,
        folder: Path,
        *,
        training: Training,
        task: Task[Any],
        state: TrainingState,
        tell: Callable[[TrainingEvent], None],
    ) -> None:
        self.folder = folder
        self.training = training
        self.task = task
        self.validation = named(training.data.validation)
        self.tell = tell
        # Whole steps, not this process's share: pictures are drawn of one.
        self.batches = task.batches()
        self.card = self._make_card(state, measured=None)
        write_record(task.recipe, folder / "recipe.json")
        DataRecord.of(training.data.train, training.data.validation).write(folder)

    def begin(self, state: TrainingState, signals: DeferredSignals) -> None:
        """Measure the weights that a run starts from, and what is still due of the step that was done last."""
        if state.due:
            self.finish_step(state, signals)
        elif state.step == 0 and state.started_from is not None and self.validation:
            with signals.at_once():
                measured = self._scores_of(state)
            if measured.j is not None and measured.f is not None:
                state.start = measured.j, measured.f
            self.tell(Measured(step=0, measurement=measured, pictures=worst_pictures(measured)))

    def count_step(self, done: StepDone, state: TrainingState) -> None:
        """Count the loss of the step that was just done, and mark the state if it is one to measure after."""
        total, count = state.epoch_losses
        state.epoch_losses = total + done.losses["total"], count + 1
        state.due = self.task.measures_after(state.step)

    def finish_step(self, state: TrainingState, signals: DeferredSignals) -> None:
        """Measure and write what is due after the step that was just done.

        Measuring may take minutes, so a signal ends it; a run that is continued from there measures first.
        """
        epoch, last = self.task.epoch_after(state.step), state.step == self.task.steps
        if state.due:
            self._refuse_lost(state)
            try:
                with signals.at_once():
                    self._measure(state)
            except (KeyboardInterrupt, SystemExit, CovosError):  # a picture to measure on may be lost, but no step
                self.checkpoint(state)
                raise
            state.due = False
        if epoch is not None:
            mean = state.epoch_losses[0] / state.epoch_losses[1]
            self._save(f"epoch-{epoch:03}-loss-{mean:.4f}", state, kind="epoch")
            state.epoch_losses = 0.0, 0
        if last:
            self.card = self._save("last", state, kind="last")
        every = self.task.recipe.checkpoint_every
        if (every and state.step % every == 0) or epoch is not None or last:
            self.checkpoint(state)

    def checkpoint(self, state: TrainingState) -> None:
        """Write everything that the next step depends on.

        Raises:
            IncompleteError: The training diverged; the checkpoint before stays.
        """
        self._refuse_lost(state)
        path = self.folder / "checkpoint.pt"
        save_checkpoint(path, state, recipe=self.task.recipe)
        self.tell(Saved(step=state.step, path=path, kind="checkpoint"))

    def _refuse_lost(self, state: TrainingState) -> None:
        checkpoint = self.folder / "checkpoint.pt"
        refuse_lost_weights(
            state.network, infinite=state.infinite, step=state.step, recipe=self.task.recipe, checkpoint=checkpoint
        )

    def _scores_of(self, state: TrainingState) -> Measurement:
        device, precision = self.training.device, self.training.precision
        return measure_all(self.task, state.average, self.validation, device=device, precision=precision)

    def _make_card(self, state: TrainingState, *, measured: Measurement | None) -> Card:
        return make_card(self.task, self.training.data.train, folder=self.folder, measured=measured, state=state)

    def _measure(self, state: TrainingState) -> None:
        batch = to_device(self.batches[state.step - 1], self.training.device)
        pictures: dict[str, Tensor] = {"train/predictions": self.task.pictures(state.average, batch)}
        measured = self._scores_of(state)
        j, f = measured.j, measured.f
        best = j is not None and f is not None and j > state.best_j
        self.card = self._make_card(state, measured=measured)
        pictures |= worst_pictures(measured)
        self.tell(Measured(step=state.step, measurement=measured, pictures=pictures, best=best))
        if j is not None and f is not None and best:
            self._save("best", state, kind="best")
            state.best_j, state.best_f, state.best_step = j, f, state.step
        self._keep_best(state)

    def _keep_best(self, state: TrainingState) -> None:
        """Keep the weights of now under their step, if they are among the best so far, and drop those that no more are.

        The history knows the scores, so a run that goes on keeps the same files as one that was never stopped.
        """
        count = self.task.recipe.keep_best
        if count == 1:
            return
        entries = read_history(self.folder / "history.jsonl")
        found = {entry.step: entry.j for entry in entries if entry.j is not None and 0 < entry.step <= state.step}
        best = sorted(found, key=lambda step: (-found[step], step))[:count]
        if state.step in best:
            self._save(_name_of(state.step), state, kind="kept")
        for step in found.keys() - best:
            path = self.folder / f"{_name_of(step)}.safetensors"
            refuse_links(self.folder, path)
            for file in (path, card_path(path)):
                file.unlink(missing_ok=True)

    def _save(self, name: str, state: TrainingState, *, kind: Literal["best", "kept", "last", "epoch"]) -> Card:
        path = self.folder / f"{name}.safetensors"
        card = save_weights(path, state.average, card=self.card, precision=self.task.stored)
        self.tell(Saved(step=state.step, path=path, kind=kind))
        return card
