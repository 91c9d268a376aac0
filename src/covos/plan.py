"""Plan: everything that is to be done to one video, as a value.

A plan is checked when it is made, before a video is opened or a model is loaded. It pickles, so that another process
can run it, and it prints as JSON (``plan.model_dump_json()``), from which it comes back (``Plan.model_validate_json``).
`covos.job.Job` runs it.

    >>> Plan(source="clip.mp4", task=Find(references=8), formats=("prores",))
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from covos.core.device import Precision, check_device
from covos.core.errors import UsageError
from covos.core.guarded import SafeFraction
from covos.core.labelling import NO_LABELS, Labelling, as_labelling
from covos.core.records import Record, faults, refused
from covos.engines.choices import (
    APART,
    AROUND,
    DEFAULT_MEMORY,
    DEFAULT_MOST,
    DEFAULT_QUALITY,
    DEFAULT_REFERENCES,
    MAX_MOST,
    Cuts,
    Direction,
    Quality,
    check_memory,
    check_references,
    choose_direction,
    named_views,
)
from covos.formats.table import DEFAULT_FORMATS, check_formats
from covos.masks import read_label_map
from covos.masks.edges import NO_EDGES, Edges
from covos.media.fields import Deinterlace
from covos.media.memory import InMemory, as_source
from covos.media.opening import check_rate
from covos.media.range import WHOLE, Range, as_range
from covos.models.choices import Fusion, Refinement, check_refinement
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MATTER, DEFAULT_MODEL
from covos.prompts.file import read_prompt_file
from covos.prompts.values import (
    MaskPrompt,
    Masks,
    PointPrompt,
    Prompt,
    RegionPrompt,
    Rows,
    Steering,
    as_prompts,
    as_regions,
    frame_name,
    mask_files,
)
from covos.runtimes.choice import ChosenRuntime

AUTO: Final = "auto"
SUBJECT: Final = 1
"""Id of the one subject that is found."""

Objects: TypeAlias = int | Literal["auto"]
"""1 is one subject, taken as a whole; ``"auto"`` tells its parts and further things apart, each under an id, and a
number above 1 does so with at most so many."""


def _as_text(path: object) -> object:
    return os.fspath(path) if isinstance(path, os.PathLike) else path


Damaged: TypeAlias = Literal["hold", "empty"]
"""The mask of a picture that cannot be read: the one before, or none."""

Weights: TypeAlias = Annotated[str, BeforeValidator(_as_text)]
"""A name, or the path of a ``.safetensors`` file."""


def _checked_memory(count: int) -> int:
    check_memory(count)
    return count


def _checked_references(count: int) -> int:
    check_references(count)
    return count


ReferenceCount: TypeAlias = Annotated[int, AfterValidator(_checked_references)]
"""Number of frames that a frame is compared with."""
Remembered: TypeAlias = Annotated[int, AfterValidator(_checked_memory)]
"""Number of frames that following remembers between the seed frames and the latest."""


def _source(given: Any) -> str | InMemory:
    if isinstance(given, dict):
        raise UsageError(
            f"a plan of {given.get('in_memory', 'no source')} cannot be read back",
            why="its JSON names frames that were in memory, and does not hold them",
            fix="make the plan anew with the frames, pickle it, or write them to a file",
        )
    return as_source(given)


def _source_to_json(source: str | InMemory) -> str | dict[str, str]:
    return source if isinstance(source, str) else {"in_memory": str(source)}


def _matter(given: object) -> object:
    if isinstance(given, bool):
        return DEFAULT_MATTER if given else None
    return _as_text(given)


class _Value(Record):
    """A part of a plan: a wrong value is refused as a wrong call, in three lines."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse(cls, values: Any, make: Callable[[Any], Any]) -> Any:
        try:
            return make(values)
        except ValidationError as error:
            what, why, fix = refused(error, cls)
            raise UsageError(what, why=why, fix=fix) from None


class Steer(_Value):
    """Steer the subject that is found: say what it is not, and where it lies.

    Attributes:
        shown: Negative points and regions. What is shown on a frame is followed through the whole video; a region
            without a frame is fixed.
        memory: See `Follow`.
        follower: See `Follow`.
        prompter: See `Follow`; it separates things of the subject.
    """

    shown: Annotated[tuple[Steering, ...], Field(min_length=1)]
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
        return any(each.frame is not None for each in self.shown)


class Find(_Value):
    """Find the moving subject, and cut it out of every frame.

    Attributes:
        quality: ``"fast"`` has the network look at each second frame, and makes those between of their neighbours,
            where these agree; ``"draft"`` does so in smaller frames. ``"balanced"`` finds it in frames of two sizes
            in turn. ``"best"`` finds it in larger and in mirrored frames, too, and takes the mean. A network
            that takes frames of one size alone has ``"balanced"`` alone, and sees each in that size.
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
    def finding(self) -> dict[str, Any]:
        """The settings that a find engine of this quality takes, before the subject is steered."""
        return self.model_dump(exclude={"kind", "quality", "steer"})

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that the subject depends on, as records of a run have them."""
        found = self.model_dump(exclude={"kind", "steer"})
        if self.quality in APART:  # which separates it from the fast of earlier versions
            found["apart"] = APART[self.quality]
        return found if self.steer is None else {**found, "steer": self.steer.describe()}


FIND: Final = Find()
"""The subject, found with the defaults."""


class Follow(_Value):
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
        quality: ``"fast"`` and ``"draft"`` follow in smaller frames; ``"draft"`` leaves each second frame of the
            forward pass to its neighbours, where these agree. ``"best"`` follows in larger and in mirrored frames,
            too, and takes the mean.
    """

    kind: Literal["follow"] = "follow"
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1)]
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


class Discover(_Value):
    """Find objects, at most so many, and follow each under its own id.

    Attributes:
        most: Objects, at most.
        references: Frames, spread over the video, that every looked-at frame is compared with.
        memory: See `Follow`.
        follower: See `Follow`.
        quality: See `Follow`; things are discovered in frames of `covos.engines.choices.DISCOVERED_IN`.
    """

    kind: Literal["discover"] = "discover"
    most: int = Field(default=DEFAULT_MOST, ge=1, le=MAX_MOST)
    references: ReferenceCount = DEFAULT_REFERENCES
    memory: Remembered = DEFAULT_MEMORY
    follower: Weights = DEFAULT_FOLLOWER
    quality: Quality = DEFAULT_QUALITY


Task: TypeAlias = Annotated[Find | Follow | Discover, Field(discriminator="kind")]


class Plan(_Value):
    """Everything that is to be done to one video.

    Attributes:
        source: A path of a video, a folder of frames or one image, a glob of images; or frames in memory (see
            `covos.media.memory.as_source`), which print as JSON but do not come back from it.
        task: One of `Find`, `Follow` and `Discover`.
        model: A name from ``covos models list``, or the path of a ``.safetensors`` file.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        runtime: ``"auto"``, ``"torch"``, ``"openvino"`` or ``"onnxruntime"`` (see `covos.load_model`).
        formats: Names of formats (`covos.formats.table.FORMATS`), with or without a value; used where results are
            written to a folder.
        frame_rate: Frames a second of a folder or glob; 25 if not given.
        range: The part that is taken: a `covos.media.range.Range`, or a ``range`` of Python, which counts frames.
            Prompts name frames of the whole source; results count from the first frame that is taken.
        damaged: The mask of a picture that cannot be read: ``"hold"`` takes that of the frame before, ``"empty"`` none.
        edges: Changes of the masks' edges, made of what was found.
        label: Names of objects in annotations: one label, or labels by object id.
        deinterlace: Frames of a video that are made whole pictures: ``"auto"`` takes those that are flagged as
            interlaced, ``"on"`` all, ``"off"`` none.
        matte: The network that finds the opacity of edges, such as hair: a name, or a ``.safetensors`` file; True is
            covos-matte. None or False makes edges as soft as the probability.
        cuts: ``"auto"`` looks for cuts, and compares each frame with references of its own shot (see
            `covos.engines.shots`); ``"off"`` takes the video as one shot, whose references are spread over all of it.
    """

    source: Annotated[Any, BeforeValidator(_source), PlainSerializer(_source_to_json)]
    task: Task = FIND
    model: Weights = DEFAULT_MODEL
    device: str = AUTO
    precision: Precision = AUTO
    runtime: ChosenRuntime = AUTO
    formats: tuple[str, ...] = DEFAULT_FORMATS
    frame_rate: Annotated[SafeFraction, PlainSerializer(str, return_type=str)] | None = None
    range: Annotated[Range, BeforeValidator(as_range)] = WHOLE
    damaged: Damaged = "hold"
    edges: Edges = NO_EDGES
    label: Annotated[Labelling, BeforeValidator(as_labelling)] = NO_LABELS
    deinterlace: Deinterlace = "auto"
    matte: Annotated[str | None, BeforeValidator(_matter)] = None
    cuts: Cuts = AUTO

    @field_validator("formats")
    @classmethod
    def _formats(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return check_formats(names)

    @model_validator(mode="after")
    def _numbers(self) -> Plan:
        if self.frame_rate is not None:
            check_rate(self.frame_rate)
        check_device(self.device)
        if isinstance(self.task, Find):
            self.label.refuse_unknown((SUBJECT,))
        elif isinstance(self.task, Discover):
            self.label.refuse_unknown(range(1, self.task.most + 1))
        return self

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Plan:
        """Return the plan that was printed as JSON.

        Raises:
            UsageError: It is not JSON, or not a plan.
        """
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise UsageError("the plan cannot be read", why=faults(error), fix="give what a plan printed") from None

    def check_masks(self) -> None:
        """Read the mask files that are shown, so that a wrong one is refused before anything is computed.

        Raises:
            AnnotationError: A file is not there, or holds no mask.
        """
        shown = self.task.prompts if isinstance(self.task, Follow) else ()
        for file in mask_files(shown):
            read_label_map(file)

    @property
    def name(self) -> str:
        """The source's name for messages and folders."""
        return str(self.source)


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
    """Choose between finding, following and discovering: the one place where that is decided.

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


def _told_apart(
    prompts: tuple[Prompt | RegionPrompt, ...],
) -> tuple[tuple[Steering, ...], tuple[Prompt, ...]]:
    """Return what steers the found subject, and what shows objects to follow: there is one or the other."""
    regions = tuple(each for each in prompts if isinstance(each, RegionPrompt))
    shown = tuple(each for each in prompts if not isinstance(each, RegionPrompt))
    points = tuple(each for each in shown if isinstance(each, PointPrompt) and each.steers)
    if len(points) == len(shown):
        return (*points, *regions), ()
    if regions:
        raise UsageError(
            "a region beside masks, points or boxes of objects",
            why="it steers the subject that is found, and objects that are shown are followed instead",
            fix="leave the region out (--within, --exclude-box), or the objects",
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
    return shown if prompts is None else (*shown, *read_prompt_file(Path(prompts), trusted=trust_prompts))


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
    if isinstance(objects, str) or not 1 <= objects <= MAX_MOST:
        raise UsageError(
            f"objects = {objects}",
            why="it is how many objects may be found",
            fix=f"use 1 for one subject, auto for up to {DEFAULT_MOST} objects, or 2 to {MAX_MOST}",
        )
    return None if objects == 1 else objects


def described_quality(quality: Quality) -> dict[str, str | int]:
    """Return what records of a run have of the quality of following; runs from before there was one had the usual."""
    described: dict[str, str | int] = {"around": AROUND, "views": named_views(quality, followed=True)}
    return described if quality == DEFAULT_QUALITY else {**described, "quality": quality}


def refuse_where_followed(*, refine: str) -> None:
    """Refuse a refinement where objects are followed.

    Raises:
        UsageError: A refinement is asked for.
    """
    if check_refinement(refine) != "none":
        raise UsageError(
            f"refine = {refine!r} where objects are followed",
            why="it works on the probabilities that find one subject, and no followed mask is made of these",
            fix="leave it out",
        )
