"""``green``: the subject before a green screen, ``green.mp4``, for programs that key colours and know no alpha."""

from __future__ import annotations

import numpy as np

from covos.outputs.compose import lay_over
from covos.outputs.video import VideoOutput
from covos.types import FrameResult, ImageArray

GREEN = (0, 255, 0)
"""RGB; what colour keys are set to when they are opened."""


class GreenWriter(VideoOutput):
    """Soft edges are mixed with the green, as in front of a real screen."""

    name = "green"

    def picture(self, result: FrameResult) -> ImageArray:
        """The subject over plain green."""
        return lay_over(result, np.full_like(result.frame.image, GREEN))
