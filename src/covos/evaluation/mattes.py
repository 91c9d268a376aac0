"""Errors of mattes: of single pictures, and of the changes from frame to frame.

SAD, MSE, gradient and connectivity error are those of Rhemann et al., *A Perceptually Motivated Online Benchmark for
Image Matting*, CVPR 2009; dtSSD is that of Erofeev et al., *Perceptually Motivated Benchmark for Video Matting*, BMVC
2015. Each is measured where a mask says: over the uncertain pixels of a trimap, or over the whole picture.

They are plain numbers. Tables often show SAD, gradient and connectivity in thousands, MSE times 1000 and dtSSD times
100.

Shape legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import MaskArray, ProbabilityArray

SIGMA = 1.4
"""Width of the Gaussian whose derivatives give the gradient, in pixels."""
STEP = 0.1
"""Step of the levels at which what is connected is looked for."""
TOLERANCE = 0.15
"""Alpha that is disconnected by less counts as connected."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteErrors:
    """Errors of the matte of one picture; 0 is best.

    Attributes:
        sad: Sum of absolute differences.
        mse: Mean squared difference.
        grad: Sum of squared differences of the gradients' lengths.
        conn: Sum of the differences of how far each pixel is connected to what is opaque.
    """

    sad: float
    mse: float
    grad: float
    conn: float


def matte_errors(alpha: ProbabilityArray, truth: ProbabilityArray, *, where: MaskArray | None = None) -> MatteErrors:
    """Compare a matte with the true one.

    Args:
        alpha: H x W float32 in [0, 1].
        truth: H x W float32 in [0, 1].
        where: H x W bool: the pixels that count; None counts all. Elsewhere alpha is taken for right, as tools that
            know the trimap overwrite it.

    Raises:
        UsageError: The sizes differ, or no pixel counts.
    """
    inside = _inside(alpha, truth, where)
    alpha = np.where(inside, alpha, truth)
    difference = (alpha.astype(np.float64) - truth)[inside]
    steps = (_steepness(alpha) - _steepness(truth))[inside]
    return MatteErrors(
        sad=float(np.abs(difference).sum()),
        mse=float(np.square(difference).mean()),
        grad=float(np.square(steps).sum()),
        conn=_disconnected(alpha, truth, inside),
    )


def dt_ssd(
    alphas: Sequence[ProbabilityArray],
    truths: Sequence[ProbabilityArray],
    *,
    where: Sequence[MaskArray] | None = None,
) -> float:
    """Return how much a matte flickers: the root mean square of what its changes differ by from the true changes.

    Args:
        alphas: Of neighbouring frames, H x W float32 in [0, 1] each.
        truths: Likewise.
        where: The pixels of each frame that count; of a change those that count in both frames.

    Returns:
        The mean over the changes; 0 is best.

    Raises:
        UsageError: There are not two frames or more, or as many truths.
    """
    if len(alphas) < 2 or len(alphas) != len(truths):
        raise UsageError(
            f"{len(alphas)} mattes and {len(truths)} true ones",
            why="changes are compared, from each frame to the next",
            fix="give two frames or more, and the truth of each",
        )
    insides = [
        _inside(a, t, None if where is None else where[k]) for k, (a, t) in enumerate(zip(alphas, truths, strict=True))
    ]
    errors = [a.astype(np.float64) - t for a, t in zip(alphas, truths, strict=True)]
    found = []
    for k in range(1, len(errors)):
        both = insides[k] & insides[k - 1]
        if both.any():
            found.append(float(np.sqrt(np.square((errors[k] - errors[k - 1])[both]).mean())))
    return float(np.mean(found)) if found else 0.0


def _inside(alpha: ProbabilityArray, truth: ProbabilityArray, where: MaskArray | None) -> MaskArray:
    inside = np.ones(truth.shape, np.bool_) if where is None else where
    if alpha.shape != truth.shape or inside.shape != truth.shape:
        raise UsageError(
            f"a matte of shape {alpha.shape}, a true one of {truth.shape}, pixels of {inside.shape}",
            why="they are compared pixel by pixel",
            fix="bring them to one size",
        )
    if not inside.any():
        raise UsageError("there is nothing to compare", why="no pixel counts", fix="leave `where` out, or mark some")
    return inside


def _steepness(alpha: NDArray[np.floating]) -> Floats:
    """Return the length of the gradient, by derivatives of a Gaussian that are of length 1 as vectors."""
    half = int(np.ceil(SIGMA * np.sqrt(-2 * np.log(np.sqrt(2 * np.pi) * SIGMA * 0.01))))
    at = np.arange(-half, half + 1)
    smooth = np.exp(-np.square(at) / (2 * SIGMA**2)) / (SIGMA * np.sqrt(2 * np.pi))
    slope = -at * smooth / SIGMA**2
    kernel = np.outer(smooth, slope)
    kernel /= np.sqrt(np.square(kernel).sum())
    values = alpha.astype(np.float64)
    across, down = (cv2.filter2D(values, -1, each, borderType=cv2.BORDER_REPLICATE) for each in (kernel, kernel.T))
    return np.asarray(np.hypot(across, down), np.float64)


def _disconnected(alpha: NDArray[np.floating], truth: ProbabilityArray, inside: MaskArray) -> float:
    last = np.full(truth.shape, -1.0)
    for level in np.arange(0, 1 + STEP / 2, STEP)[1:]:
        both = ((alpha >= level) & (truth >= level)).astype(np.uint8)
        _, parts, facts, _ = cv2.connectedComponentsWithStats(both, connectivity=4)
        source = np.zeros(truth.shape, np.bool_)
        if len(facts) > 1:
            source = np.asarray(parts) == 1 + int(facts[1:, cv2.CC_STAT_AREA].argmax())
        last[(last == -1) & ~source] = level - STEP
    last[last == -1] = 1
    shares = []
    for values in (alpha, truth):
        away = values.astype(np.float64) - last
        shares.append(1 - away * (away >= TOLERANCE))
    return float(np.abs(shares[0] - shares[1])[inside].sum())
