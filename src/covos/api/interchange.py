"""Hand masks over to other libraries."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from covos.core.errors import EnvironmentProblem
from covos.masks import decode

if TYPE_CHECKING:
    from covos.masks.frame_mask import FrameMask


def detections(frames: Iterable[FrameMask]) -> list[Any]:
    """A ``supervision.Detections`` for each frame.

    ``mask`` is n x H x W bool, ``xyxy`` n x 4 float32 (right and bottom edge excluded), ``tracker_id`` the object ids,
    ``class_id`` 0: what an object is, is not known.

    Raises:
        EnvironmentProblem: The package `supervision` is not installed.
    """
    try:
        supervision = import_module("supervision")
    except ImportError as error:
        raise EnvironmentProblem(
            "the package supervision cannot be imported", why=str(error), fix="pip install supervision"
        ) from error
    return [_detections(supervision, frame) for frame in frames]


def _detections(supervision: Any, frame: FrameMask) -> Any:
    if not frame.objects:
        return supervision.Detections.empty()
    boxes = np.array([rle.bbox for rle in frame.objects.values()], np.float32)
    boxes[:, 2:] += boxes[:, :2]
    return supervision.Detections(
        xyxy=boxes,
        mask=np.stack([decode(rle) for rle in frame.objects.values()]),
        class_id=np.zeros(len(boxes), np.int64),
        tracker_id=np.array(list(frame.objects), np.int64),
    )
