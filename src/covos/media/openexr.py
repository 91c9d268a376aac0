"""OpenEXR pictures: linear light, half or float, brought to the values that a screen shows.

The curve is that of sRGB. Light above 1 and below 0 is cut. Premultiplied colours become straight.
Primaries that the file states become those of BT.709, adapted to its white. If HDR is kept, they become those of
BT.2020, the curve is PQ, and light above 1 stays.
"""

from __future__ import annotations

from importlib import import_module
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from covos.core.errors import EnvironmentProblem
from covos.core.printed import printing_aside
from covos.core.signatures import OPENEXR
from covos.media.depth import Deep
from covos.media.primaries import BT709, BT2020, CHROMATICITIES, adaptation, to_xyz
from covos.media.srgb import to_code
from covos.media.tones import pq_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

BITS = 16
"""Depth of the samples that are made of light."""
_ORDINARY = CHROMATICITIES[BT709]
"""OpenEXR takes them for granted where none are stated."""
_WIDE = CHROMATICITIES[BT2020]
_ALIKE = 2e-3
_LEAST_ALPHA = 1e-6
"""Opacity by which light is divided at the least."""
_MOST_LIGHT = 65504.0
"""What a half can hold: more is as white."""


def is_openexr(head: bytes) -> bool:
    """Tell by the first bytes of a file if it is an OpenEXR picture."""
    return head.startswith(OPENEXR)


def openexr_sizes(file: IO[bytes], *, name: str) -> tuple[tuple[int, int], ...]:
    """Return (height, width) of the picture that is displayed, and of the data of each part.

    Only the head of the file is read.

    Raises:
        EnvironmentProblem: The package that reads it is not installed.
        ValueError: It is damaged.
    """
    headers = [part.header for part in _file(file, name, header_only=True).parts]
    return _size(headers[0]["displayWindow"]), *(_size(header["dataWindow"]) for header in headers)


def openexr_pixels(content: bytes, *, name: str) -> Deep:
    """Read the picture of the first part that has red, green and blue, or a brightness, with its alpha.

    Args:
        content: Bytes of the file.
        name: Of the file, for messages.

    Returns:
        H x W x 3 or 4 uint16 of full range: as displayed, straight alpha. What lies outside of the data is black, and
        transparent if there is alpha.

    Raises:
        EnvironmentProblem: The package that reads it is not installed.
        ValueError: It is damaged, or has no such channels.
    """
    light, alpha, part = _straight_light(content, name=name)
    shown = to_code(np.clip(light @ _from_to(part.header.get("chromaticities", _ORDINARY), _ORDINARY).T, 0, 1))
    if alpha is not None:
        shown = np.concatenate([shown, alpha], -1)
    samples = np.rint(shown * 65535).astype(np.uint16)
    return Deep(samples=_placed(samples, part.header), stated=BITS)


def openexr_as_pq(content: bytes, *, name: str) -> NDArray[np.uint16]:
    """Read the same picture with light above 1: H x W x 3 uint16 of full range, PQ in the primaries of BT.2020.

    Light of 1 is white paper. Raises what `openexr_pixels` raises.
    """
    light, _, part = _straight_light(content, name=name)
    wide = light @ _from_to(part.header.get("chromaticities", _ORDINARY), _WIDE).T
    return _placed(pq_of(np.asarray(wide, np.float32)), part.header)


def _straight_light(content: bytes, *, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, Any]:
    """Return the light of a file, H x W x 3, its alpha, H x W x 1, if there is one, and the part that has them."""
    file = _file(BytesIO(content), name)
    for part in file.parts:
        planes = _planes(part)
        if planes is not None:
            break
    else:
        raise ValueError(
            f"it has no channels R, G and B, and no Y of full size; it has {', '.join(sorted(file.parts[0].channels))}"
        )
    light = np.stack(planes[:3], -1)
    alpha = planes[3].clip(0, 1)[..., None] if len(planes) == 4 else None
    if alpha is not None:
        # Where nothing is opaque, light is seen all the same: a glow.
        light = np.divide(light, np.maximum(alpha, _LEAST_ALPHA), out=light.copy(), where=alpha > 0)
    return light, alpha, part


def _file(source: IO[bytes], name: str, *, header_only: bool = False) -> Any:
    try:
        library = import_module("OpenEXR")
    except ImportError as error:
        raise EnvironmentProblem(
            f"{name}: OpenEXR pictures cannot be read",
            why="the package OpenEXR is not installed",
            fix="pip install 'covos[exr]', or convert them to PNG or TIFF with 16 bits",
        ) from error
    try:
        with printing_aside():  # it prints a warning of damage
            file = library.File(source, separate_channels=True, header_only=header_only)
    except (RuntimeError, TypeError, KeyError) as error:
        raise ValueError("the OpenEXR library cannot read it: it is damaged, or has deep samples") from error
    if not file.parts:  # those that are damaged are left out
        raise ValueError("it is damaged or cut off")
    return file


def _planes(part: Any) -> list[NDArray[np.float32]] | None:
    """Return the planes of red, green and blue, and alpha if there is one; those without a layer's name come first."""
    channels = {name: channel.pixels for name, channel in part.channels.items()}
    layers = sorted({name.rpartition(".")[0] for name in channels})
    for layer in layers:
        before = f"{layer}." if layer else ""
        for names in ("RGB", "rgb", "YYY"):
            found = [channels.get(f"{before}{each}") for each in names]
            found.append(channels.get(f"{before}{'a' if names == 'rgb' else 'A'}"))
            colours = [each for each in found[:3] if each is not None]
            if len(colours) < 3 or len({each.shape for each in colours}) > 1 or (f"{before}RY" in channels):
                continue
            kept = [each for each in found if each is not None and each.shape == colours[0].shape]
            finite = (np.nan_to_num(each.astype(np.float32), nan=0, posinf=1, neginf=0) for each in kept)
            return [each.clip(-_MOST_LIGHT, _MOST_LIGHT) for each in finite]
    return None


def _placed(samples: NDArray[np.uint16], header: dict[str, Any]) -> NDArray[np.uint16]:
    """Put the data where they lie in the picture that is displayed."""
    (left, top), _ = header["displayWindow"]
    (x, y), _ = header["dataWindow"]
    height, width = _size(header["displayWindow"])
    down, across = int(y - top), int(x - left)
    if (down, across) == (0, 0) and samples.shape[:2] == (height, width):
        return np.ascontiguousarray(samples)
    placed = np.zeros((height, width, samples.shape[2]), np.uint16)
    part = samples[max(0, -down) : max(0, height - down), max(0, -across) : max(0, width - across)]
    rows, columns = max(0, down), max(0, across)
    placed[rows : rows + part.shape[0], columns : columns + part.shape[1]] = part
    return placed


def _size(window: Any) -> tuple[int, int]:
    (left, top), (right, bottom) = window
    return int(bottom - top) + 1, int(right - left) + 1


def _from_to(chromaticities: Any, asked: tuple[float, ...]) -> NDArray[np.float32]:
    """Return the matrix from light of some primaries to that of others, 3 x 3; those that cannot be are BT.709's."""
    stated = np.asarray(chromaticities, np.float64).reshape(-1)
    if stated.shape != (8,) or (stated[1::2] == 0).any():
        stated = np.array(_ORDINARY)
    if np.abs(stated - asked).max() < _ALIKE:
        return np.eye(3, dtype=np.float32)
    (own, white), (wanted, shown) = to_xyz(stated), to_xyz(asked)
    return np.asarray(np.linalg.inv(wanted) @ adaptation(white, shown) @ own, np.float32)
