"""Prompts as values: a user shows objects on a frame by a mask, or one object by points and a box.

Regions, and points on what the subject is not, steer the subject that is found by itself.

They are part of a `covos.plan.Plan`: they pickle, and they print as JSON.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
from PIL import Image
from pydantic import BeforeValidator, ConfigDict, Discriminator, PlainSerializer, Tag, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from covos.core.errors import AnnotationError, UsageError
from covos.core.limits import limits, raised, raising
from covos.core.places import path_text
from covos.core.records import ObjectId, Record, Side, Value
from covos.core.types import Box, MaskArray, Point, SourceInfo
from covos.engines.steering_rule import SteeringRule
from covos.masks import RLE, VOID, decode, encode, present_ids, read_shown_map
from covos.media.inputs import FileInMemory
from covos.prompts.frames import NamedFrame, NamedOrFirst, frame_name, frame_of_key
from covos.prompts.rows import BoxRow, GivenBox, GivenPoints, PointRows, Rows, as_boxes, as_points, box_name, point_name

MaskSource: TypeAlias = str | os.PathLike[str] | np.ndarray[Any, Any] | Image.Image | bytes | IO[bytes]
"""A mask file, its bytes, or an open file of it; or an H x W array or picture of object ids, or of bool."""
Masks: TypeAlias = MaskSource | Sequence[MaskSource] | Mapping[int, MaskSource]
"""One mask of the first frame that is taken; several, each of one object; or one for each frame, by its number in the
whole source."""


def check_labels(labels: np.ndarray[Any, Any], *, frame: int | None) -> np.ndarray[Any, Any]:
    """Return a label map as uint8, its own copy; a map of bool is one of 0 and 255.

    Raises:
        UsageError: It is not H x W, or not of whole numbers from 0 to 255.
    """
    ids = np.asarray(labels)
    if ids.dtype == np.bool_:
        return ids.astype(np.uint8) * np.uint8(VOID)
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer) or ids.min(initial=0) < 0 or ids.max(initial=0) > 255:
        raise UsageError(
            f"the label map for {frame_name(frame)} cannot be read",
            why=f"it is {' x '.join(map(str, ids.shape))} {ids.dtype}",
            fix="give H x W whole numbers from 0 to 255, or bool",
        )
    return ids.astype(np.uint8)


def check_mask(mask: object, *, what: str) -> MaskArray:
    """Return a caller's mask of one object as H x W bool, True where it is not 0.

    Args:
        mask: H x W of bool, or of numbers that are 0 and one other value. A float is 0 or 1.
        what: Its name for messages.

    Raises:
        UsageError: It is no array of numbers, or has further values: a probability, a soft edge, several objects.
    """
    values = np.asarray(mask)
    solid: MaskArray = values if values.dtype == np.bool_ else values != 0
    if values.dtype.kind not in "biuf":
        raise UsageError(f"{what} cannot be read", why=f"it holds {values.dtype}", fix="give bool, or 0 and 1")
    one = 1 if values.dtype.kind == "f" else values[solid][0] if solid.any() else 0
    if (others := values[solid & (values != one)]).size:
        raise UsageError(
            f"{what} has more values than 0 and {one:g}, such as {others[0]:g}",
            why="each pixel is of the object or is not",
            fix="threshold it first, as in mask=probability > 0.5; a map of object ids goes to add_labels",
        )
    return solid


class _CodedLabels(Record):
    size: tuple[Side, Side]
    objects: dict[ObjectId, str]


def _labels_to_json(labels: np.ndarray[Any, Any] | None) -> dict[str, Any] | None:
    """Run lengths of each id, as COCO has them; a label map as numbers would be a thousand times larger."""
    if labels is None:
        return None
    every = [*present_ids(labels), *([VOID] if (labels == VOID).any() else [])]
    objects = {str(identity): encode(labels == identity).to_coco()["counts"] for identity in every}
    return {"size": list(labels.shape), "objects": objects}


def _labels_from_json(value: object) -> object:
    if not isinstance(value, dict):
        return value
    coded = _CodedLabels.model_validate(value)
    height, width = coded.size
    if height * width > limits().pixels:
        raise PydanticCustomError("pixels", f"should have at most {limits().pixels} pixels; {raised('pixels')}")
    labels = np.zeros(coded.size, np.uint8)
    for identity, counts in coded.objects.items():
        try:
            labels[decode(RLE.from_coco({"size": coded.size, "counts": counts}))] = identity
        except AnnotationError as error:
            raise PydanticCustomError("counts", "{why}", {"why": error.why}) from None
    return labels


Labels = Annotated[
    np.ndarray,
    BeforeValidator(_labels_from_json),
    PlainSerializer(_labels_to_json, return_type=dict[str, Any] | None),
    WithJsonSchema({"type": "object", "properties": {"size": {"type": "array"}, "objects": {"type": "object"}}}),
]


class MaskPrompt(Value):
    """Objects on one frame, shown by a mask.

    Attributes:
        file: A mask file: its values are the ids; a 0/255 mask shows one object.
        labels: Instead of a file, an H x W array of object ids, or of bool.
        alpha: Instead of either, True: the object is the opaque part of the frame itself.
        frame: Number of the frame in the whole source, from 0; None is the first that is taken.
        object: Id of the one object that the mask shows; None takes the mask's ids, or the next free one.
        label: Name of the objects in annotations.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    file: Path | None = None
    labels: Labels | None = None
    alpha: bool = False
    frame: NamedOrFirst = None
    object: int | None = None
    label: str | None = None

    if TYPE_CHECKING:  # the fields hold what these become

        def __init__(
            self,
            *,
            file: str | os.PathLike[str] | None = None,
            labels: np.ndarray[Any, Any] | None = None,
            alpha: bool = False,
            frame: int | None = None,
            object: int | None = None,
            label: str | None = None,
        ) -> None: ...

    @model_validator(mode="after")
    def _one_mask(self) -> MaskPrompt:
        count = (self.file is not None) + (self.labels is not None) + self.alpha
        if count != 1:
            raise UsageError(
                f"a mask prompt for {frame_name(self.frame)} has {'several masks' if count else 'no mask'}",
                why="it is a file, a label map or the alpha of the frame",
                fix="give one of file, labels and alpha",
            )
        if self.labels is not None:
            # Its own and for good: a plan is a value, whatever becomes of the caller's array.
            self.__dict__["labels"] = check_labels(self.labels, frame=self.frame)
            self.labels.setflags(write=False)
        return self

    @property
    def number(self) -> int:
        """Number of the frame, of a prompt that names it; see `on_frames`."""
        assert self.frame is not None, "its frame was named"
        return self.frame

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, MaskPrompt):
            return NotImplemented
        mine, theirs = ((each.file, each.alpha, each.frame, each.object, each.label) for each in (self, other))
        same = mine == theirs
        return same and np.array_equal(self.labels, other.labels)  # type: ignore[arg-type]

    __hash__ = None  # type: ignore[assignment] # it holds an array


class PointPrompt(Value):
    """One object on one frame, shown by points and a box.

    Attributes:
        frame: Number of the frame in the whole source, from 0; None is the first that is taken.
        object: Its id; None where it is left open.
        points: Points on the object, and points beside it. Give rows of (x, y) in pixels, as ``[(320, 200)]``, or of
            (x, y, 1) on the object and (x, y, 0) off it. Tables of ``"x"``, ``"y"`` and ``"positive"`` do as well:
            ``[{"x": 320, "y": 200, "positive": False}]``. Each becomes a value with these three attributes.
        box: A box around it: (left, top, right, bottom) in pixels, right and bottom the first column and row outside;
            or a table of ``"x0"``, ``"y0"``, ``"x1"`` and ``"y1"``.
        label: Name of the object in annotations.
    """

    frame: NamedOrFirst = None
    object: int | None = None
    points: GivenPoints = ()
    box: GivenBox | None = None
    label: str | None = None

    if TYPE_CHECKING:  # the fields hold what these become

        def __init__(
            self,
            *,
            frame: int | None = None,
            object: int | None = None,
            points: PointRows = (),
            box: BoxRow | None = None,
            label: str | None = None,
        ) -> None: ...

    @property
    def number(self) -> int:
        """Number of the frame, of a prompt that names it; see `on_frames`."""
        assert self.frame is not None, "its frame was named"
        return self.frame

    @property
    def given_as(self) -> str:
        """The kind in words: ``"points"``, ``"box"``, ``"box and points"``."""
        return " and ".join(name for name, given in (("box", self.box), ("points", self.points)) if given)

    @property
    def negative_only(self) -> bool:
        """True if it says only what the object is not."""
        return self.box is None and not any(point.positive for point in self.points)

    @property
    def steers(self) -> bool:
        """True if it takes away from the found subject where nothing else is shown."""
        return self.negative_only and self.object is None

    def describe(self) -> dict[str, Any]:
        """Return what the report says of it."""
        points = [[point.x, point.y, int(point.positive)] for point in self.points]
        box = None if self.box is None else [self.box.x0, self.box.y0, self.box.x1, self.box.y1]
        return {"points": points} if box is None else {"points": points, "box": box}


class RegionPrompt(Value):
    """A box that says where the found subject is, or is not.

    Attributes:
        box: Its edges, given as those of `PointPrompt`.
        role: ``"within"`` if the subject lies in the box alone, ``"exclude"`` if nothing in it is the subject.
        frame: Number of the frame in the whole source, from 0, on which the box lies around things: these are meant,
            and are followed through the video. None if the box is a fixed region of all frames.
    """

    box: GivenBox
    role: Literal["within", "exclude"]
    frame: NamedFrame | None = None

    if TYPE_CHECKING:  # the fields hold what these become

        def __init__(self, *, box: BoxRow, role: Literal["within", "exclude"], frame: int | None = None) -> None: ...

    def describe(self) -> dict[str, Any]:
        """Return what the report says of it."""
        return {self.role: [self.box.x0, self.box.y0, self.box.x1, self.box.y1]}


def _kind_of(given: object) -> str:
    """Return the kind of a prompt; that of a table is told by its fields."""
    if isinstance(given, MaskPrompt | PointPrompt | RegionPrompt):
        return type(given).__name__
    named = given.keys() if isinstance(given, Mapping) else set()
    kinds = {"file": MaskPrompt, "labels": MaskPrompt, "alpha": MaskPrompt, "role": RegionPrompt}
    return next((kind.__name__ for name, kind in kinds.items() if name in named), PointPrompt.__name__)


_BY_KIND = Discriminator(_kind_of, custom_error_type="prompt", custom_error_message="no such prompt is taken here")
"""Tells prompts apart in a record, each under the tag of its class."""
Prompt: TypeAlias = MaskPrompt | PointPrompt
"""Shows objects that are to be followed."""
Steering: TypeAlias = PointPrompt | RegionPrompt
"""Steers the subject that is found: a region, or points on what it is not."""
SomePrompt: TypeAlias = Annotated[
    Annotated[MaskPrompt, Tag("MaskPrompt")] | Annotated[PointPrompt, Tag("PointPrompt")], _BY_KIND
]
"""A `Prompt`, as the field of a record."""
SomeSteering: TypeAlias = Annotated[
    Annotated[PointPrompt, Tag("PointPrompt")] | Annotated[RegionPrompt, Tag("RegionPrompt")], _BY_KIND
]
"""A `Steering`, as the field of a record."""
Shown = TypeVar("Shown", bound=MaskPrompt | PointPrompt | RegionPrompt)


def show_objects(prompts: Iterable[Prompt | RegionPrompt]) -> bool:
    """Tell if prompts show objects that are to be followed, and do not only steer the subject that is found."""
    shown = (each for each in prompts if not isinstance(each, RegionPrompt))
    return not all(isinstance(each, PointPrompt) and each.steers for each in shown)


def mask_files(prompts: Iterable[object]) -> list[Path]:
    """Return the mask files that prompts name."""
    return [each.file for each in prompts if isinstance(each, MaskPrompt) and each.file is not None]


def on_frames(prompts: Iterable[Shown], *, info: SourceInfo) -> list[Shown]:
    """Return prompts that all name their frames: those of the first frame that is taken by its number."""
    first = {"frame": info.start}
    return [
        each
        if each.frame is not None or isinstance(each, RegionPrompt)
        else cast("Shown", each.model_copy(update=first))
        for each in prompts
    ]


def as_prompts(
    *, masks: Masks | None = None, points: Rows | None = None, boxes: Rows | None = None
) -> tuple[Prompt, ...]:
    """Turn the masks, points and boxes of a caller into prompts.

    Raises:
        UsageError: Points or boxes are not such rows, a key is no number of a frame, or what is given is empty.
    """
    shown: list[Prompt] = []
    several = isinstance(masks, Sequence) and not isinstance(masks, str | bytes | bytearray)
    if several and not masks:
        raise _shows_nothing("masks")
    every = [(None, each) for each in masks] if several else _by_frame(masks, what="masks")  # type: ignore[union-attr]
    shown += [_mask_prompt(mask, frame=frame) for frame, mask in every]
    for frame, rows in _by_frame(points, what="points"):
        shown.append(PointPrompt(frame=frame, points=as_points(rows)))
    for frame, rows in _by_frame(boxes, what="boxes"):
        shown += [PointPrompt(frame=frame, box=box) for box in as_boxes(rows)]
    return tuple(shown)


def as_regions(*, within: Rows | None = None, exclude: Rows | None = None) -> tuple[RegionPrompt, ...]:
    """Turn the boxes of a caller into regions that steer the found subject.

    Args:
        within: Boxes of which the subject is kept; see `Rows`. Rows alone are fixed regions of all frames, rows by
            the number of a frame lie around things of that frame.
        exclude: Boxes of which it is taken away, given in the same way.

    Raises:
        UsageError: They are no such rows, a key is no number of a frame, or what is given is empty.
    """
    regions: list[RegionPrompt] = []
    for role, given in (("within", within), ("exclude", exclude)):
        for frame, rows in _by_frame(given, what=role):
            regions += [RegionPrompt(box=box, role=role, frame=frame) for box in as_boxes(rows)]  # type: ignore[arg-type]
    return tuple(regions)


def fixed_rule(regions: Iterable[RegionPrompt]) -> SteeringRule:
    """Return the rule of regions that are fixed: boxes of all frames."""
    boxes: dict[str, list[Box]] = {"within": [], "exclude": []}
    for each in regions:
        boxes[each.role].append(each.box)
    return SteeringRule(within=tuple(boxes["within"]), exclude=tuple(boxes["exclude"]))


def _mask_prompt(mask: Any, *, frame: int | None) -> MaskPrompt:
    if isinstance(mask, str | os.PathLike):
        return MaskPrompt(file=Path(path_text(mask, what="a mask")), frame=frame)
    if isinstance(mask, bytes | bytearray | memoryview) or hasattr(mask, "read"):
        # Read as a file is, which separates ids from colours and refuses interpolated ids.
        held = FileInMemory(mask if hasattr(mask, "read") else bytes(mask), name="mask.png")
        return MaskPrompt(labels=read_shown_map(held.path).labels, frame=frame)
    return MaskPrompt(labels=np.asarray(mask), frame=frame)


def _by_frame(given: Any, *, what: str) -> list[tuple[int | None, Any]]:
    """Return what is given for each frame, with None in place of the number where it is given without one."""
    if given is None:
        return []
    if not isinstance(given, Mapping):
        return [(None, given)]
    if not given:
        raise _shows_nothing(what)
    return [(frame_of_key(each, what=what), rows) for each, rows in given.items()]


def _shows_nothing(what: str) -> UsageError:
    return UsageError(f"{what} is empty", why="it shows nothing", fix="show something; or give None, or leave it out")


def check_points(prompt: PointPrompt, *, info: SourceInfo) -> None:
    """Refuse a prompt that lies outside the frame, has no area, or says a thing twice.

    Raises:
        UsageError: See above.
    """
    if not prompt.points and prompt.box is None:
        raise UsageError(
            f"nothing is pointed at on frame {prompt.number}",
            why="there is no point and no box",
            fix="give a point on the object, or a box around it",
        )
    refuse_many_points(len(prompt.points), frame=prompt.number)
    for point in prompt.points:
        _check_point(point, frame=prompt.number, info=info)
    _check_repeats(prompt)
    if prompt.box is not None:
        _check_box(prompt.box, frame=prompt.number, info=info)
        for point in prompt.points:
            if point.positive and not _holds(prompt.box, point):
                raise UsageError(
                    f"{point_name(point)} on frame {prompt.number} is not in {box_name(prompt.box)}",
                    why="the box is to hold all of the object, and the point is on it",
                    fix="widen the box, or give the point another object's number",
                )


def refuse_many_points(count: int, *, frame: int) -> None:
    """Refuse more points on a frame than the limit, with a UsageError: the time that they take grows faster."""
    if count > limits().points:
        raise UsageError(
            f"there are {count} points on frame {frame}",
            why=f"{limits().points} are taken: more say little new, and each takes time",
            fix="leave some out, or give a mask; or " + raising("points", count),
        )


def check_region(region: RegionPrompt, *, info: SourceInfo) -> None:
    """Refuse a region that lies outside the frame or has no area, with a UsageError."""
    _check_box(region.box, frame=region.frame, info=info)


def _check_point(point: Point, *, frame: int, info: SourceInfo) -> None:
    # A NaN lies nowhere: the comparisons are false.
    if not (0 <= point.x < info.width and 0 <= point.y < info.height):
        raise UsageError(
            f"{point_name(point)} lies outside frame {frame}",
            why=f"the frame is {info.width} x {info.height} (width x height): x is 0 to {info.width - 1}, "
            f"y 0 to {info.height - 1}",
            fix="give x, then y, in pixels from the top left corner",
        )


def _check_repeats(prompt: PointPrompt) -> None:
    seen: dict[tuple[int, int], Point] = {}
    for point in prompt.points:
        other = seen.setdefault(point.pixel, point)
        if other is not point:
            raise UsageError(
                f"{point_name(point)} is given twice on frame {prompt.number}",
                why="it cannot be both on the object and off it"
                if other.positive != point.positive
                else "once is enough",
                fix="drop one of them",
            )


def _check_box(box: Box, *, frame: int | None, info: SourceInfo) -> None:
    place = "every frame" if frame is None else f"frame {frame}"
    edges = box.x0, box.y0, box.x1, box.y1
    if all(map(math.isfinite, edges)) and (box.x1 - box.x0 < 1 or box.y1 - box.y0 < 1):
        raise UsageError(
            f"{box_name(box)} on {place} has no area",
            why=f"it is {box.x1 - box.x0:g} wide and {box.y1 - box.y0:g} high",
            fix="give left, top, right and bottom, in pixels, right and bottom larger",
        )
    if not (box.x0 >= 0 and box.x1 <= info.width and box.y0 >= 0 and box.y1 <= info.height):
        raise UsageError(
            f"{box_name(box)} lies outside {place}",
            why=f"the frame is {info.width} x {info.height} (width x height)",
            fix=f"keep left and right within 0 and {info.width}, top and bottom within 0 and {info.height}",
        )


def _holds(box: Box, point: Point) -> bool:
    return box.x0 <= point.x < box.x1 and box.y0 <= point.y < box.y1
