"""Formats that lay the subject over something else: another background, the source out of focus, a green screen."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from numpy.typing import NDArray

from covos.core.types import Frame, FrameResult
from covos.formats.backdrops import WHITE, Backdrop, Blurred, Clip, Plain
from covos.formats.carriers import CARRIERS, CarriedFormat, CarrierName, carrier_in
from covos.formats.compose import ComposedResult, deep_picture, lay_over
from covos.formats.composition import PLAIN_ALPHA
from covos.formats.exr import check_exr_installed
from covos.formats.light import defocused, to_light, to_picture, wrapped
from covos.formats.shadows import Shadows
from covos.masks.edges import in_pixels
from covos.media.listing import list_pictures

GREEN = "#00ff00"
"""Colour keys are set to it when they are opened."""


class _LaidFormat(CarriedFormat):
    """The subject over another picture, with light of it around its edges where that is asked for.

    It is H.264 to look at. To go on with, it is written in another way, as ``background=beach.mp4,prores``: ProRes 422
    HQ, FFV1, or a picture a frame, as TIFF, PNG or OpenEXR. These keep more than 8 bits a sample of a source.
    """

    lays_over = True

    @classmethod
    def check_video(cls, value: str) -> None:
        """Refuse also a way of writing whose package is missing."""
        super().check_video(value)
        if cls.carrier_name(value) == "exr":
            check_exr_installed()

    def _add(self, result: FrameResult) -> None:
        if self._carrier.write is None:
            super()._add(result)
            return
        path = self._folder.file(f"{self.name}/{result.frame.stem}{self._carrier.suffixes[0]}")
        self._carrier.write(path, self.picture(result), self._info, result.frame)

    def _finish_all(self) -> tuple[Path, ...]:
        return super()._finish_all() if self._carrier.write is None else (self._folder.path / self.name,)

    @abstractmethod
    def behind(self, result: ComposedResult) -> NDArray[Any]:
        """Return the picture that lies behind a frame's subject: H x W x 3 RGB, uint16 where `_is_deep`, else uint8."""

    def _picture_of(self, frame: Frame) -> NDArray[Any]:
        """Return a frame of the source as `behind` does."""
        return deep_picture(frame) if self._is_deep else frame.image

    @property
    def wrap(self) -> str:
        """Length over which its light wraps around the subject."""
        return "0"

    def picture(self, result: FrameResult) -> NDArray[Any]:
        """Return the subject over what lies behind it: H x W x 3 uint8, or uint16 of full range."""
        composed = self._seen(result)
        background = self.behind(composed)
        radius = in_pixels(self.wrap, composed.frame.size[0])
        laid = lay_over(composed, background)
        return wrapped(laid, background, composed.opacity, radius=radius) if radius else laid


class BackgroundFormat(_LaidFormat):
    """The subject before another background: white, or ``background=WHAT``, a colour, a picture, or a video.

    ``#rrggbb`` is a colour, and so is ``white``. A file is scaled to fill the frame and cut where it does not fit; a
    video is shown at its own speed, in a loop. ``blur`` is the source out of focus. After it may stand, with commas
    between, ``start=SECONDS`` and ``end=SECONDS`` of a video, ``wrap=LENGTH`` for light that wraps around the edges,
    ``shadow``, ``invert`` for the background in the subject's place, and how it is written, such as ``tiff``.
    """

    name = "background"
    flags: ClassVar[tuple[str, ...]] = ("shadow", "invert", PLAIN_ALPHA, *CARRIERS)
    composes: ClassVar[Mapping[str, str]] = {
        "background": "",
        "background_start": "start",
        "background_end": "end",
        "light_wrap": "wrap",
        "shadow": "shadow",
        "invert": "invert",
    }
    _began: Fraction | None = None

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept what a `Backdrop` is made of, if its file can be read."""
        Backdrop.parse(value).check()
        cls.check_video(value)

    @classmethod
    def parsed(cls, value: str | None) -> tuple[str, dict[str, str]]:
        """See `Backdrop`."""
        return Backdrop.split(value or "")

    @classmethod
    def files_of(cls, value: str | None) -> tuple[Path, ...]:
        """Return the picture or the video."""
        file = Backdrop.parse(value or WHITE).file
        if file is None:
            return ()
        return list_pictures(file.iterdir()).files if file.is_dir() else (file,)

    @classmethod
    def carrier_name(cls, value: str | None) -> CarrierName | None:
        """See `Backdrop`."""
        return Backdrop.parse(value or WHITE).carrier

    @property
    def wrap(self) -> str:
        """See `Backdrop`."""
        return self._backdrop.wrap

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also what was wrong with the background."""
        behind = () if self._shown is None else self._shown.warnings
        return (*super().warnings, *(f"{self.name}: {text}" for text in behind))

    def behind(self, result: ComposedResult) -> NDArray[Any]:
        """Return the background at the frame's time, with the subject's shadow where that is asked for."""
        frame = result.frame
        if self._shown is None:
            radius = Blurred.parse(self._backdrop.blur).radius
            image = defocused(self._picture_of(frame), result.opacity, radius=in_pixels(radius, frame.size[0]))
        else:
            now = frame.pts * frame.time_base
            self._began = now if self._began is None else self._began
            image = self._shown.at(now - self._began)
        # A picture out of focus has the shadow already.
        if not self._backdrop.shadow or self._shown is None:
            return image
        return to_picture(to_light(image) * self._shadows.of(frame.image, result.opacity)[..., None], image)

    @cached_property
    def _shadows(self) -> Shadows:
        return Shadows()

    @cached_property
    def _backdrop(self) -> Backdrop:
        return Backdrop.parse(self._value or WHITE)

    @cached_property
    def _shown(self) -> Plain | Clip | None:
        backdrop, size = self._backdrop, (self._info.height, self._info.width)
        if backdrop.blur is not None:
            return None
        if backdrop.colour is not None:
            return Plain(backdrop.colour, size=size, deep=self._is_deep)
        return Clip(backdrop, size=size, pixel_aspect=self._info.pixel_aspect, deep=self._is_deep)


class BlurFormat(_LaidFormat):
    """The background out of focus, as a lens draws it: each point becomes a disc, in linear light.

    The blur takes nothing from the subject: no glow of its colours around it. ``blur=2%`` says the disc's radius. With
    ``invert`` the subject is out of focus, and all else stays.
    """

    name = "blur"
    choices = ("5%", "2%", "10%")
    composes: ClassVar[Mapping[str, str]] = {"light_wrap": "wrap", "invert": "invert"}

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept a radius above zero, and ``wrap=LENGTH`` after it."""
        Blurred.parse(value)
        cls.check_video(value)

    @classmethod
    def parsed(cls, value: str | None) -> tuple[str, dict[str, str]]:
        """See `Blurred`."""
        return Blurred.split(value or "")

    @classmethod
    def carrier_name(cls, value: str | None) -> CarrierName | None:
        """See `Blurred`."""
        return Blurred.parse(value).carrier

    @cached_property
    def _blurred(self) -> Blurred:
        return Blurred.parse(self._value)

    @property
    def wrap(self) -> str:
        """See `Backdrop`."""
        return self._blurred.wrap

    def behind(self, result: ComposedResult) -> NDArray[Any]:
        """Return the source out of focus."""
        radius = in_pixels(self._blurred.radius, result.frame.size[0])
        return defocused(self._picture_of(result.frame), result.opacity, radius=radius)


class GreenFormat(_LaidFormat):
    """The subject before a green screen, for programs that key colours and know no alpha.

    Soft edges are mixed with the green, as in front of a real screen.
    """

    name = "green"

    flags: ClassVar[tuple[str, ...]] = ("invert", PLAIN_ALPHA, *CARRIERS)
    composes: ClassVar[Mapping[str, str]] = {"invert": "invert"}

    @classmethod
    def carrier_name(cls, value: str | None) -> CarrierName | None:
        """Return the one that is asked for."""
        return carrier_in(cls.parsed(value)[1])[0]

    def behind(self, result: ComposedResult) -> NDArray[Any]:
        """Return plain green."""
        return Plain(GREEN, size=result.frame.size, deep=self._is_deep).at(Fraction(0))
