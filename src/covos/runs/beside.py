"""The command that makes, of a finished run, what its folder does not take: beside it, and without the network."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from covos.core.guarded import is_there
from covos.core.types import SourceInfo
from covos.media.range import Range
from covos.runs.schema import has_report, load_report


def convert_command(run: Path, formats: Sequence[str], *options: str, name: str = "") -> str:
    """Return the command that writes formats of a run to a folder beside it, which is not there yet.

    Args:
        run: The folder of the run.
        formats: As they are asked for, at least one.
        options: Further options of ``covos convert``.
        name: Of the folder, after that of the run; the first format's if empty.
    """
    beside = f"{run}-{name or formats[0].partition('=')[0]}"
    names = (beside if number == 1 else f"{beside}-{number}" for number in count(1))
    output = next(name for name in names if not os.path.lexists(name))
    asked = [word for each in formats for word in ("-f", each)]
    return shlex.join(["covos", "convert", str(run), *options, *asked, "-o", f"{output}/"])


def part_options(run: Path, now: SourceInfo) -> tuple[str, ...] | None:
    """Return the options of ``covos convert`` for the part of a source that is asked for, if a run holds all of it.

    Args:
        run: The folder of a run that is done.
        now: The source, as the part that is asked for.

    Returns:
        They name frames of the whole source, since the seconds of a conversion count from the first frame of the run.
        None if the run lacks a frame, or its report.
    """
    if not has_report(run):
        return None
    before = load_report(run).source.info(folder=run)
    held, wanted = before.numbers, now.numbers
    # The rate of a part that leaves frames out is another.
    if before.whole_rate != now.whole_rate or now.every % before.every:
        return None
    if wanted[0] not in held or wanted[-1] not in held:
        return None
    part = Range.taken(now)
    options = ["--start", f"f{wanted[0]}", "--end", f"f{wanted[-1] + 1}"]
    if now.every > before.every:
        options += ["--every", str(now.every // before.every)]
    if part.times != "zero":
        options += ["--times", part.times]
    if not is_there(Path(before.path)) and is_there(Path(now.path)):  # it was moved since
        options += ["--source", now.path]
    return tuple(options)
