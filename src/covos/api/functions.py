"""Segment a source in one call."""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from covos.api.discovering import Discovering, Objects, check_objects
from covos.api.following import Following, Masks, Rows, refuse_refinement, show_all
from covos.api.model import Model, load_model
from covos.api.prompters import AUTO
from covos.api.segmentation import Segmentation
from covos.core.device import Precision
from covos.core.errors import UsageError
from covos.core.types import FrameResult
from covos.engines.find import DEFAULT_REFERENCES
from covos.masks.frame_mask import FrameMask
from covos.media.opening import open_source
from covos.media.source import Source
from covos.models.coattention import Fusion
from covos.models.cosnet.crf import Refinement
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MODEL


def segment(
    source: str | os.PathLike[str],
    *,
    model: str | Path | Model = DEFAULT_MODEL,
    references: int = DEFAULT_REFERENCES,
    fusion: Fusion | None = None,
    reference_seed: int | None = None,
    refine: Refinement = "none",
    objects: Objects = 1,
    masks: Masks | None = None,
    points: Rows | None = None,
    boxes: Rows | None = None,
    prompts: str | os.PathLike[str] | None = None,
    resize_masks: bool = False,
    follower: str | Path = DEFAULT_FOLLOWER,
    prompter: str | Path = AUTO,
    device: str = "auto",
    precision: Precision = "auto",
    frame_rate: Fraction | int | None = None,
) -> Segmentation:
    """Cut the moving subject out of a video, or follow the objects that masks, points or boxes show.

    Only the masks are kept, run-length encoded: the memory needed grows with the length of the clip by some hundred
    bytes a frame. Use `stream` for what must not grow at all.

    Args:
        source: A video, a folder of frames, a glob of images or one image.
        model: A name, a weights file, or a model from `load_model` (``device`` and ``precision`` are then its own).
        references: Frames, spread over the video, that every frame is compared with.
        fusion: See `Model.stream`.
        reference_seed: See `Model.stream`.
        refine: See `Model.stream`.
        objects: 1 finds one subject. ``"auto"`` finds objects, at most 10, and follows each under its id, in both
            directions; a number above 1 does so with at most so many. Fusion and seed are then of no account.
        masks: Follow these objects, rather than find the subject (see `covos.api.following.Masks`); references and
            fusion are then of no account. For more control, see `Model.session`.
        points: Likewise, of the object at these pixels (see `covos.api.following.Rows`).
        boxes: Likewise, of the objects in these boxes.
        prompts: Likewise, by what a prompt file lists (see `covos.api.prompt_file`).
        resize_masks: Whether masks of another size than their frame are resized (nearest neighbour).
        follower: What follows; see `Model.session`.
        prompter: What makes masks of points and boxes; see `Model.session`.
        device: See `load_model`.
        precision: See `load_model`.
        frame_rate: Of a folder of frames or a glob, in frames a second; 25 if not given.

    Raises:
        SourceError: The source cannot be read.
        AnnotationError: A mask or the prompt file cannot be read, or a mask does not fit.
        UsageError: A name or value is wrong.
        EnvironmentProblem: The device is not there.
    """
    show = show_all(masks=masks, points=points, boxes=boxes, prompts=prompts, resize=resize_masks)
    with open_source(source, frame_rate=frame_rate) as opened:

        def load() -> Model:
            return _loaded(model, device=device, precision=precision)

        if (
            discovering := _discovering(objects, shown=show is not None, references=references, follower=follower)
        ) is not None:
            refuse_refinement(refine)
            session = discovering.open(opened, load=load)
            kept = tuple(FrameMask.of(result) for result in session.found(discovering.most, references=references))
            origin = discovering.origin(session.model)
            return Segmentation(info=opened.info, health=opened.health, origin=origin, frames=kept)
        if show is not None:
            refuse_refinement(refine)
            return Following(show=show, follower=follower, prompter=prompter).open(opened, load=load).propagate()
        loaded = load()
        results = loaded.stream(
            opened, references=references, fusion=fusion, reference_seed=reference_seed, refine=refine
        )
        frames = tuple(FrameMask.of(result) for result in results)
        origin = loaded.origin(references=references, fusion=fusion, reference_seed=reference_seed, refine=refine)
        return Segmentation(info=opened.info, health=opened.health, origin=origin, frames=frames)


def stream(
    source: str | os.PathLike[str],
    *,
    model: str | Path | Model = DEFAULT_MODEL,
    references: int = DEFAULT_REFERENCES,
    fusion: Fusion | None = None,
    reference_seed: int | None = None,
    refine: Refinement = "none",
    objects: Objects = 1,
    masks: Masks | None = None,
    points: Rows | None = None,
    boxes: Rows | None = None,
    prompts: str | os.PathLike[str] | None = None,
    resize_masks: bool = False,
    follower: str | Path = DEFAULT_FOLLOWER,
    prompter: str | Path = AUTO,
    device: str = "auto",
    precision: Precision = "auto",
    frame_rate: Fraction | int | None = None,
) -> Iterator[FrameResult]:
    """Cut the moving subject out of a video, a frame at a time, at constant memory.

    Arguments and errors are those of `segment`; bad input is refused by this call, before the first frame is asked
    for.

    Returns:
        An iterator over one result for each decoded frame, with its picture and its probabilities.
    """
    show = show_all(masks=masks, points=points, boxes=boxes, prompts=prompts, resize=resize_masks)
    opened = open_source(source, frame_rate=frame_rate)

    def load() -> Model:
        return _loaded(model, device=device, precision=precision)

    if (
        discovering := _discovering(objects, shown=show is not None, references=references, follower=follower)
    ) is not None:
        refuse_refinement(refine)
        finding = discovering.open(opened, load=load)
        return _closing(opened, finding.found(discovering.most, references=references))
    if show is not None:
        refuse_refinement(refine)
        session = Following(show=show, follower=follower, prompter=prompter).open(opened, load=load)
        return _closing(opened, session.stream())
    results = load().stream(opened, references=references, fusion=fusion, reference_seed=reference_seed, refine=refine)
    return _closing(opened, results)


def _discovering(objects: Objects, *, shown: bool, references: int, follower: str | Path) -> Discovering | None:
    most = check_objects(objects)
    if most is None:
        return None
    if shown:
        raise UsageError(
            f"objects = {objects} beside masks, points, boxes or prompts",
            why="objects are either found or shown",
            fix="leave one of them out, or find them in a session and show more there",
        )
    return Discovering(most=most, references=references, follower=follower)


def _closing(opened: Source, results: Iterator[FrameResult]) -> Iterator[FrameResult]:
    with opened:
        yield from results


def _loaded(model: str | Path | Model, *, device: str, precision: Precision) -> Model:
    return model if isinstance(model, Model) else load_model(model, device=device, precision=precision)
