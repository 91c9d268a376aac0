"""Write results to a folder: the one path for results as they are computed and for results that were kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from covos.errors import CovosError, IncompleteError
from covos.media import Health
from covos.outputs import BackgroundWriters, OutputFolder, Report, check_formats, make_writer
from covos.types import FrameResult, SourceInfo

DEFAULT_FORMATS = ("palette", "overlay")
QUEUE = 4
"""Frames that may wait for the writers: one batch. More would only be memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a report says of where results come from.

    Attributes:
        model: Name of the model.
        sha256: Of its weights.
        device: What computed, in words.
        settings: What the user chose; anything that JSON can express.
    """

    model: str
    sha256: str
    device: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What was written.

    Attributes:
        folder: Of the output.
        frames: How many.
        seconds: Wall clock.
        outputs: Files, or folders of formats with a file a frame.
        report: ``report.json``.
        health: How reading the source went.
        warnings: Of the source and the writers, in plain words.
    """

    folder: Path
    frames: int
    seconds: float
    outputs: tuple[Path, ...]
    report: Path
    health: Health
    warnings: tuple[str, ...]


def write_results(
    results: Iterable[FrameResult],
    *,
    info: SourceInfo,
    health: Callable[[], Health],
    folder: OutputFolder,
    formats: Sequence[str],
    origin: Origin,
) -> Saved:
    """Write every result in every format, and the report.

    If something fails on the way, what is whole stays, with a report that says what went wrong; if nothing was
    written yet, nothing is left.

    Args:
        results: In the order of the frames.
        info: Of the source.
        health: How reading the source went, asked for after the last result.
        folder: Where to.
        formats: Names of `covos.outputs.FORMATS`.
        origin: For the report.

    Raises:
        EnvironmentProblem: The disk is full or not writable.
    """
    chosen = check_formats(formats)
    began = clock = time.perf_counter()
    report = Report(info=info, model=origin.model, sha256=origin.sha256, device=origin.device, settings=origin.settings)
    writers = BackgroundWriters(
        [make_writer(name, folder, info=info, source_path=Path(info.path)) for name in chosen], depth=QUEUE
    )
    try:
        with writers:
            for result in results:
                report.add(result, seconds=time.perf_counter() - clock)
                writers.write(result)
                # After the hand-over: a queue that is full is the writers' time, not the model's.
                clock = time.perf_counter()
            outputs = writers.close()
    except BaseException as error:
        if len(report) == 0:
            folder.discard()
        else:
            report.save(
                folder,
                health=health(),
                seconds=time.perf_counter() - began,
                warnings=writers.warnings,
                problem=_as_problem(error),
            )
        raise
    seconds = time.perf_counter() - began
    path = report.save(folder, health=health(), seconds=seconds, outputs=outputs, warnings=writers.warnings)
    return Saved(
        folder=folder.path,
        frames=len(report),
        seconds=seconds,
        outputs=outputs,
        report=path,
        health=health(),
        warnings=(*health().warnings, *writers.warnings),
    )


def _as_problem(error: BaseException) -> CovosError:
    if isinstance(error, CovosError):
        return error
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return IncompleteError("interrupted", why="the run was stopped from outside", fix="run it again with -y")
    return IncompleteError(type(error).__name__, why=str(error), fix="a bug of ours: please report it")
