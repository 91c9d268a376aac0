"""Write the masks of a result, with the pictures of their source where a format needs them."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from covos.core.errors import SourceError, UsageError
from covos.core.guarded import is_there
from covos.core.labelling import NO_LABELS, Labelling
from covos.core.numbered import is_pattern
from covos.core.types import Frame, FrameResult, ImageArray, SourceInfo, Tags
from covos.core.words import Words
from covos.formats.compose import fitted
from covos.formats.mask_tree import pictures_near
from covos.formats.table import check_formats, parse_format, probability_bits, readable_formats
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask, result_of
from covos.media.inputs import InMemory, open_input
from covos.media.range import Range
from covos.media.source import Health, Source
from covos.runs.folder import OutputFolder
from covos.runs.journal import WRITTEN
from covos.runs.report import Origin
from covos.runs.writing import Saved, Writing, write_results

Listener = Callable[[int, int], None]
"""Called with the number of frames that are done, and of all."""


def nothing_heard(_done: int, _total: int) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Masks and the source that they belong to, which may have to be opened again.

    Attributes:
        info: Description of the source.
        frames: Masks, in any order.
        held: The source as the user gave it, which may be in memory; empty where only a report names it, and it is
            opened by that path.
    """

    info: SourceInfo
    frames: tuple[FrameMask, ...]
    held: str | InMemory = ""

    def write(
        self,
        *,
        health: Health,
        origin: Origin,
        folder: OutputFolder,
        formats: Sequence[str],
        edges: Edges = NO_EDGES,
        labelled: Labelling = NO_LABELS,
        listen: Listener = nothing_heard,
        passes: bool = False,
    ) -> Saved:
        """Write every frame, in the order of the source.

        Args:
            health: How reading the source went.
            origin: For the report.
            folder: Destination.
            formats: Names of `covos.formats.table.FORMATS`.
            edges: Changes of the masks' edges.
            labelled: Labels that were asked for (see `covos.runs.writing.Writing`).
            listen: See `Listener`.
            passes: True of a folder that is removed if no frame lacks (see `covos.runs.writing.Writing`).

        Raises:
            UsageError: A format is unknown, or needs pictures and no source is known.
            SourceError: The source is gone or has changed.
            EnvironmentProblem: The disk is full or not writable.
        """
        chosen = check_formats(formats)
        # A part of a source is complete in itself: its report counts what it holds.
        whole = len(self.frames) == health.decoded
        health = health if whole else Health(decoded=len(self.frames), expected=len(self.frames))

        soft_known = all(frame.soft is not None or frame.kept_matte is not None for frame in self.frames)
        readable = {parse_format(name)[0].name for name in chosen} & {kind.name for kind in readable_formats()}
        # What a folder of videos holds can be read from nothing else, and no other file has soft edges.
        keeps = not passes and (soft_known or not readable)

        def write(frames: Iterator[Frame], *, tags: Tags = self.info.tags) -> Saved:
            writing = Writing(
                info=replace(self.info, tags=tags),
                health=lambda: health,
                folder=folder,
                formats=chosen,
                origin=origin,
                edges=edges,
                labelled=labelled,
                named=bool(self.held),
                passes=passes,
                kept=folder.file(WRITTEN) if keeps else None,
                soft=soft_known,
            )
            saved = write_results(listened(self._join(frames), len(self.frames), listen), writing)
            soft = ", ".join(name for name in chosen if probability_bits([name]))
            if not soft or soft_known:
                return saved
            note = f"{soft}: hard edges, for no probabilities were kept with these masks; segment for soft ones"
            return replace(saved, warnings=(*saved.warnings, note))

        hungry = [f"the format {name}" for name in chosen if parse_format(name)[0].needs_pictures]
        hungry += ["smoothing over time"] * bool(edges.smooth_time)
        if not hungry:
            size = self.info.height, self.info.width
            return write(_blank(mask, size) for mask in self._ascending())
        # Its pass is closed, too: the traceback of an error would hold it, and the file with it.
        with self.open(what=hungry[0]) as source, closing(cast("Generator[Frame]", iter(source))) as frames:
            saved = write(frames, tags=source.info.tags)
            # Of masks that no run has made, nobody has said yet how their source is read.
            known = {*health.warnings, *source.damage_in_words(source.health)}
            told = tuple(each for each in source.health.warnings if each not in known)
            return replace(saved, warnings=(*told, *saved.warnings))

    def pictures(self, masks: Sequence[FrameMask]) -> list[ImageArray]:
        """Return the pictures that some of the masks belong to.

        Args:
            masks: Some of the frames, each once, in any order.

        Returns:
            For each, H x W x 3 uint8 RGB.

        Raises:
            UsageError: No source is known.
            SourceError: The source is gone or has changed.
        """
        indices = sorted(mask.index for mask in masks)
        with self.open(what="an overlay") as source:
            if indices and indices[-1] >= source.info.frame_count:
                raise self.changed(f"it has {source.info.frame_count} frames, and no frame {indices[-1]}")
            sizes = {mask.index: mask.size for mask in masks}
            images = {each.index: _sized(each, sizes[each.index]).image for each in source.select(indices)}
        if missing := [index for index in indices if index not in images]:
            raise self.changed(f"frame {missing[0]} can no longer be read")
        return [images[mask.index] for mask in masks]

    def results(self, *, what: str) -> Iterator[FrameResult]:
        """Give the masks with their pictures, in the order of the source; ``what`` needs them, for messages.

        Raises:
            UsageError: No source is known.
            SourceError: The source is gone or has changed.
        """
        with self.open(what=what) as source:
            yield from self._join(iter(source))

    def open(self, *, what: str) -> Source:
        """Open the source again, the part that was taken; ``what`` needs its pictures, for messages.

        Raises:
            UsageError: No source is known.
            SourceError: The source is gone, or its frames have another size.
        """
        fix = "name the source: " + Words("--source VIDEO", python="load_result(path, source=...)")
        info = self.info
        held = self.held if isinstance(self.held, InMemory) else info.path
        if info.kind == "masks":
            near = pictures_near(Path(info.path)) if Path(info.path).is_dir() else None
            if near is not None:
                named = Words(f"add --source {shlex.quote(near)}", python=f"load_result(path, source={near!r})")
                fix = f"are they of {near}? " + named
            raise UsageError(
                f"{what} needs the pictures", why=f"{info.path} holds masks and does not name their source", fix=fix
            )
        pattern = info.kind == "frames" and isinstance(held, str) and is_pattern(held)
        if pattern and not self.held and "**" in info.path:
            raise SourceError(
                f"{info.path}: a pattern that searches whole folders",
                why="a report names it, which somebody else may have written",
                fix=fix,
            )
        if isinstance(held, str) and not pattern and not is_there(Path(held)):
            raise SourceError(f"{held}: no such file or folder", why=f"{what} needs its pictures", fix=fix)
        # Pictures have no times of their own: the rate they were read at is part of the result.
        source = open_input(
            held,
            frame_rate=info.whole_rate if info.kind == "frames" else None,
            range=Range.taken(info),
            deinterlace=info.deinterlace,
        )
        if (source.info.height, source.info.width) != (info.height, info.width):
            source.close()
            raise self.changed("its frames have another size")
        return source

    def _join(self, pictures: Iterator[Frame]) -> Iterator[FrameResult]:
        for kept in self._ascending():
            frame = next((each for each in pictures if each.index == kept.index), None)
            frame = None if frame is None else _sized(frame, kept.size)
            if frame is None or frame.size != kept.size:
                raise self.changed(f"frame {kept.index} is no longer what it was")
            yield result_of(kept, frame)

    def _ascending(self) -> list[FrameMask]:
        return sorted(self.frames, key=lambda each: each.index)

    def changed(self, why: str) -> SourceError:
        """Return the error of a source that is not the one that the masks are of any more."""
        return SourceError(
            f"{self.info.path} has changed since it was segmented",
            why=why,
            fix="segment it again, or name the source that the masks were made from",
        )


def listened(results: Iterator[FrameResult], total: int, listen: Listener) -> Iterator[FrameResult]:
    """Pass results on, and report each when the next is asked for."""
    for done, result in enumerate(results, 1):
        yield result
        listen(done, total)


def _sized(frame: Frame, size: tuple[int, int]) -> Frame:
    """Return the frame; one that was fitted into the size of its source when its mask was written is so again."""
    return fitted(frame) if frame.source_size == size else frame


def _blank(mask: FrameMask, size: tuple[int, int]) -> Frame:
    """Make a frame for writers that look at the masks alone; its black picture takes no memory.

    ``size`` is (height, width) of the source.
    """
    return Frame(
        index=mask.index,
        stem=mask.stem,
        image=np.broadcast_to(np.uint8(0), (*mask.size, 3)),
        pts=mask.pts,
        time_base=mask.time_base,
        status=mask.status,
        file=mask.file,
        source_index=mask.source_index,
        source_size=None if mask.size == size else size,
    )
