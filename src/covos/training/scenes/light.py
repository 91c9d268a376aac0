"""Light and colour of training pictures, and how pictures are spoiled."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from covos.core.types import ImageArray


@dataclass(frozen=True, slots=True)
class Grade:
    """Light and colour of a clip, from which its frames depart a little."""

    gain: float
    bias: float
    tint: NDArray[np.float64]
    blur: float

    @classmethod
    def draw(cls, rng: Generator) -> Grade:
        """Draw one."""
        blur = float(rng.uniform(0.4, 1.2)) if rng.random() < 0.2 else 0.0
        return cls(float(rng.uniform(0.75, 1.25)), float(rng.uniform(-20, 20)), rng.uniform(0.92, 1.08, size=3), blur)

    def apply(self, image: ImageArray, *, rng: Generator) -> ImageArray:
        """Return a frame in this light."""
        gain = self.gain * self.tint * rng.uniform(0.95, 1.05)
        levels = np.arange(256, dtype=np.float64)[:, None]
        table = np.clip((levels - 128) * gain + 128 + self.bias + rng.uniform(-4, 4), 0, 255).astype(np.uint8)
        graded = _bytes(cv2.LUT(image, table[:, None]))
        return _bytes(cv2.GaussianBlur(graded, (0, 0), self.blur)) if self.blur else graded


def recolour(image: ImageArray, *, rng: Generator) -> ImageArray:
    """Change brightness, contrast, saturation and tint; now and then blur, make grey or leave JPEG blocks."""
    gain = rng.uniform(0.7, 1.3)
    bias = rng.uniform(-25, 25)
    tint = rng.uniform(0.88, 1.12, size=3)
    saturation = rng.uniform(0.5, 1.4) if rng.random() < 0.6 else 1.0
    if rng.random() < 0.05:
        saturation = 0.0
    if saturation != 1.0:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = _bytes(cv2.addWeighted(image, saturation, grey, 1 - saturation, 0))
    # One look-up table a channel instead of float arithmetic on the whole picture.
    table = np.clip((np.arange(256)[:, None] - 127) * gain * tint + 127 + bias, 0, 255).astype(np.uint8)
    image = _bytes(cv2.LUT(image, table[None]))
    draw = rng.random()
    if draw < 0.1:
        return _bytes(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 1.8))))
    if draw < 0.2:
        quality = int(rng.integers(20, 70))
        _, code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return _bytes(cv2.imdecode(code, cv2.IMREAD_COLOR))
    return image


def spoil(image: ImageArray, *, rng: Generator) -> ImageArray:
    """Blur a picture, by defocus or motion, make it coarse, dim or noisy, so that little is left to go by."""
    height, width = image.shape[:2]
    kind = int(rng.integers(5))
    if kind == 0:
        return _bytes(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(2.0, 5.0))))
    if kind == 1:
        return _bytes(cv2.filter2D(image, -1, _motion_blur(int(rng.integers(9, 25)), rng=rng)))
    if kind == 2:
        factor = float(rng.uniform(3, 7))
        small = cv2.resize(image, (int(width / factor), int(height / factor)), interpolation=cv2.INTER_AREA)
        return _bytes(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR))
    if kind == 3:
        image = _bytes(cv2.convertScaleAbs(image, alpha=float(rng.uniform(0.12, 0.4))))
    # A quarter as many numbers as pixels, drawn once for all channels: noise of a dark picture is coarse.
    noise = rng.normal(0, rng.uniform(8, 30), size=(height // 2, width // 2)).astype(np.float32)
    grain = cv2.resize(noise, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip(image + grain[..., None], 0, 255), np.uint8)


def _motion_blur(length: int, *, rng: Generator) -> NDArray[np.float32]:
    """Draw a line through the middle of a square of this side; it sums to 1."""
    angle = rng.uniform(0, np.pi)
    half = (length - 1) / 2
    end = np.array([np.cos(angle), np.sin(angle)]) * half
    start = tuple(np.round(half - end).astype(int).tolist())
    stop = tuple(np.round(half + end).astype(int).tolist())
    kernel = np.zeros((length, length), np.float32)
    cv2.line(kernel, start, stop, 1.0)
    return np.asarray(kernel / kernel.sum(), np.float32)


def _bytes(image: object) -> ImageArray:
    """Give a picture of OpenCV its type: the stubs admit any."""
    return np.asarray(image, np.uint8)
