"""Formats that are videos with alpha, for editing programs and web pages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from covos.core.labelling import NAMELESS
from covos.core.types import FrameResult, ProbabilityArray
from covos.formats.alpha import AlphaKindFormat, rgba_of
from covos.formats.compose import ComposedResult
from covos.formats.videos import VideoFormat
from covos.masks.object_ids import present_ids
from covos.media.presets import FFV1, PRORES_4444, QTRLE, VP9_ALPHA


class _AlphaFormat(VideoFormat):
    """The subject with alpha, or all but it with ``invert``.

    Colours are straight, or multiplied by the alpha. If an encoder is lossy, the subject's colours are drawn out over
    the transparent part, so that nothing of the old background is mixed into the edges; a lossless one keeps the
    source's there. More than 8 bits a sample of a source are kept if the codec holds them.
    """

    lossless: ClassVar[bool] = False
    flags: ClassVar[tuple[str, ...]] = ("invert",)
    composes: ClassVar[Mapping[str, str]] = {"invert": "invert"}

    def picture(self, result: FrameResult) -> NDArray[Any]:
        """Return the subject with its alpha: H x W x 4 uint8, or uint16 of full range."""
        return self._with_alpha(self._seen(result))

    def _with_alpha(self, composed: ComposedResult, opacity: ProbabilityArray | None = None) -> NDArray[Any]:
        return rgba_of(
            composed.unmapped if self._keeps_hdr else composed,
            opacity,
            deep=self._is_deep,
            premultiplied=self._is_premultiplied,
            drawn_out=not self.lossless,
        )

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
    """A video with alpha for editing programs: ``premultiplied`` as well, and ``each`` object in a file of its own.

    The file of an object that appears later begins with transparent frames: all files have the clip's length. The sound
    is in the first of them.
    """

    flags: ClassVar[tuple[str, ...]] = ("each", "invert")
    composes: ClassVar[Mapping[str, str]] = {"alpha": "", "each_object": "each", "invert": "invert"}

    @classmethod
    def suffix_of(cls, value: str | None) -> str:
        """Return the video's; none with a file for each object."""
        return "" if "each" in cls.parsed(value)[1] else super().suffix_of(value)

    @classmethod
    def still_suffixes(cls, value: str | None) -> tuple[str, ...]:
        """Return that of a PNG; none with a file for each object."""
        return () if "each" in cls.parsed(value)[1] else super().still_suffixes(value)

    @property
    def _is_premultiplied(self) -> bool:
        return super()._is_premultiplied and not self._info.is_still  # PNG has straight alpha, and nothing else

    @property
    def warnings(self) -> tuple[str, ...]:
        """Also that there was no object to write, or that all is one, or that alpha is straight all the same."""
        told = {
            0: "no object was found, and no file is written",
            1: "these frames have one object, and one file is written; if one object is several things, run with "
            '--objects auto (objects="auto"), or point at each',
        }.get(len(self._known))
        more = [f"{self.name}: {told}"] if self._is_each and self._written and told else []
        if self._written and super()._is_premultiplied and not self._is_premultiplied:
            more.append(f"{self.name}: a single picture is a PNG, whose alpha is straight; tiff has premultiplied ones")
        return *super().warnings, *more

    @property
    def _is_each(self) -> bool:
        return "each" in self.parsed(self._value)[1]

    def _add(self, result: FrameResult) -> None:
        if not self._is_each:
            super()._add(result)
            return
        composed, frame, base = ComposedResult.of(result), result.frame, result.frame.time_base
        for identity in present_ids(composed.labels):
            if identity not in self._known:
                self._known.append(identity)
                for index, pts in self._earlier:
                    self._put(self._file_of(identity), self._nothing, index=index, pts=pts, time_base=base)
        for identity in self._known:
            picture = self._with_alpha(composed, composed.share_of(identity))
            self._put(self._file_of(identity), picture, index=frame.index, pts=frame.pts, time_base=base)
        self._earlier.append((frame.index, frame.pts))

    def _file_of(self, identity: int) -> str:
        """Return the name of an object's file: its number, and what it is called if it is called something."""
        label = "" if (said := self._labels.of(identity)) == NAMELESS else said
        # A folder's mark, a colon or the like is taken by no system; a long label in other letters would be too long.
        said = re.sub(r"[^\w-]+", "_", label)[:40].strip("_")
        return f"{self.name}-{identity}" + (f"-{said}" if said else "")

    @cached_property
    def _known(self) -> list[int]:
        return []

    @cached_property
    def _earlier(self) -> list[tuple[int, int]]:
        """Index and time of the frames so far, which an object that appears is not in."""
        return []

    @property
    def _nothing(self) -> NDArray[Any]:
        return np.zeros((self._info.height, self._info.width, 4), np.uint16 if self._is_deep else np.uint8)


class _DeepFormat(_EditedFormat):
    """One that holds 10 bits and more, and so HDR and BT.2020 as the source has them: ``hdr``."""

    flags: ClassVar[tuple[str, ...]] = ("each", "hdr", "invert")
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
