"""Keep what a run leaves to be looked at, by a listener of its events: ``history.jsonl``, and TensorBoard's files.

TensorBoard is optional: without it the history has all but the pictures.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from covos.core.files import atomic_path, open_own, refuse_links
from covos.training.events import Measured, StepDone, TrainingEvent
from covos.training.history import HistoryEntry, read_history
from covos.training.memory import GIGA

LOG_EVERY = 20
"""Steps between two entries."""


class RunLog:
    """Writes the events of a run into its folder; entries and curves beyond ``step`` belong to steps to come again."""

    def __init__(self, folder: Path, *, step: int) -> None:
        history = folder / "history.jsonl"
        kept = [entry for entry in read_history(history) if entry.step <= step]
        with atomic_path(history) as temporary:
            temporary.write_text("".join(entry.line() for entry in kept))
        self._history: IO[str] = open_own(history, "a", encoding="utf-8")
        refuse_links(folder, folder / "tensorboard")
        self._board = _board(folder / "tensorboard", step=step)
        self._recent: list[StepDone] = []

    def close(self) -> None:
        """Close the files."""
        if self._board is not None:
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
        if self._board is not None:
            for name, picture in event.pictures.items():
                self._board.add_image(name, picture, event.step)
        if not found.sets:
            return
        entry = HistoryEntry.scored(found, step=event.step)
        self._add(entry)
        means = {"J": found.j, "F": found.f}
        self._scalars("validation", {name: value for name, value in means.items() if value is not None}, event.step)
        for name, scores in (entry.sets or {}).items():
            numbers = {"J": scores.j, "F": scores.f, "MAE": scores.mae, "max_F": scores.max_f}
            known = {key: value for key, value in numbers.items() if value is not None}
            self._scalars(f"validation_sets/{name}", known, event.step)
            self._scalars(f"validation_loss/{name}", scores.losses or {}, event.step)
        sequences = entry.sequences or {}
        self._scalars("validation_J", {name: j for name, (j, _) in sequences.items()}, event.step)
        self._scalars("validation_F", {name: f for name, (_, f) in sequences.items()}, event.step)

    def _scalars(self, group: str, values: dict[str, float], step: int) -> None:
        if self._board is None:
            return
        for name, value in values.items():
            self._board.add_scalar(f"{group}/{name}", value, step)

    def _add(self, entry: HistoryEntry) -> None:
        self._history.write(entry.line())
        self._history.flush()


def lacking() -> str:
    """Return what a run lacks where TensorBoard is not installed; nothing where it is."""
    if find_spec("tensorboard") is not None:
        return ""
    return "TensorBoard is not installed, so the run keeps no curves: pip install 'covos[train]'"


def _board(folder: Path, *, step: int) -> Any:
    """Return a writer of TensorBoard's files; None if it is not installed."""
    if lacking():
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=step)
