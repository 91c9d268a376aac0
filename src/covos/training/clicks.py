"""Prompts as a user might give them: first clicks, a box, or a mask that is not right; later, clicks on errors.

Masks of the first prompts are H x W at the stride of the network's output, and positions are shares of width and
height, as in `covos.models.prompt.PromptTensors`. Corrective clicks are found where the prediction is: nothing of it
leaves the device.

Shape legend: B frames, R regions, h x w cells at twice the output's stride.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from covos.core.types import MaskArray, ProbabilityArray
from covos.training.recipe import PromptRecipe

MARGIN = 2.0
"""Negative clicks keep this distance from the object, in cells: nobody means the contour itself."""
NEAR = 0.12
"""A negative click near the object is no further from it than this share of the picture's diagonal."""
MIDDLE = 0.3
"""Share of the positive clicks that are put in the very middle."""
JITTER = 0.08
"""Standard deviation of a box's sides from the object's, in shares of the object's size."""
WITHOUT_CLICKS = 0.5
"""Share of the boxes that come alone."""
REACH = 24
"""Depths of corrective clicks are told apart up to so many cells, 96 pixels."""


class DrawnPrompt(NamedTuple):
    """First prompt for one object; see `covos.models.prompt.PromptTensors`."""

    point: NDArray[np.float32]
    """K x 3."""
    box: NDArray[np.float32]
    """5."""
    previous: ProbabilityArray
    """H x W float32 in [0, 1]."""


def draw_prompt(
    target: MaskArray, others: MaskArray, valid: MaskArray, *, recipe: PromptRecipe, rng: Generator
) -> DrawnPrompt:
    """Draw the first prompt for a target, which is not empty; clicks go where the annotation is valid."""
    points: list[tuple[float, float, int]] = []
    box, previous = np.zeros(5, np.float32), np.zeros(target.shape, np.float32)
    kind = rng.random()
    if kind < recipe.previous_share:
        wrong = damaged(target, others, rng=rng)
        previous = wrong.astype(np.float32)
        missing, excess = target & ~wrong & valid, wrong & ~target & valid
        sign = 1 if missing.sum() >= excess.sum() else -1
        points += _point(click_within(missing if sign > 0 else excess, rng=rng), sign, target.shape)
    else:
        boxed = kind < recipe.previous_share + recipe.box_share
        if boxed:
            box = jittered_box(target, rng=rng)
        if not boxed or rng.random() >= WITHOUT_CLICKS:
            points += _point(click_within(target & valid, rng=rng), 1, target.shape)
            for _ in range(int(rng.integers(0, recipe.most_clicks))):
                if rng.random() < 0.5:
                    points += _point(click_within(target & valid, rng=rng), 1, target.shape)
                else:
                    points += _point(click_beside(target, others, valid, rng=rng), -1, target.shape)
    padded = np.zeros((recipe.most_clicks, 3), np.float32)
    if points:
        padded[: len(points)] = points
    return DrawnPrompt(padded, box, previous)


def click_within(region: MaskArray, *, rng: Generator) -> tuple[int, int] | None:
    """Draw a (row, column) away from the region's edge, now and then in its very middle; None if it is empty."""
    depth = depth_of(region)
    deepest = float(depth.max())
    if deepest <= 0:
        return None
    least = deepest * (1.0 if rng.random() < MIDDLE else float(rng.uniform(0.1, 0.9)))
    return _one_of(depth >= least, rng=rng)


def click_beside(target: MaskArray, others: MaskArray, valid: MaskArray, *, rng: Generator) -> tuple[int, int] | None:
    """Draw a (row, column) outside the object: near it, on another object or anywhere; None if there is none."""
    kind = rng.random()
    if kind < 0.35 and (click := click_within(others & ~target & valid, rng=rng)) is not None:
        return click
    away = cv2.distanceTransform((~target).view(np.uint8), cv2.DIST_L2, 3)
    outside = (away > MARGIN) & valid
    near = outside & (away <= NEAR * float(np.hypot(*target.shape)))
    return _one_of(near if kind < 0.85 and near.any() else outside, rng=rng)


def jittered_box(target: MaskArray, *, rng: Generator) -> NDArray[np.float32]:
    """Draw a box round the object as a hurried user draws it: 5 numbers, see `covos.models.prompt.PromptTensors`."""
    left, top, width, height = cv2.boundingRect(target.view(np.uint8))
    sides = np.array([left, top, left + width, top + height], np.float64)
    sides += rng.normal(0, JITTER, size=4).clip(-2 * JITTER, 2 * JITTER) * (width, height, width, height)
    rows, columns = target.shape
    shares = np.clip(sides / (columns, rows, columns, rows), 0, 1)
    return np.array([*shares, 1], np.float32)


def damaged(target: MaskArray, others: MaskArray, *, rng: Generator) -> MaskArray:
    """Draw a mask that takes in too much or leaves something out."""
    kind = rng.random()
    if kind < 0.3 and others.any():
        return target | others
    left, top, width, height = cv2.boundingRect(target.view(np.uint8))
    if kind < 0.6:
        reach = max(3, int(rng.uniform(0.05, 0.2) * max(width, height))) | 1
        kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
        change = cv2.dilate if rng.random() < 0.5 else cv2.erode
        return np.asarray(change(target.view(np.uint8), kernel), np.uint8).astype(np.bool_)
    # One side of a line through the box is lost, or a patch beside the object is taken in.
    angle, y, x = rng.uniform(0, 2 * np.pi), *np.indices(target.shape)
    middle = left + width * rng.uniform(0.3, 0.7), top + height * rng.uniform(0.3, 0.7)
    side = (x - middle[0]) * np.cos(angle) + (y - middle[1]) * np.sin(angle)
    if kind < 0.8:
        return np.asarray(target & (side > 0), np.bool_)
    patch = (np.abs(x - middle[0]) < width * 0.8) & (np.abs(y - middle[1]) < height * 0.5) & (side > 0)
    return np.asarray(target | patch, np.bool_)


def depth_of(region: MaskArray) -> NDArray[np.float32]:
    """Return the distance of each cell of a region from what is not in it; what lies beyond the picture is not."""
    padded = cv2.copyMakeBorder(region.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1], np.float32)


def _point(place: tuple[int, int] | None, sign: int, shape: tuple[int, ...]) -> list[tuple[float, float, int]]:
    if place is None:
        return []
    return [((place[1] + 0.5) / shape[1], (place[0] + 0.5) / shape[0], sign)]


def _one_of(region: MaskArray, *, rng: Generator) -> tuple[int, int] | None:
    places = np.flatnonzero(region)
    if not len(places):
        return None
    row, column = divmod(int(places[rng.integers(len(places))]), region.shape[1])
    return row, column


@torch.no_grad()
def corrective_click(logit_B1HW: Tensor, target_B1HW: Tensor, weight_B1HW: Tensor, draw_B2: Tensor) -> Tensor:
    """Click where a prediction is most wrong: deep within the region of error that is the deepest.

    As in RITM (Sofiiuk et al., ICIP 2022), depth decides, not area, and the click falls on any of its cells beyond a
    share of that depth. Thin errors along a contour draw no clicks. The first random number in ``draw_B2`` says how far
    from the middle, the second which of the cells that qualify. The click is B x 1 x 3, see
    `covos.models.prompt.PromptTensors`; of kind 0 where nothing is wrong.
    """
    found, meant, known = logit_B1HW > 0, target_B1HW > 0.5, weight_B1HW > 0.5
    wrong = torch.cat([meant & ~found & known, found & ~meant & known], dim=1).float()
    # A cell of which all four pixels are wrong.
    depth = erosion_depth(-F.max_pool2d(-wrong, 2))
    batch, _, height, width = depth.shape
    deepest, seed = depth.flatten(1).max(dim=1, keepdim=True)
    enough = depth >= (deepest * (0.5 + 0.5 * draw_B2[:, :1]))[..., None, None]
    region = torch.zeros_like(depth).flatten(1).scatter(1, seed, 1.0).view_as(depth)
    for _ in range(REACH):
        region = F.max_pool2d(region, 3, stride=1, padding=1) * enough.float()
    count = region.flatten(1).cumsum(dim=1)
    # The first cell at which the count exceeds a random share of it.
    place = (count <= draw_B2[:, 1:] * count[:, -1:]).sum(dim=1).clamp(max=count.shape[1] - 1)
    excess = place >= height * width
    cell = place % (height * width)
    kind = torch.where(excess, -1.0, 1.0) * (deepest[:, 0] > 0)
    x, y = (cell % width + 0.5) / width, (torch.div(cell, width, rounding_mode="floor") + 0.5) / height
    return torch.stack([x, y, kind], dim=1)[:, None].view(batch, 1, 3)


def erosion_depth(region_BRHW: Tensor) -> Tensor:
    """Return the number of erosions by 3 x 3 cells that each cell of a region survives, up to `REACH`.

    The depth is its chessboard distance from the places outside of the region of zeros and ones; places beyond the
    picture are outside.
    """
    left = region_BRHW
    depth = torch.zeros_like(region_BRHW)
    for _ in range(REACH):
        depth = depth + left
        left = 1 - F.max_pool2d(F.pad(1 - left, (1, 1, 1, 1), value=1.0), 3, stride=1)
    return depth
