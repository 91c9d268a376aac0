"""The lines of a run's ``history.jsonl``: what a training told of its steps, and scores."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import ValidationError

from covos.core.errors import CheckpointError
from covos.core.guarded import read_guarded
from covos.core.records import Record, faults
from covos.training.validate import Measurement, SetScores


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

    @classmethod
    def scored(cls, found: Measurement, *, step: int) -> HistoryEntry:
        """Return the entry of a measurement."""
        many = len(found.scored) > 1
        sequences = {
            f"{name}/{sequence}" if many else sequence: scores
            for name, validation in found.scored.items()
            for sequence, scores in validation.sequences.items()
        }
        sets = {name: SetEntry.of(scores) for name, scores in found.sets.items()}
        return cls(step=step, j=found.j, f=found.f, sequences=sequences or None, sets=sets)

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
