"""Train from Python: the same run as `covos train` makes, as a function."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covos.core.arguments import checked
from covos.core.device import configure_threads
from covos.core.memory import keeping_freed_memory
from covos.data import Dataset
from covos.model import Model, load_model
from covos.training import loop
from covos.training.arguments import Listener, folder_of, listeners_of, open_sets_of, sources_of
from covos.training.check import DataCheck, check_data
from covos.training.console import problem_line
from covos.training.distributed import joined
from covos.training.events import Finished, Scored, TrainingEvent
from covos.training.gather import Data
from covos.training.history import HistoryEntry, read_history
from covos.training.prepared import Training, prepare
from covos.training.recipe import Recipe
from covos.training.registry import load_recipe, make_task
from covos.training.run_log import lacking
from covos.training.state import origin_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingResult:
    """The end of a training.

    Attributes:
        folder: Folder of the run; docs/training.md lists its files.
        weights: ``best.safetensors``, or ``last.safetensors`` if nothing was measured.
        last: ``last.safetensors``.
        steps: Steps that were done, those of an earlier part of the run among them.
        start: Scores of the weights that it started from; None for a fresh start, or if nothing was measured.
        best: Scores of ``weights``; None if nothing was measured. Of several processes the first alone has scores.
        skipped: Number of files that could not be read, for which others were drawn.
    """

    folder: Path
    weights: Path
    last: Path
    steps: int
    start: Scored | None
    best: Scored | None
    skipped: int

    @property
    def history(self) -> list[HistoryEntry]:
        """The losses and scores of the run, in the order of its steps."""
        return read_history(self.folder / "history.jsonl")

    def load(self, *, device: str = "auto") -> Model:
        """Load the model that was made; a network that follows or prompts is given to a model by its file instead.

        Raises:
            UsageError: It is a network that finds nothing by itself.
        """
        return load_model(self.weights, device=device)


@checked("recipe", "output")
def train(
    recipe: str | os.PathLike[str] | Recipe,
    data: Data | Iterable[Data],
    output: str | os.PathLike[str],
    *,
    validation: Dataset | Iterable[Dataset] | None = None,
    weights: str | os.PathLike[str] | None = None,
    steps: int | None = None,
    epochs: int | None = None,
    extend: bool = False,
    check: bool = True,
    device: str = "auto",
    precision: str = "auto",
    workers: int = 1,
    on_event: Listener | Sequence[Listener] = (),
    **settings: Any,
) -> TrainingResult:
    """Train a network by a recipe; a run that was stopped goes on with the same call, one that is done returns its end.

        >>> import covos
        >>> result = covos.train("lite-finetune", "MY_FOLDER", "runs/mine", steps=200, learning_rate=5e-5)
        >>> result.best.j, result.weights
        >>> covos.segment("clip.mp4", model=result.weights)

    Args:
        recipe: A name of `recipes`, a ``.toml`` file, or a recipe, such as ``covos.recipes()["lite"]``.
        data: The folder of a data set or of several, a data set that is open, or several of these.
        output: Folder of the run; continued if it holds one.
        validation: Data sets to measure on. ``data`` is then not divided: an open data set is trained on whole, a
            folder by its training list. An empty tuple measures on nothing. None divides an open data set as it divides
            a folder (see `covos.data.open_dataset`, ``ratio``).
        weights: Fine-tune these: a name, or a ``.safetensors`` file; None starts as the recipe does.
        steps: How long, in steps.
        epochs: How long, in passes over all pairs (COSNet alone); give one of the two, or neither.
        extend: If true, the run in the folder goes on to more steps or epochs than it had.
        check: Look at a sample of the data before a new run: files that cannot be trained on are refused, and odd ones
            give a Python warning.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        precision: ``"auto"``, ``"fp32"`` or ``"bf16"``.
        workers: Loader processes; 0 loads in this one, as tasks that are defined in a notebook need it.
        on_event: Gets the events, see `covos.training.TrainingEvent`; one function or several. `Console` prints it.
        **settings: Fields of the recipe to replace, such as ``learning_rate=1e-4`` or ``overfit=2``; docs/recipes.md
            lists them. ``model`` chooses a kind of training that `register` made known.

    Returns:
        The place of the weights, and their scores.

    Raises:
        UsageError: A name or value is wrong, something would be both trained and measured on, or there is no run to
            extend.
        InputError: The data cannot be trained on.
        CheckpointError: The folder holds a run of other settings or other data, or the weights are of another network.
        EnvironmentProblem: The device or an optional package is not there.
    """
    listeners = listeners_of(on_event)
    chosen = load_recipe(recipe, settings=settings, steps=steps, epochs=epochs)
    folder = folder_of(output)
    training = prepare(
        chosen,
        sources_of(data),
        validation=None if validation is None else open_sets_of(validation),
        weights=weights,
        device=device,
        precision=precision,
        workers=workers,
    )
    if check and training.group.leads and not is_run(folder):
        found = check_training(training)
        found.refuse()
        for problem in found.problems:
            warnings.warn(problem_line(problem), stacklevel=2)
    if validation is not None or training.recipe.measures_videos:  # else it is the recipe's way, with any data
        for line in training.data.unmeasured:
            warnings.warn(line, stacklevel=2)
    if lack := lacking():
        warnings.warn(lack, stacklevel=2)
    return run_training(training, folder=folder, extend=extend, listeners=listeners)


def check_training(training: Training, *, on_frames: Callable[[int], object] = lambda frames: None) -> DataCheck:
    """Refuse weights of another network, and look at a sample of the data."""
    if training.start is not None:
        origin_of(training.start, make_task(training.recipe, training.data.train))
    return check_data(training.data, on_frames=on_frames)


def run_training(
    training: Training, *, folder: Path, extend: bool = False, listeners: Sequence[Listener] = ()
) -> TrainingResult:
    """Train to the end; errors are those of `covos.training.loop.train`."""
    configure_threads()
    ends: list[Finished] = []

    def tell(event: TrainingEvent) -> None:
        if isinstance(event, Finished):
            ends.append(event)
        for listener in listeners:
            listener(event)

    with keeping_freed_memory(), joined(training.group, training.device):
        loop.train(training, folder=folder, extend=extend, on_event=tell)
    last = folder / "last.safetensors"
    end = ends[0] if ends else Finished(step=training.recipe.steps, start=None, best=None, weights=last)
    return TrainingResult(
        folder=folder,
        weights=end.weights,
        last=last,
        steps=end.step,
        start=end.start,
        best=end.best,
        skipped=end.skipped,
    )


def is_run(folder: Path) -> bool:
    """Return True if a folder holds a run that has a checkpoint: its data were looked at when it began."""
    return (folder / "checkpoint.pt").exists()
