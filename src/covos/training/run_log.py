"""Keep what a run leaves to be looked at: ``history.jsonl`` and TensorBoard's files, by a listener of its events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import IO

from pydantic import ValidationError
from torch.utils.tensorboard import SummaryWriter

from covos.core.errors import CheckpointError
from covos.core.files import atomic_path, open_own, refuse_links
from covos.core.guarded import read_guarded
from covos.core.records import Record, faults
from covos.training.events import Measured, StepDone, TrainingEvent
from covos.training.memory import GIGA
from covos.training.validate import SetScores

LOG_EVERY = 20
"""Steps between two entries."""


class SetEntry(Record):
    """Scores of one data set; what could not be measured on it is left out."""

    j: float | None = None
    f: float | None = None
    losses: dict[str, float] | None = None
    mae: float | None = None
    max_f: float | None = None

    def __str__(self) -> str:
        parts = (("J", self.j), ("F", self.f), ("MAE", self.mae), ("max F", self.max_f))
        return "  ".join(f"{name} {value:.3f}" for name, value in parts if value is not None)

    @classmethod
    def of(cls, scores: SetScores) -> SetEntry:
        """Return the entry of some scores."""
        return cls(
            j=None if scores.videos is None else scores.videos.j,
            f=None if scores.videos is None else scores.videos.f,
            losses=scores.losses or None,
            mae=None if scores.pictures is None else scores.pictures.mae,
            max_f=None if scores.pictures is None else scores.pictures.max_f,
        )


class HistoryEntry(Record):
    """One line of a run's ``history.jsonl``: either means over the steps since the entry before, or scores.

    Attributes:
        step: Steps that were done; 0 for scores of the weights that the run started from.
        losses: Losses by name.
        rates: Learning rates by the name of the group, of the last of the steps.
        frames_per_second: Throughput.
        seconds_per_step: Waiting for the data and computing.
        waiting: Share of these seconds that was spent on waiting.
        memory: Peak memory so far in bytes, ``"process"`` and ``"gpu"``.
        j: Mean J over the data sets with videos.
        f: Mean F over them.
        sequences: J and F of each sequence; of several data sets, the name begins with that of the set.
        sets: Scores of each data set by its name.
    """

    step: int
    losses: dict[str, float] | None = None
    rates: dict[str, float] | None = None
    frames_per_second: float | None = None
    seconds_per_step: float | None = None
    waiting: float | None = None
    memory: dict[str, int] | None = None
    j: float | None = None
    f: float | None = None
    sequences: dict[str, tuple[float, float]] | None = None
    sets: dict[str, SetEntry] | None = None

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


class RunLog:
    """Writes the events of a run into its folder; entries and curves beyond ``step`` belong to steps to come again."""

    def __init__(self, folder: Path, *, step: int) -> None:
        history = folder / "history.jsonl"
        kept = [entry for entry in read_history(history) if entry.step <= step]
        with atomic_path(history) as temporary:
            temporary.write_text("".join(entry.line() for entry in kept))
        self._history: IO[str] = open_own(history, "a", encoding="utf-8")
        refuse_links(folder, folder / "tensorboard")
        self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        self._recent: list[StepDone] = []

    def close(self) -> None:
        """Close the files."""
        self._board.close()
        self._history.close()

    def __call__(self, event: TrainingEvent) -> None:
        """Write what is to be kept of an event."""
        if isinstance(event, StepDone):
            self._recent.append(event)
            if event.step % LOG_EVERY == 0 or event.step == event.steps:
                self._write_steps(event)
                self._recent.clear()
        elif isinstance(event, Measured):
            self._write_scores(event)

    def _write_steps(self, last: StepDone) -> None:
        # Means: steps may be of two kinds in turn, and the last would always be of the same.
        values: dict[str, list[float]] = {}
        for event in self._recent:
            for name, value in event.losses.items():
                values.setdefault(name, []).append(value)
        losses = {name: sum(each) / len(each) for name, each in values.items()}
        seconds = sum(event.seconds for event in self._recent)
        frames = sum(event.frames for event in self._recent) / seconds if seconds else 0.0
        waiting = sum(event.waiting for event in self._recent) / seconds if seconds else 0.0
        sizes = {} if last.memory is None else {"process": last.memory.process, "gpu": last.memory.gpu}
        memory = {name: size for name, size in sizes.items() if size is not None}
        entry = HistoryEntry(
            step=last.step,
            losses=losses,
            rates=dict(last.rates),
            frames_per_second=frames,
            seconds_per_step=seconds / len(self._recent),
            waiting=waiting,
            memory=memory,
        )
        self._add(entry)
        self._scalars("train", losses, last.step)
        self._scalars("learning_rate", dict(last.rates), last.step)
        speed = {"frames_per_second": frames, "seconds_per_step": seconds / len(self._recent), "waiting_share": waiting}
        self._scalars("speed", speed, last.step)
        self._scalars("memory_GB", {name: size / GIGA for name, size in memory.items()}, last.step)

    def _write_scores(self, event: Measured) -> None:
        found = event.measurement
        for name, picture in event.pictures.items():
            self._board.add_image(name, picture, event.step)
        if not found.sets:
            return
        many = len(found.scored) > 1
        sequences = {
            f"{name}/{sequence}" if many else sequence: scores
            for name, validation in found.scored.items()
            for sequence, scores in validation.sequences.items()
        }
        sets = {name: SetEntry.of(scores) for name, scores in found.sets.items()}
        self._add(HistoryEntry(step=event.step, j=found.j, f=found.f, sequences=sequences or None, sets=sets))
        means = {"J": found.j, "F": found.f}
        self._scalars("validation", {name: value for name, value in means.items() if value is not None}, event.step)
        for name, entry in sets.items():
            numbers = {"J": entry.j, "F": entry.f, "MAE": entry.mae, "max_F": entry.max_f}
            known = {key: value for key, value in numbers.items() if value is not None}
            self._scalars(f"validation_sets/{name}", known, event.step)
            self._scalars(f"validation_loss/{name}", entry.losses or {}, event.step)
        for name, (j, f) in sequences.items():
            self._board.add_scalar(f"validation_J/{name}", j, event.step)
            self._board.add_scalar(f"validation_F/{name}", f, event.step)

    def _scalars(self, group: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._board.add_scalar(f"{group}/{name}", value, step)

    def _add(self, entry: HistoryEntry) -> None:
        self._history.write(entry.line())
        self._history.flush()
