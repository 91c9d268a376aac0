"""The folder that ``covos open`` works in: the one with the work of before, or one that no other covos has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from glob import escape
from itertools import count
from pathlib import Path

from covos.core.errors import CovosError, EnvironmentProblem
from covos.core.files import LOCK, is_held
from covos.core.records import read_record
from covos.media.range import Range
from covos.serve.clip import RECORD, Kept
from covos.serve.places import PAGE
from covos.serve.run_source import version_of
from covos.serve.to_open import ToOpen


def choose_root(usual: Path, asked: ToOpen, *, fresh: bool) -> Path:
    """Return the usual folder, or one beside it: the one with the newest work on it, else the first that is free.

    Folders that another covos has are left out. With ``fresh``, work of before does not count.

    Raises:
        EnvironmentProblem: Other covos have all the work on this clip.
    """
    worked = {} if fresh else {root: at for root in _roots(usual) if (at := worked_on(root, asked)) is not None}
    free = [root for root in worked if not is_held(root / LOCK)]
    if free:
        return max(free, key=lambda root: worked[root])
    if not worked:
        return next(root for root in _with_next(usual) if not is_held(root / LOCK))
    held = max(worked, key=lambda root: worked[root])
    page = ""
    with suppress(OSError):
        page = f", {(held / PAGE).read_text('utf-8').strip()}"
    raise EnvironmentProblem(
        f"your work on {asked.path.name} is open in another covos",
        why=f"it is kept in {held}, and two would write over each other's edits",
        fix=f"use its page{page}; or end it; or begin anew in another folder with --fresh",
    )


def is_of(kept: Kept, asked: ToOpen) -> bool:
    """Tell if a clip was opened of this part of a run or a file, and that has not changed since."""
    if Range.taken(kept.info) != asked.part:
        return False
    if asked.is_run:
        return kept.opened == version_of(asked.path)
    if kept.opened is not None or kept.state == "failed":
        return False
    file = asked.path.stat()
    same = (kept.size_bytes, kept.modified) == (file.st_size, file.st_mtime_ns)
    return same and Path(kept.source).resolve() == asked.path.resolve()


def worked_on(root: Path, asked: ToOpen) -> float | None:
    """Return when a folder of clips was last worked in on this file or run, in seconds; None if it never was."""
    times = []
    for record in root.glob(f"*/{RECORD}"):
        with suppress(CovosError, OSError):
            if is_of(read_record(Kept, record, what="a record", fix="remove its folder"), asked):
                times.append(record.stat().st_mtime)
    return max(times, default=None)


def _roots(usual: Path) -> Iterator[Path]:
    yield usual
    for root in sorted(usual.parent.glob(f"{escape(usual.name)}-*")):
        if root.name.removeprefix(f"{usual.name}-").isdecimal():
            yield root


def _with_next(usual: Path) -> Iterator[Path]:
    yield usual
    for number in count(2):
        yield usual.with_name(f"{usual.name}-{number}")
