"""What `covos train` says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from covos.training.check import DataCheck
    from covos.training.distributed import Team
    from covos.training.estimate import Estimate
    from covos.training.loop import Progress
    from covos.training.sources import TrainingData

EVERY = 20
"""Steps between two lines of progress."""


class Console:
    """Says on stderr how a training goes.

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet
        self.estimate: Estimate | None = None
        self.paces: list[float] = []

    def note(self, line: str) -> None:
        """Say a line."""
        if not self.quiet:
            typer.echo(line, err=True)

    def begin(self, gathered: TrainingData, *, team: Team, output: Path) -> None:
        """Say what is trained on."""
        total = sum(len(dataset) for dataset in gathered.train)
        measured = f"measured on {gathered.validation.name}" if gathered.validation else "nothing to measure on"
        names = ", ".join(f"{dataset.name} ({len(dataset)})" for dataset in gathered.train)
        self.note(f"{total} videos and pictures: {names}; {measured}")
        if team.size > 1:
            self.note(f"{team.size} processes share each step")
        self.note(f"if you stop it, the same command goes on from its last checkpoint in {output}")

    def show(self, progress: Progress) -> None:
        """Say how far it is, now and then."""
        if progress.step % EVERY == 0 or progress.step == progress.steps:
            self.note(
                f"step {progress.step}/{progress.steps}  loss {progress.loss:.3f}  "
                f"{progress.seconds_per_step:.2f} s a step" + self._left(progress)
            )
        if progress.validation is not None:
            self.note(f"validation  J {progress.validation.j:.3f}  F {progress.validation.f:.3f}")

    def _left(self, progress: Progress) -> str:
        from covos.training.estimate import Estimate, spoken

        if progress.step == progress.steps:
            return ""
        # The mean of all that was shown: steps of other sizes take other times, and 20 are few.
        self.paces.append(progress.seconds_per_step)
        estimate = self.estimate or Estimate(steps=progress.steps, sizes={})
        seconds = estimate.left(progress.step, seconds_per_step=sum(self.paces) / len(self.paces))
        return f"  about {spoken(seconds)} left"

    @contextmanager
    def explaining_stops(self, checkpoint: Path) -> Iterator[None]:
        """Say what a signal that stops the training leaves."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            if checkpoint.exists():
                self.note(f"stopped; {checkpoint} is written: the same command goes on from there")
            raise


def lines_of(found: DataCheck) -> Iterator[str]:
    """A check of the data, a line for each data set and each problem."""
    for counts in found.counts:
        yield str(counts)
    for problem in found.problems:
        cases = f": {', '.join(problem.examples)}" if problem.examples else ""
        yield f"{problem.severity}: {problem.what}{cases}"
