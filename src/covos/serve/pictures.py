"""The tasks of the processes that read pictures: a look at a clip, a frame, the video that browsers play.

They run without the libraries of networks, which take more memory than all that these processes hold.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.core.errors import CovosError, SourceError
from covos.core.types import Frame, FrameResult, ImageArray, ProbabilityArray, SourceInfo
from covos.formats.compose import ComposedResult, fitted
from covos.formats.table import check_formats
from covos.masks.edges import Edges
from covos.masks.frame_mask import FrameMask
from covos.masks.hole_watch import watched
from covos.media.presets import H264
from covos.media.source import Source
from covos.media.writer import VideoWriter
from covos.serve.errors import in_public
from covos.serve.workers import Here, Progress, Video

PictureKind: TypeAlias = Literal["jpeg", "webp"]
PROXY_HEIGHT = 720
"""Rows of the video that browsers play."""
PROXY = replace(H264, options=(("preset", "veryfast"), ("g", "12"), ("bf", "0"), ("movflags", "+faststart")), crf=24)
"""Few frames from one to which a browser can jump to the next, none that wait for a later one: it seeks at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Look at a clip before anything is computed."""

    video: Video

    def run(self, here: Here) -> None:
        """Tell its description; refuse what cannot be read."""
        with self.video.open() as source:  # not kept open: its folder gets another name
            here.tell(source.info)


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Show a frame, at most so many pixels wide, as a JPEG; or as a WebP, which is smaller and takes longer to make."""

    video: Video
    index: int
    width: int
    kind: PictureKind = "jpeg"

    def run(self, here: Here) -> None:
        """Tell the file's bytes."""
        image = fitted_into(_frame(here.source(self.video), self.index).image, width=self.width)
        here.tell(_webp(image) if self.kind == "webp" else _jpeg(image))


def _jpeg(image: ImageArray) -> bytes:
    done, content = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert done, "JPEG takes every picture of 8 bits"
    return content.tobytes()


def _webp(image: ImageArray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=80, method=0)  # the quickest; OpenCV has no such choice
    return file.getvalue()


@dataclass(frozen=True, slots=True, kw_only=True)
class CutOut:
    """Show a frame's subject as downloads have it, at most so many pixels wide: a PNG with straight alpha.

    Attributes:
        video: The clip.
        mask: The frame's masks, with the matte if one is known.
        near: The frame's masks and those around it, which tell the holes that are filled.
        cuts: Indices of the frames with which shots begin, ascending.
        edges: Changes of the edges; smoothing over time is left out.
        hidden: Objects that are not shown.
        width: Of the picture, at most.
        invert: If true, all but the subject is shown.
    """

    video: Video
    mask: FrameMask
    near: tuple[FrameMask, ...]
    cuts: tuple[int, ...]
    edges: Edges
    hidden: tuple[int, ...]
    width: int
    invert: bool = False

    def run(self, here: Here) -> None:
        """Tell the file's bytes."""
        mask = self.mask
        result = FrameResult(
            frame=frame_of(here.source(self.video), mask),
            probability=mask.probability,
            labels=mask.labels,
            confidence=mask.confidence,
            objects=mask.states,
            matte=mask.matte,
        )
        told = watched(self.near, self.edges, cuts=self.cuts)
        hole = next(hole for each, hole in told if each.index == mask.index)
        composed = ComposedResult.of(self.edges.changed(result, hole=hole))
        seen = composed.inverse if self.invert else composed
        opacity = seen.opacity
        if hidden := [composed.share_of(each) for each in mask.objects if each in self.hidden]:
            without = np.asarray(sum(hidden, np.zeros_like(opacity)), np.float32)
            opacity = np.clip(opacity + without if self.invert else opacity - without, 0, 1)
        rgba = _rgba(seen.colours, opacity, width=self.width)
        quick = [cv2.IMWRITE_PNG_COMPRESSION, 1]
        done, content = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), quick)
        assert done, "PNG takes every picture of 8 bits"
        here.tell(content.tobytes())


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFormat:
    """Look at the file that a format shows, before anything is written.

    Attributes:
        format: Name and value of the format.
        hidden: The file: no message names it.
    """

    format: str
    hidden: tuple[str, ...]
    video: None = None

    def run(self, here: Here) -> None:
        """Refuse a value that makes no sense, or a file that cannot be shown."""
        try:
            check_formats([self.format])
        except CovosError as error:
            raise in_public(error, self.hidden, name="the background") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class MakeProxy:
    """Make the video that browsers play: small, with the sound, times from 0 on."""

    video: Video
    target: str

    def run(self, here: Here) -> None:
        """Write it, and report how far it is."""
        source = here.source(self.video)
        info = source.info
        height, width = even_size(info)
        audio = Path(self.video.path) if info.has_audio else None
        with VideoWriter(
            self.target,
            height=height,
            width=width,
            time_base=info.time_base,
            frame_rate=info.frame_rate or Fraction(25),
            preset=PROXY,
            audio_from=audio,
            cut=info.is_part,
            times="zero",
        ) as writer:
            for frame in source:
                if here.stop.is_set():
                    writer.abort()
                    return
                picture = resized(frame.image, height=height, width=width)
                writer.write(picture, pts=frame.pts, duration=frame.duration)
                here.tell(Progress(done=frame.index + 1, total=info.frame_count))


def frame_of(source: Source, mask: FrameMask) -> Frame:
    """Return the frame that masks belong to, at their size; a SourceError if it cannot be read."""
    frame = _frame(source, mask.index)
    return fitted(frame) if frame.source_size == mask.size else frame


def _frame(source: Source, index: int) -> Frame:
    frame = next(iter(source.select([index])), None)
    if frame is None:
        raise SourceError(
            f"frame {index} cannot be read", why="the file is damaged or cut there", fix="look at another frame"
        )
    return frame


def _rgba(colours: ImageArray, opacity: ProbabilityArray, *, width: int) -> NDArray[np.uint8]:
    """Return colours with their opacity, H x W x 4 uint8, at most so wide; black where nothing is to be seen."""
    weighted = np.asarray(colours * opacity[..., None], np.float32)
    height, wide = opacity.shape
    if wide > width:
        size = width, max(1, round(height * width / wide))
        weighted, opacity = (
            np.asarray(cv2.resize(each, size, interpolation=cv2.INTER_AREA), np.float32) for each in (weighted, opacity)
        )
    alpha = cv2.convertScaleAbs(opacity, alpha=255)
    own = np.rint(weighted / np.maximum(opacity, 1 / 512)[..., None]).clip(0, 255).astype(np.uint8)
    return np.dstack([np.where(alpha[..., None] > 0, own, np.uint8(0)), alpha])


def even_size(info: SourceInfo) -> tuple[int, int]:
    """Return height and width of the proxy: square pixels, at most `PROXY_HEIGHT` rows, both even."""
    width = info.width * float(info.pixel_aspect)
    share = min(1.0, PROXY_HEIGHT / info.height)
    return max(2, round(info.height * share / 2) * 2), max(2, round(width * share / 2) * 2)


def fitted_into(image: ImageArray, *, width: int) -> ImageArray:
    """Return a picture, at most so wide."""
    if image.shape[1] <= width:
        return image
    return resized(image, height=max(1, round(image.shape[0] * width / image.shape[1])), width=width)


def resized(image: ImageArray, *, height: int, width: int) -> ImageArray:
    """Return a picture at another size: each pixel the mean of what it stands for."""
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
