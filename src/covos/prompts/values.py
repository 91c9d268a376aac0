"""Prompts as values: a user shows objects on a frame by a mask, or one object by points and a box.

Regions, and points on what the subject is not, steer the subject that is found by itself.

They are part of a `covos.plan.Plan`: they pickle, and they print as JSON.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Annotated, Any, Literal, TypeAlias, TypeVar, cast

import numpy as np
from PIL import Image
from pydantic import BeforeValidator, ConfigDict, PlainSerializer, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError

from covos.core.errors import AnnotationError, UsageError
from covos.core.limits import limits, raised, raising
from covos.core.places import path_text
from covos.core.records import ObjectId, Record, Side
from covos.core.types import Box, MaskArray, Point, SourceInfo
from covos.engines.steering_rule import SteeringRule
from covos.masks import RLE, VOID, decode, encode, present_ids, read_shown_map
from covos.media.inputs import FileInMemory
from covos.prompts.frames import NamedFrame, NamedOrFirst, frame_name, frame_of_key

MaskSource: TypeAlias = str | os.PathLike[str] | np.ndarray[Any, Any] | Image.Image | bytes | IO[bytes]
"""A mask file, its bytes, or an open file of it; or an H x W array or picture of object ids, or of bool."""
Masks: TypeAlias = MaskSource | Sequence[MaskSource] | Mapping[int, MaskSource]
"""One mask of the first frame that is taken; several, each of one object; or one for each frame, by its number in the
whole source."""
Rows: TypeAlias = Sequence[Any] | np.ndarray[Any, Any] | Mapping[int, Sequence[Any] | np.ndarray[Any, Any]]
"""Points or boxes of the first frame that is taken, or for each frame, by its number. Points are rows of (x, y), or
(x, y, 1) on the object and (x, y, 0) off it, all of one object. Boxes are rows of (x0, y0, x1, y1), each a new object;
with one box, points are of the object in it."""


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


class MaskPrompt(Record):
    """Objects on one frame, shown by a mask.

    Attributes:
        file: A mask file: its values are the ids; a 0/255 mask shows one object.
        labels: Instead of a file, an H x W array of object ids, or of bool.
        alpha: Instead of either, True: the object is the opaque part of the frame itself.
        frame: Number of the frame in the whole source, from 0; None is the first that is taken.
        object: Id of the one object that the mask shows; None takes the mask's ids, or the next free one.
        label: Name of the objects in annotations.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    file: Path | None = None
    labels: Labels | None = None
    alpha: bool = False
    frame: NamedOrFirst = None
    object: int | None = None
    label: str | None = None

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


class PointPrompt(Record):
    """One object on one frame, shown by points and a box.

    Attributes:
        frame: Number of the frame in the whole source, from 0; None is the first that is taken.
        object: Its id; None where it is left open.
        points: Points on the object, and points beside it.
        box: A box around it.
        label: Name of the object in annotations.
    """

    model_config = ConfigDict(extra="forbid")

    frame: NamedOrFirst = None
    object: int | None = None
    points: tuple[Point, ...] = ()
    box: Box | None = None
    label: str | None = None

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


class RegionPrompt(Record):
    """A box that says where the found subject is, or is not.

    Attributes:
        box: Its edges.
        role: ``"within"`` if the subject lies in the box alone, ``"exclude"`` if nothing in it is the subject.
        frame: Number of the frame in the whole source, from 0, on which the box lies around things: these are meant,
            and are followed through the video. None if the box is a fixed region of all frames.
    """

    model_config = ConfigDict(extra="forbid")

    box: Box
    role: Literal["within", "exclude"]
    frame: NamedFrame | None = None

    def describe(self) -> dict[str, Any]:
        """Return what the report says of it."""
        return {self.role: [self.box.x0, self.box.y0, self.box.x1, self.box.y1]}


Prompt: TypeAlias = MaskPrompt | PointPrompt
"""Shows objects that are to be followed."""
Steering: TypeAlias = PointPrompt | RegionPrompt
"""Steers the subject that is found: a region, or points on what it is not."""
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


def as_points(points: object, *, labels: object = None) -> tuple[Point, ...]:
    """Turn a caller's rows of (x, y) into points.

    Args:
        points: N x 2 numbers; or N x 3, the third as in ``labels``; or one such row.
        labels: N values, 1 (or True) where a point is on the object, 0 where it is not; None takes all as on it.

    Raises:
        UsageError: They are not such rows.
    """
    rows = _numbers(points, what="points")
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] not in ((2, 3) if labels is None else (2,)) or not len(rows):
        raise _unreadable("points", rows, fix="give rows of x and y, such as [(320, 200)]")
    said = (
        rows[:, 2] if rows.shape[1] == 3 else np.ones(len(rows)) if labels is None else _numbers(labels, what="labels")
    )
    if said.shape != (len(rows),) or not np.isin(said, (0, 1)).all():
        raise UsageError(
            f"labels of {len(rows)} points cannot be read",
            why=f"they are {said.tolist()}",
            fix="give each point 1 (on the object) or 0 (not on it)",
        )
    return tuple(
        Point(x=float(row[0]), y=float(row[1]), positive=bool(label)) for row, label in zip(rows, said, strict=True)
    )


def as_boxes(boxes: object) -> tuple[Box, ...]:
    """Turn a caller's rows of (x0, y0, x1, y1) into boxes; one such row is one box.

    Raises:
        UsageError: They are not such rows.
    """
    rows = _numbers(boxes, what="boxes")
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows):
        raise _unreadable("boxes", rows, fix="give left, top, right and bottom, such as (10, 20, 300, 400)")
    return tuple(Box(x0=float(row[0]), y0=float(row[1]), x1=float(row[2]), y1=float(row[3])) for row in rows)


def point_name(point: Point) -> str:
    """Return the point's name for messages."""
    return f"point {point.x:g},{point.y:g}"


def box_name(box: Box) -> str:
    """Return the box's name for messages."""
    return f"box {box.x0:g},{box.y0:g},{box.x1:g},{box.y1:g}"


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


def _numbers(values: object, *, what: str) -> np.ndarray[Any, Any]:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise UsageError(
            f"{what} {values!r} cannot be read",
            why="they are not rows of numbers, all of one length",
            fix="give numbers",
        ) from None


def _unreadable(what: str, rows: np.ndarray[Any, Any], *, fix: str) -> UsageError:
    return UsageError(f"{what} cannot be read", why=f"they are {' x '.join(map(str, rows.shape))} numbers", fix=fix)
