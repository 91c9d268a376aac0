"""Where a user points: points and boxes, checked against the video before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from covos.core.errors import UsageError
from covos.core.types import Box, Point, SourceInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointing:
    """One object on one frame, pointed at.

    Attributes:
        frame: Index.
        object: Id; None where it is left open which.
        points: On the object, and on what it is not.
        box: Around it.
    """

    frame: int
    object: int | None = None
    points: tuple[Point, ...] = ()
    box: Box | None = None

    @property
    def given_as(self) -> str:
        """In words: ``"points"``, ``"box"``, ``"box and points"``."""
        return " and ".join(name for name, given in (("box", self.box), ("points", self.points)) if given)

    @property
    def negative_only(self) -> bool:
        """Whether it says only what the object is not."""
        return self.box is None and not any(point.positive for point in self.points)

    def describe(self) -> dict[str, Any]:
        """For the report."""
        points = [[point.x, point.y, int(point.positive)] for point in self.points]
        box = None if self.box is None else [self.box.x0, self.box.y0, self.box.x1, self.box.y1]
        return {"points": points} if box is None else {"points": points, "box": box}


def check_pointing(pointing: Pointing, *, info: SourceInfo) -> None:
    """Refuse what lies outside the frame, has no area, or is said twice.

    Raises:
        UsageError: See above.
    """
    if not pointing.points and pointing.box is None:
        raise UsageError(
            f"nothing is pointed at on frame {pointing.frame}",
            why="there is no point and no box",
            fix="give a point on the object, or a box around it",
        )
    for point in pointing.points:
        _check_point(point, frame=pointing.frame, info=info)
    _check_repeats(pointing)
    if pointing.box is not None:
        _check_box(pointing.box, frame=pointing.frame, info=info)
        for point in pointing.points:
            if point.positive and not _holds(pointing.box, point):
                raise UsageError(
                    f"{point_name(point)} on frame {pointing.frame} is not in {box_name(pointing.box)}",
                    why="the box is to hold all of the object, and the point is on it",
                    fix="widen the box, or give the point another object's number",
                )


def together(pointings: Sequence[Pointing]) -> tuple[Pointing, ...]:
    """Join what points at the same object on the same frame; by frame, then as they came.

    Raises:
        UsageError: There are two boxes for one object on one frame.
    """
    joined: dict[tuple[int, int | None], Pointing] = {}
    for each in pointings:
        key = each.frame, each.object
        before = joined.get(key)
        if before is None:
            joined[key] = each
            continue
        if before.box is not None and each.box is not None:
            raise UsageError(
                f"object {each.object} has two boxes on frame {each.frame}",
                why=f"{box_name(before.box)} and {box_name(each.box)}",
                fix="give each object one box, and other objects other numbers",
            )
        joined[key] = Pointing(
            frame=each.frame, object=each.object, points=before.points + each.points, box=before.box or each.box
        )
    return tuple(sorted(joined.values(), key=lambda pointing: pointing.frame))


def as_points(points: object, *, labels: object = None) -> tuple[Point, ...]:
    """A caller's rows of (x, y) as points.

    Args:
        points: N x 2 numbers; or N x 3, the third as in ``labels``; or one such row.
        labels: N values, 1 (or True) where a point is on the object, 0 where it is not; None takes all as on it.

    Raises:
        UsageError: They are no such rows.
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
    """A caller's rows of (x0, y0, x1, y1) as boxes; one such row is one box.

    Raises:
        UsageError: They are no such rows.
    """
    rows = _numbers(boxes, what="boxes")
    rows = rows[None] if rows.ndim == 1 else rows
    if rows.ndim != 2 or rows.shape[1] != 4 or not len(rows):
        raise _unreadable("boxes", rows, fix="give left, top, right and bottom, such as (10, 20, 300, 400)")
    return tuple(Box(x0=float(row[0]), y0=float(row[1]), x1=float(row[2]), y1=float(row[3])) for row in rows)


def point_name(point: Point) -> str:
    """For messages."""
    return f"point {point.x:g},{point.y:g}"


def box_name(box: Box) -> str:
    """For messages."""
    return f"box {box.x0:g},{box.y0:g},{box.x1:g},{box.y1:g}"


def _check_point(point: Point, *, frame: int, info: SourceInfo) -> None:
    # A NaN lies nowhere: the comparisons are false.
    if not (0 <= point.x < info.width and 0 <= point.y < info.height):
        raise UsageError(
            f"{point_name(point)} lies outside frame {frame}",
            why=f"the frame is {info.width} x {info.height} (width x height): x is 0 to {info.width - 1}, "
            f"y 0 to {info.height - 1}",
            fix="give x, then y, in pixels from the top left corner",
        )


def _check_repeats(pointing: Pointing) -> None:
    seen: dict[tuple[int, int], Point] = {}
    for point in pointing.points:
        other = seen.setdefault((int(point.x), int(point.y)), point)
        if other is not point:
            raise UsageError(
                f"{point_name(point)} is given twice on frame {pointing.frame}",
                why="it cannot be both on the object and off it"
                if other.positive != point.positive
                else "once is enough",
                fix="drop one of them",
            )


def _check_box(box: Box, *, frame: int, info: SourceInfo) -> None:
    edges = box.x0, box.y0, box.x1, box.y1
    if all(map(math.isfinite, edges)) and (box.x1 - box.x0 < 1 or box.y1 - box.y0 < 1):
        raise UsageError(
            f"{box_name(box)} on frame {frame} has no area",
            why=f"it is {box.x1 - box.x0:g} wide and {box.y1 - box.y0:g} high",
            fix="give left, top, right and bottom, in pixels, right and bottom larger",
        )
    if not (box.x0 >= 0 and box.x1 <= info.width and box.y0 >= 0 and box.y1 <= info.height):
        raise UsageError(
            f"{box_name(box)} lies outside frame {frame}",
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
