"""Make the pictures that a video decoder gives into those that are displayed: upright, RGB, of ordinary tones."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeVar

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from covos.core.errors import SourceError
from covos.core.types import Later, Planes
from covos.media.picture import ALPHA_NOTE, Picture, as_picture
from covos.media.tags import KNOWN_MATRICES, colour_of, usual_matrix
from covos.media.tones import Toning, tones_note, transfer_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

# swscale's default repeats chroma samples, which shows as steps along coloured edges; exact rounding and
# bit-exactness make two machines give the same pixels, and so the same masks.
_ACCURATE = Interpolation.BILINEAR | Interpolation.FULL_CHR_H_INT | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
_UNSPECIFIED_MATRIX = 2
_IN_PLANES = "gbrp16le"
_REDUCED = _ACCURATE & ~Interpolation.BILINEAR | Interpolation.AREA
"""By the mean of areas: anything else aliases when it shrinks a picture, and aliasing flickers."""
_LIMITED_TO_FULL = np.rint((np.arange(256.0) - 16) * 255 / 219).clip(0, 255).astype(np.uint8)

Sample = TypeVar("Sample", bound=np.generic)
Orientation = tuple[int, int, int, int]
"""The linear part of a display matrix, rounded to -1, 0, 1: x' = a x + c y, y' = b x + d y, as (a, b, c, d)."""
_UPRIGHT: Orientation = (1, 0, 0, 1)


class PictureReader:
    """Turns decoded pictures into displayed ones, each of its own size.

    Rotation and mirroring are applied, and limited and full range and the colour matrix are honoured. Deeper samples
    are reduced to 8 bits, HDR and BT.2020 are brought to ordinary tones (`covos.media.tones`), and alpha is kept.
    ``size``, (width, height), is that of the first picture before rotation; ``warn`` is called with each oddity met. If
    ``uses_alpha`` is false, alpha is left out (see `is_alpha_used`). Readers of one file may share ``orientations``.
    ``hdr_is_stated`` is true if the file's facts have its HDR: then whoever writes says which formats keep it.
    """

    def __init__(
        self,
        name: str,
        *,
        size: tuple[int, int],
        warn: Callable[[str], None],
        uses_alpha: bool = True,
        orientations: Orientations | None = None,
        hdr_is_stated: bool = False,
    ) -> None:
        self._name = name
        self._size = size
        self._warn = warn
        self._uses_alpha = uses_alpha
        self._hdr_is_stated = hdr_is_stated
        self._orientations = orientations or Orientations()
        self._reformatter = VideoReformatter()
        self._smaller = _Reformatters()
        self._toning = Toning()

    def read(self, picture: VideoFrame) -> Picture:
        """Convert one picture; its arrays are contiguous."""
        return self.laid(self.pixels(picture))

    def laid(self, pixels: NDArray[np.uint8]) -> Picture:
        """Lay what `pixels` gives over grey where it has alpha, and note that it has."""
        shown = as_picture(pixels, uses_alpha=self._uses_alpha)
        if shown.alpha is not None:
            self._warn(ALPHA_NOTE)
        return shown

    def pixels(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Convert one picture to H x W x 3 RGB, or x 4 RGBA where its format has alpha."""
        orientation = self._orientations.of(picture)
        if orientation is None:
            self._warn("the rotation that the file asks for is not a quarter turn and is not applied")
        width, height = self._size
        if (picture.width, picture.height) != (width, height):
            self._warn(
                f"the frame size changes from {width}x{height} to {picture.width}x{picture.height}: "
                "each mask has its own frame's size; where one size must do, the first is kept and frames are fitted in"
            )
        try:
            pixels = self._stored(picture)
        except (av.FFmpegError, ValueError) as error:
            raise SourceError(
                f"{self._name}: its colours cannot be read",
                why=f"pixel format {picture.format.name}: {error}",
                fix="convert it to H.264 yuv420p first",
            ) from error
        if _is_limited_grey(picture):
            pixels = _LIMITED_TO_FULL[pixels]
        return _orient(pixels, orientation=orientation)

    def coded(self, picture: VideoFrame) -> Planes | None:
        """Return the planes of a picture that is displayed as it is coded, in 8 bits; None if it is not."""
        height, width = picture.height, picture.width
        plain = picture.format.name == "yuv420p" and picture.color_range != ColorRange.JPEG
        even = (width, height) == self._size and height % 2 == width % 2 == 0
        tones = transfer_of(transfer=picture.color_trc, primaries=picture.color_primaries)
        if not plain or not even or tones is not None or self._orientations.of(picture) != _UPRIGHT:
            return None
        # They stay where the decoder has put them: it does not write there while they are looked at.
        luma, blue, red = (plane_of(picture, place) for place in range(3))
        return Planes(luma=luma, blue=blue, red=red, matrix=colour_of(picture).matrix)

    def later(self, picture: VideoFrame) -> Later | None:
        """Return what makes a picture when it is looked at, whole or smaller; None where it has to be made at once.

        It is so if its colours need more than a change of matrix, as those of HDR, or if nothing is known of it before,
        such as its alpha.
        """
        orientation = self._orientations.of(picture)
        tones = transfer_of(transfer=picture.color_trc, primaries=picture.color_primaries)
        same = (picture.width, picture.height) == self._size
        others = has_alpha(picture) or picture.format.name.startswith("gray") or tones is not None
        if orientation is None or others or not same:
            return None
        matrix = self._matrix(picture)  # it may warn, and nobody may look at the picture
        height, width = picture.height, picture.width
        turned = not orientation[0]

        def make(size: tuple[int, int]) -> NDArray[np.uint8]:
            stored = size[::-1] if turned else size
            made = self._reformat(picture, "rgb24", matrix=matrix, by=self._smaller.of(stored), size=stored)
            return _orient(np.asarray(made.to_ndarray(), np.uint8), orientation=orientation)

        return Later(make, size=(width, height) if turned else (height, width))

    def deep(self, picture: VideoFrame) -> NDArray[np.uint16]:
        """Convert the colours of a picture that `pixels` has converted to H x W x 3 uint16 RGB of full range."""
        if transfer_of(transfer=picture.color_trc, primaries=picture.color_primaries) is None:
            return self.unmapped(picture)
        return self._shown(picture, self._converted(picture, _deep_format(picture), alpha=False))

    def unmapped(self, picture: VideoFrame) -> NDArray[np.uint16]:
        """Convert the colours of a picture as `deep` does, but keep HDR and BT.2020 as they are coded."""
        made = self._reformat(picture, _deep_format(picture), matrix=self._matrix(picture))
        colours = np.asarray(made.to_ndarray(), np.uint16)
        if _deep_format(picture) == _IN_PLANES:
            colours = to_full_white(colours)
        return self._shown(picture, colours)

    def _shown(self, picture: VideoFrame, colours: NDArray[np.uint16]) -> NDArray[np.uint16]:
        if _is_limited_grey(picture):
            colours = _stretched(colours, bits=picture.format.components[0].bits)
        return _orient(colours, orientation=self._orientations.of(picture))

    def _stored(self, picture: VideoFrame) -> NDArray[np.uint8]:
        """Return H x W x 3 RGB, or x 4 with alpha, turned as it is stored."""
        alpha = has_alpha(picture)
        return np.asarray(self._converted(picture, "rgba" if alpha else "rgb24", alpha=alpha), np.uint8)

    def _converted(self, picture: VideoFrame, pixel_format: str, *, alpha: bool) -> NDArray[Any]:
        tones = transfer_of(transfer=picture.color_trc, primaries=picture.color_primaries)
        matrix = self._matrix(picture)
        if tones is not None:
            if not self._hdr_is_stated:
                self._warn(tones_note(tones[0]))
            deep = self._reformat(picture, "gbrap16le" if alpha else "gbrp16le", matrix=matrix)
            picture, matrix = self._toning.apply(deep, transfer=tones[0], wide=tones[1]), None
        return self._reformat(picture, pixel_format, matrix=matrix).to_ndarray()

    def _reformat(
        self,
        picture: VideoFrame,
        pixel_format: str,
        *,
        matrix: int | None,
        by: VideoReformatter | None = None,
        size: tuple[int, int] | None = None,
    ) -> VideoFrame:
        whole = picture.height, picture.width
        return (by or self._reformatter).reformat(
            picture,
            width=(size or whole)[1],
            height=(size or whole)[0],
            format=pixel_format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            interpolation=_ACCURATE if size in (None, whole) else _REDUCED,
            threads=1,  # as in the writer
        )

    def _matrix(self, picture: VideoFrame) -> int | None:
        if picture.format.is_rgb or picture.colorspace in KNOWN_MATRICES:
            return None
        if picture.colorspace != _UNSPECIFIED_MATRIX:
            self._warn(f"colour matrix {picture.colorspace} is not supported: colours are approximate")
        usual = usual_matrix(picture.height, picture.width)
        return int(Colorspace.ITU709 if usual == Colorspace.ITU709 else Colorspace.ITU601)


class _Reformatters(threading.local):
    """A reformatter for each size, of each thread: it keeps its tables, and they serve one size and one thread."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], VideoReformatter] = {}

    def of(self, size: tuple[int, int]) -> VideoReformatter:
        """Return the one of this thread for a size."""
        return self._made.setdefault(size, VideoReformatter())


def plane_of(picture: VideoFrame, place: int) -> NDArray[np.uint8]:
    """Return one of the planes of 8 bits of a picture, h x w uint8, to read or to write."""
    plane: Any = picture.planes[place]
    rows: NDArray[np.uint8] = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    return rows[:, : plane.width]


def deep_plane_of(picture: VideoFrame, place: int) -> NDArray[np.uint16]:
    """Return one of the planes of 9 to 16 bits of a picture, h x w uint16, to read or to write."""
    plane: Any = picture.planes[place]
    rows: NDArray[np.uint16] = np.frombuffer(plane, "<u2").reshape(plane.height, plane.line_size // 2)
    return rows[:, : plane.width]


def _deep_format(picture: VideoFrame) -> str:
    """Return the format by which the samples of a picture become 16 bits of RGB.

    Of YUV, in planes: swscale 9.5 gives every second row of 4:2:0 other colours if it packs them. Of RGB, packed:
    in planes, white is no longer white.
    """
    return "rgb48le" if picture.format.is_rgb or len(picture.format.components) < 3 else _IN_PLANES


def to_full_white(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Bring RGB that swscale made of YUV to full range: its white is 255 * 256, not 65535."""
    return np.asarray(cv2.add(samples, samples >> 8), np.uint16)  # times 257 / 256; beyond white, it stays white


def from_full_white(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Bring RGB of full range to what swscale makes YUV of, so that white is 940 of 10 bits and not 943."""
    return np.asarray(samples - (samples.astype(np.uint32) + 128) // 257, np.uint16)


def _is_limited_grey(picture: VideoFrame) -> bool:
    """Tell if a picture is grey of limited range: swscale takes every grey for full range."""
    return picture.format.name.startswith("gray") and picture.color_range == ColorRange.MPEG


def _stretched(samples: NDArray[np.uint16], *, bits: int) -> NDArray[np.uint16]:
    """Bring samples of limited range, which swscale has moved up from so many bits to 16, to full range."""
    black, white = 16 << (bits - 8), 235 << (bits - 8)
    stated = samples * np.float32(1 / (1 << (16 - bits)))
    full = np.rint((stated - black) * np.float32(65535 / (white - black))).clip(0, 65535)
    return np.asarray(full, np.uint16)


def has_alpha(picture: VideoFrame) -> bool:
    """Return True if the picture's format has an alpha channel; that of a palette stands in its colours."""
    return picture.format.name == "pal8" or any(component.is_alpha for component in picture.format.components)


class Orientations:
    """Tells how the pictures of one file are to be turned; the file's say is read once for each angle.

    PyAV's ``side_data`` refers to its picture and the picture to it. So a picture that was asked for it is freed by the
    collector of cycles alone, which comes by after a thousand of them, with their samples. The angle costs nothing. A
    file whose pictures begin to be mirrored midway, at the same angle, is not known to exist.
    """

    def __init__(self) -> None:
        self._known: dict[int, Orientation | None] = {}

    def of(self, picture: VideoFrame) -> Orientation | None:
        """Return the orientation of a picture; None if it is not made of quarter turns and mirrors."""
        angle = picture.rotation
        if angle not in self._known:
            self._known[angle] = _orientation_of(picture)
        return self._known[angle]


def _orientation_of(picture: VideoFrame) -> Orientation | None:
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


def _orient(image: NDArray[Sample], *, orientation: Orientation | None) -> NDArray[Sample]:
    """Turn and mirror an H x W x C picture, to a contiguous one; None leaves it as it is."""
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
