"""Says how a training goes, on stderr: what `covos train` shows, and a listener for Python."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from covos.core.errors import printable
from covos.core.progress import counted
from covos.data import Problem
from covos.training.check import DataCheck
from covos.training.divergence import LossTrend, warning_of
from covos.training.events import Finished, Measured, Skipped, Started, StepDone, TrainingEvent
from covos.training.gather import TrainingData
from covos.training.validate import Measurement

if TYPE_CHECKING:
    from covos.training.estimate import TimeEstimate

EVERY = 20
"""Steps between two lines of progress."""


class Console:
    """Says on stderr how a training goes: a listener of its events.

        >>> covos.train("lite-finetune", "MY_FOLDER", "runs/mine", on_event=covos.training.Console())

    Args:
        quiet: Say nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.estimate: TimeEstimate | None = None
        self.paces: list[float] = []
        self.started = False
        self.trend: LossTrend | None = None

    def note(self, line: str) -> None:
        """Say a line."""
        if not self.quiet:
            print(printable(line), file=sys.stderr, flush=True)

    def begin(self, gathered: TrainingData, *, processes: int) -> None:
        """Say what is trained on."""
        total = sum(len(dataset) for dataset in gathered.train)
        parts = ((gathered.videos, "video"), (gathered.pictures, "picture"))
        measured = ", ".join(f"{each.name} ({counted(len(each), what)})" for sets, what in parts for each in sets)
        measured = f"measured on {measured}" if measured else "nothing to measure on"
        names = ", ".join(f"{dataset.name} ({len(dataset)})" for dataset in gathered.train)
        self.note(f"{counted(total, 'item')} to train on: {names}; {measured}")
        for line in gathered.unmeasured:
            self.note(f"note: {line}")
        if processes > 1:
            self.note(f"{processes} processes share each step")

    def __call__(self, event: TrainingEvent) -> None:
        """Say what an event means, if it is one to speak of."""
        if isinstance(event, Started):
            self.started = True
            # A run that goes on shows no first steps: there is nothing to compare its last ones with.
            self.trend = None if event.step else LossTrend()
            self.note(f"starts from {event.origin}")
            self.note(f"if you stop it, the same command goes on from its last checkpoint in {event.folder}")
        elif isinstance(event, StepDone):
            self._show_step(event)
        elif isinstance(event, Measured):
            self._show_scores(event)
        elif isinstance(event, Skipped):
            self.note(f"warning: skipped, and another is drawn: {event.what}: {event.why}")
        elif isinstance(event, Finished):
            self._show_end(event)

    def _show_step(self, done: StepDone) -> None:
        if self.trend is not None:
            self.trend.add(done.losses)
        if done.step % EVERY == 0 or done.step == done.steps:
            self.note(
                f"step {done.step}/{done.steps}  loss {done.loss:.3f}  "
                f"{done.seconds_per_step:.2f} s a step" + self._left(done)
            )

    def _show_scores(self, event: Measured) -> None:
        for line in score_lines(event.measurement, what="validation" if event.step else "validation of the start"):
            self.note(line)

    def _left(self, report: StepDone) -> str:
        from covos.training.estimate import TimeEstimate, spoken

        if report.step == report.steps:
            return ""
        # The mean of all that was shown: steps of other sizes take other times, and 20 are few.
        self.paces.append(report.seconds_per_step)
        estimate = self.estimate or TimeEstimate(steps=report.steps, sizes={})
        seconds = estimate.left(report.step, seconds_per_step=sum(self.paces) / len(self.paces))
        return f"  about {spoken(seconds)} left"

    def _show_end(self, event: Finished) -> None:
        from covos.training.run_folder import describe_outcome

        if not self.started:
            self.note(f"the run was done before, at step {event.step:,}; to make it longer: more steps, and extend")
        for line in describe_outcome(event.weights.parent).splitlines():  # `note` would escape the ends of lines
            self.note(line)
        best = None if event.best is None else event.best.j
        if warning := warning_of(self.trend, best_j=best):
            self.note(warning)
        if event.skipped:
            self.note(f"skipped: {event.skipped} files of the training data that cannot be read")

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
    """Return a check of the data, a line for each data set and each problem."""
    yield from found.counts
    yield from map(problem_line, found.problems)


def problem_line(problem: Problem) -> str:
    """Return a problem of the data as a line."""
    cases = f": {', '.join(problem.examples)}" if problem.examples else ""
    return f"{problem.severity}: {problem.what}{cases}"


def score_lines(found: Measurement, *, what: str) -> Iterator[str]:
    """Return scores, a line for the mean of the videos and one for each data set."""
    if found.j is not None:
        yield f"{what}  J {found.j:.3f}  F {found.f:.3f}"
    for name, scores in found.sets.items():
        yield f"  {name}: {scores}" + (f"  loss {scores.losses['total']:.3f}" if "total" in scores.losses else "")
