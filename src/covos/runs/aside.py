"""Make a result beside its folder, and give it the name when it is whole: nothing half made is left, even by a kill."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from covos.core.files import LOCK, hidden_beside
from covos.runs.folder import LIST, OutputFolder, explained, remove_if_empty
from covos.runs.page import HTML
from covos.runs.schema import REPORT
from covos.runs.writing import Saved


@contextmanager
def made_aside(target: Path, *, overwrite: bool) -> Iterator[OutputFolder]:
    """Give a hidden folder to write a result to; if the block ends well, the result goes to its own folder.

    A new folder takes its name at once. In one that is there, an earlier result goes first, and the report comes last.
    If the block fails, or a file of the user's is in the way, nothing of it is left, and an earlier result is as it
    was. The next run with this target puts back what a killed one had set aside, and removes its remains. Other runs
    are kept out of a folder that is there from the beginning.

    Raises:
        UsageError: The target holds something that is not to be replaced.
        EnvironmentProblem: It cannot be written to, or another run is at work in it, or makes the same result.
    """
    target = target.resolve() if target.is_symlink() else target
    OutputFolder(target, overwrite=True).take_back(_earlier(target), last=REPORT)
    place = OutputFolder(target, overwrite=overwrite)
    aside = hidden_beside(target.absolute(), ".partial")
    missing = [each for each in (aside, *aside.parents) if not os.path.lexists(each)]
    folder = OutputFolder(aside, overwrite=True)
    with place.locked() if _holds_something(target) else nullcontext():
        try:
            with folder.locked():
                try:
                    yield folder
                except BaseException:
                    _remove(aside)
                    raise
            try:
                with explained(target):
                    _take_place(aside, place)
            except BaseException:
                _remove(aside)
                raise
        finally:
            for each in dict.fromkeys((aside, *missing)):
                remove_if_empty(each)


def moved(saved: Saved, target: Path) -> Saved:
    """Return what was written aside, under the names that it has in its own folder."""
    outputs = tuple(target / path.relative_to(saved.folder) for path in saved.outputs)
    report, page = (None, None) if saved.report is None else (target / REPORT, target / HTML)
    return replace(saved, folder=target, outputs=outputs, report=report, page=page)


def _take_place(aside: Path, place: OutputFolder) -> None:
    target = place.path
    if not _holds_something(target):
        if target.exists():  # a folder, and empty
            target.rmdir()
        aside.rename(target)
        return
    OutputFolder(target, overwrite=place.overwrites)  # somebody may have put something there meanwhile
    made = sorted(path for path in aside.rglob("*") if path.is_file() and path.name not in (LIST, LOCK))
    with place.renewed(_earlier(target), last=REPORT):
        for path in sorted(made, key=lambda each: each.name == REPORT):
            path.replace(place.file(path.relative_to(aside).as_posix()))
    _remove(aside)


def _earlier(target: Path) -> Path:
    """Return the hidden folder that has an earlier result while a new one takes its place."""
    return hidden_beside(target.absolute(), ".earlier")


def _holds_something(folder: Path) -> bool:
    return folder.exists() and next(folder.iterdir(), None) is not None


def _remove(aside: Path) -> None:
    for entry in aside.iterdir():
        if entry.name == LOCK:  # it is still held
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
    remove_if_empty(aside)
