"""Plan: everything that is to be done to one video, as a value.

A plan is checked when it is made, before a video is opened or a model is loaded. It pickles, so that another process
can run it, and it prints as JSON (``plan.model_dump_json()``), from which it comes back (``Plan.model_validate_json``).
`covos.job.Job` runs it.

    >>> Plan(source="clip.mp4", task=Find(references=8), formats=("prores",))
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    ValidationError,
    field_validator,
    model_validator,
)

from covos.core.device import Precision, check_device
from covos.core.errors import UsageError
from covos.core.guarded import SafeFraction
from covos.core.labelling import NO_LABELS, Labelling, as_labelling
from covos.core.records import Value, faults
from covos.core.types import Deinterlace
from covos.engines.choices import (
    AUTO,
    SUBJECT,
    Cuts,
)
from covos.formats.table import DEFAULT_FORMATS, check_formats
from covos.masks import read_shown_map
from covos.masks.edges import NO_EDGES, Edges
from covos.media.inputs import InMemory, Input, as_source
from covos.media.range import WHOLE, Range, as_range
from covos.media.rates import check_rate, written_rate
from covos.models.registry import DEFAULT_MATTER, DEFAULT_MODEL
from covos.prompts.values import (
    mask_files,
)
from covos.runtimes.choice import ChosenRuntime
from covos.task import FIND, Discover, Find, Follow, Task, Weights, as_text

Damaged: TypeAlias = Literal["hold", "empty"]
"""The mask of a picture that cannot be read: the one before, or none."""


def _source(given: Any) -> str | InMemory:
    if isinstance(given, dict) and "in_memory" in given:
        raise UsageError(
            f"a plan of {given['in_memory']} cannot be read back",
            why="its JSON names frames that were in memory, and does not hold them",
            fix="make the plan anew with the frames, pickle it, or write them to a file",
        )
    return as_source(given)


def _source_to_json(source: str | InMemory) -> str | dict[str, str]:
    return source if isinstance(source, str) else {"in_memory": str(source)}


def _matter(given: object) -> object:
    if isinstance(given, bool):
        return DEFAULT_MATTER if given else False
    return as_text(given)


if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from fractions import Fraction

    from covos.core.labelling import Label

    GivenRange: TypeAlias = Range | range
    GivenTask: TypeAlias = Find | Follow | Discover


class Plan(Value):
    """Everything that is to be done to one video.

    Attributes:
        source: A path of a video, a folder of frames or one image, a glob of images; or frames in memory (see
            `covos.media.inputs.as_source`), which print as JSON but do not come back from it.
        task: One of `Find`, `Follow` and `Discover`.
        model: A name from ``covos models list``, or the path of a ``.safetensors`` file.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:N"`` or ``"mps"``.
        precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``.
        runtime: ``"auto"``, ``"torch"``, ``"openvino"`` or ``"onnxruntime"`` (see `covos.load_model`).
        formats: Names of formats (`covos.formats.table.FORMATS`), with or without a value; used where results are
            written to a folder.
        frame_rate: Frames a second of a folder or glob, 25 if not given; 29.97 stands for 30000/1001.
        range: The part that is taken: a `covos.media.range.Range`, or a ``range`` of Python, which counts frames.
            Prompts name frames of the whole source; results count from the first frame that is taken.
        damaged: The mask of a picture that cannot be read: ``"hold"`` takes that of the frame before, ``"empty"`` none.
        edges: Changes of the masks' edges, made of what was found.
        label: Names of objects in annotations: one label, or labels by object id.
        deinterlace: Frames of a video that are made whole pictures: ``"auto"`` takes those that are flagged as
            interlaced, ``"on"`` all, ``"off"`` none.
        matte: The network that finds the opacity of edges, such as hair: a name, or a ``.safetensors`` file; True is
            covos-matte. None finds none, and edges are as soft as the probability; further formats of a run that has a
            matte take that. False takes the probability there, too.
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
    frame_rate: Annotated[SafeFraction, BeforeValidator(written_rate), PlainSerializer(str, return_type=str)] | None = (
        None
    )
    range: Annotated[Range, BeforeValidator(as_range)] = WHOLE
    damaged: Damaged = "hold"
    edges: Edges = NO_EDGES
    label: Annotated[Labelling, BeforeValidator(as_labelling)] = NO_LABELS
    deinterlace: Deinterlace = "auto"
    matte: Annotated[str | Literal[False] | None, BeforeValidator(_matter)] = None
    cuts: Cuts = AUTO

    if TYPE_CHECKING:  # the fields hold what these become

        def __init__(
            self,
            *,
            source: Input | InMemory,
            task: GivenTask = FIND,
            model: str | os.PathLike[str] = DEFAULT_MODEL,
            device: str = AUTO,
            precision: Precision = AUTO,
            runtime: ChosenRuntime = AUTO,
            formats: Sequence[str] = DEFAULT_FORMATS,
            frame_rate: Fraction | float | str | None = None,
            range: GivenRange | None = None,
            damaged: Damaged = "hold",
            edges: Edges = NO_EDGES,
            label: Labelling | Label | None = None,
            deinterlace: Deinterlace = "auto",
            matte: str | os.PathLike[str] | bool | None = None,
            cuts: Cuts = AUTO,
        ) -> None: ...

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
            read_shown_map(file)

    @property
    def name(self) -> str:
        """The source's name for messages and folders."""
        return str(self.source)
