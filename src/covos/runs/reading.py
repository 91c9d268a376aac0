"""Read the masks of a run, or of any file or folder of masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from pydantic import ValidationError

from covos.core.errors import UsageError
from covos.core.guarded import is_there
from covos.core.types import MaskArray
from covos.core.words import Words
from covos.formats.reading import MasksRead, ReadFrame
from covos.formats.table import read_recognised, readable_formats, unreadable
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask, objects_of
from covos.masks.hole_watch import watched
from covos.masks.soft import SoftMask
from covos.runs.journal import JOURNAL, WRITTEN, read_kept
from covos.runs.schema import has_report, load_report


def edges_of(path: Path) -> Edges:
    """Return the edges that the run of an output folder was written with; none for anything else."""
    return _edges(load_report(path).settings.get("edges")) if has_report(path) else NO_EDGES


def read_masks(path: Path, *, before_edges: bool = False) -> MasksRead:
    """Read masks from a file or folder. The content of a file decides its kind.

    Masks of a run have their probabilities, too, as far as they are still those that its journal has: who edits the
    pictures of masks gets the edited masks.

    Args:
        path: The output folder of a run; a folder of mask pictures, or of pictures with alpha or of grey mattes; or a
            file: COCO, YouTube-VIS or Label Studio JSON, CVAT XML, npz, a video or a picture with alpha, a video of
            grey mattes.
        before_edges: If true, masks that a run has found are as they were before its own edges changed them.

    Raises:
        AnnotationError: It is missing, damaged, or nothing of this.
        InputError: It is an output folder whose report or journal is damaged.
    """
    if not has_report(path):
        return read_recognised(path)
    report = load_report(path)
    outputs, edges = report.outputs, _edges(report.settings.get("edges"))
    journal = path / JOURNAL
    if is_there(path / WRITTEN):  # masks as they were written: edges are in them
        journal, edges = path / WRITTEN, NO_EDGES
    found = {each.stem: each for each in read_kept(journal)} if is_there(journal) else {}
    kept = _all_changed(found, edges, cuts=report.cuts, every=report.source.every) if edges else found
    taken = found if before_edges else kept
    for kind in readable_formats():
        if kind.output in outputs:
            stems = {row.number: row.stem for row in report.frames}
            return _as_kept(read_recognised(path / kind.output), stems, kept=kept, taken=taken)
    if taken:
        frames = tuple(_read_of(each) for each in taken.values())
        return MasksRead(format="journal", path=journal, frames=frames)
    raise unreadable(
        path,
        f"its run wrote {', '.join(outputs) or 'nothing whole'}, of which no masks can be read",
        fix=f"{_again(report.settings)} with "
        + Words("-f palette", python='formats=["palette"]')
        + " beside the other formats",
    )


def _again(settings: Mapping[str, object]) -> str:
    """Say how masks came to be of which nothing was kept, as earlier versions left them."""
    if "corrected_from" in settings:
        return f"correct {settings['corrected_from']} again"
    if "converted_from" in settings:
        return f"convert {settings['converted_from']} again"
    return "segment again"


def _edges(settings: object) -> Edges:
    """Return the edges that a run was written with; none where a report says nothing that is understood."""
    try:
        return Edges.model_validate(settings or {})
    except (ValidationError, UsageError):
        return NO_EDGES


def _all_changed(
    found: Mapping[str, FrameMask], edges: Edges, *, cuts: Sequence[int] = (), every: int = 1
) -> dict[str, FrameMask]:
    """Change the edges of kept masks, by stem, as the run did; where that took the pictures, masks will differ."""
    told = watched(found.values(), edges, cuts=cuts, every=every)
    changed = {kept.stem: _changed(kept, edges, hole=hole) for kept, hole in told}
    return {stem: changed[stem] for stem in found}


def _changed(kept: FrameMask, edges: Edges, *, hole: MaskArray | None) -> FrameMask:
    """Change the edges of one frame's masks; ``hole`` is as of `Edges.apply`."""
    before = kept.labels
    hard = (before > 0).astype(np.float32)
    labels, soft = edges.apply(before, hard if kept.soft is None else kept.soft.restore(before > 0), hole=hole)
    matte = soft_mask = None
    if kept.kept_matte is not None:
        matte = SoftMask.of(edges.apply(before, kept.kept_matte.restore(before > 0), hole=hole)[1], labels > 0)
    if kept.soft is not None:
        soft_mask = SoftMask.of(soft, labels > 0, bits=kept.soft.bits)
    feather = kept.feather + edges.feather_at(kept.size[0])
    return replace(kept, objects=objects_of(labels), soft=soft_mask, kept_matte=matte, feather=feather)


def _read_of(masks: FrameMask) -> ReadFrame:
    read = ReadFrame(index=masks.index, size=masks.size, stem=masks.stem, pts=masks.pts)
    read.take(masks)
    return read


def _as_kept(
    read: MasksRead, stems: Mapping[int, str], *, kept: Mapping[str, FrameMask], taken: Mapping[str, FrameMask]
) -> MasksRead:
    """Give the masks that a journal has what it keeps of them; ``taken`` has it, ``kept`` the masks to be known by."""
    for frame in read.frames:
        stem = stems.get(frame.index, "") if frame.stem is None else frame.stem
        same = kept.get(stem)
        if same is not None and (same.size, same.objects) == (frame.size, frame.objects):
            frame.take(taken[stem])
    return read
