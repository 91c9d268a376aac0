"""Convert a decoder's picture to the RGB array that a viewer would see."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from covos.core.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.video.frame import VideoFrame

    from covos.core.types import ImageArray

# swscale's default repeats chroma samples, which shows as steps along coloured edges; exact rounding and
# bit-exactness make two machines give the same pixels, and so the same masks.
_ACCURATE = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
# Matrices (ITU-T H.273, table 4) that swscale converts: BT.709, FCC, BT.470BG, SMPTE 170M, SMPTE 240M, BT.2020.
_KNOWN_MATRICES = frozenset({1, 4, 5, 6, 7, 9})
_UNSPECIFIED_MATRIX = 2
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
_LIMITED_TO_FULL = np.rint((np.arange(256.0) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)

Orientation = tuple[int, int, int, int]
"""The linear part of a display matrix, rounded to -1, 0, 1: x' = a x + c y, y' = b x + d y, as (a, b, c, d)."""
_UPRIGHT: Orientation = (1, 0, 0, 1)


class PictureReader:
    """Turns decoded pictures into displayed RGB, all of one size.

    Rotation and mirroring are applied, limited and full range and the colour matrix are honoured, deeper
    samples are reduced to 8 bits, alpha is dropped and the colour under it kept. HDR is not tone-mapped. Pictures are
    scaled to ``size``, (width, height), that of the first before rotation; ``warn`` is called with each oddity met.
    """

    def __init__(self, name: str, *, size: tuple[int, int], warn: Callable[[str], None]) -> None:
        self._name = name
        self._size = size
        self._warn = warn
        self._reformatter = VideoReformatter()

    def rgb(self, picture: VideoFrame) -> ImageArray:
        """Convert one picture to H x W x 3 uint8 RGB, contiguous, as displayed."""
        orientation = orientation_of(picture)
        if picture.color_trc in _HDR_TRANSFERS:
            self._warn(f"the video is HDR ({_HDR_TRANSFERS[picture.color_trc]}) and is read without tone mapping")
        if picture.interlaced_frame:
            self._warn("the video is interlaced and is not deinterlaced: moving edges are combed")
        if orientation is None:
            self._warn("the rotation that the file asks for is not a quarter turn and is not applied")
        width, height = self._size
        if (picture.width, picture.height) != (width, height):
            self._warn(
                f"the frame size changes from {width}x{height} to {picture.width}x{picture.height}: "
                "later frames are scaled to the first one's size"
            )
        try:
            converted = self._reformatter.reformat(
                picture,
                format="rgb24",
                width=width,
                height=height,
                src_colorspace=(matrix := self._matrix(picture)),
                dst_colorspace=matrix,
                interpolation=_ACCURATE,
                threads=1,  # as in the writer
            )
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"{self._name}: its colours cannot be read",
                why=f"pixel format {picture.format.name}: {error}",
                fix="convert it to H.264 yuv420p first",
            ) from error
        image: ImageArray = np.asarray(converted.to_ndarray(), np.uint8)
        if picture.format.name.startswith("gray") and picture.color_range == ColorRange.MPEG:
            image = _LIMITED_TO_FULL[image]  # swscale takes every grey for full range
        return _orient(image, orientation=orientation)

    def _matrix(self, picture: VideoFrame) -> int | None:
        if picture.format.is_rgb or picture.colorspace in _KNOWN_MATRICES:
            return None
        if picture.colorspace != _UNSPECIFIED_MATRIX:
            self._warn(f"colour matrix {picture.colorspace} is not supported: colours are approximate")
        # Untagged video: high definition is BT.709, standard definition BT.601, as players take it.
        high_definition = picture.width >= 1280 or picture.height > 576
        return int(Colorspace.ITU709 if high_definition else Colorspace.ITU601)


def orientation_of(picture: VideoFrame) -> Orientation | None:
    """Return the orientation that the container asks for; None if it is not made of quarter turns and mirrors."""
    try:
        data: Any = picture.side_data.get("DISPLAYMATRIX")
    except ValueError:
        # PyAV refuses all side data if it does not know one type among it, such as the EXIF block of a Motion
        # JPEG; the angle can still be had.
        turn = {0: _UPRIGHT, 90: (0, -1, 1, 0), 180: (-1, 0, 0, -1), 270: (0, 1, -1, 0)}
        return turn.get(picture.rotation % 360)
    if data is None:
        return _UPRIGHT
    matrix = np.frombuffer(bytes(data), np.int32)[[0, 1, 3, 4]] / 65536  # 16.16 fixed point
    scale = np.abs(matrix).max()
    if scale == 0:
        return _UPRIGHT
    a, b, c, d = (int(v) for v in np.rint(matrix / scale))
    is_quarter_turn = abs(a) == abs(d) and abs(b) == abs(c) and abs(a) + abs(b) == 1
    return (a, b, c, d) if is_quarter_turn else None


def _orient(image: ImageArray, *, orientation: Orientation | None) -> ImageArray:
    """Turn and mirror an H x W x 3 picture, to a contiguous one; None leaves it as it is."""
    a, b, c, d = orientation or _UPRIGHT
    turned = image if a else image.transpose(1, 0, 2)
    across, down = (a, d) if a else (c, b)
    return np.ascontiguousarray(turned[::down, ::across])


def rotation_degrees(orientation: Orientation | None) -> int:
    """Return the counter-clockwise degrees, 0, 90, 180 or 270, of an orientation, or of its unmirrored part."""
    a, b, c, d = orientation or _UPRIGHT
    if a * d - b * c < 0:
        a, c = -a, -c
    return {(1, 0): 0, (0, -1): 90, (-1, 0): 180, (0, 1): 270}[a, b]
