"""Values that follow the colours of a picture: in every small window they are linear in the colour.

Levin et al., *A Closed-Form Solution to Natural Image Matting*, CVPR 2006. Its matrix is never built: a product with it
is a guided filter (He et al., *Fast Matting Using Large Kernel Matting Laplacian Matrices*, CVPR 2010).

Shape legend: h height, w width of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 5
"""Side of the windows. In wider ones, what is known goes farther at each step, and finer things are lost."""
STEPS = 15
"""Steps of conjugate gradients."""
NOISE = 1e-5
"""Variance of a colour, in [0, 1], that means nothing, times the pixels of a window."""
_ENOUGH = 1e-4
"""The search ends when the error is so small a part of what it was."""
_TINY = 1e-20

Floats = NDArray[np.float32]


class ColourLines:
    """The windows of a picture, h x w x 3 float32 in [0, 1]."""

    def __init__(self, picture: Floats) -> None:
        self._picture = picture
        self._mean = _blurred(picture)
        red, green, blue = (np.ascontiguousarray(picture[..., k]) for k in range(3))
        pairs = ((red, red), (red, green), (red, blue), (green, green), (green, blue), (blue, blue))
        mean = self._mean.astype(np.float64)
        places = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
        # In double precision: in an even window the difference is a thousandth of the parts.
        a, b, c, d, e, f = (
            _blurred((one * other).astype(np.float64)) - mean[..., i] * mean[..., j] + (i == j) * NOISE / SIDE**2
            for (one, other), (i, j) in zip(pairs, places, strict=True)
        )
        first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
        size = a * first + b * second + c * third
        rest = (a * f - c * c, b * c - a * e, a * d - b * b)
        self._inverse = [(each / size).astype(np.float32) for each in (first, second, third, *rest)]

    def fit(self, values: Floats) -> tuple[Floats, Floats]:
        """Fit h x w values: return slopes, h x w x 3, and offsets, h x w; means of the windows of each pixel."""
        mean = _blurred(values)
        x, y, z = cv2.split(_blurred(self._picture * values[..., None]) - self._mean * mean[..., None])
        v = self._inverse
        slopes = cv2.merge(
            [v[0] * x + v[1] * y + v[2] * z, v[1] * x + v[3] * y + v[4] * z, v[2] * x + v[4] * y + v[5] * z]
        )
        return _blurred(slopes), _blurred(mean - (slopes * self._mean).sum(axis=2))

    def solve(self, target: Floats, weight: Floats) -> Floats:
        """Find the values that follow the colours and are near to a target where it has weight, h x w each."""
        count = np.float32(SIDE**2)

        def product(values: Floats) -> Floats:
            slopes, offsets = self.fit(values)
            return np.asarray(count * (values - (slopes * self._picture).sum(axis=2) - offsets) + weight * values)

        scale = np.asarray(1 / (np.float32(0.8) * count + weight), np.float32)
        found = target.copy()
        error = weight * target - product(found)
        way = scaled = scale * error
        left = first = float((error * scaled).sum())
        for _ in range(STEPS):
            if left <= _ENOUGH**2 * first:
                break
            along = product(way)
            step = np.float32(left / max(float((way * along).sum()), _TINY))
            found = np.asarray(found + step * way, np.float32)
            error = np.asarray(error - step * along, np.float32)
            scaled = scale * error
            before, left = left, float((error * scaled).sum())
            way = scaled + np.float32(left / max(before, _TINY)) * way
        return np.asarray(np.clip(found, 0, 1), np.float32)


def _blurred(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(cv2.blur(values, (SIDE, SIDE), borderType=cv2.BORDER_REFLECT))
