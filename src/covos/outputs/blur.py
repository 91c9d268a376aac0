"""``blur``: the background out of focus, ``blur.mp4``."""

from __future__ import annotations

import math

from covos.outputs.compose import ComposedResult, blurred_background, lay_over
from covos.outputs.video import VideoOutput
from covos.types import FrameResult, ImageArray

_SIGMA_PER_DIAGONAL = 1 / 80


class BlurWriter(VideoOutput):
    """The blur takes nothing from the subject: no glow of its colours around it."""

    name = "blur"

    def picture(self, result: FrameResult) -> ImageArray:
        """The subject, sharp, over the blurred background."""
        sigma = math.hypot(*result.frame.size) * _SIGMA_PER_DIAGONAL
        composed = ComposedResult.of(result)
        return lay_over(composed, blurred_background(result.frame.image, composed.opacity, sigma=sigma))
