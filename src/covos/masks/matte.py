"""Soft masks (mattes): the share of each pixel that belongs to the subject."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from covos.core.errors import AnnotationError, UsageError
from covos.masks.label_files import open_mask
from covos.masks.object_ids import split_alpha
from covos.masks.solid import clearness, doubted_holes, solidity

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from covos.core.places import Place
    from covos.core.types import AlphaArray, LabelArray, ProbabilityArray

_NEARLY = 0.01
SURE = 0.1
"""A probability this near to 0 or 1 is taken for it where an opacity is made of it."""


def read_soft_mask(path: Place) -> ProbabilityArray:
    """Read a matte: the alpha channel where there is one that is not all opaque, else the grey value of 1 to 16 bits.

    The result is H x W float32: black or transparent is 0, white or opaque 1. Floating-point greys are taken as they
    are. Colours without alpha are refused, and so are greys outside 0 to 1.
    """
    image, alpha = split_alpha(_with_own_alpha(open_mask(path)))
    values: NDArray[Any] = np.asarray(image) if alpha is None else alpha
    white = 255
    if alpha is None and image.mode == "1":
        white = 1
    elif alpha is None and image.mode.startswith("I"):
        values, white = np.clip(values, 0, 65535), 65535
    elif alpha is None and image.mode == "F":
        if not (values.min(initial=0) >= 0 and values.max(initial=0) <= 1):  # NaN is refused, too
            raise AnnotationError(
                f"{path} is not a soft mask",
                why="its pixels are floating-point numbers outside 0 to 1",
                fix="export the matte with values from 0 to 1, or as a grey PNG",
            )
        white = 1
    elif alpha is None and image.mode != "L":
        if _has_colours(image):
            raise AnnotationError(
                f"{path} is not a soft mask",
                why="it has colours; a matte is grey or an alpha channel",
                fix="export the matte as a grey PNG, or read the file as a label map",
            )
        values = np.asarray(image.convert("RGB"))[..., 0]
    return values.astype(np.float32) / np.float32(white)


def read_alpha(path: Place) -> AlphaArray:
    """Read the alpha channel of a picture, H x W uint8; all of a picture without one is opaque, 255."""
    image, alpha = split_alpha(_with_own_alpha(open_mask(path)))
    return np.full(image.size[::-1], 255, np.uint8) if alpha is None else alpha


def is_plain_picture(path: Place) -> bool:
    """Tell if a picture has colours and no alpha channel, not even one that is opaque all over."""
    image = open_mask(path)
    is_grey = image.mode in {"1", "L", "F"} or image.mode.startswith("I")
    return not is_grey and not image.has_transparency_data and _has_colours(image)


def _with_own_alpha(image: Image.Image) -> Image.Image:
    """Return a picture with a channel of alpha if its palette has it, or if one value is named as transparent."""
    if image.mode not in {"1", "L", "P", "RGB"} or not image.has_transparency_data:
        return image
    return image.convert("LA" if image.mode in {"1", "L"} else "RGBA")


def _has_colours(image: Image.Image) -> bool:
    colours = np.asarray(image.convert("RGB"))
    return bool((colours != colours[..., :1]).any())


def check_image(image: NDArray[Any], *, deep: bool = False) -> None:
    """Refuse a picture that is not H x W x 3 uint8, or uint16 if it may be deep, with a UsageError."""
    kinds = (np.uint8, np.uint16) if deep else (np.uint8,)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype not in kinds:
        named = " or ".join(np.dtype(kind).name for kind in kinds)
        raise UsageError(
            f"the image must be H x W x 3 {named}, not {_text(image)}",
            why="its colours are red, green and blue in whole numbers",
            fix='convert it first, as in np.asarray(Image.open(path).convert("RGB"))',
        )


def check_pair(image: NDArray[Any], soft: NDArray[Any], *, deep: bool = False, what: str = "the soft mask") -> None:
    """Refuse a picture and a soft mask that are not H x W x 3 uint8, or uint16 if it may be deep, and H x W float32.

    The mask has to be in [0, 1]; ``what`` is its name for messages.

    Raises:
        UsageError: See above.
    """
    check_image(image, deep=deep)
    if soft.ndim != 2 or soft.dtype != np.float32:
        raise UsageError(
            f"{what} must be H x W float32, not {_text(soft)}",
            why="its values are shares, from 0 to 1",
            fix="convert it first: values.astype(np.float32) / 255, if they go to 255",
        )
    if image.shape[:2] != soft.shape:
        raise UsageError(
            f"the image is {image.shape[:2]}, {what} {soft.shape}",
            why="both are of one frame",
            fix="give them one height and width",
        )
    if not soft.size:
        raise UsageError(f"the image and {what} are empty: {soft.shape}", why="they show nothing", fix="give pixels")
    lowest, highest = soft.min(), soft.max()
    # Written so that NaN, which compares as False, is refused too.
    if not (lowest >= 0 and highest <= 1):
        raise UsageError(
            f"{what} must be in [0, 1], not in [{lowest}, {highest}]",
            why="its values are shares",
            fix="divide them by the largest that there can be, such as 255",
        )


def _text(array: NDArray[Any]) -> str:
    return f"{' x '.join(str(side) for side in array.shape)} {array.dtype}"


def stretched(probability: ProbabilityArray) -> ProbabilityArray:
    """Make an opacity of a probability, H x W float32 in [0, 1]: what is nearly sure is made sure.

    A network is never quite certain. An interior of 0.98 lets the background through, one of 0.02 leaves ghosts of
    other things.
    """
    wider = (probability - SURE) / (1 - 2 * SURE)
    return np.asarray(np.clip(wider, 0, 1, out=wider), np.float32)


def brought_together(
    one: ProbabilityArray, other: ProbabilityArray, *, share: float | ProbabilityArray
) -> ProbabilityArray:
    """Bring two opacities together by the mean of their log-odds, of which the other has a share.

    Args:
        one: H x W float32 in [0, 1].
        other: The same.
        share: In [0, 1], of all or of each pixel.

    Returns:
        H x W float32 in [0, 1]; what comes within 0.01 of 0 or 1 is made it, for a mean is never quite either.
    """
    odds = (1 - share) * _log_odds(one) + share * _log_odds(other)
    mean = (1 / (1 + np.exp(-odds)) - _NEARLY) / (1 - 2 * _NEARLY)
    return np.asarray(np.clip(mean, 0, 1), np.float32)


def _log_odds(opacity: ProbabilityArray) -> ProbabilityArray:
    clipped = np.clip(opacity, _NEARLY, 1 - _NEARLY)
    return np.asarray(np.log(clipped / (1 - clipped)), np.float32)


def opacity_of(probability: ProbabilityArray, labels: LabelArray, *, feather: float = 0.0) -> ProbabilityArray:
    """Make an opacity of a probability and its mask: H x W float32 in [0, 1], soft at the edge, 1 inside, 0 outside.

    Inside of the mask the network may doubt what a thing is, as of glass or of a plain side, and the doubt changes from
    frame to frame. It is no transparency: the mask says that all of it is the subject, and small holes that are only
    doubted (`covos.masks.solid`) are part of it. Far outside, what the network half believes in would be a veil of the
    background.

    Args:
        probability: H x W float32 in [0, 1].
        labels: H x W uint8; 0 = background.
        feather: Pixels over which the edge was made soft on request, half of them inside: these stay soft.
    """
    opacity = stretched(probability)
    inside = labels > 0
    if (inside & (opacity < 1)).any():
        inside |= doubted_holes(probability, labels)
        doubtful = inside & (opacity < 1)
        solid = solidity(inside, feather=feather)[doubtful]
        opacity[doubtful] = 1 - (1 - opacity[doubtful]) * (1 - solid)
    veil = ~inside & (opacity > 0)
    if veil.any():
        opacity[veil] *= 1 - clearness(inside, veil, feather=feather)[veil]
    return opacity
