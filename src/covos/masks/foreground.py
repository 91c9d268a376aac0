"""Colours of the subject where a pixel is mixed with what is behind it, so that a cut-out has no fringe.

A pixel of a soft edge shows I = alpha F + (1 - alpha) B. F and B of neighbours are alike where alpha is, so the two are
sought that explain every pixel and change little where alpha changes (Germer et al., *Fast Multi-Level Foreground
Estimation*, ICPR 2020): first in a tiny picture, then in one of twice its size, and so on, each beginning with what
the one before found.

Only pixels near a mixed one are solved, so the cost is that of the edge, not of the frame.

Shape legend: N the pixels of a level that are known, S those of them that are solved.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import MaskArray, ProbabilityArray
from covos.masks.matte import check_pair

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SMALL = 32
"""Levels whose longer side is at most this are solved whole and for long: there colours of far places meet."""
_SMALL_ROUNDS = 10
_ROUNDS = 3
"""Each round costs as much as the one before, and takes away less of the error; see `benchmarks/matte.py`."""
_STEEP = 0.1
"""Weight of the likeness of F and B of neighbours where alpha differs by 1. The authors' is 1, which makes the
subject's colours smoother than they are."""
_FLAT = 1e-5
"""Weight of their likeness where alpha is the same."""
_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)

Samples = TypeVar("Samples", np.uint8, np.uint16)
Floats = NDArray[np.float32]
Places = NDArray[np.intp]


def foreground_colours(image: NDArray[Samples], alpha: ProbabilityArray) -> NDArray[Samples]:
    """Estimate the subject's own colours where it is mixed with what is behind it.

    Args:
        image: H x W x 3 uint8 RGB, or uint16 of full range.
        alpha: H x W float32 in [0, 1].

    Returns:
        H x W x 3 of the same type. The image itself where alpha is 0 or 1.
    """
    check_pair(image, alpha, deep=True)
    mixed: MaskArray = (alpha > 0) & (alpha < 1)
    if not mixed.any():
        return image.copy()
    found: _Level | None = None
    for level in reversed([*_levels(mixed)]):
        level.solve(image, alpha, coarser=found)
        found = level
    assert found is not None, "there is a level"
    own = image.copy()
    own[mixed] = np.rint(found.colours[:3, found.column_of[np.flatnonzero(mixed)]]).T
    return own


def _levels(mixed: MaskArray) -> Iterator[_Level]:
    """Return the levels from the finest to that of one pixel, each with the places that a finer one asks of it."""
    wanted = np.asarray(cv2.dilate(mixed.view(np.uint8), _CROSS), np.uint8)
    step = 0
    while True:
        level = _Level(step=step, wanted=wanted if max(wanted.shape) > SMALL else np.ones_like(wanted))
        yield level
        height, width = wanted.shape
        if max(height, width) == 1:
            return
        step += 1
        wanted = np.zeros(((height + 1) // 2, (width + 1) // 2), np.uint8)
        wanted.reshape(-1)[level.parents] = 1


@dataclass(frozen=True, eq=False)
class _Part:
    """Pixels of a level that are solved at once: no two of them are neighbours."""

    columns: NDArray[np.int32]
    """S places among the level's colours."""
    means: csr_array
    """S x N: weighted means of the neighbours."""
    image: Floats
    """3 x S."""
    alpha: Floats
    """S."""
    gains: tuple[Floats, Floats]
    """S each: how far F, and B, follow what their means leave unexplained."""
    white: float
    """The largest value of a colour."""


class _Level:
    """A picture of a fraction of the size, of which the places near a mixed pixel are known."""

    def __init__(self, *, step: int, wanted: NDArray[np.uint8]) -> None:
        self._step = step
        self._size = wanted.shape
        self._solved = np.flatnonzero(wanted)
        # Their neighbours are known from the coarser level, and stay as they are.
        self._places = np.flatnonzero(cv2.dilate(wanted, _CROSS))

    @cached_property
    def parents(self) -> Places:
        """Places of the coarser level that those of this one lie in: N."""
        y, x = np.divmod(self._places, self._size[1])
        return np.asarray((y >> 1) * ((self._size[1] + 1) // 2) + (x >> 1), np.intp)

    @cached_property
    def column_of(self) -> NDArray[np.int32]:
        """Column of `colours` of each place of the level; of one that is not known, any number."""
        columns = np.empty(self._size[0] * self._size[1], np.int32)
        columns[self._places] = np.arange(len(self._places), dtype=np.int32)
        return columns

    def solve(self, image: NDArray[Samples], alpha: ProbabilityArray, *, coarser: _Level | None) -> None:
        """Find F and B of the level's places, into `colours`: 6 x N float32, in the image's values."""
        y, x = np.divmod(self._places, self._size[1])
        height, width = alpha.shape
        # The middle pixel of each place: a mean over it would mix the sides that thin strands keep apart.
        half = (1 << self._step) >> 1
        seen = np.minimum((y << self._step) + half, height - 1), np.minimum((x << self._step) + half, width - 1)
        # Plane by plane: NumPy is slow where the last axis is as short as a colour.
        mixed: Floats = np.ascontiguousarray(image[seen].T, np.float32)
        share: Floats = alpha[seen]
        colours = np.tile(mixed, (2, 1)) if coarser is None else coarser.colours[:, coarser.column_of[self.parents]]
        self.colours: Floats = colours
        for planes, sure in ((colours[:3], share == 1), (colours[3:], share == 0)):
            np.copyto(planes, mixed, where=sure)
        parts = [*self._parts(mixed, share, white=float(np.iinfo(image.dtype).max))]
        for _ in range(_ROUNDS if max(self._size) > SMALL else _SMALL_ROUNDS):
            for part in parts:
                self._improve(part)

    def _parts(self, mixed: Floats, share: Floats, *, white: float) -> Iterator[_Part]:
        """Return the places to solve in two parts, as the fields of a chessboard."""
        from scipy.sparse import csr_array  # an eighth of a second, which masks need not wait for

        height, width = self._size
        every_y, every_x = np.divmod(self._solved, width)
        dark = ((every_y + every_x) & 1).astype(np.bool_)
        for own in (~dark, dark):
            places, y, x = self._solved[own], every_y[own], every_x[own]
            if not len(places):
                continue
            # At the border of the picture a pixel is its own neighbour.
            around = np.stack(
                [
                    places - width * (y > 0),
                    places + width * (y < height - 1),
                    places - (x > 0),
                    places + (x < width - 1),
                ],
                axis=1,
            )
            columns, neighbours = self.column_of[places], self.column_of[around]
            alpha = share[columns]
            weights = _FLAT + _STEEP * np.abs(share[neighbours] - alpha[:, None])
            total = weights.sum(axis=1)
            ends = np.arange(0, weights.size + 1, 4, dtype=np.int32)
            means = csr_array(
                ((weights / total[:, None]).reshape(-1), neighbours.reshape(-1), ends), shape=(len(columns), len(share))
            )
            least = total + alpha**2 + (1 - alpha) ** 2
            # F is the picture where alpha is 1, and B where it is 0: there all that is unexplained is theirs.
            gains = (np.where(each == 1, np.float32(1), each / least) for each in (alpha, 1 - alpha))
            yield _Part(columns, means, mixed[:, columns], alpha, (next(gains), next(gains)), white)

    def _improve(self, part: _Part) -> None:
        """Solve each pixel's own equation, with its neighbours as they are.

        f and b are the weighted means of the neighbours, w is the sum of their weights. The least of
        (alpha F + (1 - alpha) B - I)^2 + w (|F - f|^2 + |B - b|^2) lies on the way from (f, b) along
        (alpha, 1 - alpha).
        """
        better = np.stack([part.means @ plane for plane in self.colours])
        subject, behind = better[:3], better[3:]
        unexplained = part.image - part.alpha * subject - (1 - part.alpha) * behind
        subject += part.gains[0] * unexplained
        behind += part.gains[1] * unexplained
        self.colours[:, part.columns] = np.clip(better, 0, part.white, out=better)
