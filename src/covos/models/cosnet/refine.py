"""The refinements that a user may choose from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, get_args

import cv2
import numpy as np

from covos.core.errors import UsageError
from covos.masks.matte import check_pair

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import device

    from covos.core.types import ImageArray, ProbabilityArray


# The guided filter: a soft mask whose edges are those of the picture.

CELL: Final = 1 / 130
"""Of the grid that the filter is computed on, as a share of the picture's diagonal: that of covos-lite's decoder."""
EPSILON: Final = 1e-5
"""Variance of colours in [0, 1] below which a window counts as flat."""
_REACH = 1
_SMALLEST = 1e-3
"""Probabilities are kept this far from 0 and 1, so that what is far inside does not outweigh the contour."""


def guided_filter(
    image: ImageArray, probability: ProbabilityArray, *, cell: float = CELL, epsilon: float = EPSILON
) -> ProbabilityArray:
    """Up-sample a probability again, along the edges of the picture.

    He, Sun and Tang, "Guided Image Filtering", PAMI 2013, with a colour guide, sub-sampled as in He and Sun,
    "Fast Guided Filter", arXiv:1505.00996: on the grid that the probability comes from, in every window of 3 x 3
    cells, the log-odds are fitted as a linear function of the colour; these functions, not the log-odds, are
    interpolated, and applied to the colours of the full picture. The default values are the best on the training
    sequences of DAVIS 2016.

    Args:
        image: H x W x 3 uint8.
        probability: H x W float32 in [0, 1].
        cell: Size of a cell of the grid, as a share of the picture's diagonal.
        epsilon: Regularisation, a variance of colours in [0, 1]: the larger, the fewer weak edges are followed.

    Returns:
        H x W float32 in [0, 1], a new array.

    Raises:
        ValueError: The image and the probability are not a pair, or ``cell`` or ``epsilon`` is not positive.
    """
    check_pair(image, probability)
    if not (cell > 0 and epsilon > 0):
        raise ValueError(f"cell and epsilon must be positive, not {cell} and {epsilon}")
    height, width = probability.shape
    side = max(cell * float(np.hypot(height, width)), 1.0)
    grid = (max(round(width / side), 1), max(round(height / side), 1))
    clipped = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    log_odds = np.asarray(cv2.resize(np.log(clipped / (1 - clipped)), grid, interpolation=cv2.INTER_AREA), np.float32)
    guide = cv2.resize(image, grid, interpolation=cv2.INTER_AREA).astype(np.float32) / np.float32(255)
    slopes, offset = (
        cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
        for part in _linear_functions(guide, log_odds, epsilon=epsilon)
    )
    log_odds = offset + np.einsum("hwc,hwc->hw", slopes, image, dtype=np.float32) / 255
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -80, 80))), np.float32)


def _linear_functions(
    guide: NDArray[np.float32], target: NDArray[np.float32], *, epsilon: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean over all windows that hold a pixel of the linear functions fitted in them.

    Returns:
        Slopes, h x w x 3, and offset, h x w.
    """
    mean_guide, mean_target = _mean(guide), _mean(target)
    together = _mean(guide * target[..., np.newaxis]) - mean_guide * mean_target[..., np.newaxis]
    # Six products make the symmetric 3 x 3 covariance.
    rows, columns = np.triu_indices(3)
    products = np.stack([_mean(guide[..., i] * guide[..., j]) for i, j in zip(rows, columns, strict=True)], axis=-1)
    covariance = np.empty((*target.shape, 3, 3), np.float32)
    covariance[..., rows, columns] = products - mean_guide[..., rows] * mean_guide[..., columns]
    covariance[..., columns, rows] = covariance[..., rows, columns]
    regular = covariance + np.float32(epsilon) * np.eye(3, dtype=np.float32)
    slopes = np.linalg.solve(regular, together[..., np.newaxis])[..., 0]
    offset = mean_target - (slopes * mean_guide).sum(axis=-1)
    return _mean(slopes), _mean(offset)


def _mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
    side = 2 * _REACH + 1
    return np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REFLECT), np.float32)


Refinement = Literal["none", "guided", "crf"]
"""How a probability is fitted to its picture.

- ``none``: not at all.
- ``guided``: the guided filter (see `covos.models.cosnet.refine`).
- ``crf``: a dense CRF with published parameters of COSNet (see `covos.models.cosnet.crf`).
"""


def check_refinement(name: str) -> Refinement:
    """The refinement of this name.

    Raises:
        UsageError: There is none.
    """
    for known in get_args(Refinement):
        if name == known:
            return known  # type: ignore[no-any-return]
    raise UsageError(
        f"unknown refinement {name!r}",
        why="masks can be fitted to the picture in a few ways only",
        fix=f"use one of: {', '.join(get_args(Refinement))}",
    )


def refine_probability(
    image: ImageArray, probability: ProbabilityArray, *, refinement: Refinement, device: device | None = None
) -> ProbabilityArray:
    """Fit a probability to its picture.

    Args:
        image: H x W x 3 uint8 RGB.
        probability: H x W float32 in [0, 1].
        refinement: Which way; ``"none"`` returns the probability itself.
        device: Where the CRF is computed; the CPU if not given, and for devices other than CUDA.

    Returns:
        H x W float32 in [0, 1].

    Raises:
        UsageError: There is no such refinement.
        ValueError: The image and the probability are not a pair: shapes, types, or a value that is NaN or not in
            [0, 1].
    """
    chosen = check_refinement(refinement)
    if chosen == "none":
        return probability
    if chosen == "guided":
        return guided_filter(image, probability)
    from covos.models.cosnet.crf import crf_filter

    return crf_filter(image, probability, device=device)
