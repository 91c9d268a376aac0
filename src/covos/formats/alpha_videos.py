"""Formats that are videos with alpha, for editing programs and web pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from numpy.typing import NDArray

from covos.core.types import FrameResult
from covos.formats.alpha import AlphaKindFormat, rgba_of
from covos.formats.composition import PLAIN_ALPHA
from covos.formats.each import EachObjectFormat
from covos.formats.videos import VideoFormat
from covos.media.presets import FFV1, PRORES_4444, QTRLE, VP9_ALPHA


class _AlphaFormat(EachObjectFormat, VideoFormat):
    """The subject with alpha, or all but it with ``invert``; with ``each``, a video for each object.

    Colours are straight, or multiplied by the alpha. If an encoder is lossy, the subject's colours are drawn out over
    the transparent part, so that nothing of the old background is mixed into the edges; a lossless one keeps the
    source's there. More than 8 bits a sample of a source are kept if the codec holds them. The sound is in the first
    video.
    """

    lossless: ClassVar[bool] = False

    def picture(self, result: FrameResult) -> NDArray[Any]:
        """Return the subject with its alpha: H x W x 4 uint8, or uint16 of full range."""
        composed = self._seen(result)
        return rgba_of(
            composed.unmapped if self._keeps_hdr else composed,
            deep=self._is_deep,
            premultiplied=self._is_premultiplied,
            drawn_out=not self.lossless,
        )

    def _add_named(self, name: str, result: FrameResult) -> None:
        self._put_frame(name, result)

    @property
    def _is_premultiplied(self) -> bool:
        return False


class WebmFormat(_AlphaFormat):
    """For web pages, VP9: Chrome and Firefox play its alpha, which is straight.

    FFmpeg needs this choice: its own VP9 decoder drops alpha, libvpx does not.
    """

    name = "webm"
    preset = VP9_ALPHA


class _EditedFormat(AlphaKindFormat, _AlphaFormat):
    """A video with alpha for editing programs: ``premultiplied`` as well."""

    @classmethod
    def check_value(cls, value: str) -> None:
        """Accept also the options of videos."""
        super().check_value(value)
        cls.check_video(value)

    @property
    def _is_premultiplied(self) -> bool:
        return super()._is_premultiplied and not self._info.is_still  # PNG has straight alpha, and nothing else

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also that alpha is straight all the same."""
        if not self._written or not super()._is_premultiplied or self._is_premultiplied:
            return super().warnings
        told = "a single picture is a PNG, whose alpha is straight; tiff has premultiplied ones"
        return *super().warnings, f"{self.name}: {told}"


class _DeepFormat(_EditedFormat):
    """One that holds 10 bits and more, and so HDR and BT.2020 as the source has them: ``hdr``."""

    flags: ClassVar[tuple[str, ...]] = ("each", "hdr", "invert", PLAIN_ALPHA)
    composes: ClassVar[Mapping[str, str]] = {**_EditedFormat.composes, "keep_hdr": "hdr"}

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also what could not be kept of HDR."""
        return *super().warnings, *self._hdr_notes


class ProresFormat(_DeepFormat):
    """For editing programs, ProRes 4444: nearly lossless, and large."""

    name = "prores"
    preset = PRORES_4444
    bytes_per_pixel = 0.49


class QtrleFormat(_EditedFormat):
    """For older editing programs, QuickTime Animation: lossless, eight bits a channel, run lengths. Large."""

    name = "qtrle"
    preset = QTRLE
    lossless = True
    bytes_per_pixel = 1.48


class Ffv1Format(_DeepFormat):
    """For keeping, FFV1: every pixel and every level of alpha as computed, with a checksum for each slice."""

    name = "ffv1"
    preset = FFV1
    lossless = True
    bytes_per_pixel = 0.40
