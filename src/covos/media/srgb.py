"""The curve of sRGB (IEC 61966-2-1), from light to the code of a picture and back."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = TypeVar("Floats", np.float32, np.float64)

_LEVELS = {8: 4095, 16: 65535}
"""Levels of the square root of light, by the bits of the code that is looked up for them."""


def to_code(light: NDArray[Floats]) -> NDArray[Floats]:
    """Return the code of light, both in [0, 1], in the precision of the light."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def from_code(coded: NDArray[Floats]) -> NDArray[Floats]:
    """Return the light of a code, both in [0, 1], in the precision of the code."""
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def samples_of(light: NDArray[np.float32], *, bits: Literal[8, 16]) -> NDArray[Any]:
    """Return the samples of light by a table: uint8 for 8 bits, uint16 for 16. Light is cut to [0, 1]."""
    root = cv2.sqrt(np.clip(light, 0, 1))
    levels = np.rint(np.asarray(root) * np.float32(_LEVELS[bits])).astype(np.uint16)
    return np.asarray(_samples(bits)[levels])


@cache
def _samples(bits: Literal[8, 16]) -> NDArray[Any]:
    # By the square root of light: its levels are as fine as those of the code, in the shadows, too.
    light = (np.arange(_LEVELS[bits] + 1) / _LEVELS[bits]) ** 2
    samples = np.rint(((1 << bits) - 1) * to_code(light))
    return np.asarray(samples, np.uint16 if bits == 16 else np.uint8)
