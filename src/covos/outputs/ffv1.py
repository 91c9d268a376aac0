"""``ffv1``: the subject with alpha, lossless, FFV1, ``ffv1.mkv``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.media.presets import FFV1
from covos.outputs.compose import ComposedResult
from covos.outputs.video import VideoOutput
from covos.types import FrameResult


class Ffv1Writer(VideoOutput):
    """For keeping: every pixel and every level of alpha as computed, with a checksum for each slice."""

    name = "ffv1"
    preset = FFV1

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba
