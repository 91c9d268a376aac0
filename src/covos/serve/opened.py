"""A finished run as a clip of the page: its masks, its prompts and its labels are what a user goes on from."""

from __future__ import annotations

from pathlib import Path

from covos.core.errors import SourceError, UsageError
from covos.core.labelling import Labelling
from covos.core.types import SourceInfo
from covos.media.memory import open_input
from covos.media.range import Range
from covos.results.loading import load_result
from covos.results.reopened import seeds_of
from covos.results.segmentation import Segmentation
from covos.runs.schema import REPORT, load_report
from covos.serve.edits import SUBJECT, Edit, thing_of
from covos.serve.schema import Thing
from covos.serve.workers import Video


def is_run(path: Path) -> bool:
    """Tell if a path is the folder of a run."""
    return (path / REPORT).is_file()


def version_of(folder: Path) -> tuple[str, int]:
    """Return the name of a run's folder, and when the run was done: what is opened again is the same."""
    return str(folder.resolve()), (folder / REPORT).stat().st_mtime_ns


def check_source(folder: Path) -> None:
    """Refuse, with a CovosError, a run that is damaged, or whose source is not there or has another size or length.

    Its masks are not read, which takes long.
    """
    report = load_report(folder)
    known = report.source.info(folder=folder)
    source = _source_of(known, folder)
    with open_input(str(source), range=Range.taken(known)) as opened:
        _check_same(opened.info, count=len(report.frames), size=(known.height, known.width), run=folder)


def _source_of(info: SourceInfo, folder: Path) -> Path:
    source = Path(info.path).absolute()
    if info.kind == "masks" or not source.exists():
        raise UsageError(
            f"{folder} cannot be corrected",
            why=f"its source {info.path} is not there",
            fix="put it back; or, if it moved: covos convert RUN --source CLIP -f palette -o OTHER, and open that",
        )
    return source


def load_run(folder: Path) -> tuple[Video, Edit, tuple[int, ...]]:
    """Return the source of a run, what is known of it as the state that a user's edits begin from, and its cuts.

    The edges that the run was written with are in its masks.

    Raises:
        CovosError: The run is damaged, or its source is not known, or no file.
    """
    result = load_result(folder)
    source = _source_of(result.info, folder)
    edit = Edit(
        kind="opened",
        seeds=seeds_of(result, name=lambda mask: mask.index),
        things=_things(result),
        frames={mask.index: mask for mask in result},
    )
    return Video(path=str(source), range=Range.taken(result.info)), edit, result.origin.cuts


def check_fits(known: Edit, *, info: SourceInfo, run: Path) -> None:
    """Refuse, with a SourceError, a source that is no longer the one that the masks of a run are of."""
    mask = next(iter(known.frames.values()))
    _check_same(info, count=max(known.frames) + 1, size=mask.size, run=run)


def _check_same(info: SourceInfo, *, count: int, size: tuple[int, int], run: Path) -> None:
    if count > info.frame_count or size != (info.height, info.width):
        raise SourceError(
            f"{info.path} has changed since {run} was made of it",
            why=f"it has {info.frame_count} frames of {info.width}x{info.height} now, "
            f"the masks are {count} of {size[1]}x{size[0]}",
            fix="put the clip back that the run was made of, or segment it again",
        )


def _things(result: Segmentation) -> tuple[Thing, ...]:
    labels = Labelling.of_settings(result.origin.settings)
    names = {number: labels.own.get(number) or labels.every or "" for number in result.object_ids or (SUBJECT,)}
    return tuple(thing_of(number, name=name) for number, name in names.items())
