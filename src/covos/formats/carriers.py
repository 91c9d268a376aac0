"""Carriers: how a picture without alpha is written, to look at or to go on with, with all bits that the source has.

A format that offers several is a `CarriedFormat`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import UsageError
from covos.core.files import atomic_path
from covos.core.types import Frame, SourceInfo
from covos.formats.composition import ONE_MORE, with_options
from covos.formats.exr import planes_of, write_exr
from covos.formats.light import to_light
from covos.formats.pictures import write_png, write_webp
from covos.formats.profile import profile_of
from covos.formats.tiff import write_tiff
from covos.formats.videos import OF_VIDEOS, VideoFormat
from covos.media.presets import FFV1_OPAQUE, H264, PRORES_422, Preset

_QUALITY = 95
"""Of JPEG, with colours at full size: what it loses is not seen."""
CarrierName: TypeAlias = Literal["exr", "ffv1", "jpeg", "png", "prores", "tiff", "webp"]
WritePicture: TypeAlias = Callable[[Path, NDArray[Any], SourceInfo, Frame], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A way to write pictures without alpha: as a video, or each as a file.

    Attributes:
        preset: The kind of video; None where each picture is a file.
        suffixes: Those that a picture may have, the usual one first; none of a video.
        write: Writes a picture, H x W x 3 RGB: uint8, or uint16 of full range.
        deep: False of pictures that have eight bits a sample.
        has_aspect: False of pictures that cannot say that their pixels are not square.
        bytes_per_pixel: Size on disk, as of `covos.formats.base.Format`: with all of the source's detail.
    """

    preset: Preset | None = None
    suffixes: tuple[str, ...] = ()
    write: WritePicture | None = None
    deep: bool = True
    has_aspect: bool = True
    bytes_per_pixel: float = 0.0

    @property
    def suffix(self) -> str:
        """The suffix of the video; empty if there is none."""
        return "" if self.preset is None else self.preset.suffix

    @property
    def is_deep(self) -> bool:
        """True if it holds more than eight bits a sample."""
        return self.deep if self.preset is None else bool(self.preset.deep)


def _write_tiff(path: Path, pixels: NDArray[Any], info: SourceInfo, _: Frame) -> None:
    wide = pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * 257
    write_tiff(path, wide, pixel_aspect=info.pixel_aspect, profile=profile_of(info.tags))


def _write_png(path: Path, pixels: NDArray[Any], info: SourceInfo, _: Frame) -> None:
    write_png(path, pixels, pixel_aspect=info.pixel_aspect)


def _write_webp(path: Path, pixels: NDArray[Any], _: SourceInfo, __: Frame) -> None:
    write_webp(path, pixels)


def _write_jpeg(path: Path, pixels: NDArray[Any], _: SourceInfo, __: Frame) -> None:
    with atomic_path(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="JPEG", quality=_QUALITY, subsampling=0)


def _write_exr(path: Path, pixels: NDArray[Any], info: SourceInfo, frame: Frame) -> None:
    write_exr(path, planes_of(to_light(pixels)), info=info, frame=frame)


TO_LOOK_AT: Final = Carrier(preset=H264)
"""Where nothing is asked for."""
CARRIERS: Final[dict[CarrierName, Carrier]] = {
    "prores": Carrier(preset=PRORES_422, bytes_per_pixel=0.46),
    "ffv1": Carrier(preset=FFV1_OPAQUE, bytes_per_pixel=0.30),
    "tiff": Carrier(suffixes=(".tif", ".tiff"), write=_write_tiff, bytes_per_pixel=0.75),
    "png": Carrier(suffixes=(".png",), write=_write_png, bytes_per_pixel=0.43),
    "webp": Carrier(suffixes=(".webp",), write=_write_webp, deep=False, has_aspect=False, bytes_per_pixel=0.38),
    "jpeg": Carrier(suffixes=(".jpg", ".jpeg"), write=_write_jpeg, deep=False, has_aspect=False, bytes_per_pixel=0.14),
    "exr": Carrier(suffixes=(".exr",), write=_write_exr, bytes_per_pixel=1.09),
}
"""By the option of a format's value that asks for it: ``background=beach.mp4,tiff``."""


def carrier_in(options: dict[str, str]) -> tuple[CarrierName | None, dict[str, str]]:
    """Return the carrier that a format's options ask for, and the options that do not concern the file.

    Raises:
        UsageError: They ask for several.
    """
    asked = [name for name in CARRIERS if name in options]
    if len(asked) > 1:
        raise UsageError(
            f"{' and '.join(asked)} together",
            why="an output is written in one way",
            fix=f"leave {asked[-1]} out; {ONE_MORE}",
        )
    others = {name: given for name, given in options.items() if name not in {*asked, *OF_VIDEOS.values()}}
    return (asked[0] if asked else None), others


def carrier_for(suffix: str) -> CarrierName | None:
    """Return the carrier that a file of this suffix asks for. A PNG has eight bits unless 16 are asked for."""
    fitting = (name for name, each in CARRIERS.items() if suffix in (each.suffix, *each.suffixes) and name != "png")
    return next(fitting, None)


class CarriedFormat(VideoFormat):
    """A format that is H.264 to look at. To go on with, its value asks for another carrier: ``green=prores``."""

    carriers: ClassVar[tuple[CarrierName, ...]] = tuple(CARRIERS)
    """The carriers that it offers."""

    @classmethod
    def takes(cls, field: str, value: str | None, *, given: object = None) -> bool:
        """Tell if it is seen; what concerns videos is not where each picture is a file."""
        is_video = cls._carrier_of(value).preset is not None
        return super().takes(field, value, given=given) and (is_video or field not in OF_VIDEOS)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also pixels that are not square, where pictures cannot say so."""
        return *super().warnings, *(() if self._carrier.has_aspect else self._lost_aspect)

    @classmethod
    @abstractmethod
    def carrier_name(cls, value: str | None) -> CarrierName | None:
        """Return the way of writing that a value asks for."""

    @classmethod
    def _carrier_of(cls, value: str | None) -> Carrier:
        name = cls.carrier_name(value)
        return TO_LOOK_AT if name is None else CARRIERS[name]

    @classmethod
    def suffix_of(cls, value: str | None) -> str:
        """Return that of the video; none of pictures."""
        return cls._carrier_of(value).suffix

    @classmethod
    def still_suffixes(cls, value: str | None) -> tuple[str, ...]:
        """Return those of the pictures that are asked for, or that of a PNG."""
        return cls._carrier_of(value).suffixes or cls.picture_suffixes

    @classmethod
    def suffixes(cls) -> dict[str, str]:
        """Return those of all kinds of video."""
        others = {f"{cls.name}={name}": CARRIERS[name].suffix for name in cls.carriers if CARRIERS[name].suffix}
        return {cls.name: cls.preset.suffix, **others}

    @classmethod
    def value_for(cls, suffix: str, value: str | None) -> str | None:
        """Ask for what the file is to be, beside all else, if nothing else is asked for."""
        asked = carrier_for(suffix)
        return value if asked not in cls.carriers or cls.carrier_name(value) else with_options(value, {asked: True})

    @classmethod
    def size_of(cls, value: str | None) -> float:
        """Return that of the way in which it is written."""
        return cls._carrier_of(value).bytes_per_pixel

    @classmethod
    def preset_of(cls, value: str | None) -> Preset:
        """Return that of the way in which it is written."""
        return cls._carrier_of(value).preset or cls.preset

    @cached_property
    def _carrier(self) -> Carrier:
        return self._carrier_of(self._value)

    @property
    def _is_deep(self) -> bool:
        return self._carrier.is_deep and self._info.tags.bits > 8
