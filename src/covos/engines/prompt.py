"""From points and a box on a frame to a mask: what a user points at, made something to follow.

`GrabCutPrompter` needs no training of its own. What is the object to begin with comes from what covos-lite makes of the
frame: the part that it takes for the subject, if a point lies in it; else whatever has features like those at the
points. The contour is then found in the colours by GrabCut (Rother et al., *"GrabCut": Interactive Foreground
Extraction using Iterated Graph Cuts*, SIGGRAPH 2004), with points as what is sure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from covos.core.errors import UsageError
from covos.core.types import Box, MaskArray, Point, ProbabilityArray
from covos.engines.encoding import FrameEncoder, to_probability
from covos.engines.find import THRESHOLD
from covos.engines.motion import Observed
from covos.models.lite import Features
from covos.models.prompt import OUTPUT_STRIDE, CovosPrompt, Prompt, PromptFeatures

DISC = 3.0
"""Radius of what a point says for sure, in pixels of the encoded frame."""
SURE = 0.85
"""Belief from which a pixel is the object whatever its colour, and below the rest to 1 is not."""
ALIKE = (0.05, 0.3, 0.65)
"""Cosines of features at which the belief that a pixel is of the same thing is 0, 1/2 and 1."""
REACH = 0.5
"""Of likeness, in sides of a square of the frame's area: it falls off as a Gaussian of this deviation."""
CORRECTING = 0.08
"""The same, of a point that corrects an earlier mask: what is far from it was right."""
ROUNDS = 2
"""Of GrabCut: colours are fitted to the mask, and the mask to the colours, so many times."""
SOFT = 3.0
"""An earlier mask is doubted this far from its contour: deviation of a Gaussian, in pixels of the encoded frame."""
BOX_SHARE = 0.1
"""Of a box, that must be the subject for the box to mean the subject."""
CRUMB = 0.05
"""Parts smaller than this share of the largest one in a box are crumbs."""


class Prompter(Protocol):
    """Makes a mask of what a user points at."""

    @property
    def name(self) -> str:
        """For reports."""

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        """Segment one object of one frame.

        Args:
            observed: From `FrameEncoder.observe`.
            points: Inside the frame; at least one positive, unless there is a box or an earlier mask.
            box: Inside the frame, around the object.
            previous: H x W bool: the mask that the points correct.

        Returns:
            H x W bool of the frame's size: all positive points are in it, no negative one is. It can be empty only
            where no point is positive.
        """


class GrabCutPrompter:
    """A prompter without weights of its own.

    Args:
        encoder: Encodes the frame; its network is a covos-lite.
    """

    name = "grabcut"

    def __init__(self, encoder: FrameEncoder[Features]) -> None:
        self.encoder = encoder

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        """See `Prompter.mask`."""
        frame = observed.frame
        height, width = size = self.encoder.size_of(frame)
        scale_x, scale_y = width / frame.size[1], height / frame.size[0]
        small_points = [_scaled(point, size, scale_x, scale_y) for point in points]
        seen = self._see(observed, size)
        belief = _belief(seen, small_points, None if previous is None else _shrunk(previous, size))
        if box is not None:
            inside = _inside(box, size, scale_x, scale_y)
            if not any(point.positive for point in points) and previous is None:
                belief = _belief_in_box(seen, inside)
            belief[~inside] = 0
        image = cv2.resize(frame.image, (width, height), interpolation=cv2.INTER_AREA)
        found = _cut(np.asarray(image, np.uint8), belief, small_points)
        if box is not None and not found.any():
            # All that is in the box looks like what is around it: then it is what was meant.
            found = belief > 0.5
        mask = _grown(found, frame.size)
        for point in points:
            mask[int(point.y), int(point.x)] = point.positive
        return _kept(mask, points=points, previous=previous)

    def _see(self, observed: Observed, size: tuple[int, int]) -> _Seen:
        with self.encoder.computing():
            features = self.encoder.encode([observed])
            network = self.encoder.network
            logit = network.segment(features, [network.memorise(features)], fusion=network.fusions[0])[0, 0]
        # The context knows the subject, the encoder's own features tell other things apart: both, equally.
        parts = [_unit(part[0].float().cpu()) for part in (features.s16_BCHW, features.v_BCHW)]
        return _Seen(subject=to_probability(logit.float(), size=size), features=torch.cat(parts) / len(parts) ** 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What covos-lite makes of a frame: the probability of the subject, and features of unit length at stride 16."""

    subject: ProbabilityArray
    features: Tensor

    def alike(self, point: Point, *, reach: float = REACH) -> ProbabilityArray:
        """The belief that a pixel is of the thing that a point is on, by their features and their distance."""
        height, width = self.subject.shape
        rows, columns = self.features.shape[1:]
        row, column = int(point.y * rows / height), int(point.x * columns / width)
        cosine = (self.features * self.features[:, row, column, None, None]).sum(dim=0).numpy()
        full = cv2.resize(cosine, (width, height), interpolation=cv2.INTER_CUBIC)
        belief = np.interp(full * _near(point, (height, width), reach), ALIKE, (0.0, 0.5, 1.0))
        return np.asarray(belief, np.float32)


def _belief(seen: _Seen, points: Sequence[Point], previous: ProbabilityArray | None) -> ProbabilityArray:
    """That a pixel is the object, before colours are looked at.

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
    # Of two things that lie apart, a point takes one away, if something is left.
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
    """An earlier mask, to be believed but for its contour near what it got wrong."""
    soft = cv2.GaussianBlur(previous, (0, 0), SOFT)
    near = np.max([_near(point, previous.shape, CORRECTING) for point in wrong], axis=0, initial=0)
    return np.where(near > 0.1, soft, previous > 0.5).astype(np.float32)


def _belief_in_box(seen: _Seen, inside: MaskArray) -> ProbabilityArray:
    """The subject, if some of it is in the box; else all of the box, in doubt, as GrabCut was meant."""
    if float((seen.subject[inside] > 0.5).mean()) >= BOX_SHARE:
        return seen.subject.copy()
    return np.where(inside, np.float32(0.6), np.float32(0))


def _cut(image: NDArray[np.uint8], belief: ProbabilityArray, points: Sequence[Point]) -> MaskArray:
    trimap = np.where(belief > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    trimap[belief >= SURE], trimap[belief <= 1 - SURE] = cv2.GC_FGD, cv2.GC_BGD
    for point in sorted(points, key=lambda each: each.positive):
        disc = _distance(point, belief.shape) <= DISC
        trimap[disc] = cv2.GC_FGD if point.positive else cv2.GC_BGD
    solid = (trimap == cv2.GC_FGD) | (trimap == cv2.GC_PR_FGD)
    if solid.all() or not solid.any():
        return np.asarray(solid)  # no colours to tell from others
    # Its k-means draws at random: the same click shall give the same mask.
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cut, _, _ = cv2.grabCut(image, trimap, (0, 0, 0, 0), *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    return np.asarray((cut == cv2.GC_FGD) | (cut == cv2.GC_PR_FGD))


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
    """The point that is farthest from the contour; somewhere, if the mask is empty."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = divmod(int(depth.argmax()), mask.shape[1])
    return Point(x=column, y=row)


def _unit(features_CHW: Tensor) -> Tensor:
    """Of unit length at each position, about their mean: what a place has that others do not."""
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


def _scaled(point: Point, size: tuple[int, int], scale_x: float, scale_y: float) -> Point:
    # Within the last pixel, whatever the rounding.
    x, y = min(point.x * scale_x, size[1] - 0.5), min(point.y * scale_y, size[0] - 0.5)
    return Point(x=x, y=y, positive=point.positive)


def _inside(box: Box, size: tuple[int, int], scale_x: float, scale_y: float) -> MaskArray:
    inside = np.zeros(size, np.bool_)
    top, left = int(box.y0 * scale_y), int(box.x0 * scale_x)
    # A thin box is still a pixel wide.
    bottom, right = max(round(box.y1 * scale_y), top + 1), max(round(box.x1 * scale_x), left + 1)
    inside[top:bottom, left:right] = True
    return inside


def _shrunk(mask: MaskArray, size: tuple[int, int]) -> ProbabilityArray:
    return np.asarray(cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _grown(mask: MaskArray, size: tuple[int, int]) -> MaskArray:
    full = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(full > 0.5)


# Clicks, a box or an earlier mask in, a mask out, by covos-prompt on the features of covos-lite.

SPOT = 3
"""Radius in pixels of what a point says for sure."""


class NetworkPrompter:
    """A `covos.engines.prompt.Prompter`: the network `covos-prompt`.

    What the prompts on a frame share is kept until another frame is asked for, so that each further click costs a
    fraction of the first.

    Args:
        encoder: Encodes the frames; its network is the covos-lite that ``network`` was trained on.
        network: In evaluation mode, on the same device.
    """

    name = "covos-prompt"

    def __init__(self, encoder: FrameEncoder[Features], network: CovosPrompt) -> None:
        self.encoder = encoder
        self.network = network
        self._latest: tuple[Observed, PromptFeatures] | None = None

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        """See `covos.engines.prompt.Prompter.mask`.

        Args:
            observed: The frame, from `FrameEncoder.observe`.
            points: All clicks so far, in pixels of the frame.
            box: Around the object, in pixels of the frame.
            previous: The mask that the latest click corrects, H x W bool of the frame's size.

        Raises:
            UsageError: Nothing at all is shown, or the mask has another size.
        """
        height, width = observed.frame.size
        if not points and box is None and previous is None:
            raise UsageError(
                f"nothing is shown on frame {observed.frame.index}",
                why="there is no click, no box and no mask",
                fix="click on the object, or draw a box around it",
            )
        if previous is not None and previous.shape != (height, width):
            raise UsageError(
                f"the mask to be corrected on frame {observed.frame.index} does not have the frame's size",
                why=f"it is {previous.shape[0]} x {previous.shape[1]} (height x width), the frame {height} x {width}",
                fix="give it at the frame's size",
            )
        encoded = self.encoder.size_of(observed.frame)
        prompt = as_prompt(points, box, previous, size=(height, width), encoded=encoded, device=self.encoder.device)
        with self.encoder.computing():
            logit = self.network.find(self._view(observed), prompt)[0, 0]
        found = to_probability(logit, size=(height, width)) > THRESHOLD
        return with_points(found, points)

    def _view(self, observed: Observed) -> PromptFeatures:
        if self._latest is None or not _same(self._latest[0], observed):
            self._latest = observed, self.network.project(self.encoder.encode([observed]))
        return self._latest[1]


def _same(one: Observed, other: Observed) -> bool:
    """Whether two frames look the same and move the same; a frame may be read anew for each click."""
    if one is other:
        return True
    if (one.motion is None) != (other.motion is None) or not np.array_equal(one.frame.image, other.frame.image):
        return False
    return one.motion is None or other.motion is None or np.array_equal(one.motion, other.motion)


def with_points(mask: MaskArray, points: Sequence[Point]) -> MaskArray:
    """A mask that agrees with all points: round those that it contradicts, a spot is changed."""
    changed = mask.astype(np.uint8)
    for point in points:
        column, row = int(point.x), int(point.y)
        if mask[row, column] != point.positive:
            cv2.circle(changed, (column, row), SPOT, int(point.positive), thickness=cv2.FILLED)
    # Spots of two points may overlap.
    for point in points:
        changed[int(point.y), int(point.x)] = point.positive
    return changed.astype(np.bool_)


def as_prompt(
    points: Sequence[Point],
    box: Box | None,
    previous: MaskArray | None,
    *,
    size: tuple[int, int],
    encoded: tuple[int, int],
    device: torch.device,
) -> Prompt:
    """What was shown of one object on one frame, as the network takes it.

    Args:
        points: In pixels of the frame: (0, 0) is the centre of the first.
        box: In pixels of the frame.
        previous: H x W bool; None for none.
        size: (H, W) of the frame.
        encoded: (height, width) at which it is encoded.
        device: Where to put the tensors.
    """
    height, width = size
    rows = [((each.x + 0.5) / width, (each.y + 0.5) / height, 1.0 if each.positive else -1.0) for each in points]
    sides = [0.0] * 5 if box is None else [box.x0 / width, box.y0 / height, box.x1 / width, box.y1 / height, 1.0]
    cells = encoded[0] // OUTPUT_STRIDE, encoded[1] // OUTPUT_STRIDE
    return Prompt(
        torch.tensor([rows or [(0.0, 0.0, 0.0)]], device=device),
        torch.tensor([sides], device=device),
        torch.zeros(1, 1, *cells, device=device) if previous is None else _small(previous, cells).to(device),
    )


def _small(mask: MaskArray, cells: tuple[int, int]) -> Tensor:
    shrinks = mask.shape[0] >= cells[0] and mask.shape[1] >= cells[1]
    interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    small = cv2.resize(mask.astype(np.float32), cells[::-1], interpolation=interpolation)
    return torch.from_numpy(np.clip(small, 0, 1))[None, None]


# Two prompters in turn: what the classical one makes of the first click, the network goes on from.


class RelayPrompter:
    """A `covos.engines.prompt.Prompter` of two.

    One click says little, and GrabCut begins from the subject that covos-lite sees there; further clicks say what a
    network reads better. Measured by ``benchmarks/clicks.py``.

    Args:
        first: Answers where there is no mask yet.
        then: Corrects that answer, and whatever mask there is later, by the points. A box alone has none to go by.
    """

    def __init__(self, first: Prompter, then: Prompter) -> None:
        self.first = first
        self.then = then

    @property
    def name(self) -> str:
        """For reports."""
        return f"{self.first.name}+{self.then.name}"

    def mask(
        self, observed: Observed, *, points: Sequence[Point], box: Box | None, previous: MaskArray | None
    ) -> MaskArray:
        """See `covos.engines.prompt.Prompter.mask`."""
        if previous is None:
            previous = self.first.mask(observed, points=points, box=box, previous=None)
        return self.then.mask(observed, points=points, box=box, previous=previous) if points else previous
