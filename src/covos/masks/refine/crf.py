"""A fully connected conditional random field: pixels that are near and alike in colour should have one label.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011, for two
labels. Every pixel is connected to every other by a sum of Gaussian kernels k; mean-field inference repeats

    Q_i(l)  ~  exp(-unary_i(l) + sum_k w_k sum_j K_k(i, j) Q_j(l)),

K normalised symmetrically: k(i, j) / sqrt(n_i n_j), where n_i = sum_j k(i, j). This is the Potts model up to what
cancels in normalising Q, and these are the conventions of the authors' code and of pydensecrf: symmetric
normalisation is its default, j = i is part of the sums, and bilateral kernels are filtered on the permutohedral
lattice. With two labels one number a pixel is enough: m = Q(1) - Q(0), and the log-odds become
unary log-odds + sum_k w_k K_k m.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.masks.refine.checks import check_pair
from covos.masks.refine.permutohedral import PermutohedralLattice

if TYPE_CHECKING:
    from covos.types import ImageArray, ProbabilityArray

MAX_PIXELS: Final = 480 * 854
"""A larger picture is reduced to this: the kernels are in pixels of DAVIS 480p, and memory stays bounded."""

_SMALLEST = 1e-5
"""Probabilities are kept this far from 0 and 1, as in pydensecrf: what the network is sure of can be revised."""
_REACH = 4
"""Standard deviations at which the spatial Gaussian is cut off; beyond is 6e-5 of its sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseKernel:
    """A Gaussian kernel between all pairs of pixels.

    Attributes:
        weight: w, what pydensecrf calls ``compat``.
        sxy: Standard deviation of the position, in pixels.
        srgb: Standard deviation of the colours, of 255; None for a kernel that does not look at them.
    """

    weight: float
    sxy: float
    srgb: float | None = None


COSNET_KERNELS: Final = (PairwiseKernel(weight=5, sxy=1), PairwiseKernel(weight=10, sxy=20, srgb=7))
"""COSNet's script runs nine CRFs, of one bilateral kernel each: sxy 10, 15 or 20 with weight 8, 9 or 10. This is the
one that is best on DAVIS 2016's training sequences."""
STEPS: Final = 5
"""As in COSNet's script."""

_Filter = Callable[[Tensor], Tensor]


def crf_filter(
    image: ImageArray, probability: ProbabilityArray, *, device: torch.device | None = None
) -> ProbabilityArray:
    """Refine a probability by a dense CRF with COSNet's kernels.

    Args:
        image: H x W x 3 uint8 RGB. Above `MAX_PIXELS`, the CRF sees a reduced picture, and what it changes in the
            log-odds is up-sampled.
        probability: H x W float32 in [0, 1].
        device: Where to compute: the CPU, or a CUDA device. Others lack an operation; the CPU stands in for them.

    Returns:
        H x W float32 in [0, 1], a new array.

    Raises:
        ValueError: The image and the probability are not a pair.
    """
    check_pair(image, probability)
    where = device if device is not None and device.type == "cuda" else torch.device("cpu")
    height, width = probability.shape
    shrink = math.sqrt(MAX_PIXELS / (height * width))
    if shrink >= 1:
        return _on(where, image, probability)
    size = (max(int(width * shrink), 1), max(int(height * shrink), 1))
    before = np.asarray(cv2.resize(probability, size, interpolation=cv2.INTER_AREA), np.float32)
    after = _on(where, np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), before)
    change = cv2.resize(_log_odds(after) - _log_odds(before), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(1 / (1 + np.exp(-(_log_odds(probability) + change))), np.float32)


def _on(device: torch.device, image: ImageArray, probability: ProbabilityArray) -> ProbabilityArray:
    # Both are copied: torch warns of arrays that it may not write to, which frames may be.
    marginals = dense_crf(torch.tensor(image, device=device), torch.tensor(probability, device=device))
    return np.asarray(marginals.cpu().numpy(), np.float32)


def _log_odds(probability: ProbabilityArray) -> ProbabilityArray:
    clipped = np.clip(probability, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)


def dense_crf(
    image_HWC: Tensor, probability_HW: Tensor, *, kernels: Sequence[PairwiseKernel] = COSNET_KERNELS, steps: int = STEPS
) -> Tensor:
    """Mean-field marginals of a dense CRF with two labels.

    Args:
        image_HWC: H x W x 3 uint8.
        probability_HW: H x W float32 in [0, 1], of label 1; on the same device.
        kernels: See `PairwiseKernel`.
        steps: Of mean-field inference.

    Returns:
        H x W float32 in [0, 1].

    Raises:
        ValueError: The picture is too large for the lattice of one of the kernels.
    """
    unary_HW = torch.logit(probability_HW, eps=_SMALLEST)
    messages = [(kernel.weight, _normalised(_unnormalised(image_HWC, kernel), like=unary_HW)) for kernel in kernels]
    logit_HW = unary_HW
    for _ in range(steps):
        mean_HW = torch.tanh(logit_HW / 2)
        logit_HW = unary_HW.clone()
        for weight, message in messages:
            logit_HW += weight * message(mean_HW)
    return torch.sigmoid(logit_HW)


def _normalised(filtered: _Filter, *, like: Tensor) -> _Filter:
    scale_HW = torch.rsqrt(filtered(torch.ones_like(like)))
    return lambda values_HW: scale_HW * filtered(scale_HW * values_HW)


def _unnormalised(image_HWC: Tensor, kernel: PairwiseKernel) -> _Filter:
    height, width, _ = image_HWC.shape
    if kernel.srgb is None:
        return _spatial(kernel.sxy, image_HWC.device)
    rows, columns = torch.meshgrid(
        torch.arange(height, device=image_HWC.device), torch.arange(width, device=image_HWC.device), indexing="ij"
    )
    features_HWD = torch.cat(
        (torch.stack((rows, columns), dim=2) / kernel.sxy, image_HWC.to(torch.float32) / kernel.srgb), dim=2
    )
    lattice = PermutohedralLattice(features_HWD.view(height * width, 5))
    return lambda values_HW: lattice.filter(values_HW.reshape(-1)).view(height, width)


def _spatial(sxy: float, device: torch.device) -> _Filter:
    """Exact but for the cut: no lattice, whose cells would be as large as the kernel."""
    reach = math.ceil(_REACH * sxy)
    offsets = torch.arange(-reach, reach + 1, device=device)
    taps = torch.exp(-((offsets / sxy) ** 2) / 2)
    down, across = taps.view(1, 1, -1, 1), taps.view(1, 1, 1, -1)

    def filtered(values_HW: Tensor) -> Tensor:
        columns = torch.nn.functional.conv2d(values_HW[None, None], down, padding=(reach, 0))
        return torch.nn.functional.conv2d(columns, across, padding=(0, reach))[0, 0]

    return filtered
