"""Bring a picture to sRGB, if it states another colour profile (ICC.1), as viewers do."""

from __future__ import annotations

import struct
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from covos.media.srgb import samples_of

_MODES = frozenset({"RGB", "RGBA", "L", "LA", "CMYK"})
_LARGEST = 1 << 22  # bytes of a profile; those of printers have some hundred thousand
_WHITE = 65535
_ROWS = 128
_COLOURS, _CURVES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")
_SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
"""XYZ of red, green and blue of sRGB, as columns, in the space of profiles, whose white is D50."""
_PARAMETERS = (1, 3, 4, 5, 7)
"""Numbers of each kind of parametric curve."""


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


def deep_in_srgb(samples: NDArray[np.uint16], profile: object) -> NDArray[np.uint16] | None:
    """Return samples of 16 bits, H x W x 3 or 4, in sRGB; None if they are that, or the profile cannot be used.

    Pillow converts eight bits alone. A profile of three colours and their curves is worked out here (ICC.1, F.3), as
    cameras, displays and working spaces have it; printers' tables are not. Colours that sRGB lacks are cut.
    """
    if not isinstance(profile, bytes) or not 0 < len(profile) <= _LARGEST or samples.ndim != 3:
        return None
    known = _shape_of(profile)
    if known is None:
        return None
    curves, matrix = known
    found = samples.copy()
    for top in range(0, len(samples), _ROWS):  # light takes twice the room of the samples
        part = np.s_[top : top + _ROWS, :, :3]
        light = np.stack([curve[samples[part][..., place]] for place, curve in enumerate(curves)], axis=-1)
        found[part] = samples_of(light @ matrix.T, bits=16)
    return found


@lru_cache(maxsize=8)
def _shape_of(profile: bytes) -> tuple[tuple[NDArray[np.float32], ...], NDArray[np.float32]] | None:
    """Return the light of each level of red, green and blue, and the matrix from there to the light of sRGB."""
    try:
        stated = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(stated).lower() or stated.profile.xcolor_space.strip() != "RGB":
            return None
        parts = _parts(profile)
        colours = np.stack([_numbers(parts[name], at=8, count=3) for name in _COLOURS], axis=1)
        with np.errstate(all="ignore"):
            curves = tuple(_curve(parts[name]) for name in _CURVES)
        if not all(np.isfinite(each).all() for each in curves):
            return None
    except (ImageCms.PyCMSError, OSError, KeyError, ValueError, struct.error):
        return None
    matrix = np.linalg.solve(_SRGB, colours)
    return curves, matrix.astype(np.float32)


def _parts(profile: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", profile, 128)
    if not 0 < count <= 1000:
        raise ValueError("no profile has so many parts")
    entries = [struct.unpack_from(">4sII", profile, 132 + 12 * place) for place in range(count)]
    return {name: profile[start : start + size] for name, start, size in entries}


def _numbers(part: bytes, *, at: int, count: int) -> NDArray[np.float64]:
    """Return numbers of 32 bits, 16 of them behind the point."""
    return np.array(struct.unpack_from(f">{count}i", part, at), np.float64) / 65536


def _curve(part: bytes) -> NDArray[np.float32]:
    """Return the light of each level, of a curve by points or by parameters."""
    x = np.linspace(0, 1, _WHITE + 1)
    if part[:4] == b"curv":
        (count,) = struct.unpack_from(">I", part, 8)
        points = np.frombuffer(part, ">u2", offset=12, count=count)
        if count == 0:
            return x.astype(np.float32)
        if count == 1:
            return np.asarray(x ** (float(points[0]) / 256), np.float32)
        return np.interp(x, np.linspace(0, 1, count), points / _WHITE).astype(np.float32)
    (kind,) = struct.unpack_from(">H", part, 8)
    if part[:4] != b"para" or kind >= len(_PARAMETERS):
        raise ValueError("it is no curve")
    g, a, b, c, d, e, f = (*_numbers(part, at=12, count=_PARAMETERS[kind]), *[0.0] * 7)[:7]
    if kind == 0:
        return np.asarray(x**g, np.float32)
    power = np.maximum(a * x + b, 0) ** g
    if kind in {1, 2}:  # below -b / a it is level
        level = c if kind == 2 else 0.0
        return np.asarray(np.where(x >= -b / a, power + level, level), np.float32)
    return np.asarray(np.where(x >= d, power + e, c * x + f), np.float32)
