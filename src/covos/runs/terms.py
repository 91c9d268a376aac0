"""``covos.json``: the terms of a folder's run, so that it can go on, and nothing else is mixed in.

While the run is under way, ``journal.jsonl`` lies beside it; see `covos.runs.journal`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

from covos._version import __version__
from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.runs.folder import PROJECT, OutputFolder
from covos.runs.journal import Journal

SCHEMA: Final = 1
"""Raised when a field changes its meaning or goes; new fields do not raise it."""

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What a run reads.

    Attributes:
        path: As the user gave it.
        files: How many.
        size: Bytes in all.
        fingerprint: See `covos.media.fingerprint`.
    """

    path: str
    files: int
    size: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """The terms of a run: what its masks depend on.

    Attributes:
        inputs: What it reads. Where that lies may change, what it holds may not.
        model: Name of the model.
        weights_sha256: Of its weights.
        settings: Everything else that the results depend on; anything that JSON can express.
        batch: Frames computed together.
        covos: Version.
    """

    inputs: Inputs
    model: str
    weights_sha256: str
    settings: Mapping[str, Any]
    batch: int
    covos: str = __version__

    def is_done(self, folder: OutputFolder) -> bool:
        """Whether the folder holds the finished result of these terms.

        Raises:
            UsageError: It holds a run of other terms.
        """
        if not self._is_begun(folder):
            return False
        found, complete = _read(folder.path / PROJECT)
        if differences := found._differences(self):
            raise UsageError(
                f"{folder.path} holds {'the result' if complete else 'an unfinished run'} of other terms",
                why="; ".join(differences),
                fix=self._ways_on(found, folder, complete=complete),
            )
        return complete

    def _ways_on(self, found: Project, folder: OutputFolder, *, complete: bool) -> str:
        fix = "go back to those, choose another folder, or start anew with -y (overwrite=True)"
        wanted = [name for name in self.settings.get("formats", ()) if name not in found.settings.get("formats", ())]
        same = replace(self, settings={**self.settings, "formats": found.settings.get("formats")})
        if not complete or found._differences(same):
            return fix
        if not wanted:
            return f"what is asked for is there already; else {fix}"
        named = " ".join(f"-f {name}" for name in wanted)
        return f"make the others of its masks: covos convert {folder.path} {named}; or {fix}"

    def begin(self, folder: OutputFolder) -> Journal:
        """Start the run in its folder, or go on with it: all but the journal is then cleared away.

        Raises:
            EnvironmentProblem: The disk is full or not writable.
        """
        if self._is_begun(folder):
            folder.resume(keep=(PROJECT, JOURNAL))
            return Journal(folder.path / JOURNAL, batch=self.batch)
        try:
            self._write(folder.file(PROJECT), complete=False)
            return Journal(folder.file(JOURNAL), batch=self.batch)
        except BaseException:
            folder.discard()
            raise

    def finish(self, folder: OutputFolder) -> None:
        """Note that all outputs are there, and remove the journal."""
        self._write(folder.path / PROJECT, complete=True)
        remove_journal(folder)

    def _is_begun(self, folder: OutputFolder) -> bool:
        return not folder.overwrites and (folder.path / PROJECT).is_file()

    def _write(self, target: Path, *, complete: bool) -> None:
        content = {"schema": SCHEMA, "complete": complete, **asdict(self)}
        with atomic_path(target) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="ascii")

    @classmethod
    def _from_json(cls, content: Mapping[str, Any]) -> Self:
        names = cls.__dataclass_fields__
        made = cls(**{name: content[name] for name in names if name != "inputs"}, inputs=Inputs(**content["inputs"]))
        if not isinstance(made.settings, dict):
            raise TypeError("its settings are no object")
        return made

    def _differences(self, now: Project) -> list[str]:
        before, after = self._terms(), now._terms()
        return [
            f"{name} was {before.get(name, 'not there')}, is {after.get(name, 'not there')}"
            for name in dict.fromkeys((*before, *after))
            if before.get(name) != after.get(name)
        ]

    def _terms(self) -> dict[str, str]:
        """In words, under the names that a user knows."""
        return {
            "the input": f"{self.inputs.size} bytes with fingerprint {self.inputs.fingerprint[:12]}",
            "the model": f"{self.model} with weights {self.weights_sha256[:12]}",
            **{name.replace("_", " "): _shown(value) for name, value in self.settings.items()},
            "the batch": str(self.batch),
            "covos": self.covos,
        }


def remove_journal(folder: OutputFolder) -> None:
    """Remove what a finished run has no more use for; one that was killed as it finished may have left it."""
    (folder.path / JOURNAL).unlink(missing_ok=True)


def _shown(value: object) -> str:
    if value is None:
        return "not given"
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _read(file: Path) -> tuple[Project, bool]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if content["schema"] > SCHEMA:
            raise ValueError(f"its schema is {content['schema']}, this covos knows {SCHEMA}")
        return Project._from_json(content), content["complete"] is True
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} cannot be read",
            why=f"{type(error).__name__}: {' '.join(str(error).split())}",
            fix="update covos if a newer one wrote it; else another folder, or start anew with -y (overwrite=True)",
        ) from error
