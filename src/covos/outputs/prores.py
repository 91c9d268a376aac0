"""``prores``: the subject with alpha for editing programs, ProRes 4444, ``prores.mov``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.media.presets import PRORES_4444
from covos.outputs.compose import ComposedResult
from covos.outputs.video import VideoOutput
from covos.types import FrameResult


class ProresWriter(VideoOutput):
    """Straight (not premultiplied) alpha. Nearly lossless, and large."""

    name = "prores"
    preset = PRORES_4444

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """The subject with straight alpha."""
        return ComposedResult.of(result).rgba
