"""``webm``: the subject with alpha for web pages, VP9, ``webm.webm``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.media.presets import VP9_ALPHA
from covos.outputs.compose import ComposedResult
from covos.outputs.video import VideoOutput
from covos.types import FrameResult


class WebmWriter(VideoOutput):
    """Chrome and Firefox play its alpha. FFmpeg needs to be told: its own VP9 decoder drops it, libvpx does not."""

    name = "webm"
    preset = VP9_ALPHA

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba
