"""Pictures with 16 bits a sample: their samples, and the depth that these have in truth.

Cameras of 10 and 12 bits store their values in 16 as they are: white is 1023, or 4095. TIFF can say so. If a file says
nothing, the largest value decides: 16-bit pictures none of whose samples is above 1/16 of white are taken for darker
ones of fewer bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from covos.core.errors import SourceError
from covos.core.guarded import read_guarded
from covos.media.profiles import deep_in_srgb

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from covos.core.places import Place

_GUESSES = (8, 10, 12)
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE, _EXTRA_SAMPLES = 258, 262, 281, 338  # of TIFF
_RGB, _PREMULTIPLIED = 2, 1
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Deep:
    """Samples of a picture, H x W, or H x W x 3 or 4, uint16, upright.

    Attributes:
        samples: As stored.
        stated: Depth in bits that the file states; None if it states none below 16.
    """

    samples: NDArray[np.uint16]
    stated: int | None = None

    @property
    def peak(self) -> int:
        """The largest sample of a colour; alpha is left aside."""
        return int((self.samples if self.samples.ndim == 2 else self.samples[..., :3]).max(initial=0))

    @property
    def bits(self) -> int:
        """The depth that is stated, or that the largest sample shows."""
        return self.stated if self.stated is not None else depth_of(self.peak)

    def at_8_bits(self, bits: int) -> NDArray[np.uint8]:
        """Return the samples as uint8; alpha is of 16 bits, or of the same depth if its largest value is that."""
        if self.samples.ndim == 3 and self.samples.shape[2] == 4:
            alpha = self.samples[..., 3]
            deep = bits if depth_of(int(alpha.max(initial=0))) <= bits else 16
            return np.dstack([_scaled(self.samples[..., :3], bits), _scaled(alpha, deep)])
        return _scaled(self.samples, bits)

    def at_16_bits(self, bits: int) -> NDArray[np.uint16]:
        """Return the colours as H x W x 3 uint16 of full range."""
        colours = self.samples[..., :3] if self.samples.ndim == 3 else np.repeat(self.samples[..., None], 3, axis=2)
        wide = colours.clip(0, (1 << bits) - 1).astype(np.float64) * (65535 / ((1 << bits) - 1))
        return np.ascontiguousarray(np.rint(wide).astype(np.uint16))


def depth_of(peak: int) -> int:
    """Guess the depth in bits of samples of which none is larger."""
    return next((bits for bits in _GUESSES if 0 < peak < 1 << bits), 16)


def _scaled(samples: NDArray[np.uint16], bits: int) -> NDArray[np.uint8]:
    # The high byte, as image libraries reduce them, so that 16 bits stay what they were.
    return np.asarray(samples.clip(0, (1 << bits) - 1) >> (bits - 8), np.uint8)


def deep_pixels(path: Place, image: Image.Image, *, is_plain: bool = True) -> Deep | None:
    """Return the samples of an opened image if it has 16 bits a sample; None if it has fewer, or real numbers.

    Colours of a profile that the image states are brought to sRGB, if it ``is_plain``: no HDR.
    """
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        return Deep(samples=_upright(grey.clip(0, 65535).astype(np.uint16), image), stated=_stated(image))
    if not _has_deep_colours(path, image):
        return None
    # Pillow keeps their high bytes alone; but it recognises a damaged file, which OpenCV reads as far as it goes.
    image.load()
    what = f"{path}: the image cannot be read"
    content = read_guarded(path, what=what, fix="write it again", error=SourceError)
    try:
        colours: Any = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if colours is None or colours.dtype != np.uint16 or colours.ndim != 3 or colours.shape[2] not in {3, 4}:
        return None
    order = [2, 1, 0, 3][: colours.shape[2]]
    samples, stated = colours[..., order], _stated(image)
    if _is_premultiplied(image):
        # Not by the largest alpha: a picture may be faint all over.
        samples = _straight(samples, bits=stated or 16)
    # Who states a profile has pictures of full range.
    if is_plain and stated is None and (brought := deep_in_srgb(samples, image.info.get("icc_profile"))) is not None:
        samples, stated = brought, 16
    return Deep(samples=_upright(samples, image), stated=stated)


def _is_premultiplied(image: Image.Image) -> bool:
    if image.format != "TIFF":
        return False
    return tuple(image.tag_v2.get(_EXTRA_SAMPLES, ()))[:1] == (_PREMULTIPLIED,)  # type: ignore[attr-defined]


def _straight(samples: NDArray[np.uint16], *, bits: int) -> NDArray[np.uint16]:
    """Divide colours by their alpha, as Pillow does at 8 bits; where nothing is seen, they are black."""
    if samples.shape[2] < 4:
        return samples
    largest = (1 << bits) - 1
    alpha = samples[..., 3:].astype(np.float32)
    colours = np.rint(samples[..., :3] * (largest / np.maximum(alpha, 1))).clip(0, largest)
    return np.dstack([np.asarray(colours, np.uint16), samples[..., 3]])


def _has_deep_colours(path: Place, image: Image.Image) -> bool:
    if image.format == "PNG":
        with path.open("rb") as file:
            head = file.read(26)
        return head[24] == 16 and head[25] in {2, 4, 6}
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        return set(tags.get(_BITS_PER_SAMPLE, ())) == {16} and tags.get(_PHOTOMETRIC) == _RGB
    return False


def _stated(image: Image.Image) -> int | None:
    """Return the depth that TIFF states: that of its samples, or of the largest that may be."""
    if image.format != "TIFF":
        return None
    tags = image.tag_v2  # type: ignore[attr-defined]
    stored = max(tags.get(_BITS_PER_SAMPLE, (16,)))
    largest = tags.get(_MAX_SAMPLE)
    bits = stored if stored < 16 else int(max(np.atleast_1d(largest))).bit_length() if largest else 16
    return bits if 8 <= bits < 16 else None


def _upright(samples: NDArray[np.uint16], image: Image.Image) -> NDArray[np.uint16]:
    """Apply an EXIF orientation; Pillow has applied that of a TIFF's grey levels itself."""
    is_done = image.format == "TIFF" and image.mode.startswith("I")
    orientation = 1 if is_done else image.getexif().get(_ORIENTATION, 1)
    turned = np.swapaxes(samples, 0, 1) if orientation >= 5 else samples
    down = -1 if orientation in {3, 4, 7, 8} else 1
    across = -1 if orientation in {2, 3, 6, 7} else 1
    return np.ascontiguousarray(turned[::down, ::across])
