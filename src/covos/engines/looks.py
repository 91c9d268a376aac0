"""Looks: small pictures of frames, and how much two of them differ in their colours and in their edges."""

from __future__ import annotations

from typing import Any, Final, NamedTuple, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.types import Frame, ImageArray
from covos.engines.flow import dis_flow
from covos.engines.ways import moved
from covos.media.picture import picture_at

SIZE: Final = (64, 36)
"""Width and height of the picture that is looked at."""
BINS: Final = (8, 4, 4)
"""Bins of hue, saturation and value."""
CHANGED: Final = 0.16
"""Share of the colours that are others, times the share of the edges that are, from which there is a cut. Set on the
training sequences of DAVIS: no cut between two of them is missed, none is found within (`benchmarks/cuts.py`)."""
STRONG: Final = 40.0
"""Slope of brightness, in levels over eight pixels, above which edges count alike."""


class Look(NamedTuple):
    """A small picture of a frame: its brightness, h x w uint8, and the shares of its colours."""

    grey: NDArray[np.uint8]
    colours: NDArray[np.float32]

    @classmethod
    def at(cls, image: ImageArray) -> Self:
        """Look at a picture, H x W x 3 uint8 RGB."""
        return cls.of(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA))

    @classmethod
    def at_frame(cls, frame: Frame) -> Self:
        """Look at a frame; its picture is made at the size that is looked at, where it can be."""
        return cls.of(picture_at(frame, SIZE[::-1]))

    @classmethod
    def of(cls, small: NDArray[Any]) -> Self:
        """Look at a picture of the size that is looked at."""
        tones = cv2.cvtColor(small, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([tones], [0, 1, 2], None, list(BINS), [0, 180, 0, 256, 0, 256]).ravel()
        grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
        return cls(np.asarray(grey, np.uint8), np.asarray(counts / counts.sum(), np.float32))


def is_other(before: Look, now: Look) -> bool:
    """Tell if two looks are of different shots: the colours are others, and so are the edges."""
    colours = colours_changed(before, now)
    # The edges take five times as long as the colours, and can hardly change by more than all.
    return colours > CHANGED and colours * edges_changed(before.grey, now.grey) > CHANGED


def colours_changed(before: Look, now: Look) -> float:
    """Return the share of the colours that are others, in [0, 1]."""
    return 1 - float(np.minimum(before.colours, now.colours).sum())


def tints_changed(before: Look, now: Look) -> float:
    """Return the share of the colours that are others, in [0, 1], however bright they are."""
    one, other = (each.colours.reshape(-1, BINS[2]).sum(axis=1) for each in (before, now))
    return 1 - float(np.minimum(one, other).sum())


def edges_changed(before: NDArray[np.uint8], now: NDArray[np.uint8]) -> float:
    """Return the share of the edges that motion does not explain: 1 - their correlation along the flow, in [0, 2]."""
    one, other = _gradients(now), _gradients(moved(before, dis_flow(now, before)))
    strength = float(np.sqrt((one * one).sum() * (other * other).sum()))
    # Without edges in one of the two, as in a black frame, there is nothing in common.
    return 1 - float((one * other).sum()) / strength if strength > 1 else 1.0


def _gradients(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    # Strong edges count no more than others: those of black bars and of a caption stay over a cut.
    return np.clip(np.stack([cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)]), -STRONG, STRONG)
