"""The result of segmenting a source: small, in memory, to be looked at, sliced and saved."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

from covos.core.device import Precision
from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.labelling import NO_LABELS, Label, Labelling, as_labelling
from covos.core.types import ImageArray, SourceInfo
from covos.engines.choices import AUTO
from covos.formats.coco import coco_content
from covos.formats.composition import PLAIN, Composition
from covos.masks import decode, draw_overlay, letterbox
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask
from covos.media.inputs import InMemory
from covos.media.range import Range, as_range, in_words, only_frame
from covos.media.source import Health, Source
from covos.models.registry import DEFAULT_MATTER, find_matter
from covos.results.notebook import as_html
from covos.results.replay import Listener, Replay, listened, nothing_heard
from covos.results.trimming import trimmed
from covos.runs.folder import OutputFolder
from covos.runs.onefile import choose_output
from covos.runs.report import Origin
from covos.runs.writing import Saved
from covos.runtimes.choice import ChosenRuntime

_SHOWN_IDS = 8


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Segmentation:
    """The masks of a source's frames, in order, run-length encoded; a mask is decoded when it is asked for.

    A sequence: ``len``, iteration, an index gives a `FrameMask`, a slice another `Segmentation`, and so does
    `between` for seconds. Two are equal if they have the same masks in the same frames; their origin and their
    confidence make no difference.

    Attributes:
        info: The facts of the source.
        health: How reading it went.
        origin: Model, weights, device and settings.
        frames: One entry for each decoded frame.
        held: The source as the user gave it, which may be in memory; empty where only a report names it.
    """

    info: SourceInfo
    health: Health
    origin: Origin
    frames: tuple[FrameMask, ...]
    held: str | InMemory = ""

    @property
    def model(self) -> str:
        """Return the name of the model."""
        return self.origin.model

    @property
    def object_ids(self) -> tuple[int, ...]:
        """Return the ids of the objects that occur, ascending."""
        return tuple(sorted({identity for frame in self.frames for identity in frame.objects}))

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[FrameMask]:
        return iter(self.frames)

    @overload
    def __getitem__(self, position: SupportsIndex) -> FrameMask: ...

    @overload
    def __getitem__(self, position: slice) -> Segmentation: ...

    def __getitem__(self, position: SupportsIndex | slice) -> FrameMask | Segmentation:
        if isinstance(position, slice):
            return replace(self, frames=self.frames[position])
        number = operator.index(position)
        if not -len(self) <= number < len(self):
            there = f"0 to {len(self) - 1}, or -{len(self)} to -1" if self.frames else "none"
            raise IndexError(f"there is no frame {number} in this result of {len(self)} frames: {there}")
        return self.frames[number]

    def between(self, start: float, end: float = float("inf")) -> Segmentation:
        """Return the frames that are shown from one time of the source to another (`trim` counts from frame 0 here).

        Args:
            start: In seconds, as in ``frame.time``; frames from here on.
            end: In seconds; frames before this.
        """
        return replace(self, frames=tuple(frame for frame in self.frames if start <= frame.time < end))

    def trim(self, range: Range | range) -> Segmentation:
        """Return the frames of a range as a result of its own: its saved videos are cut, the sound as well.

        Args:
            range: As of `covos.segment`. Seconds count from the first frame of this result, frames have their numbers
                in the whole source.

        Raises:
            UsageError: A place lies behind the end, or no frame lies between them.
        """
        chosen = as_range(range)
        if not chosen:
            return self
        frames, info, health, cuts = trimmed(
            self.frames, info=self.info, health=self.health, cuts=self.origin.cuts, range=chosen
        )
        settings = {**self.origin.settings, "range": in_words(info)}
        return replace(
            self,
            info=info,
            frames=frames,
            health=health,
            origin=replace(self.origin, settings=settings, cuts=cuts),
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Segmentation):
            return NotImplemented
        return len(self) == len(other) and all(
            (one.index, one.size, one.objects) == (two.index, two.size, two.objects)
            for one, two in zip(self.frames, other.frames, strict=True)
        )

    __hash__ = None  # type: ignore[assignment] # it holds dictionaries

    def __repr__(self) -> str:
        ids = self.object_ids
        more = f" and {len(ids) - _SHOWN_IDS} more" if len(ids) > _SHOWN_IDS else ""
        return (
            f"Segmentation({len(self)} frames of {self.info.height} x {self.info.width}, "
            f"objects {list(ids[:_SHOWN_IDS])}{more}, model {self.model!r}, source {Path(self.info.path).name!r})"
        )

    def _repr_html_(self) -> str:
        """Return a small picture of a few frames, for notebooks."""
        return as_html(self._replay, text=repr(self))

    def overlay(self, position: SupportsIndex = 0, *, opacity: float = 0.5, outline: bool = True) -> ImageArray:
        """Return a frame with its objects tinted and outlined.

        Args:
            position: As for an index.
            opacity: Of the tint, in [0, 1].
            outline: True draws outlines.

        Returns:
            H x W x 3 uint8 RGB.

        Raises:
            IndexError: There is no such frame.
            UsageError: No source is known.
            SourceError: The source is gone or has changed.
        """
        mask = self[position]
        (image,) = self._replay.pictures([mask])
        return draw_overlay(image, mask.labels, opacity=opacity, outline=outline)

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        formats: Sequence[str] | None = None,
        edges: Edges = NO_EDGES,
        composition: Composition = PLAIN,
        label: Label | None = None,
        overwrite: bool = False,
        keep: bool = False,
    ) -> Saved:
        """Write the masks in one or more formats, with a report.

        For formats that show them, the pictures are read from the source again: it must still be there.

        Args:
            folder: Where to; made if it is not there. The name of a file, such as ``x.mov``, makes that file alone
                (see `covos.runs.onefile`).
            formats: Names of `covos.formats.table.FORMATS`; None takes masks and an overlay, and for a file the format
                that its name asks for.
            edges: Changes of the masks' edges, such as ``covos.Edges(grow=2, feather="0.5%")``.
            composition: The composition of the formats, such as ``covos.Composition(background="beach.mp4")``.
            label: Names of objects in annotations (see `covos.segment`); others keep the label that they have.
            overwrite: True if an earlier result in the folder, or the file, may be replaced. Other files never are.
            keep: If true, the folder of one file stays beside it, with its report.

        Raises:
            UsageError: The folder is not empty, or a format is unknown, or needs pictures and no source is known; there
                are no frames, or they do not run forward, as those of ``result[::-1]``.
            SourceError: The source is gone or has changed.
            EnvironmentProblem: The disk is full or not writable, or another run is at work in the folder.
        """
        self._refuse_unsavable()
        output = choose_output(
            folder, formats, composition=composition, still=self.info.is_still, frame=only_frame(self.info),
            overwrite=overwrite, keep=keep,
        )  # fmt: skip
        output.refuse_existing(reads=(self.info.path,))
        given = as_labelling(label)
        output.refuse_idle(edges=edges, labelled=given)
        labels = given.over(Labelling.of_settings(self.origin.settings))
        named = replace(self, origin=replace(self.origin, settings={**self.origin.settings, **labels.settings}))
        taken = OutputFolder(output.folder, overwrite=overwrite)
        saved = named.write(taken, formats=output.formats, edges=edges, labelled=given, passes=output.passes)
        return output.take(saved)

    def _refuse_unsavable(self) -> None:
        """Refuse to save no frames, and frames that do not run forward: they would be read back in another order."""
        if not self.frames:
            raise UsageError(
                "0 frames: nothing to save",
                why="no frame of the source is part of this result",
                fix="save another part: result[:50], or result.between(1.0, 2.5), in seconds of the source",
            )
        if any(one.index >= two.index for one, two in pairwise(self.frames)):
            raise UsageError(
                "frames that do not run forward cannot be saved",
                why="files have the order of the source, and so has what is read back from them",
                fix="save them forward, and reverse what load_result returns: load_result(folder)[::-1]",
            )

    def write(
        self,
        folder: OutputFolder,
        *,
        formats: Sequence[str],
        edges: Edges = NO_EDGES,
        labelled: Labelling = NO_LABELS,
        listen: Listener | None = None,
        passes: bool = False,
    ) -> Saved:
        """Write as `save` does, to a folder that is taken already; ``listen`` hears of each frame.

        ``labelled`` has the labels that were asked for: a warning names those whose objects are in no frame. ``passes``
        is True of a folder that is removed if no frame lacks: it gets a report only if one does.
        """
        with folder.locked():
            return self._replay.write(
                health=self.health,
                origin=replace(self.origin, settings={**self.origin.settings, **edges.settings}),
                folder=folder,
                formats=formats,
                edges=edges,
                labelled=labelled,
                listen=listen or nothing_heard,
                passes=passes,
            )

    def with_matte(
        self,
        network: str | os.PathLike[str] = DEFAULT_MATTER,
        *,
        device: str = AUTO,
        precision: Precision = AUTO,
        runtime: ChosenRuntime = AUTO,
        anew: bool = True,
        listen: Listener | None = None,
    ) -> Segmentation:
        """Return the same masks with the opacity of their edges, whatever made the masks.

        The pictures are read from the source again. Edges are looked for near those of the masks.

        Args:
            network: A covos-matte: its name, or a ``.safetensors`` file.
            device: See `covos.load_model`.
            precision: See `covos.load_model`.
            runtime: See `covos.load_model`.
            anew: If false, frames that have a matte keep it, and it is found for the others alone.
            listen: Called with the number of frames that are done, and of all.

        Raises:
            UsageError: No source is known, or it is another kind of network.
            SourceError: The source is gone or has changed.
            EnvironmentProblem: The weights, the device or the runtime are not there.
        """
        entry = find_matter(os.fspath(network))
        from covos.engines.matting import matte_loader, matted

        still = self.info.is_still
        load, ladder = matte_loader(entry.path, device=device, precision=precision, runtime=runtime, still=still)
        replay = self._replay
        if anew:
            replay = self.without_matte()._replay
        found = {frame.index: frame.kept_matte for frame in replay.frames}
        if None in found.values():  # else no picture has to be read
            results = matted(replay.results(what="a matte"), load)
            for each in listened(results, len(self.frames), listen or nothing_heard):
                found[each.frame.index] = FrameMask.of(each).kept_matte
        settings = {**self.origin.settings, "matte": {"name": entry.name, "sha256": entry.card.sha256}}
        return replace(
            self,
            frames=tuple(replace(frame, kept_matte=found[frame.index]) for frame in self.frames),
            origin=replace(self.origin, settings=settings, steps_down=(*self.origin.steps_down, *ladder.steps)),
        )

    def without_matte(self) -> Segmentation:
        """Return the same masks without their matte: edges are as soft as the probability, which is kept beside it."""
        settings = {name: value for name, value in self.origin.settings.items() if name != "matte"}
        return replace(
            self,
            frames=tuple(replace(frame, kept_matte=None) for frame in self.frames),
            origin=replace(self.origin, settings=settings),
        )

    @property
    def _replay(self) -> Replay:
        return Replay(info=self.info, frames=self.frames, held=self.held)

    def open_source(self, *, what: str) -> Source:
        """Open the source again, the part that the masks are of; ``what`` needs its pictures, for messages.

        Raises:
            UsageError: No source is known.
            SourceError: The source is gone or has changed.
        """
        source = self._replay.open(what=what)
        if (last := max((frame.index for frame in self.frames), default=-1)) >= (count := source.info.frame_count):
            source.close()
            raise self._replay.changed(f"it has {count} frames, and no frame {last}")
        return source

    def to_coco(self) -> dict[str, Any]:
        """Return the content of a COCO file (see `covos.formats.coco`), for ``json.dump`` or `pycocotools`."""
        return coco_content(self.frames, info=self.info, labels=Labelling.of_settings(self.origin.settings))

    def to_numpy(self) -> NDArray[np.uint8]:
        """Return all label maps as one array, N x H x W uint8: a byte for each pixel of each frame.

        0 is the background, 1 and above are object ids. A frame of another size is fitted in, between bars.
        """
        maps = np.zeros((len(self), self.info.height, self.info.width), np.uint8)
        for place, frame in enumerate(self.frames):
            maps[place] = letterbox(frame.labels, maps.shape[1:], smooth=False)
        return maps

    def to_supervision(self) -> list[Any]:
        """Return a ``supervision.Detections`` for each frame: masks, boxes, and object ids as ``tracker_id``.

        Labels are ``data["class_name"]``. ``class_id`` is the number of the category in COCO files less 1, from 0.
        ``confidence`` is that of each object, or of the frame where none is known of the object; None if it has none.

        Raises:
            EnvironmentProblem: The package `supervision` is not installed.
        """
        labels = Labelling.of_settings(self.origin.settings)
        return [_detections(_supervision(), frame, labels) for frame in self.frames]


def _supervision() -> Any:
    try:
        return import_module("supervision")
    except ImportError as error:
        raise EnvironmentProblem(
            "the package supervision cannot be imported", why=str(error), fix="pip install supervision"
        ) from error


def _detections(supervision: Any, frame: FrameMask, labels: Labelling) -> Any:
    if not frame.objects:
        return supervision.Detections.empty()
    boxes = np.array([rle.bbox for rle in frame.objects.values()], np.float32)
    boxes[:, 2:] += boxes[:, :2]
    known = {each.id: each.confidence for each in frame.states}
    confidence = np.array([known.get(identity, frame.confidence) for identity in frame.objects], np.float32)
    return supervision.Detections(
        xyxy=boxes,
        mask=np.stack([decode(rle) for rle in frame.objects.values()]),
        confidence=None if np.isnan(confidence).any() else confidence,
        class_id=np.array([labels.category(identity) - 1 for identity in frame.objects], np.int64),
        tracker_id=np.array(list(frame.objects), np.int64),
        data={"class_name": np.array([labels.of(identity) for identity in frame.objects])},
    )
