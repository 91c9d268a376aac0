"""``matte-video``: the matte as a grey video, ``matte-video.mp4``: white is the subject."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.outputs.compose import ComposedResult
from covos.outputs.video import VideoOutput
from covos.types import FrameResult


class MatteVideoWriter(VideoOutput):
    """For editing programs, as a luma matte above the source clip.

    Limited range and tagged so, as all H.264 that programs expect: black and white come back as 0 and 255 whether or
    not a program looks at the tag, at the price of 219 levels instead of 256.
    """

    name = "matte-video"

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The matte in three equal channels."""
        return np.repeat(ComposedResult.of(result).alpha[..., None], 3, axis=2)
