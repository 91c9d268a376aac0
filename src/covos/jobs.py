"""Many jobs that share loaded models, one after another; one that fails does not stop the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from covos.core.errors import CovosError, UsageError, explained
from covos.core.files import refuse_links
from covos.core.numbered import is_pattern
from covos.core.places import name_of
from covos.events import Event
from covos.job import Job
from covos.model_loading import load_planned
from covos.plan import Plan
from covos.runs.folder import OutputFolder
from covos.runs.writing import Saved, is_finished

if TYPE_CHECKING:
    from covos.model import Model


class ModelCache:
    """Loads each model once, for many jobs; give it to them as ``load``."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str, str, str], Model] = {}
        self._lock = threading.Lock()

    def __call__(self, plan: Plan) -> Model:
        """Return the model of a plan."""
        key = plan.model, plan.device, plan.precision, plan.runtime
        with self._lock:
            if key not in self._models:
                self._models[key] = load_planned(plan)
            return self._models[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The end of a job: either ``saved`` or ``error`` is set."""

    name: str
    saved: Saved | None = None
    error: CovosError | None = None


def run_job(job: Job, *, listen: Callable[[Job, Event], None] | None = None) -> Outcome:
    """Run a job that writes to a folder, and return what became of it.

    Args:
        job: With a folder.
        listen: Called with each event.

    Returns:
        Its error is a UsageError if the folder holds a run of other terms, an EnvironmentProblem if another process
        works in it; an exception of a bug or of a library is explained.

    Raises:
        CovosError: The model cannot be loaded: that is no fault of the input.
    """
    try:
        done = job.run(None if listen is None else partial(listen, job))
    except Exception as error:
        if job.model_failed and isinstance(error, CovosError):
            raise
        return Outcome(name=job.plan.name, error=explained(error))
    assert isinstance(done, Saved)
    return Outcome(name=job.plan.name, saved=done)


def run_jobs(jobs: Iterable[Job], *, listen: Callable[[Job, Event], None] | None = None) -> Iterator[Outcome]:
    """Run jobs that write to folders, one after another; one that fails does not stop the others.

    Args:
        jobs: With folders.
        listen: Called with each event.

    Yields:
        One outcome for each job, in order; see `run_job`.

    Raises:
        CovosError: A model cannot be loaded: that is no fault of one input, and ends the batch.
    """
    return (run_job(job, listen=listen) for job in jobs)


def plan_folders(
    inputs: Sequence[str], *, output: Path, overwrite: bool, skip: bool = False
) -> dict[str, OutputFolder]:
    """Take the folder of each input's results, see `output_folders`; with ``skip``, finished results are left out.

    Raises:
        UsageError: Two inputs would share a folder, or a folder holds something else than a run of covos.
        EnvironmentProblem: A folder cannot be written to.
    """
    return {
        name: OutputFolder(path, overwrite=overwrite, resumable=True)
        for name, path in output_folders(inputs, output=output).items()
        if not (skip and is_finished(path))
    }


def output_folders(inputs: Sequence[str], *, output: Path) -> dict[str, Path]:
    """Choose the folder for each input's results: ``output`` itself for one, a subfolder each for several.

    A subfolder has the input's file name without suffix; of a folder its name, also if it is given as ``.`` or ``..``;
    of a pattern, the name of the folder that it looks in.

    Raises:
        UsageError: Two inputs would share a folder.
    """
    if len(inputs) == 1:
        return {inputs[0]: output}
    names: dict[str, str] = {}
    for each in inputs:
        path = Path(each)
        if path.is_dir():
            name = name_of(path)
        else:
            name = name_of(path.parent) if is_pattern(path.name) and not path.exists() else path.stem
        if name in names:
            raise UsageError(
                f"{names[name]} and {each} would both go to {output / name}",
                why="a subfolder is named after its input",
                fix="segment them one at a time, each to a folder of its own",
            )
        names[name] = each
    for name in names:
        refuse_links(output, output / name)
    return {each: output / name for name, each in names.items()}
