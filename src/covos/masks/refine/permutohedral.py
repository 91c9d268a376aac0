"""Gaussian filtering in a few dimensions, in time linear in the number of points: the permutohedral lattice.

Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010. It is the
filter of Krähenbühl and Koltun's dense CRF. Values of points are spread over the corners of the lattice's simplices
("splat"), the corners blurred along the d + 1 directions of the lattice, and read back ("slice"). Only corners near a
point exist, so memory grows with the points, not with the space.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_CODES = 2**62
"""A corner is numbered by one int64; so many numbers are safe."""


class PermutohedralLattice:
    """Sums over points, weighted by exp(-|f_i - f_j|^2 / 2), up to a constant factor and the lattice's own error.

    Building it costs a sort of N x (d + 1) numbers; each `filter` after that some passes over as many. On one device
    the same input gives the same output to the bit: sums run over sorted segments, never by atomic additions.

    Args:
        features_ND: N x d float32, finite: position of each point, in standard deviations of the Gaussian.

    Raises:
        ValueError: The features span so much that the corners cannot be numbered.
    """

    def __init__(self, features_ND: Tensor) -> None:
        simplices = _Simplices(features_ND)
        # A corner V of point N at N * (d + 1) + V.
        codes_X, order_X = torch.sort(simplices.codes_NV.reshape(-1), stable=True)
        codes_M, position_X, self._counts_M = torch.unique_consecutive(codes_X, return_inverse=True, return_counts=True)
        self._weights_NV = simplices.weights_NV
        self._corner_NV = torch.empty_like(position_X).scatter_(0, order_X, position_X).view_as(self._weights_NV)
        self._weight_X = self._weights_NV.reshape(-1)[order_X]
        self._point_X = order_X // self._weights_NV.shape[1]
        self._neighbours = [_neighbours(codes_M, step) for step in simplices.neighbour_steps]

    def filter(self, values_N: Tensor) -> Tensor:
        """Filter one value a point.

        Args:
            values_N: N float32.

        Returns:
            N float32.
        """
        splat_M = torch.segment_reduce(values_N[self._point_X] * self._weight_X, "sum", lengths=self._counts_M)
        # One more, always 0, is what a neighbour that does not exist holds.
        corners = torch.cat((splat_M, splat_M.new_zeros(1)))
        for before_M, after_M in self._neighbours:
            corners[:-1] += (corners[before_M] + corners[after_M]) / 2
        return (corners[self._corner_NV] * self._weights_NV).sum(1)


class _Simplices:
    """The lattice simplex that each point lies in.

    Attributes:
        codes_NV: N x (d + 1) int64, a number for each of its corners.
        weights_NV: N x (d + 1) float32, the point's barycentric coordinates: its corners' weights, which sum to 1.
        neighbour_steps: What separates the codes of two corners that are neighbours, for each of d + 1 directions.
    """

    def __init__(self, features_ND: Tensor) -> None:
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
        self.weights_NV = torch.cat((first, (residual[:, :-1] - residual[:, 1:]).flip(1)), dim=1)

        strides = self._strides(cells)
        total = int(strides.sum())
        # Corner V adds V to each coordinate, less d + 1 at the V axes of lowest residual, so that the sum stays 0.
        lowered = strides[axes[:, 1:].flip(1)].cumsum(1)
        origin = (cells * strides).sum(1, keepdim=True) * (d + 1)
        others = origin + total * torch.arange(1, d + 1, device=axes.device) - (d + 1) * lowered
        self.codes_NV = torch.cat((origin, others), dim=1)
        self.neighbour_steps = [total - (d + 1) * int(stride) for stride in strides]

    @staticmethod
    def _strides(cells: Tensor) -> Tensor:
        """How much a step along each axis adds to a code; 0 for the last, which follows from the others."""
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
