"""Turn a result on disk into other formats."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from covos.api.loading import load_result
from covos.api.output import Saved
from covos.api.replay import Track, write_frames
from covos.core.errors import UsageError
from covos.formats.table import check_formats
from covos.runs.folder import OutputFolder


def convert(
    path: str | os.PathLike[str],
    *,
    formats: Sequence[str],
    output: str | os.PathLike[str] | None = None,
    source: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    track: Track = lambda _, results: results,
) -> Saved:
    """Write the masks of a result in other formats.

    Args:
        path: As for `load_result`.
        formats: Names of `covos.formats.table.FORMATS`, at least one.
        output: Folder; beside the result and named after it and the formats if not given.
        source: As for `load_result`.
        overwrite: Whether an earlier result in the folder may be replaced.
        track: Passes the frames on, and may count them.

    Raises:
        UsageError: A format is unknown, or needs pictures and no source is known; or the folder is not empty.
        AnnotationError: The masks cannot be read, or do not belong to the source.
        SourceError: The source cannot be read, or has changed.
        EnvironmentProblem: The disk is full or not writable.
    """
    chosen = check_formats(formats)
    if not chosen:
        raise UsageError("no format to convert to", why="none is named", fix="name one, such as coco")
    target = Path(output) if output is not None else _beside(Path(path), chosen)
    _refuse_itself(Path(path), target)
    folder = OutputFolder(target, overwrite=overwrite)
    result = load_result(path, source=source)
    settings = {**result.origin.settings, "converted_from": os.fspath(path), "formats": list(chosen)}
    result = replace(result, origin=replace(result.origin, settings=settings))
    return write_frames(result, folder=folder, formats=chosen, track=track)


def _beside(path: Path, formats: Sequence[str]) -> Path:
    named = path if path.name not in {"", ".."} else path.resolve()
    name = named.name if named.is_dir() else named.stem
    return named.with_name("-".join([name, *(each.partition("=")[0] for each in formats)]))


def _refuse_itself(path: Path, folder: Path) -> None:
    if path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{folder} holds the masks that are to be converted",
            why="they would be replaced while they are needed",
            fix="write to another folder",
        )
