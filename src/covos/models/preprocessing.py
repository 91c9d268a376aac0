"""What a network wants done to a picture before it sees it, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From RGB in [0, 1] to a network's input: reorder the channels, scale, subtract the mean.

    Attributes:
        size: (height, width) that frames are resized to.
        order: Of the channels.
        scale: What a value of 1 becomes.
        mean: Of each channel in ``order``, after scaling.
    """

    size: tuple[int, int]
    order: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def apply(self, image_BCHW: Tensor) -> Tensor:
        """B x 3 x H x W float RGB in [0, 1] -> the same shape, as the network takes it; sizes are left alone."""
        ordered = image_BCHW.flip(1) if self.order == "bgr" else image_BCHW
        mean = ordered.new_tensor(self.mean)[:, None, None]
        return ordered * self.scale - mean
