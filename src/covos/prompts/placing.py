"""Show a video's seeds what a plan lists, and objects that were discovered."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from covos.core.errors import UsageError
from covos.core.labelling import Labelling
from covos.core.types import MaskArray
from covos.masks import objects_in
from covos.masks.rims import without_rims
from covos.prompts.rows import box_name, point_name
from covos.prompts.seeds import Seeds
from covos.prompts.values import MaskPrompt, PointPrompt, Prompt, on_frames

if TYPE_CHECKING:
    from covos.engines.discover import DiscoveredObject  # brings torch


def place_prompts(
    seeds: Seeds,
    prompts: Iterable[Prompt],
    *,
    resize: bool,
    alpha_of: Callable[[int], MaskArray],
    point: Callable[[PointPrompt], object] | None = None,
) -> Labelling:
    """Show everything that a plan lists: masks at once; points and boxes wait for a model.

    A box without a number is a new object, which gets the next free one. Points without a number belong to the one
    object that masks and boxes show; to object 1 if they show none.

    Args:
        seeds: The seeds of the video.
        prompts: Checked here against the video.
        resize: If true, masks of another size than their frame are resized (nearest neighbour).
        alpha_of: Gives what is opaque in a frame.
        point: Called with the points and the box of each object and frame, when all masks are there; None lets them
            wait.

    Returns:
        The labels of the objects.

    Raises:
        AnnotationError: A mask file cannot be read or does not fit.
        UsageError: A prompt makes no sense, or several objects could be meant.
    """
    every = on_frames(prompts, info=seeds.info)
    labels: dict[int, str] = {}
    for mask in (each for each in every if isinstance(each, MaskPrompt)):
        if mask.file is not None:
            shown = seeds.add_file(mask.file, frame=mask.number, identity=mask.object, resize=resize)
        elif mask.labels is not None:
            shown = seeds.add_labels(mask.number, mask.labels, identity=mask.object, resize=resize)
        else:
            shown = (seeds.add_alpha(mask.number, identity=mask.object, alpha_of=alpha_of),)
        _call(shown, mask.label, labels)
    pointed = [each for each in every if isinstance(each, PointPrompt)]
    boxes = [each for each in pointed if each.box is not None]
    numbers = {*seeds.objects, *(each.object for each in boxes if each.object is not None)}
    named = []
    for each in boxes:
        identity = max(numbers, default=0) + 1 if each.object is None else each.object
        numbers.add(identity)
        named.append(each.model_copy(update={"object": identity}))
    for each in (each for each in pointed if each.box is None):
        if each.object is None and len(numbers) > 1:
            raise UsageError(
                f"{point_name(each.points[0])} on frame {each.number} has no object",
                why=f"it could be any of {', '.join(map(str, sorted(numbers)))}",
                fix=f"add the object's number, as in {each.points[0].x:g},{each.points[0].y:g}@{each.number}:"
                f"{max(numbers)}",
            )
        identity = min(numbers, default=1) if each.object is None else each.object
        named.append(each.model_copy(update={"object": identity}))
    for each in named:
        _call((each.object or 1,), each.label, labels)
    for each in join_points(named):
        (point or seeds.wait)(each)
    return Labelling(own=labels)


def place_found(seeds: Seeds, found: Iterable[DiscoveredObject]) -> None:
    """Show objects that were discovered on the frames that show them best; their ids follow on those that are there."""
    size = seeds.info.height, seeds.info.width
    shown: dict[int, dict[int, MaskArray]] = {}
    for identity, thing in enumerate(found, max(seeds.objects, default=0) + 1):
        for frame in thing.masks:
            mask = thing.at(frame, size=size)
            if mask.any():
                shown.setdefault(seeds.info.numbers[frame], {})[identity] = mask
    for frame, masks in sorted(shown.items()):
        labels = np.zeros(size, np.uint8)
        for identity, mask in masks.items():
            labels[mask] = identity
        if clean := objects_in(without_rims(labels, found=masks)):
            seeds.add(frame, clean, given_as="found")


def _call(identities: Iterable[int], label: str | None, labels: dict[int, str]) -> None:
    """Give objects a label; a UsageError if one of them has another."""
    if label is None:
        return
    for identity in identities:
        if labels.setdefault(identity, label) != label:
            raise UsageError(
                f"object {identity} is called {labels[identity]} and {label}",
                why="an object has one label",
                fix="give the other one another number, or both the same label",
            )


def join_points(prompts: Iterable[PointPrompt]) -> tuple[PointPrompt, ...]:
    """Join the prompts of the same object on the same frame; by frame, then as they came.

    Raises:
        UsageError: There are two boxes for one object on one frame.
    """
    joined: dict[tuple[int, int | None], PointPrompt] = {}
    for each in prompts:
        key = each.number, each.object
        before = joined.get(key)
        if before is None:
            joined[key] = each
            continue
        if before.box is not None and each.box is not None:
            raise UsageError(
                f"object {each.object} has two boxes on frame {each.number}",
                why=f"{box_name(before.box)} and {box_name(each.box)}",
                fix="give each object one box, and other objects other numbers",
            )
        joined[key] = PointPrompt(
            frame=each.number, object=each.object, points=before.points + each.points, box=before.box or each.box
        )
    return tuple(sorted(joined.values(), key=lambda prompt: prompt.number))
