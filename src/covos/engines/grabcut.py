"""GrabCut from points and a box on a frame: a prompter that needs no training of its own.

The first guess of the object comes from covos-lite. It is the part that this takes for the subject, if a point lies in
it, or else all places with features like those at the points. The contour is then found in the colours by GrabCut
(Rother et al., *"GrabCut": Interactive Foreground Extraction using Iterated Graph Cuts*, SIGGRAPH 2004), with points as
sure pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import Box, MaskArray, Point, ProbabilityArray
from covos.engines.encoding import FrameEncoder, to_probability
from covos.engines.find import FindEngine
from covos.engines.motion import Observed
from covos.masks.distance import depth_in
from covos.models.lite import Features

DISC = 3.0
"""Radius of the disc that a point decides, in pixels of the encoded frame."""
CERTAIN = 0.85
"""Belief from which a pixel is the object whatever its colour, and below the rest to 1 is not."""
ALIKE = (0.05, 0.3, 0.65)
"""Cosines of features at which the belief that a pixel is of the same thing is 0, 1/2 and 1."""
REACH = 0.5
"""Reach of likeness, in sides of a square of the frame's area: the deviation of the Gaussian that it falls off by."""
CORRECTING = 0.08
"""The same, of a point that corrects an earlier mask: what is far from it was right."""
ROUNDS = 2
"""Rounds of GrabCut: colours are fitted to the mask, and the mask to the colours, so many times."""
SOFT = 3.0
"""An earlier mask is doubted this far from its contour: deviation of a Gaussian, in pixels of the encoded frame."""
BOX_SHARE = 0.1
"""Share of a box that must be the subject for the box to mean the subject."""
CRUMB = 0.05
"""Parts smaller than this share of the largest one in a box are crumbs."""


class GrabCutPrompter:
    """Makes masks without weights of its own.

    Args:
        encoder: Encodes the frame; its network is a covos-lite.
    """

    name = "grabcut"

    def __init__(self, encoder: FrameEncoder[Features]) -> None:
        self.encoder = encoder

    def mask(
        self,
        observed: Observed,
        *,
        points: Sequence[Point],
        box: Box | None,
        previous: MaskArray | None,
        largest: int | None = None,
    ) -> MaskArray:
        """See `covos.engines.prompt.Prompter.mask`; a cut knows no surer pixels, so ``largest`` changes nothing."""
        frame = observed.frame
        height, width = size = self.encoder.size_of(frame)
        scale_x, scale_y = width / frame.size[1], height / frame.size[0]
        # Within the last pixel, whatever the rounding.
        small_points = [
            replace(point, x=min(point.x * scale_x, width - 0.5), y=min(point.y * scale_y, height - 0.5))
            for point in points
        ]
        seen = self._features_of(observed, size)
        belief = _belief(seen, small_points, None if previous is None else _shrunk(previous, size))
        if box is not None:
            inside = np.zeros(size, np.bool_)
            top, left = int(box.y0 * scale_y), int(box.x0 * scale_x)
            # A thin box is still a pixel wide.
            bottom, right = max(round(box.y1 * scale_y), top + 1), max(round(box.x1 * scale_x), left + 1)
            inside[top:bottom, left:right] = True
            if not any(point.positive for point in points) and previous is None:
                belief = _belief_in_box(seen, inside)
            belief[~inside] = 0
        image = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        found = _cut(np.asarray(image, np.uint8), belief, small_points)
        if box is not None and not found.any():
            # All that is in the box looks like what is around it: then it is what was meant.
            found = belief > 0.5
        full = cv2.resize(found.astype(np.float32), frame.size[::-1], interpolation=cv2.INTER_LINEAR)
        mask = np.asarray(full > 0.5)
        for point in points:
            mask[int(point.y), int(point.x)] = point.positive
        return _kept(mask, points=points, previous=previous)

    def _features_of(self, observed: Observed, size: tuple[int, int]) -> _FrameFeatures:
        def find() -> _FrameFeatures:
            features = self.encoder.encode([observed])
            logit = FindEngine(self.encoder).segment_one(features, ())
            # The context knows the subject, the encoder's own features tell other things apart: both, equally.
            parts = [_unit(part[0].float().cpu()) for part in (features.s16_BCHW, features.v_BCHW)]
            return _FrameFeatures(
                subject=to_probability(logit.float(), size=size), features=torch.cat(parts) / len(parts) ** 0.5
            )

        return self.encoder.ladder.run(find)


@dataclass(frozen=True, slots=True, kw_only=True)
class _FrameFeatures:
    """Output of covos-lite for a frame: the probability of the subject, and features of unit length at stride 16."""

    subject: ProbabilityArray
    features: Tensor

    def alike(self, point: Point, *, reach: float = REACH) -> ProbabilityArray:
        """Return the belief that a pixel is of the thing that a point is on, by their features and their distance."""
        height, width = self.subject.shape
        rows, columns = self.features.shape[1:]
        row, column = int(point.y * rows / height), int(point.x * columns / width)
        cosine = (self.features * self.features[:, row, column, None, None]).sum(dim=0).numpy()
        full = cv2.resize(cosine, (width, height), interpolation=cv2.INTER_CUBIC)
        belief = np.interp(full * _near(point, (height, width), reach), ALIKE, (0.0, 0.5, 1.0))
        return np.asarray(belief, np.float32)


def _belief(seen: _FrameFeatures, points: Sequence[Point], previous: ProbabilityArray | None) -> ProbabilityArray:
    """Return the belief that a pixel is the object, before colours are looked at.

    Points that an earlier mask agrees with change nothing; those that it contradicts change what is like them and near.
    """
    subject_parts = _parts(seen.subject > 0.5)
    positive = [point for point in points if point.positive]
    wrong = points if previous is None else [point for point in points if point.positive != _at(previous, point)]
    belief = np.zeros_like(seen.subject) if previous is None else _doubted(previous, wrong)
    reach = REACH if previous is None else CORRECTING
    for point in (point for point in wrong if point.positive):
        part = subject_parts[int(point.y), int(point.x)]
        meant = np.where(subject_parts == part, seen.subject, 0) if part else seen.alike(point, reach=reach)
        np.maximum(belief, meant, out=belief)
    # A point takes away one of two things that lie apart, if something is left.
    whole = subject_parts if previous is None else _parts(previous > 0.5)
    held = {int(whole[int(point.y), int(point.x)]) for point in positive}
    negative = [point for point in wrong if not point.positive]
    off = {int(whole[int(point.y), int(point.x)]) for point in negative} - held - {0}
    if held or len(off) < whole.max():
        belief[np.isin(whole, list(off))] = 0
    # Between what a point is on and what another is off, the likeness decides; what is in doubt, the colours.
    sure = positive or ([] if previous is None else [_deepest(belief > 0.5)])
    likest = np.max([seen.alike(point) for point in sure], axis=0) if sure else np.zeros_like(belief)
    for point in negative:
        against = seen.alike(point, reach=reach)
        belief[(against > likest) & (against > 0.5)] *= 0.5
    return belief


def _doubted(previous: ProbabilityArray, wrong: Sequence[Point]) -> ProbabilityArray:
    """Return an earlier mask, to be believed but for its contour near what it got wrong."""
    soft = cv2.GaussianBlur(previous, (0, 0), SOFT)
    near = np.max([_near(point, previous.shape, CORRECTING) for point in wrong], axis=0, initial=0)
    return np.where(near > 0.1, soft, previous > 0.5).astype(np.float32)


def _belief_in_box(seen: _FrameFeatures, inside: MaskArray) -> ProbabilityArray:
    """Return the subject, if some of it is in the box; else all of the box, in doubt, as GrabCut was meant."""
    if float((seen.subject[inside] > 0.5).mean()) >= BOX_SHARE:
        return seen.subject.copy()
    return np.where(inside, np.float32(0.6), np.float32(0))


def _cut(image: NDArray[np.uint8], belief: ProbabilityArray, points: Sequence[Point]) -> MaskArray:
    trimap = np.where(belief > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[belief >= CERTAIN], trimap[belief <= 1 - CERTAIN] = cv2.GC_FGD, cv2.GC_BGD
    for point in sorted(points, key=lambda each: each.positive):
        disc = _distance(point, belief.shape) <= DISC
        trimap[disc] = cv2.GC_FGD if point.positive else cv2.GC_BGD
    solid = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if solid.all() or not solid.any():
        return np.asarray(solid)  # no other colours to compare with
    # OpenCV's generator of random numbers belongs to a thread: that of the caller must stay as it is.
    with ThreadPoolExecutor(max_workers=1) as own_thread:
        cut = own_thread.submit(_grab_cut, image, trimap).result()
    return np.asarray((cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD))


def _grab_cut(image: NDArray[np.uint8], trimap: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """GrabCut, by a fixed seed of this thread: its k-means draws, and the same click shall give the same mask."""
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cut, _, _ = cv2.grabCut(image, trimap, (0, 0, 0, 0), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray(cut, np.uint8)


def _kept(mask: MaskArray, *, points: Sequence[Point], previous: MaskArray | None) -> MaskArray:
    """Without the parts that nobody pointed at: those with a positive point stay, and those of an earlier mask."""
    parts = _parts(mask)
    wanted = {int(parts[int(point.y), int(point.x)]) for point in points if point.positive}
    if previous is not None:
        wanted |= set(np.unique(parts[previous]).tolist())
    elif not wanted:
        areas = np.bincount(parts.ravel())[1:]
        wanted = {part for part, area in enumerate(areas, start=1) if area >= CRUMB * areas.max()}
    return np.isin(parts, list(wanted - {0}))


def _parts(mask: MaskArray) -> NDArray[np.int32]:
    return np.asarray(cv2.connectedComponents(mask.astype(np.uint8))[1], np.int32)


def _deepest(mask: MaskArray) -> Point:
    """Return the point that is farthest from the contour; somewhere, if the mask is empty."""
    row, column = divmod(int(depth_in(mask).argmax()), mask.shape[1])
    return Point(x=column, y=row)


def _unit(features_CHW: Tensor) -> Tensor:
    """Scale features about their mean to unit length at each position: what a place has that others do not."""
    return F.normalize(features_CHW - features_CHW.mean(dim=(1, 2), keepdim=True), dim=0)


def _distance(point: Point, size: Sequence[int]) -> NDArray[np.float32]:
    rows, columns = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)
    return np.asarray(np.hypot(rows[:, None] - np.float32(point.y), columns[None] - np.float32(point.x)), np.float32)


def _near(point: Point, size: Sequence[int], reach: float) -> NDArray[np.float32]:
    """1 at the point, falling off as a Gaussian; see `REACH`."""
    deviation = np.float32(reach * (size[0] * size[1]) ** 0.5)
    return np.asarray(np.exp(-0.5 * (_distance(point, size) / deviation) ** 2), np.float32)


def _at(mask: ProbabilityArray, point: Point) -> bool:
    return bool(mask[int(point.y), int(point.x)] > 0.5)


def _shrunk(mask: MaskArray, size: tuple[int, int]) -> ProbabilityArray:
    return np.asarray(cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA), np.float32)
