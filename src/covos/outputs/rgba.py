"""``rgba``: the subject as a PNG with alpha a frame, ``rgba/<stem>.png``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from covos.outputs.compose import ComposedResult
from covos.outputs.pictures import PictureOutput
from covos.types import FrameResult


class RgbaWriter(PictureOutput):
    """Straight alpha, and the source's colours under it: whoever softens or grows the alpha finds them there."""

    name = "rgba"

    def picture(self, result: FrameResult) -> NDArray[np.uint8]:
        """H x W x 4 uint8."""
        return ComposedResult.of(result).rgba
