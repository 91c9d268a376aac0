"""``qtrle``: the subject with alpha, lossless, QuickTime Animation, ``qtrle.mov``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.media.presets import QTRLE
from covos.outputs.compose import ComposedResult
from covos.outputs.video import VideoOutput
from covos.types import FrameResult


class QtrleWriter(VideoOutput):
    """Eight bits a channel, run lengths: what older editing programs read alpha from. Large."""

    name = "qtrle"
    preset = QTRLE

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba
