"""The alpha alone as a video, for editing programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import FrameResult, Tags
from covos.formats.alpha import grey_levels
from covos.formats.base import Bits
from covos.formats.carriers import CarriedFormat, CarrierName, carrier_in
from covos.formats.each import EachObjectFormat

_PLAIN = "h264"
_DEEP = 16
_BYTES_PER_PIXEL: Mapping[CarrierName | None, float] = {"prores": 0.06, "ffv1": 0.07}
"""Of a matte, which has far less detail than the pictures that `covos.formats.carriers` measures."""


class MatteVideoFormat(EachObjectFormat, CarriedFormat):
    """The alpha as a grey video, for editing programs as a luma matte above the source clip: white is the subject.

    H.264 has limited range and is tagged so, as all that programs expect. Black and white come back as 0 and 255
    whether or not a program looks at the tag, at the price of 219 levels instead of 256. To go on with,
    ``matte-video=prores`` has 10 bits, 876 steps, whatever the source has, and ``matte-video=ffv1`` has 16, without a
    loss. With ``each``, each object has a video.
    """

    name = "matte-video"
    has_colours = False
    carriers = ("prores", "ffv1")
    choices = (_PLAIN, *carriers)
    flags = (*EachObjectFormat.flags, *choices)

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept one of its choices, and ``invert``."""
        super().check_value(value)
        options = cls.parsed(value)[1]
        if cls.carrier_name(value) is not None and _PLAIN in options:
            raise UsageError(f"{cls.name}={value}", why="it is written in one way", fix=f"leave {_PLAIN} out")

    @classmethod
    def carrier_name(cls, value: str | None) -> CarrierName | None:
        """Return the one that is asked for."""
        return carrier_in(cls.parsed(value)[1])[0]

    @classmethod
    def value_for(cls, suffix: str, value: str | None) -> str | None:
        """Leave H.264 that was asked for as it is."""
        return value if _PLAIN in cls.parsed(value)[1] else super().value_for(suffix, value)

    @classmethod
    def bits_of(cls, value: str | None) -> Bits:
        """Return 16 for the ways of writing that hold more than 8."""
        return 8 if cls.carrier_name(value) is None else 16

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return that of a matte."""
        return _BYTES_PER_PIXEL.get(cls.carrier_name(value), 0.0)

    def _add_named(self, name: str, result: FrameResult) -> None:
        self._put_frame(name, result)

    def picture(self, result: FrameResult) -> NDArray[Any]:
        """Return the alpha in three equal channels: H x W x 3 uint8, or uint16 of full range."""
        levels = grey_levels(self._seen(result).opacity, bits=self.bits_of(self._value))
        return np.repeat(levels[..., None], 3, axis=2)

    @property
    def _is_deep(self) -> bool:
        return self._carrier.is_deep

    def _tags(self, index: int) -> Tags:
        """Return those of the source, with the bits of the matte, which do not depend on it."""
        tags = super()._tags(index)
        return replace(tags, bits=_DEEP) if self._is_deep else tags
