"""Tasks: finding the subject, following what is shown, or discovering objects; each is a value, a part of a plan."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    field_validator,
)

from covos.core.errors import UsageError
from covos.core.places import path_text
from covos.core.records import Value
from covos.core.whole import whole_number
from covos.engines.choices import (
    APART,
    AROUND,
    AUTO,
    DEFAULT_MEMORY,
    DEFAULT_MOST,
    DEFAULT_QUALITY,
    DEFAULT_REFERENCES,
    MAX_MOST,
    Direction,
    Finding,
    Quality,
    check_memory,
    check_references,
    choose_direction,
    named_followed_views,
)
from covos.models.choices import Fusion, Refinement, check_refinement
from covos.models.registry import DEFAULT_FOLLOWER
from covos.prompts.file import read_prompt_file
from covos.prompts.frames import frame_name
from covos.prompts.rows import Rows
from covos.prompts.values import (
    MaskPrompt,
    Masks,
    PointPrompt,
    Prompt,
    RegionPrompt,
    SomePrompt,
    SomeSteering,
    Steering,
    as_prompts,
    as_regions,
    show_objects,
)

Objects: TypeAlias = int | Literal["auto"]
"""1 is one subject, taken as a whole; ``"auto"`` tells its parts and further things apart, each under an id, and a
number above 1 does so with at most so many."""


def as_text(path: object) -> object:
    """Return a path as text, and anything else as it is."""
    return os.fspath(path) if isinstance(path, os.PathLike) else path


Weights: TypeAlias = Annotated[str, BeforeValidator(as_text)]
"""A name, or the path of a ``.safetensors`` file."""


ReferenceCount: TypeAlias = Annotated[int, AfterValidator(check_references)]
"""Number of frames that a frame is compared with."""
Remembered: TypeAlias = Annotated[int, AfterValidator(check_memory)]
"""Number of frames that following remembers between the seed frames and the latest."""


class Steer(Value):
    """Steer the subject that is found: say what it is not, and where it lies.

    Attributes:
        shown: Negative points and regions. What is shown on a frame is followed through the whole video; a region
            without a frame is fixed.
        memory: See `Follow`.
        follower: See `Follow`.
        prompter: See `Follow`; it separates things of the subject.
    """

    shown: Annotated[tuple[SomeSteering, ...], Field(min_length=1)]
    memory: Remembered = DEFAULT_MEMORY
    follower: Weights = DEFAULT_FOLLOWER
    prompter: Weights = AUTO

    @field_validator("shown")
    @classmethod
    def _steering(cls, shown: tuple[Steering, ...]) -> tuple[Steering, ...]:
        if wrong := [each for each in shown if isinstance(each, PointPrompt) and not each.steers]:
            raise UsageError(
                f"what is shown on {frame_name(wrong[0].frame)} shows an object",
                why="the subject that is found is steered by negative points without a number, and by regions",
                fix="follow what is shown (Follow), or leave it out",
            )
        return shown

    def describe(self) -> list[dict[str, Any]]:
        """Return what a report says of what is shown."""
        return [{"frame": each.frame, **each.describe()} for each in self.shown]

    @property
    def follows(self) -> bool:
        """True if something is shown on a frame, and is then followed."""
        return any(isinstance(each, PointPrompt) or each.frame is not None for each in self.shown)


class Find(Value):
    """Find the moving subject, and cut it out of every frame.

    Attributes:
        quality: ``"fast"`` has the network look at each second frame, and makes those between of their neighbours,
            where these agree; ``"draft"`` does so in smaller frames. ``"balanced"`` finds it in frames of two sizes
            in turn. ``"best"`` does so in larger ones, follows it from where it was found most surely, and takes the
            mean. A network that takes frames of one size alone has ``"balanced"`` alone, and sees each in that size.
        references: Frames, spread over the video, that every frame is compared with; 0 takes each for itself.
        fusion: The way to use several references (see `covos.models.choices.Fusion`); None takes the model's best.
        reference_seed: Draws the references at random; None spreads them evenly.
        refine: The way to fit the probabilities to the picture: ``"none"`` or ``"crf"``.
        steer: Things that the subject is not, and its place; None takes it as it is found.
    """

    kind: Literal["find"] = "find"
    quality: Quality = DEFAULT_QUALITY
    references: ReferenceCount = DEFAULT_REFERENCES
    fusion: Fusion | None = None
    reference_seed: int | None = None
    refine: Refinement = "none"
    steer: Steer | None = None

    @field_validator("refine", mode="before")
    @classmethod
    def _refinement(cls, name: str) -> str:
        return check_refinement(name)

    @property
    def finding(self) -> Finding:
        """The settings by which the subject is found, whatever the quality, before it is steered."""
        return Finding(
            references=self.references, fusion=self.fusion, reference_seed=self.reference_seed, refine=self.refine
        )

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that the subject depends on, as records of a run have them."""
        found = self.model_dump(exclude={"kind", "steer"})
        if self.quality in APART:  # which separates it from the fast of earlier versions
            found["apart"] = APART[self.quality]
        return found if self.steer is None else {**found, "steer": self.steer.describe()}


FIND: Final = Find()
"""The subject, found with the defaults."""


class Follow(Value):
    """Follow the objects that prompts show.

    Attributes:
        prompts: Masks, points and boxes.
        resize_masks: If true, masks of another size than their frame are resized (nearest neighbour).
        direction: The way in time; ``"auto"`` goes both ways if an object is shown after the first frame, or on
            several frames.
        memory: Frames that are remembered between the seed frames and the latest.
        follower: The covos-follow that was trained on the model's features: a name, or a ``.safetensors`` file.
        prompter: Makes masks of points and boxes: ``"grabcut"``; a covos-prompt, by its name or a ``.safetensors``
            file; or ``"auto"`` (see `covos.model.Model.prompter`).
        quality: ``"fast"`` follows in smaller frames, and looks at each second frame; those between are made of
            their neighbours, where these agree. ``"draft"`` looks at each fourth. ``"best"`` follows in larger and in
            mirrored frames, too, and takes the mean.
    """

    kind: Literal["follow"] = "follow"
    prompts: Annotated[tuple[SomePrompt, ...], Field(min_length=1)]
    resize_masks: bool = False
    direction: Direction = AUTO
    memory: Remembered = DEFAULT_MEMORY
    follower: Weights = DEFAULT_FOLLOWER
    prompter: Weights = AUTO
    quality: Quality = DEFAULT_QUALITY

    @field_validator("direction", mode="before")
    @classmethod
    def _direction(cls, name: str) -> str:
        choose_direction(name, frames=(0,))  # type: ignore[arg-type]
        return name


class Discover(Value):
    """Find objects, at most so many, and follow each under its own id.

    Attributes:
        most: Objects, at most.
        references: Frames, spread over the video, that every looked-at frame is compared with.
        memory: See `Follow`.
        follower: See `Follow`.
        quality: See `Follow`; things are discovered in frames of `covos.engines.choices.discovered_in`.
    """

    kind: Literal["discover"] = "discover"
    most: int = Field(default=DEFAULT_MOST, ge=1, le=MAX_MOST)
    references: ReferenceCount = DEFAULT_REFERENCES
    memory: Remembered = DEFAULT_MEMORY
    follower: Weights = DEFAULT_FOLLOWER
    quality: Quality = DEFAULT_QUALITY


Task: TypeAlias = Annotated[Find | Follow | Discover, Field(discriminator="kind")]


_IDLE: Final = {
    Find: (
        "nothing is shown on a frame, so there is nothing to follow",
        "show an object or, with a frame, what is to go from the subject; or leave it out",
    ),
    Follow: ("objects that are shown are followed, and it is about finding a subject", "leave it out"),
    Discover: ("objects are found, and nothing is shown", "leave it out, or show the objects"),
}
"""Why settings change nothing in each task, and what to do."""


def _spelled(name: str, value: object) -> str:
    return f"{name} = {value!r}"


def choose_task(
    *,
    quality: Quality = DEFAULT_QUALITY,
    references: int = DEFAULT_REFERENCES,
    fusion: Fusion | None = None,
    reference_seed: int | None = None,
    refine: Refinement = "none",
    objects: Objects = 1,
    prompts: tuple[Prompt | RegionPrompt, ...] = (),
    resize_masks: bool = False,
    direction: Direction = AUTO,
    memory: int = DEFAULT_MEMORY,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    prompter: str | os.PathLike[str] = AUTO,
) -> Find | Follow | Discover:
    """Choose between finding, following and discovering, by what a caller gives.

    Prompts are followed; without prompts, more objects than one are discovered; else the subject is found. Regions, and
    negative points alone, steer the subject that is found.

    Raises:
        UsageError: A value is wrong, or objects are both shown and looked for.
    """
    most = check_objects(objects)
    if most is not None and prompts:
        raise UsageError(
            f"objects = {objects} beside masks, points, boxes, regions or prompts",
            why="objects are either found or shown",
            fix="leave one of them out, or find them in a session and show more there",
        )
    steering, shown = _told_apart(prompts)
    if most is None and not shown:
        steer = None
        if steering:
            steer = Steer(shown=steering, memory=memory, follower=os.fspath(follower), prompter=os.fspath(prompter))
        return Find(
            quality=quality,
            references=references,
            fusion=fusion,
            reference_seed=reference_seed,
            refine=refine,
            steer=steer,
        )
    refuse_where_followed(refine=refine)
    if most is not None:
        return Discover(most=most, references=references, memory=memory, follower=os.fspath(follower), quality=quality)
    return Follow(
        prompts=shown,
        resize_masks=resize_masks,
        direction=direction,
        memory=memory,
        follower=os.fspath(follower),
        prompter=os.fspath(prompter),
        quality=quality,
    )


def refuse_idle(
    task: Find | Follow | Discover, settings: Mapping[str, Any], *, spelled: Callable[[str, object], str] = _spelled
) -> None:
    """Refuse settings that change nothing in a task; for one task of one video, not for a batch of several.

    Args:
        task: As `choose_task` made it of the settings.
        settings: The arguments of `choose_task`, but for prompts and objects.
        spelled: Writes a name and its value as the user gave them.

    Raises:
        UsageError: One differs from its default, and the task does not look at it.
    """
    used = {*type(task).model_fields}
    if isinstance(task, Find) and task.steer is not None and task.steer.follows:
        used |= {*Steer.model_fields}
    why, fix = _IDLE[type(task)]
    usual = signature(choose_task).parameters
    for name, value in settings.items():
        if name not in used and value != usual[name].default:
            raise UsageError(f"{spelled(name, value)} changes nothing here", why=why, fix=fix)


def _told_apart(
    prompts: tuple[Prompt | RegionPrompt, ...],
) -> tuple[tuple[Steering, ...], tuple[Prompt, ...]]:
    """Return what steers the found subject, and what shows objects to follow: there is one or the other."""
    regions = tuple(each for each in prompts if isinstance(each, RegionPrompt))
    shown = tuple(each for each in prompts if not isinstance(each, RegionPrompt))
    if not show_objects(prompts):
        return (*(each for each in shown if isinstance(each, PointPrompt)), *regions), ()
    if regions:
        raise UsageError(
            "a region beside masks, points or boxes of objects",
            why="it steers the subject that is found, and objects that are shown are followed instead",
            fix="leave the region out, or the objects",
        )
    return (), shown


def read_prompts(
    *,
    masks: Masks | None = None,
    points: Rows | None = None,
    boxes: Rows | None = None,
    within: Rows | None = None,
    exclude: Rows | None = None,
    alpha_as_mask: bool = False,
    prompts: str | os.PathLike[str] | None = None,
    trust_prompts: bool = False,
) -> tuple[Prompt | RegionPrompt, ...]:
    """Turn what a caller gives, and a prompt file, into prompts; ``trust_prompts`` as of `covos.prompts.file`.

    With ``alpha_as_mask`` the opacity of the first frame is the first mask.

    Raises:
        UsageError: Points or boxes are not rows of numbers.
        AnnotationError: The prompt file cannot be read.
    """
    alpha = (MaskPrompt(alpha=True),) if alpha_as_mask else ()
    given = as_prompts(masks=masks, points=points, boxes=boxes)
    shown = (*alpha, *given, *as_regions(within=within, exclude=exclude))
    if prompts is None:
        return shown
    return (*shown, *read_prompt_file(Path(path_text(prompts, what="the prompt file")), trusted=trust_prompts))


def read_objects(text: str) -> Objects:
    """Read a number of objects as people write it; `check_objects` refuses what is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else text  # type: ignore[return-value]


def check_model(model: object) -> None:
    """Refuse a value that is given for a model and is none.

    Raises:
        UsageError: It has not what `covos.Model` has.
    """
    if not hasattr(model, "engine"):
        raise UsageError(
            f"model = {model!r}",
            why="it is neither a name, nor a file, nor a model",
            fix="give a name, a .safetensors file, or what load_model returns",
        )


def check_objects(objects: int | str) -> int | None:
    """Return how many objects may be found; None where it is one subject.

    Raises:
        UsageError: It is no number of objects.
    """
    if objects == AUTO:
        return DEFAULT_MOST
    count = whole_number(objects)
    if count is None or not 1 <= count <= MAX_MOST:
        raise UsageError(
            f"objects = {objects}",
            why="it is neither auto nor a whole number" if count is None else f"it is not from 1 to {MAX_MOST}",
            fix=f"use 1 for one subject, auto for up to {DEFAULT_MOST} objects, or 2 to {MAX_MOST}",
        )
    return None if count == 1 else count


def described_quality(quality: Quality, *, smallest: float | None = None, apart: int = 1) -> dict[str, str | int]:
    """Return what records of a run have of the quality of following; runs from before there was one had the usual.

    ``smallest`` is the share of the frame that the smallest object covers; None if it is not known yet. ``apart`` are
    the frames from one that the networks look at to the next.
    """
    described: dict[str, str | int] = {"around": AROUND, "views": named_followed_views(quality, smallest=smallest)}
    if apart > 1:
        described["apart"] = apart
    return described if quality == DEFAULT_QUALITY else {**described, "quality": quality}


def refuse_where_followed(*, refine: str) -> None:
    """Refuse a refinement where objects are followed.

    Raises:
        UsageError: A refinement is asked for.
    """
    if check_refinement(refine) != "none":
        raise UsageError(
            f"the refinement {refine!r} where objects are followed",
            why="it works on the probabilities that find one subject, and no followed mask is made of these",
            fix="leave it out",
        )
