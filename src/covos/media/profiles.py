"""Bring a picture to sRGB, if it states another colour profile (ICC.1), as viewers do."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO

from PIL import Image, ImageCms

_MODES = frozenset({"RGB", "RGBA", "L", "LA", "CMYK"})
_LARGEST = 1 << 22  # bytes of a profile; those of printers have some hundred thousand


def in_srgb(image: Image.Image) -> Image.Image:
    """Return a picture as RGB, or RGBA, in sRGB; as it is if it states no profile, or one that cannot be used."""
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or not 0 < len(profile) <= _LARGEST or image.mode not in _MODES:
        return image
    alpha = image.getchannel("A") if image.mode.endswith("A") else None
    bare = image.convert(image.mode[:-1]) if alpha is not None else image
    transform = _transform(profile, bare.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(bare, transform)
    assert converted is not None, "it is not made in place"
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


@lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return the way to sRGB; None for sRGB itself, damage, and a profile of other channels than the picture's."""
    try:
        stated = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(stated).lower():
            return None
        return ImageCms.buildTransform(stated, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, OSError):
        return None
