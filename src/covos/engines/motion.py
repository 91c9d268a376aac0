"""Find what moves by itself: dense optical flow between neighbouring frames, with the camera's motion taken out.

The flow is DIS (Kroeger et al., *Fast Optical Flow using Dense Inverse Search*, ECCV 2016). Most of a picture is
scene, and a moving camera moves it by a smooth map; an affine map is fitted to the flow by RANSAC and subtracted.
The rest is the motion of things against the scene, up to noise and parallax.

A frame's motion is that from its predecessor to it. A frame without one is given the motion to its successor: the
same things move, and about as fast.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import Frame, ImageArray
from covos.engines.flow import FlowArray, GreyArray, dis_flow
from covos.media.picture import picture_at
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE

MotionArray = NDArray[np.float32]
"""H/4 x W/4 x 4 float32 of the encoded frame's size; see `residual_motion`."""

FLOW_STRIDE = 2
"""Flow is found at half the encoded size: a quarter of the time, and the network reads it at a quarter."""
GRID = 8
"""Step between the cells of the flow that go into the fit of the camera's motion."""
INLIER = 0.5
"""Cells whose flow departs from the camera's by less, in pixels of the flow, belong to the scene."""
QUIET = 0.5
"""Below this motion, in pixels of the flow, what is left is noise: it is not blown up to full scale."""
LIMIT = 2.0
"""Motion is clipped to so many times its 95th percentile."""
UNLIKE = 0.2
"""Between neighbours that differ by more than this mean share of the range of grey, a flow would be nonsense."""


class MotionFlow(NamedTuple):
    """The findings of one flow between two frames: things that move against the scene, and where each place was."""

    motion: MotionArray
    """H/4 x W/4 x 4 float32; see `residual_motion`."""
    flow: FlowArray
    """H/4 x W/4 x 2 float32: the whole flow (x, y) from this frame to its neighbour, on this frame's grid, in cells of
    stride 4. A thing at p is at p + flow(p) in the neighbour. All zero between unlike pictures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """A frame, and what moves in it; None if it has no neighbour.

    The flow is that from the frame to its predecessor, see `MotionFlow`; None if there is no predecessor. ``small`` is
    the picture at the size at which it is encoded, h x w x 3 uint8 RGB, where that was made ahead.
    """

    frame: Frame
    motion: MotionArray | None
    flow: FlowArray | None = None
    small: ImageArray | None = None


def residual_motion(image: ImageArray, neighbour: ImageArray, *, size: tuple[int, int]) -> MotionArray:
    """Find the motion of things against the scene, from a neighbouring frame to this one.

    Args:
        image: H x W x 3 uint8 RGB.
        neighbour: Picture of the same shape.
        size: (height, width) at which the frame is encoded, multiples of 4.

    Returns:
        height/4 x width/4 x 4 float32: the motion along x and y over its 95th percentile (but at least over
        `QUIET`), in [-2, 2]; its length; and how strong it is at all, the 95th percentile p as p / (p + 1), in
        [0, 1). All zero between unlike pictures: there is nothing to know.
    """
    return motion_and_flow(image, neighbour, size=size).motion


def motion_and_flow(image: ImageArray, neighbour: ImageArray, *, size: tuple[int, int]) -> MotionFlow:
    """Find the motion of things against the scene, and the whole flow that it is found by.

    The arguments and the motion are those of `residual_motion`. The motion goes forward in time, from the neighbour to
    this frame; the flow goes from this frame to the neighbour.
    """
    return _motion(_grey(image, size), _grey(neighbour, size), size)


def flow_alone(image: ImageArray, neighbour: ImageArray, *, size: tuple[int, int]) -> FlowArray:
    """Find the flow of `motion_and_flow` without the motion: a fifth of the time less."""
    back = _dense_flow(_grey(image, size), _grey(neighbour, size))
    if back is None:
        return np.zeros((size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE, 2), np.float32)
    return _in_cells(back, size)


def _dense_flow(here: GreyArray, there: GreyArray) -> FlowArray | None:
    """Find the flow from here to there, on the grid of here, in its pixels; None between unlike pictures."""
    is_unlike = cv2.norm(here, there, cv2.NORM_L1) > UNLIKE * 255 * here.size
    # It is read in cells of twice the size, where the refinement changes little and takes nearly half of the time.
    return None if is_unlike else dis_flow(here, there, refined=False)


def _in_cells(flow: FlowArray, size: tuple[int, int]) -> FlowArray:
    cells = cv2.resize(flow, (size[1] // MOTION_STRIDE, size[0] // MOTION_STRIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(cells, np.float32) * np.float32(FLOW_STRIDE / MOTION_STRIDE)


def _motion(here: GreyArray, there: GreyArray, size: tuple[int, int]) -> MotionFlow:
    rows, columns = size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE
    back = _dense_flow(here, there)
    if back is None:
        nothing = np.zeros((rows, columns, MOTION_CHANNELS), np.float32)
        return MotionFlow(nothing, nothing[..., :2].copy())
    # From here to there is defined on this frame's grid; seen forward in time it is the other way round.
    flow = -back
    residual = np.asarray(cv2.resize(flow - _camera(flow), (columns, rows), interpolation=cv2.INTER_AREA), np.float32)
    length = np.hypot(residual[..., 0], residual[..., 1])
    strength = float(np.percentile(length, 95))
    scaled = np.clip(residual / max(strength, QUIET), -LIMIT, LIMIT)
    capped = np.minimum(length / max(strength, QUIET), LIMIT)
    motion = np.dstack([scaled, capped, np.full_like(length, strength / (strength + 1))]).astype(np.float32)
    return MotionFlow(motion, _in_cells(back, size))


def observe(
    frames: Iterable[Frame],
    *,
    size_of: Callable[[Frame], tuple[int, int]],
    wanted: Collection[int] | None = None,
    cuts: Collection[int] = (),
) -> Iterator[Observed]:
    """Give each frame its motion and its flow; yield the wanted frames, in order, at most one frame late.

    Args:
        frames: Ascending; there may be gaps.
        size_of: (height, width) at which a frame is encoded.
        wanted: Indices of the frames to yield; the others serve as neighbours. None yields all.
        cuts: Indices of frames that begin a shot: what comes before them is no neighbour.
    """
    before: _Seen | None = None
    waiting: _Seen | None = None
    for frame in frames:
        # Each frame is looked at twice, as a frame and as the next one's predecessor.
        size = size_of(frame)
        small = picture_at(frame, size)
        seen = _Seen(frame, small, _grey(_looked_at(frame, small), size))
        if waiting is not None:
            yield _to_successor(waiting, seen, size=size_of(waiting.frame), cuts=cuts)
            waiting = None
        if wanted is None or frame.index in wanted:
            if before is not None and before.frame.index == frame.index - 1 and frame.index not in cuts:
                found = _motion(seen.grey, before.grey, size)
                yield Observed(frame=frame, motion=found.motion, flow=found.flow, small=small)
            else:
                waiting = seen
        before = seen
    if waiting is not None:
        yield Observed(frame=waiting.frame, motion=None, small=waiting.small)


class Watch:
    """Gives frames their motion as they come, without a look ahead: a live video has no next frame yet.

    The first frame, and the first of each shot, has no motion; elsewhere it is that of `observe`.
    """

    def __init__(self) -> None:
        self._before: GreyArray | None = None

    def look(self, frame: Frame, *, size: tuple[int, int], begins: bool = False) -> Observed:
        """Return a frame with its motion.

        Args:
            frame: The next frame.
            size: (height, width) at which it is encoded.
            begins: If true, a shot begins with it.
        """
        small = picture_at(frame, size)
        grey, before = _grey(_looked_at(frame, small), size), self._before
        self._before = grey
        if begins or before is None or before.shape != grey.shape:
            return Observed(frame=frame, motion=None, small=small)
        found = _motion(grey, before, size)
        return Observed(frame=frame, motion=found.motion, flow=found.flow, small=small)


def with_neighbours(indices: Iterable[int], *, frame_count: int, cuts: Collection[int] = ()) -> tuple[int, ...]:
    """Return the frames that `observe` needs to know the motion of these: they and their predecessors.

    Frames that begin a shot, the first and the ``cuts``, have their successors instead.
    """
    wanted = set(indices)
    neighbours = {index - 1 if index and index not in cuts else min(index + 1, frame_count - 1) for index in wanted}
    return tuple(sorted(wanted | neighbours))


def motion_batch(
    motions: Sequence[MotionArray | None], *, size: tuple[int, int], device: torch.device
) -> Tensor | None:
    """Stack motions to B x 4 x H/4 x W/4 float32; zero where there is none, and None if there is none at all.

    Args:
        motions: Those that were found at another size are resized: a motion is in units of its own spread.
        size: (H, W) at which the frames are encoded.
        device: Of the result.
    """
    rows, columns = size[0] // MOTION_STRIDE, size[1] // MOTION_STRIDE
    known = [None if motion is None else _resized(motion, (rows, columns)) for motion in motions]
    if all(motion is None for motion in known):
        return None
    unknown = np.zeros((rows, columns, MOTION_CHANNELS), np.float32)
    stacked = np.stack([unknown if motion is None else motion for motion in known])
    return torch.from_numpy(stacked).to(device).permute(0, 3, 1, 2)


def mirror_motion(motion_B4HW: Tensor) -> Tensor:
    """Return the motion of mirrored frames: left and right change places, and so does the way along x."""
    signs = torch.tensor([-1.0, 1.0, 1.0, 1.0], device=motion_B4HW.device)
    return motion_B4HW.flip(3) * signs[:, None, None]


def _resized(motion: MotionArray, size: tuple[int, int]) -> MotionArray:
    if motion.shape[:2] == size:
        return motion
    return np.asarray(cv2.resize(motion, size[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


class _Seen(NamedTuple):
    """A frame, its picture as it is encoded, and its grey one, which the flow is found on."""

    frame: Frame
    small: ImageArray
    grey: GreyArray


def _to_successor(seen: _Seen, after: _Seen, *, size: tuple[int, int], cuts: Collection[int]) -> Observed:
    if after.frame.index != seen.frame.index + 1 or after.frame.index in cuts:
        return Observed(frame=seen.frame, motion=None, small=seen.small)
    motion = _motion(seen.grey, after.grey, size).motion
    motion[..., :2] *= -1  # from this frame to the next, not back
    return Observed(frame=seen.frame, motion=motion, small=seen.small)


def _looked_at(frame: Frame, small: ImageArray) -> ImageArray:
    # The flow is less true where a picture was enlarged to be encoded, and is then made smaller again.
    return frame.image if small.shape[0] > frame.size[0] else small


def _grey(image: ImageArray, size: tuple[int, int]) -> GreyArray:
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    half = size[1] // FLOW_STRIDE, size[0] // FLOW_STRIDE
    return np.asarray(cv2.resize(grey, half, interpolation=cv2.INTER_AREA), np.uint8)


def _camera(flow: MotionArray) -> MotionArray:
    """Find the affine flow that fits most of the picture; zero if none does."""
    height, width = flow.shape[:2]
    ys, xs = np.mgrid[GRID // 2 : height : GRID, GRID // 2 : width : GRID]
    start = np.stack([xs, ys], axis=-1).reshape(-1, 2).astype(np.float32)
    end = start + flow[ys, xs].reshape(-1, 2)
    found = cv2.estimateAffine2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=INLIER, maxIters=300)
    matrix: object = found[0]
    if not isinstance(matrix, np.ndarray):  # None: the stubs do not say so
        return np.zeros_like(flow)
    linear = (matrix[:, :2] - np.eye(2)).astype(np.float32)
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    return np.dstack([linear[row, 0] * x + linear[row, 1] * y + np.float32(matrix[row, 2]) for row in (0, 1)])
