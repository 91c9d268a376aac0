"""The functions of one call: segment a source, stream its frames, or take frames as they come."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any, Literal, ParamSpec, TypeVar

import covos  # its types bring torch, once somebody asks for them (`typing.get_type_hints`)
from covos.core.arguments import checked
from covos.core.device import Precision
from covos.core.errors import UsageError, one_of
from covos.core.labelling import Label
from covos.core.types import Deinterlace, FrameResult
from covos.engines.choices import (
    AUTO,
    DEFAULT_MEMORY,
    DEFAULT_QUALITY,
    DEFAULT_REFERENCES,
    SPAN,
    Cuts,
    Direction,
    Quality,
)
from covos.job import Job
from covos.masks.edges import NO_EDGES, Edges
from covos.media.inputs import Input
from covos.media.range import Range
from covos.model_loading import loaded
from covos.models.choices import Fusion, Refinement
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MODEL
from covos.plan import Damaged, Plan
from covos.prompts.rows import Rows
from covos.prompts.values import Masks
from covos.results.segmentation import Segmentation
from covos.runtimes.choice import ChosenRuntime
from covos.task import Objects, choose_task, read_prompts, refuse_idle

P = ParamSpec("P")
T = TypeVar("T")


def _names_arguments(function: Callable[P, T]) -> Callable[P, T]:
    """Refuse an argument that a function does not have by naming the nearest that it has."""
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def called(*given: P.args, **named: P.kwargs) -> T:
        for name in named:
            if name not in known:
                raise UsageError(
                    f"covos.{function.__name__} has no argument {name!r}",
                    why="it takes other names",
                    fix=_EXAMPLES.get(name) or one_of(name, known),
                )
        return function(*given, **named)

    return called


_EXAMPLES = {
    "point": "use points, which takes several: points=[(320, 200)]",
    "box": "use boxes, which takes several: boxes=[(10, 20, 300, 400)]",
    "start": "use range: range=covos.Range(start=12.5)",
    "end": 'use range: range=covos.Range(end="00:01:02.5")',
    "every": "use range: range=covos.Range(every=2)",
    "output": 'save the result: covos.segment(source).save("out")',
    "mask": "use masks, which takes several: masks={0: 'mask.png'}",
}


@_names_arguments
def segment(
    source: Input,
    *,
    model: str | os.PathLike[str] | covos.Model = DEFAULT_MODEL,
    quality: Quality = DEFAULT_QUALITY,
    references: int = DEFAULT_REFERENCES,
    fusion: Fusion | None = None,
    reference_seed: int | None = None,
    refine: Refinement = "none",
    objects: Objects = 1,
    masks: Masks | None = None,
    points: Rows | None = None,
    boxes: Rows | None = None,
    within: Rows | None = None,
    exclude: Rows | None = None,
    alpha_as_mask: bool = False,
    prompts: str | os.PathLike[str] | None = None,
    trust_prompts: bool = False,
    resize_masks: bool = False,
    direction: Direction = "auto",
    memory: int = DEFAULT_MEMORY,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    prompter: str | os.PathLike[str] = AUTO,
    device: str = AUTO,
    precision: Precision = "auto",
    runtime: ChosenRuntime = "auto",
    frame_rate: Fraction | float | None = None,
    range: Range | range | None = None,
    damaged: Damaged = "hold",
    edges: Edges = NO_EDGES,
    label: Label | None = None,
    deinterlace: Deinterlace = "auto",
    matte: bool | str | os.PathLike[str] = False,
    cuts: Cuts = "auto",
) -> Segmentation:
    """Cut the moving subject out of a video, or follow the objects that masks, points or boxes show.

    Only the masks are kept, run-length encoded, and their soft edges, packed: the memory needed grows with the length
    of the clip by some kilobytes a frame. Use `stream` if the memory must not grow at all.

    Args:
        source: A video, a folder of frames, a glob of images or one image; or frames as arrays (N x H x W x 3 uint8
            RGB, or an iterable of H x W x 3), Pillow pictures, the bytes of a file, or an open binary file. Arrays are
            not copied: leave them as they are as long as the result is used.
        model: A name, a weights file, or a model from `load_model` (``device``, ``precision`` and ``runtime`` are then
            its own).
        quality: ``"fast"`` has the network look at each second frame, and makes those between of their neighbours,
            where these agree; ``"draft"`` does so in smaller frames. ``"balanced"`` looks at frames of two sizes in
            turn. ``"best"`` looks at larger ones, follows the subject from where it was found most surely, and takes
            the mean. Objects that are shown are followed in smaller frames by ``"fast"`` and
            ``"draft"``, which look at each second or fourth frame.
        references: Frames, spread over its shot, that every frame is compared with.
        fusion: The way to use several references: ``"summary"``, ``"prediction"`` or ``"group"`` (see
            `covos.models.choices.Fusion`); None takes what suits the network.
        reference_seed: Draws the references at random; None spreads them evenly over the video.
        refine: The way to fit the probabilities to the picture: ``"none"`` or ``"crf"``.
        objects: 1 finds one subject. ``"auto"`` finds objects, at most 10, and follows each under its id, in both
            directions; a number above 1 does so with at most so many. ``fusion`` and ``reference_seed`` then have no
            effect.
        masks: Follow these objects, rather than find the subject (see `covos.prompts.values.Masks`); ``references`` and
            ``fusion`` then have no effect. For more control, see `Model.session`.
        points: Follow the object at these pixels (see `covos.prompts.values.Rows`). Negative points alone steer the
            subject that is found: the things under them are taken away from it in the whole video.
        boxes: Follow the objects in these boxes.
        within: Boxes that steer the subject that is found: only what lies in them stays. Rows of (x0, y0, x1, y1) are
            regions of all frames; by frame index, they hold parts of the subject on that frame, which are followed.
        exclude: Boxes, given in the same way; their content is taken away from the subject that is found.
        alpha_as_mask: If true, follow the opaque part of the first frame of a source with alpha.
        prompts: Follow what a prompt file lists, or steer the subject by it (see `covos.prompts.file`).
        trust_prompts: If true, the prompt file may name masks outside its own folder.
        resize_masks: If true, masks of another size than their frame are resized (nearest neighbour).
        direction: The way in time in which objects are followed: ``"auto"``, ``"forward"``, ``"backward"``, ``"both"``.
        memory: Frames that following remembers between the seed frames and the latest.
        follower: The network that follows; see `Model.follower`.
        prompter: The maker of masks of points and boxes; see `Model.prompter`.
        device: See `load_model`.
        precision: See `load_model`.
        runtime: See `load_model`.
        frame_rate: Frames a second of a folder of frames, a glob or frames in memory; 25 if not given.
        range: The part that is taken: ``covos.Range(start=12.5, end="00:01:02.5", every=2)`` in seconds,
            ``covos.Range(start="f300")`` or ``range(300, 450)`` in frames; None takes all. Prompts name frames of the
            whole source, and so do masks without a frame of the first that is taken. The indices of results count from
            there; ``frame.number`` is the number in the source.
        damaged: The mask of a picture that cannot be read: ``"hold"`` takes that of the frame before, ``"empty"`` none.
        edges: Changes of the masks' edges, such as ``covos.Edges(grow=2, feather="0.5%")``.
        label: Names of objects in annotations: ``"car"`` for all, or by object id ``{1: "car", 2: "dog"}``.
        deinterlace: Frames of a video that are made whole pictures: ``"auto"`` takes those that are flagged as
            interlaced, ``"on"`` all, ``"off"`` none.
        matte: If true, find the opacity of edges with covos-matte: hair, fur, spokes, blur (docs/matte.md); or the
            ``.safetensors`` file of another one.
        cuts: ``"auto"`` looks for cuts before the first frame is computed, which reads the source once more. Each frame
            is then compared with references of its own shot. ``"off"`` takes the source as one shot.

    Raises:
        SourceError: The source cannot be read.
        AnnotationError: A mask or the prompt file cannot be read, or a mask does not fit.
        UsageError: A name or value is wrong.
        EnvironmentProblem: The device or the runtime is not there.
    """
    result = _job(**locals()).run()
    assert isinstance(result, Segmentation), "nothing is written without a folder"
    return result


@_names_arguments
def stream(
    source: Input,
    *,
    model: str | os.PathLike[str] | covos.Model = DEFAULT_MODEL,
    quality: Quality = DEFAULT_QUALITY,
    references: int = DEFAULT_REFERENCES,
    fusion: Fusion | None = None,
    reference_seed: int | None = None,
    refine: Refinement = "none",
    objects: Objects = 1,
    masks: Masks | None = None,
    points: Rows | None = None,
    boxes: Rows | None = None,
    within: Rows | None = None,
    exclude: Rows | None = None,
    alpha_as_mask: bool = False,
    prompts: str | os.PathLike[str] | None = None,
    trust_prompts: bool = False,
    resize_masks: bool = False,
    direction: Direction = "auto",
    memory: int = DEFAULT_MEMORY,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    prompter: str | os.PathLike[str] = AUTO,
    device: str = AUTO,
    precision: Precision = "auto",
    runtime: ChosenRuntime = "auto",
    frame_rate: Fraction | float | None = None,
    range: Range | range | None = None,
    damaged: Damaged = "hold",
    edges: Edges = NO_EDGES,
    label: Label | None = None,
    deinterlace: Deinterlace = "auto",
    matte: bool | str | os.PathLike[str] = False,
    cuts: Cuts = "auto",
) -> Iterator[FrameResult]:
    """Cut the moving subject out of a video, a frame at a time, at constant memory.

    Arguments and errors are those of `segment`; bad input is refused by this call, before the first frame is asked
    for.

    Returns:
        An iterator over one result for each decoded frame, with its picture and its probabilities.
    """
    return _job(**locals()).stream()


@checked()
def live(
    model: str | os.PathLike[str] | covos.Model = DEFAULT_MODEL,
    *,
    quality: Literal["balanced", "fast"] = DEFAULT_QUALITY,
    references: int = DEFAULT_REFERENCES,
    span: int = SPAN,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    memory: int = DEFAULT_MEMORY,
    matte: bool | str | os.PathLike[str] = False,
    edges: Edges = NO_EDGES,
    device: str = AUTO,
    precision: Precision = "auto",
    runtime: ChosenRuntime = "auto",
) -> covos.Live:
    """Segment a live video: push a frame, and have its mask before the next one comes.

        >>> live = covos.live()
        >>> mask = live.push(image).labels     # H x W x 3 uint8 RGB in, H x W uint8 out

    Args:
        model: See `segment`.
        quality: See `Model.live`, here and for what comes after.
        references: As there.
        span: As there.
        follower: As there.
        memory: As there.
        matte: As there.
        edges: As there.
        device: See `load_model`.
        precision: See `load_model`.
        runtime: See `load_model`.

    Raises:
        UsageError: A name or value is wrong.
        EnvironmentProblem: The device or the runtime is not there.
    """
    ready = loaded(model, device=device, precision=precision, runtime=runtime)
    return ready.live(
        quality=quality,
        references=references,
        span=span,
        follower=follower,
        memory=memory,
        matte=matte,
        edges=edges,
    )


def _job(**given: Any) -> Job:
    """Return the job of the arguments of `segment`: those of a prompt, those of the plan, and the rest, of the task."""
    shown = read_prompts(**_taken(given, inspect.signature(read_prompts).parameters))
    fields = _taken(given, Plan.model_fields)
    objects, model = given.pop("objects"), fields.pop("model")
    ready = None if isinstance(model, (str, os.PathLike)) else loaded(model)
    task = choose_task(objects=objects, prompts=shown, **given)
    refuse_idle(task, given)
    plan = Plan(task=task, model=model if ready is None else ready.name, **fields)
    return Job(plan, load=None if ready is None else lambda _: ready)


def _taken(given: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Take the arguments of these names out of those that are given."""
    return {name: given.pop(name) for name in names if name in given}
