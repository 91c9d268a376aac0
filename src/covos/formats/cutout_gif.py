"""The subject cut out as an animated GIF: ``cutout-gif``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.types import FrameResult
from covos.formats.alpha import rgba_of
from covos.formats.composition import PLAIN_ALPHA
from covos.formats.summaries import SampledFormat, SmallFrame

_CLEAR = 255
"""Place in the palette of what is transparent."""
_REMOVED = 2
"""Disposal of GIF 89a: a frame is taken away before the next is drawn, which may be transparent there."""


class CutoutGifFormat(SampledFormat):
    """At most 48 evenly spaced frames of the subject over transparency, at the speed of the clip.

    At most 50 frames a second are shown: a short clip of more is slower.

    A pixel of a GIF is opaque or transparent: it is opaque where the subject covers half of it. Each frame has 255
    colours of its own.
    """

    name = "cutout-gif"
    output = "cutout-gif.gif"
    labels_only = False
    has_alpha = True
    flags: ClassVar[tuple[str, ...]] = ("invert", PLAIN_ALPHA)
    composes: ClassVar[Mapping[str, str]] = {"invert": "invert"}

    def _small(self, result: FrameResult) -> SmallFrame:
        # Colours of what is transparent must not get into the edge of what is not.
        whole = rgba_of(self._seen(result), deep=False, premultiplied=True)
        size = self._size(result.frame.size)
        way = cv2.INTER_AREA if size[0] < whole.shape[1] else cv2.INTER_LINEAR
        small = np.asarray(cv2.resize(whole, size, interpolation=way))
        alpha = np.maximum(small[..., 3:], 1)
        small[..., :3] = (small[..., :3] * (255 / alpha)).round().clip(0, 255)
        return SmallFrame(stem=result.frame.stem, time=result.frame.time, image=np.asarray(small, np.uint8))

    def _finish(self) -> Path:
        return self._animate(
            [_as_gif(each.image, clear=min(place, 1)) for place, each in enumerate(self._kept)],
            target=self._folder.file(self.output),
            transparency=_CLEAR,
            disposal=_REMOVED,
            optimize=False,  # it would number the palette anew
        )


def _as_gif(rgba: NDArray[np.uint8], *, clear: int) -> Image.Image:
    """Return a picture of 256 colours, the last of which is transparent: a grey of this level, and the darkest."""
    opaque = rgba[..., 3] > 127
    colours = rgba[..., :3].copy()
    # What is not seen takes no place in the palette.
    colours[~opaque] = np.median(colours[opaque], axis=0) if opaque.any() else 0
    reduced = Image.fromarray(colours).quantize(_CLEAR, method=Image.Quantize.MEDIANCUT)
    places = np.array(reduced)
    places[~opaque] = _CLEAR
    made = Image.fromarray(places, mode="P")
    # Pillow cuts off a rim that has the colour of the first picture's clear place, and writes a second header where all
    # of a later picture has it. So that colour, black, is that one place's alone.
    palette = [max(1, level) for level in (reduced.getpalette("RGB") or [])[: 3 * _CLEAR]]
    made.putpalette(palette + [clear] * (3 * 256 - len(palette)))
    return made
