"""The refinement of COSNet's results: a fully connected conditional random field (CRF).

Pixels that are near and alike in colour should have one label.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011, for two
labels. Every pixel is connected to every other by a sum of Gaussian kernels k; mean-field inference repeats

    Q_i(l)  ~  exp(-unary_i(l) + sum_k w_k sum_j K_k(i, j) Q_j(l)),

K normalised symmetrically: k(i, j) / sqrt(n_i n_j), where n_i = sum_j k(i, j). This is the Potts model up to what
cancels in normalising Q. The conventions are those of the authors' code and of pydensecrf: symmetric normalisation is
its default, j = i is part of the sums, and bilateral kernels are filtered on the permutohedral lattice. With two labels
one number a pixel is enough: m = Q(1) - Q(0), and the log-odds become unary log-odds + sum_k w_k K_k m.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.types import ImageArray, ProbabilityArray
from covos.masks.matte import check_pair

MAX_PIXELS: Final = 480 * 854
"""A larger picture is reduced to this: the kernels are in pixels of DAVIS 480p, and memory stays bounded."""

_SMALLEST = 1e-5
"""Probabilities are kept this far from 0 and 1, as in pydensecrf: what the network is sure of can be revised."""
_REACH = 4
"""Standard deviations at which the spatial Gaussian is cut off; beyond is 6e-5 of its sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseKernel:
    """A Gaussian kernel between all pairs of pixels, whose weight pydensecrf calls ``compat``.

    The standard deviations are of positions, in pixels, and of colours, of 255; None for a kernel without colours.
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
        device: Device of the computation: the CPU, or a CUDA device. Others lack an operation; the CPU stands in.

    Returns:
        H x W float32 in [0, 1], a new array.

    Raises:
        UsageError: The image and the probability are not a pair.
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
    """Mean-field marginals of a dense CRF with two labels, H x W float32 in [0, 1].

    The picture is H x W x 3 uint8, and the probability of label 1 H x W float32 in [0, 1], on the same device.
    """
    unary_HW = torch.logit(probability_HW, eps=_SMALLEST)
    messages = []
    for kernel in kernels:
        filtered = _kernel_filter(image_HWC, kernel)
        messages.append((kernel.weight, filtered, torch.rsqrt(filtered(torch.ones_like(unary_HW)))))
    logit_HW = unary_HW
    for _ in range(steps):
        mean_HW = torch.tanh(logit_HW / 2)
        logit_HW = unary_HW.clone()
        for weight, filtered, scale_HW in messages:
            logit_HW += weight * (scale_HW * filtered(scale_HW * mean_HW))
    return torch.sigmoid(logit_HW)


def _kernel_filter(image_HWC: Tensor, kernel: PairwiseKernel) -> _Filter:
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


_CODES = 2**62
"""A corner of the lattice is numbered by one int64; so many numbers are safe."""


class PermutohedralLattice:
    """Gaussian filter in a few dimensions, in time linear in the number of points.

    It sums over points, weighted by exp(-|f_i - f_j|^2 / 2), up to a constant factor and the lattice's own error
    (Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010).
    Values of points are spread over the corners of the lattice's simplices ("splat"), the corners blurred along the
    d + 1 directions of the lattice, and read back ("slice"). Only corners near a point exist, so memory grows with
    the points, not with the space.

    Building it costs a sort of N x (d + 1) numbers; each `filter` after that some passes over as many. On one device
    the same input gives the same output to the bit: sums run over sorted segments, never by atomic additions.

    Args:
        features_ND: N x d float32, finite: position of each point, in standard deviations of the Gaussian.

    Raises:
        ValueError: The features span so much that the corners cannot be numbered.
    """

    def __init__(self, features_ND: Tensor) -> None:
        codes_NV, self._weights_NV, steps = _simplices(features_ND)
        # A corner V of point N at N * (d + 1) + V.
        codes_X, order_X = torch.sort(codes_NV.reshape(-1), stable=True)
        codes_M, position_X, self._counts_M = torch.unique_consecutive(codes_X, return_inverse=True, return_counts=True)
        self._corner_NV = torch.empty_like(position_X).scatter_(0, order_X, position_X).view_as(self._weights_NV)
        self._weight_X = self._weights_NV.reshape(-1)[order_X]
        self._point_X = order_X // self._weights_NV.shape[1]
        self._neighbours = [_neighbours(codes_M, step) for step in steps]

    def filter(self, values_N: Tensor) -> Tensor:
        """Filter one value a point: N float32 -> N float32."""
        splat_M = torch.segment_reduce(values_N[self._point_X] * self._weight_X, "sum", lengths=self._counts_M)
        # One more, always 0, is what a neighbour that does not exist holds.
        corners = torch.cat((splat_M, splat_M.new_zeros(1)))
        for before_M, after_M in self._neighbours:
            corners[:-1] += (corners[before_M] + corners[after_M]) / 2
        return (corners[self._corner_NV] * self._weights_NV).sum(1)


def _simplices(features_ND: Tensor) -> tuple[Tensor, Tensor, list[int]]:
    """Find the lattice simplex that each point lies in.

    Returns N x (d + 1) int64, a number for each of its corners; N x (d + 1) float32, the point's barycentric
    coordinates, its corners' weights, which sum to 1; and how far the numbers of neighbours are apart along each of
    d + 1 directions.
    """
    points, d = features_ND.shape
    elevated = _elevate(features_ND)
    # The nearest corner whose coordinates are all multiples of d + 1, and the order of the residuals to it.
    cells = torch.round(elevated / (d + 1)).long()
    excess = cells.sum(1, keepdim=True)
    axes = torch.argsort(elevated - cells * (d + 1), dim=1, descending=True, stable=True)
    places = torch.arange(d + 1, device=axes.device).expand(points, -1)
    rank = torch.empty_like(axes).scatter_(1, axes, places) + excess
    # Rounding may leave the plane of sum 0: step back along the coordinates that were rounded furthest.
    shift = (rank < 0).long() - (rank > d).long()
    cells += shift
    rank += (d + 1) * shift
    axes.scatter_(1, rank, places)  # the inverse: which axis has rank 0, 1 ... d

    residual = (elevated - cells * (d + 1)).gather(1, axes) / (d + 1)
    first = 1 - residual[:, :1] + residual[:, -1:]
    weights_NV = torch.cat((first, (residual[:, :-1] - residual[:, 1:]).flip(1)), dim=1)

    strides = _strides(cells)
    total = int(strides.sum())
    # Corner V adds V to each coordinate, less d + 1 at the V axes of lowest residual, so that the sum stays 0.
    lowered = strides[axes[:, 1:].flip(1)].cumsum(1)
    origin = (cells * strides).sum(1, keepdim=True) * (d + 1)
    others = origin + total * torch.arange(1, d + 1, device=axes.device) - (d + 1) * lowered
    codes_NV = torch.cat((origin, others), dim=1)
    return codes_NV, weights_NV, [total - (d + 1) * int(stride) for stride in strides]


def _strides(cells: Tensor) -> Tensor:
    """Return what a step along each axis adds to a code; 0 for the last, which follows from the others."""
    d = cells.shape[1] - 1
    # A corner is up to d away from the origin of its cell, either way, and a neighbour d more.
    spans = ((cells.amax(0) - cells.amin(0)) * (d + 1) + 4 * d + 1).tolist()[:d]
    if math.prod(spans) >= _CODES:
        raise ValueError(f"the points span {spans} steps of the lattice, more than can be numbered")
    return torch.tensor([*(math.prod(spans[axis + 1 :]) for axis in range(d)), 0], device=cells.device)


def _elevate(features_ND: Tensor) -> Tensor:
    """Points in the plane of coordinate sum 0 of d + 1 dimensions, N x (d + 1) float32.

    Scaled so that the blur with (1/2, 1, 1/2) along each direction has a standard deviation of 1 in the features.
    """
    points, d = features_ND.shape
    axis = torch.arange(1, d + 1, device=features_ND.device, dtype=features_ND.dtype)
    scaled = features_ND * (math.sqrt(2 / 3) * (d + 1) / torch.sqrt(axis * (axis + 1)))
    elevated = features_ND.new_zeros(points, d + 1)
    elevated[:, :d] = scaled.flip(1).cumsum(1).flip(1)
    elevated[:, 1:] -= axis * scaled
    return elevated


def _neighbours(codes_M: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """For each sorted code, where those ``step`` lower and higher stand among them; M where they do not."""
    count = codes_M.shape[0]
    wanted_M = codes_M + step
    found_M = torch.searchsorted(codes_M, wanted_M)
    after_M = torch.where(codes_M[found_M.clamp(max=count - 1)] == wanted_M, found_M, count)
    # The other way round without a second search, which costs more than all else here; row M takes what has no pair.
    before_M = torch.full((count + 1,), count, device=codes_M.device)
    before_M[after_M] = torch.arange(count, device=codes_M.device)
    return before_M[:count], after_M
