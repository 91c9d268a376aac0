"""The subject with its alpha as formats write it: four samples a pixel, straight or premultiplied, of 8 or 16 bits."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import UsageError
from covos.core.types import ProbabilityArray
from covos.formats.base import Bits
from covos.formats.compose import ComposedResult
from covos.formats.composition import refuse_inverted
from covos.formats.each import EachObjectFormat

ALPHA_KINDS = ("straight", "premultiplied")
"""Of the colours of a file with alpha; the first is what it has where nothing is said."""


class AlphaKindFormat(EachObjectFormat):
    """A format with alpha whose value says if its colours are straight or premultiplied."""

    alpha_kinds = ALPHA_KINDS
    composes: ClassVar[Mapping[str, str]] = {"alpha": "", **EachObjectFormat.composes}

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept ``straight`` or ``premultiplied``, and the format's flags, with commas between."""
        main, options = cls.parsed(value)
        if main not in ALPHA_KINDS and not (options and not main):
            asked = ("premultiplied", *cls.flags, f"premultiplied,{cls.flags[0]}")
            raise UsageError(
                f"{cls.name}={value}",
                why="its alpha is straight or premultiplied, and it has a file, or one for each object",
                fix=f"write {cls.name}, " + " or ".join(f"{cls.name}={each}" for each in asked),
            )
        refuse_inverted("invert" in options, each="each" in options)

    @cached_property
    def _is_premultiplied(self) -> bool:
        return self.parsed(self._value)[0] == "premultiplied"


def rgba_of(
    composed: ComposedResult,
    *,
    deep: bool,
    premultiplied: bool = False,
    drawn_out: bool = False,
) -> NDArray[Any]:
    """Return the subject with its alpha.

    Args:
        composed: The subject.
        deep: True for 16 bits a sample, with all that the input has.
        premultiplied: If true, colours are multiplied by the alpha.
        drawn_out: If true, straight colours of the subject are drawn out over what is transparent.

    Returns:
        H x W x 4 uint8, or uint16 of full range.
    """
    opacity = composed.opacity
    colours: NDArray[Any]
    if drawn_out and not premultiplied:
        colours = composed.deep_drawn_out if deep else composed.drawn_out
    else:
        colours = composed.deep_colours if deep else composed.colours
    rgba: NDArray[Any] = np.empty((*opacity.shape, 4), np.uint16 if deep else np.uint8)
    rgba[..., :3] = np.rint(colours * opacity[..., None]) if premultiplied else colours
    rgba[..., 3] = grey_levels(opacity, bits=16 if deep else 8)
    return rgba


def grey_levels(probability: ProbabilityArray, *, bits: Bits) -> NDArray[Any]:
    """Round a probability to H x W uint8 or, of 16 bits, uint16."""
    if bits == 16:
        return np.asarray(np.rint(probability * np.float32(65535)), np.uint16)
    return np.asarray(cv2.convertScaleAbs(probability, alpha=255), np.uint8)  # saturates and rounds in one pass
