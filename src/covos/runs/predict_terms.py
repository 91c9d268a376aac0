"""Terms under which the masks of a data set are made: ``predict.json``, with its videos that are done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from covos._version import __version__
from covos.core.errors import CovosError, UsageError
from covos.core.records import Record, read_record, write_record
from covos.runs.schema import SCHEMA, ModelRecord, ProblemRecord, ToolRecord, Versioned
from covos.runs.terms_in_words import Terms, model_in_words, settings_in_words, shown_value

MANIFEST: Final = "predict.json"


class Made(Record):
    """A video of a data set that is done: its frames, and the seconds that they took."""

    name: str
    frames: int
    seconds: float


class DatasetRecord(Record):
    """The part of a data set that a run reads: its folder, absolute, its layout, and the subset, None for all of it."""

    root: str
    layout: str
    subset: str | None


class PredictTerms(Terms):
    """Terms under which the masks of a data set are made."""

    model: ModelRecord
    settings: dict[str, Any]
    dataset: DatasetRecord

    def in_words(self) -> dict[str, str]:
        """See `Terms`."""
        return {
            "the model": model_in_words(self.model.sha256),
            **settings_in_words(self.settings),
            **{f"the data set's {name}": shown_value(value) for name, value in self.dataset},
        }

    def begin(self, folder: Path) -> None:
        """Take a folder for this run: make it, or see that it is this run's."""
        file = folder / MANIFEST
        if file.is_file():
            found = read_record(
                _PredictFile,
                file,
                what=f"{file} is not the manifest of a predicted data set",
                fix="restore it, or write to another folder",
            )
            found.refuse_others(
                self,
                what=f"{folder} holds masks that were made differently",
                fix="write to another folder, or use the same model, settings and data",
            )
            return
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"{folder} cannot be a folder", why="it is a file", fix="choose another name")
        folder.mkdir(parents=True, exist_ok=True)
        held = next((entry.name for entry in folder.iterdir()), None)
        if held is not None:
            raise UsageError(
                f"{folder} is not empty",
                why=f"it holds {held!r} and no {MANIFEST}, so it is no run that could go on",
                fix="choose another folder",
            )
        self.save(folder, made=(), failed={})

    def save(self, folder: Path, *, made: Sequence[Made], failed: Mapping[str, CovosError]) -> None:
        """Write the manifest: the videos whose masks are there, and the error of each other video, by its name."""
        content = _PredictFile(
            schema=SCHEMA,
            tool=ToolRecord(name="covos", version=__version__),
            **dict(self),
            videos=tuple(made),
            failed={name: ProblemRecord.of(error) for name, error in failed.items()},
        )
        write_record(content, folder / MANIFEST)


class _PredictHead(Versioned):
    tool: ToolRecord


class _PredictFile(PredictTerms, _PredictHead):
    """The content of ``predict.json``."""

    videos: tuple[Made, ...]
    failed: dict[str, ProblemRecord]
