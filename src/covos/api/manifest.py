"""What made the masks of a data set, in a file beside them: a stopped run goes on, and no other is mixed with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covos._version import __version__
from covos.core.errors import CovosError, InputError, UsageError
from covos.core.files import atomic_path

MANIFEST = "predict.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One video of the folder: how many frames, and the seconds that they took."""

    name: str
    frames: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a folder of masks is made with. All of it must be the same for a run that goes on.

    Attributes:
        model: Name of the model.
        sha256: Of its weights.
        settings: What the user chose; anything that JSON can express.
        root: Of the data set, absolute.
        layout: Of the data set.
        subset: Of the data set; None for all of it.
    """

    model: str
    sha256: str
    settings: Mapping[str, Any]
    root: str
    layout: str
    subset: str | None

    def begin(self, folder: Path) -> None:
        """Take a folder for this run: make it, or see that it is this run's.

        Raises:
            UsageError: The folder is of a run with other settings, or of something else.
            InputError: Its manifest cannot be read.
        """
        file = folder / MANIFEST
        if file.is_file():
            _refuse_another(file, theirs=_facts_of(file), ours=self._facts())
            return
        if folder.exists():
            _refuse_foreign(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.save(folder, made=(), failed={})

    def save(self, folder: Path, *, made: Sequence[Made], failed: Mapping[str, CovosError]) -> None:
        """Write the manifest.

        Args:
            folder: Of the run.
            made: The videos whose masks are there.
            failed: Video name to what went wrong.

        Raises:
            EnvironmentProblem: The disk is full or not writable.
        """
        content = {
            "schema": SCHEMA,
            "tool": {"name": "covos", "version": __version__},
            **self._facts(),
            "videos": [{"name": video.name, "frames": video.frames, "seconds": video.seconds} for video in made],
            "failed": {name: {"what": e.what, "why": e.why, "fix": e.fix} for name, e in failed.items()},
        }
        with atomic_path(folder / MANIFEST) as temporary:
            # Names of files that are not UTF-8 hold lone surrogates; JSON's own escapes bring them back.
            temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _facts(self) -> dict[str, Any]:
        return {
            "model": {"name": self.model, "sha256": self.sha256},
            "settings": dict(self.settings),
            "dataset": {"root": self.root, "layout": self.layout, "subset": self.subset},
        }


def _facts_of(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        facts = {name: dict(content[name]) for name in ("model", "settings", "dataset")}
        schema = int(content["schema"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{file} is not the manifest of a predicted data set",
            why=f"{type(error).__name__}: {error}",
            fix="restore it, or write to another folder",
        ) from error
    if schema > SCHEMA:
        raise InputError(f"{file} is of a newer covos", why=f"its schema is {schema}, not {SCHEMA}", fix="update covos")
    return facts


def _refuse_another(file: Path, *, theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    differences = [
        f"{name} {theirs[part].get(name)} there, {ours[part].get(name)} now"
        for part in ours
        for name in {**theirs[part], **ours[part]}
        if theirs[part].get(name) != ours[part].get(name)
    ]
    if differences:
        raise UsageError(
            f"{file.parent} holds masks that were made differently",
            why="; ".join(differences),
            fix="write to another folder, or use the same model, settings and data",
        )


def _refuse_foreign(folder: Path) -> None:
    if not folder.is_dir():
        raise UsageError(f"{folder} cannot be a folder", why="it is a file", fix="choose another name")
    held = next((entry.name for entry in folder.iterdir()), None)
    if held is not None:
        raise UsageError(
            f"{folder} is not empty",
            why=f"it holds {held!r} and no {MANIFEST}, so it is no run that could go on",
            fix="choose another folder",
        )
