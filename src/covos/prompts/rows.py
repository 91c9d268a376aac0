"""Points and boxes as callers write them: rows of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np
from pydantic import BeforeValidator

from covos.core.errors import UsageError
from covos.core.types import Box, Point

Rows: TypeAlias = Sequence[Any] | np.ndarray[Any, Any] | Mapping[int, Sequence[Any] | np.ndarray[Any, Any]]
"""Points or boxes of the first frame that is taken, or for each frame, by its number. Points are rows of (x, y), or
(x, y, 1) on the object and (x, y, 0) off it, all of one object. Boxes are rows of (x0, y0, x1, y1), each a new object;
with one box, points are of the object in it."""


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


def _points_given(given: object) -> object:
    if isinstance(given, np.ndarray):
        return as_points(given) if given.size else ()
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        return given
    if not any(isinstance(each, Point | Mapping) for each in given):
        return as_points(given) if given else ()
    return [each if isinstance(each, Point | Mapping) else as_points(each)[0] for each in given]


def _box_given(given: object) -> object:
    if not isinstance(given, np.ndarray) and (not isinstance(given, Sequence) or isinstance(given, str | bytes)):
        return given
    (one, *more) = as_boxes(given)
    if more:
        raise UsageError(
            f"{1 + len(more)} boxes for one prompt", why="a prompt has one box", fix="make a prompt of each"
        )
    return one


PointRows: TypeAlias = Sequence[Point | Sequence[float] | Mapping[str, float]] | Sequence[float] | np.ndarray[Any, Any]
"""Points of one prompt, as rows, tables or `Point` values."""
BoxRow: TypeAlias = Box | Sequence[float] | Mapping[str, float] | np.ndarray[Any, Any]
"""A box of one prompt, as a row, a table or a `Box`."""
GivenPoints = Annotated[tuple[Point, ...], BeforeValidator(_points_given)]
"""Points, also given as rows of (x, y), or of (x, y, 1) on the object and (x, y, 0) off it."""
GivenBox = Annotated[Box, BeforeValidator(_box_given)]
"""A box, also given as (left, top, right, bottom)."""


def point_name(point: Point) -> str:
    """Return the point's name for messages."""
    return f"point {point.x:g},{point.y:g}"


def box_name(box: Box) -> str:
    """Return the box's name for messages."""
    return f"box {box.x0:g},{box.y0:g},{box.x1:g},{box.y1:g}"


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
    return UsageError(
        f"{what} cannot be read", why=f"they are {' x '.join(map(str, rows.shape)) or 'no rows of'} numbers", fix=fix
    )
