"""Terms of a run, in a file of its folder: a stopped run goes on under them, and nothing else is mixed in.

``covos.json`` holds those of a source that is segmented; while the run is under way, its journal lies beside it (see
`covos.runs.journal`). ``predict.json`` holds those of a data set, with its videos that are done.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from covos._version import __version__
from covos.core.errors import CovosError, UsageError
from covos.core.records import Record, read_record, write_record
from covos.engines.ladder import LadderStep
from covos.runs.folder import PROJECT, OutputFolder, explained
from covos.runs.journal import Journal, read_entries
from covos.runs.schema import SCHEMA, ModelRecord, ProblemRecord, ToolRecord, Versioned

JOURNAL: Final = "journal.jsonl"
EARLIER: Final = "journal.earlier.jsonl"
MANIFEST: Final = "predict.json"


class Terms(Record, ABC):
    """Everything that the results of a run depend on. A run goes on only under the terms that it began with."""

    @abstractmethod
    def in_words(self) -> dict[str, str]:
        """Return each term in words, under the name that a user knows."""

    def differences(self, now: Terms) -> list[str]:
        """Say which terms are others now: ``"references was 5, is 3"``."""
        before, after = self.in_words(), now.in_words()
        return [
            f"{name} was {before.get(name, 'not there')}, is {after.get(name, 'not there')}"
            for name in dict.fromkeys((*before, *after))
            if before.get(name) != after.get(name)
        ]

    def refuse_others(self, now: Terms, *, what: str, fix: str) -> None:
        """Refuse to go on under other terms, in an error that names each difference."""
        if differences := self.differences(now):
            raise UsageError(what, why="; ".join(differences), fix=fix)


def _settings_in_words(settings: Mapping[str, Any]) -> dict[str, str]:
    said = {name.replace("_", " "): _shown(value) for name, value in settings.items()}
    follower = settings.get("follower")
    # The name of a prompter, beside its hash, says in which way it is used; that of a follower is a file's.
    return said | ({"follower": _model_in_words(str(follower["sha256"]))} if isinstance(follower, Mapping) else {})


def _shown(value: object) -> str:
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _model_in_words(sha256: str) -> str:
    # Not its name: a file that was renamed is the same model.
    return f"one with weights {sha256[:12]}"


class Inputs(Record):
    """The files that a run reads: the path as the user gave it, their number, bytes and fingerprint.

    They may be moved or renamed; their content may not change, but for pictures of a folder (see `RunTerms.begin`):
    ``each`` has the name and fingerprint of each.
    """

    path: str
    files: int
    size: int
    fingerprint: str
    each: tuple[tuple[str, str], ...] = ()

    def changed(self, now: Inputs) -> list[int] | None:
        """Return the indices of the pictures that are others now; None if some were added or removed."""
        if [name for name, _ in self.each] != [name for name, _ in now.each]:
            return None
        pairs = zip(self.each, now.each, strict=True)
        return [index for index, (before, after) in enumerate(pairs) if before != after]


Touched: TypeAlias = Callable[[Sequence[int], Sequence[int]], tuple[int, ...] | None]
"""Returns the frames to compute again, by the pictures that changed, and those that could not be read; None for all."""


class RunTerms(Terms):
    """Terms under which a source is segmented; ``batch`` frames are computed together."""

    inputs: Inputs
    model: str
    weights_sha256: str
    settings: dict[str, Any]
    batch: int
    covos: str = __version__

    def in_words(self) -> dict[str, str]:
        """See `Terms`."""
        return {
            "the input": f"{self.inputs.size} bytes with fingerprint {self.inputs.fingerprint[:12]}",
            "the model": _model_in_words(self.weights_sha256),
            **_settings_in_words(self.settings),
            "the batch": str(self.batch),
            "covos": self.covos,
        }

    def is_done(self, folder: OutputFolder) -> bool:
        """Tell if the folder holds the finished result of these terms; refuse a folder that holds a run of others."""
        if not _is_begun(folder):
            return False
        found = _read(folder)
        if self._is_mended(found):
            return False
        held = "the result" if found.complete else "an unfinished run"
        found.refuse_others(self, what=f"{folder.path} holds {held} of other terms", fix=self._ways_on(found, folder))
        return found.complete

    def _ways_on(self, found: _RunFile, folder: OutputFolder) -> str:
        fix = "go back to those, choose another folder, or start anew with -y (overwrite=True)"
        formats = found.settings.get("formats", ())
        same = self.model_copy(update={"settings": {**self.settings, "formats": formats}})
        if not found.complete or found.differences(same):
            return fix
        wanted = [name for name in self.settings.get("formats", ()) if name not in formats]
        if not wanted:
            return f"what is asked for is there already; else {fix}"
        named = " ".join(f"-f {name}" for name in wanted)
        return f"make the others of its masks: covos convert {folder.path} {named}; or {fix}"

    def begin(self, folder: OutputFolder, *, touched: Touched = lambda _changed, _unreadable: None) -> Journal:
        """Start the run in its folder, or go on with it: all but the journal is then cleared away.

        If pictures of the source were mended since, the journal of the run before is kept for the frames that do not
        depend on them. If some were added or removed, all is computed anew.
        """
        if not _is_begun(folder):
            return self._begin_anew(folder)
        found = _read(folder)
        if found.inputs.fingerprint != self.inputs.fingerprint:
            return self._mend(found, folder, touched)
        if found.redo is None:
            folder.resume(keep=(PROJECT, JOURNAL))
            return Journal(folder.path / JOURNAL, batch=self.batch)
        folder.resume(keep=(PROJECT, JOURNAL, EARLIER))
        return Journal(folder.path / JOURNAL, batch=self.batch, earlier=folder.path / EARLIER, redo=found.redo)

    def _begin_anew(self, folder: OutputFolder) -> Journal:
        try:
            self._write(folder.file(PROJECT), complete=False)
            return Journal(folder.file(JOURNAL), batch=self.batch)
        except BaseException:
            folder.discard()
            raise

    def _is_mended(self, found: _RunFile) -> bool:
        """Tell if a run may go on with pictures that are others now: it was stopped, or some could not be read."""
        if found.inputs.fingerprint == self.inputs.fingerprint or not (found.inputs.each and self.inputs.each):
            return False
        same = self.model_copy(update={"inputs": found.inputs})
        return (found.mendable or not found.complete) and not found.differences(same)

    def _mend(self, found: _RunFile, folder: OutputFolder, touched: Touched) -> Journal:
        journal, earlier = folder.path / JOURNAL, folder.path / EARLIER
        redo = None
        changed = found.inputs.changed(self.inputs)
        # A run that was stopped while it mended holds two journals: which frames are of which files is not known.
        if changed is not None and found.redo is None and journal.is_file() != earlier.is_file():
            entries = [entry.status for entry in read_entries(journal if journal.is_file() else earlier)]
            redo = touched(changed, [index for index, status in enumerate(entries) if status == "unreadable"])
            if redo is not None:
                redo = tuple(sorted({*redo, *range(len(entries) // self.batch * self.batch, len(self.inputs.each))}))
        if redo is None or len(redo) == len(self.inputs.each):
            folder.resume(keep=())
            return self._begin_anew(folder)
        folder.resume(keep=(PROJECT, JOURNAL, EARLIER))
        with explained(earlier):
            if journal.is_file():
                journal.replace(earlier)
        # Behind the renaming: a kill in between leaves the old terms, and the one journal under its new name.
        self._write(folder.path / PROJECT, complete=False, redo=redo)
        return Journal(journal, batch=self.batch, earlier=earlier, redo=redo)

    def earlier_steps(self, folder: OutputFolder) -> tuple[LadderStep, ...]:
        """Return the steps that this run has taken before it was stopped, because the memory ran out."""
        return _read(folder).steps_down

    def note_steps(self, folder: OutputFolder, steps: Sequence[LadderStep]) -> None:
        """Note all steps that this run has taken, so that its report has them, however often it is stopped."""
        write_record(_read(folder).model_copy(update={"steps_down": tuple(steps)}), folder.path / PROJECT)

    def finish(self, folder: OutputFolder, *, mendable: bool = False) -> None:
        """Note that all outputs are there, and remove the journal, unless pictures that it lacks may be mended."""
        if mendable:
            self._write(folder.path / PROJECT, complete=True, mendable=True)
            (folder.path / EARLIER).unlink(missing_ok=True)
        else:
            self._write(folder.path / PROJECT, complete=True)
            remove_journal(folder)

    def _write(
        self, file: Path, *, complete: bool, mendable: bool = False, redo: tuple[int, ...] | None = None
    ) -> None:
        optional: dict[str, Any] = {} if redo is None else {"redo": redo}
        if mendable:
            optional["mendable"] = True
        write_record(_RunFile(schema=SCHEMA, complete=complete, **optional, **dict(self)), file)


class _RunHead(Versioned):
    """``mendable`` runs keep their journal; ``redo`` are the frames that are computed again after mending.

    ``steps_down`` are those of a run that is under way (see `covos.engines.ladder`).
    """

    complete: bool
    mendable: bool = False
    redo: tuple[int, ...] | None = None
    steps_down: tuple[LadderStep, ...] = ()


class _RunFile(RunTerms, _RunHead):
    """The content of ``covos.json``. The head stands last among the bases: its fields then come first in the file."""


def _read(folder: OutputFolder) -> _RunFile:
    return _read_project(folder.path / PROJECT)


def _read_project(file: Path) -> _RunFile:
    return read_record(
        _RunFile,
        file,
        what=f"{file} cannot be read",
        fix="update covos if a newer one wrote it; else another folder, or start anew with -y (overwrite=True)",
        error=UsageError,
    )


def is_complete(project: Path) -> bool:
    """Tell if a ``covos.json`` is that of a run that is done, under whatever terms."""
    return _read_project(project).complete


def _is_begun(folder: OutputFolder) -> bool:
    return not folder.overwrites and (folder.path / PROJECT).is_file()


def remove_journal(folder: OutputFolder) -> None:
    """Remove the journals, of no use after the run; one that was killed as it finished may have left them."""
    for name in (JOURNAL, EARLIER):
        (folder.path / name).unlink(missing_ok=True)


def remove_leftovers(folder: OutputFolder) -> None:
    """Remove the journals of a finished run that needs none."""
    if not _read(folder).mendable:
        remove_journal(folder)


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
            "the model": _model_in_words(self.model.sha256),
            **_settings_in_words(self.settings),
            **{f"the data set's {name}": _shown(value) for name, value in self.dataset},
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
