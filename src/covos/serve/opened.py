"""A finished run as a clip of the page: its masks, its prompts and its labels are what a user goes on from."""

from __future__ import annotations

from pathlib import Path

from covos.core.labelling import Labelling
from covos.core.types import SourceInfo
from covos.engines.choices import SUBJECT
from covos.media.range import Range
from covos.results.loading import load_result
from covos.results.reopened import seeds_of
from covos.results.segmentation import Segmentation
from covos.serve.edits import Edit, thing_of
from covos.serve.run_source import check_same, source_of
from covos.serve.schema import Thing
from covos.serve.workers import Video


def load_run(folder: Path, *, part: Range) -> tuple[Video, Edit, tuple[int, ...]]:
    """Return the source of a run, what is known of it as the state that a user's edits begin from, and its cuts.

    The edges that the run was written with are in its masks.

    Args:
        folder: Of the run.
        part: See `load_part`.

    Raises:
        CovosError: The run is damaged, or its source is not known, or no file; or it has no such part.
    """
    result = load_part(folder, part)
    source = source_of(result.info, folder)
    edit = Edit(
        kind="opened",
        seeds=seeds_of(result, name=lambda mask: mask.index),
        things=_things(result),
        frames={mask.index: mask for mask in result},
    )
    video = Video.read_as(result.info, path=str(source), range=Range.taken(result.info))
    return video, edit, result.origin.cuts


def load_part(folder: Path, part: Range) -> Segmentation:
    """Return a run, or some of its frames, named by their numbers in the whole source."""
    result = load_result(folder)
    return result if part == Range.taken(result.info) else result.trim(part)


def check_fits(known: Edit, *, info: SourceInfo, run: Path) -> None:
    """Refuse, with a SourceError, a source that is no longer the one that the masks of a run are of."""
    mask = next(iter(known.frames.values()))
    check_same(info, count=max(known.frames) + 1, size=mask.size, run=run)


def _things(result: Segmentation) -> tuple[Thing, ...]:
    labels = Labelling.of_settings(result.origin.settings)
    names = {number: labels.own.get(number) or labels.every or "" for number in result.object_ids or (SUBJECT,)}
    return tuple(thing_of(number, name=name) for number, name in names.items())
