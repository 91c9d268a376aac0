"""Primaries: the colours that red, green and blue stand for, and matrices that turn light of some to that of others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from covos.core.types import Tags

_D65 = (0.3127, 0.3290)
BT709, BT2020 = 1, 9
"""Numbers of their primaries in ITU-T H.273."""
CHROMATICITIES = {
    BT709: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    BT2020: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
"""x and y of red, green, blue and white, by their numbers in ITU-T H.273, table 2."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def chromaticities_of(tags: Tags) -> tuple[float, ...]:
    """Return x and y of a source's red, green, blue and white; those of BT.709 where it states none that are known."""
    return CHROMATICITIES[known_primaries(tags)]


def known_primaries(tags: Tags) -> int:
    """Return the number of a source's primaries; that of BT.709 where it states none that are known."""
    primaries = BT709 if tags.colour is None else tags.colour.primaries
    return primaries if primaries in CHROMATICITIES else BT709


def to_xyz(chromaticities: Sequence[float] | NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix from light of primaries to XYZ, 3 x 3, and the XYZ of white, 3 float64.

    The chromaticities are x and y of red, green, blue and white.
    """
    x, y = np.array(chromaticities[0::2]), np.array(chromaticities[1::2])
    columns = np.stack([x / y, np.ones(4), (1 - x - y) / y])
    return columns[:, :3] * np.linalg.solve(columns[:, :3], columns[:, 3]), columns[:, 3]


def adaptation(white: NDArray[np.float64], to: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the matrix of XYZ, 3 x 3, that makes a white of another, by Bradford's matrix (Lindbloom)."""
    return np.asarray(np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ to) / (_BRADFORD @ white)) @ _BRADFORD)
