"""Write the masks of a result, with the pictures of their source where a format needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from covos.api.output import Saved, write_results
from covos.core.errors import SourceError, UsageError
from covos.core.types import Frame, FrameResult, ImageArray, SourceInfo
from covos.formats.table import check_formats, parse_format, probability_bits
from covos.media.opening import open_source
from covos.media.source import Health, Source
from covos.runs.folder import OutputFolder

if TYPE_CHECKING:
    from covos.api.segmentation import Segmentation
    from covos.masks.frame_mask import FrameMask

Track = Callable[[SourceInfo, Iterable[FrameResult]], Iterable[FrameResult]]


def write_frames(
    result: Segmentation,
    *,
    folder: OutputFolder,
    formats: Sequence[str],
    track: Track = lambda _, results: results,
) -> Saved:
    """Write every frame of a result, in the order of the source.

    Args:
        result: The masks.
        folder: Where to.
        formats: Names of `covos.formats.table.FORMATS`.
        track: Passes the frames on, and may count them.

    Raises:
        UsageError: A format is unknown, or needs pictures and no source is known.
        SourceError: The source is gone or has changed.
        EnvironmentProblem: The disk is full or not writable.
    """
    chosen = check_formats(formats)
    # A part of a source is complete in itself: its report counts what it holds.
    whole = len(result) == result.health.decoded
    health = result.health if whole else Health(decoded=len(result), expected=len(result))

    def write(frames: Iterator[FrameResult]) -> Saved:
        return write_results(
            track(result.info, frames),
            info=result.info,
            health=lambda: health,
            folder=folder,
            formats=chosen,
            origin=result.origin,
        )

    def hard(saved: Saved) -> Saved:
        soft = ", ".join(name for name in chosen if probability_bits([name]))
        if not soft:
            return saved
        note = f"{soft}: hard edges, for masks hold no probabilities; segment with these formats for soft ones"
        return replace(saved, warnings=(*saved.warnings, note))

    hungry = [name for name in chosen if parse_format(name)[0].needs_pictures]
    if not hungry:
        return hard(write(_join(result, (_blank(mask) for mask in _ascending(result)))))
    with _source(result, what=f"the format {hungry[0]}") as source:
        return hard(write(_join(result, iter(source))))


def pictures_of(result: Segmentation, masks: Sequence[FrameMask]) -> list[ImageArray]:
    """The pictures that some of a result's masks belong to.

    Args:
        result: The masks.
        masks: Of the result, each once, in any order.

    Returns:
        For each, H x W x 3 uint8 RGB.

    Raises:
        UsageError: No source is known.
        SourceError: The source is gone or has changed.
    """
    indices = sorted(mask.index for mask in masks)
    with _source(result, what="an overlay") as source:
        if indices and indices[-1] >= source.info.frame_count:
            raise _changed(result, f"it has {source.info.frame_count} frames, and no frame {indices[-1]}")
        images = {frame.index: frame.image for frame in source.select(indices)}
    if missing := [index for index in indices if index not in images]:
        raise _changed(result, f"frame {missing[0]} can no longer be read")
    return [images[mask.index] for mask in masks]


def _source(result: Segmentation, *, what: str) -> Source:
    """Open the source again."""
    fix = "name the source: --source VIDEO, or load_result(path, source=...)"
    path = result.info.path
    if result.info.kind == "masks":
        raise UsageError(
            f"{what} needs the pictures", why=f"{path} holds masks and does not name their source", fix=fix
        )
    if "*" not in Path(path).name and not Path(path).exists():
        raise SourceError(f"{path}: no such file or folder", why=f"{what} needs its pictures", fix=fix)
    # Pictures have no times of their own: the rate they were read at is part of the result.
    source = open_source(path, frame_rate=result.info.frame_rate if result.info.kind == "frames" else None)
    if (source.info.height, source.info.width) != (result.info.height, result.info.width):
        source.close()
        raise _changed(result, "its frames have another size")
    return source


def _join(result: Segmentation, pictures: Iterator[Frame]) -> Iterator[FrameResult]:
    for kept in _ascending(result):
        frame = next((each for each in pictures if each.index == kept.index), None)
        if frame is None or frame.size != kept.size:
            raise _changed(result, f"frame {kept.index} is no longer what it was")
        labels = kept.labels
        yield FrameResult(
            frame=frame,
            probability=(labels > 0).astype(np.float32),
            labels=labels,
            confidence=kept.confidence,
            objects=kept.states,
        )


def _ascending(result: Segmentation) -> list[FrameMask]:
    return sorted(result.frames, key=lambda each: each.index)


def _blank(mask: FrameMask) -> Frame:
    """A frame for writers that look at the masks alone; its black picture takes no memory."""
    return Frame(
        index=mask.index,
        stem=mask.stem,
        image=np.broadcast_to(np.uint8(0), (*mask.size, 3)),
        pts=mask.pts,
        time_base=mask.time_base,
        status=mask.status,
    )


def _changed(result: Segmentation, why: str) -> SourceError:
    return SourceError(
        f"{result.info.path} has changed since it was segmented",
        why=why,
        fix="segment it again, or name the source that the masks were made from",
    )
