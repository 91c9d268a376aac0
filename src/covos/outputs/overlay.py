"""``overlay``: the source with the objects tinted and outlined, ``overlay.mp4``, or ``overlay.png`` of one picture."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from PIL import Image

from covos.masks import draw_overlay
from covos.media import VideoWriter
from covos.outputs.folder import OutputFolder
from covos.runtime.atomic import atomic_path
from covos.types import FrameResult, SourceInfo


class OverlayWriter:
    """Writes a video with the source's size, presentation times and pixel aspect, and its sound, copied.

    A folder of frames becomes a video at its frame rate. A single image, or a folder with one, becomes a PNG: a
    video of one frame is of no use to anyone. A *video* of one frame stays a video.
    """

    name = "overlay"
    labels_only = True

    def __init__(self, folder: OutputFolder, *, info: SourceInfo, source_path: Path) -> None:
        self._folder = folder
        self._info = info
        self._sound = source_path if info.has_audio else None
        self._is_still = info.kind == "image" or (info.kind == "frames" and info.frame_count == 1)
        self._video: VideoWriter | None = None
        self._finished: tuple[Path, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the video could not keep of the source."""
        if self._video is None:
            return ()
        bottom, right = self._video.padding
        padded = (f"H.264 needs even sizes: {right} column and {bottom} row were added by repeating the edge",)
        warnings = self._video.warnings + (padded if bottom or right else ())
        return tuple(f"overlay: {text}" for text in warnings)

    def write(self, result: FrameResult) -> None:
        """Draw the objects over the frame and add it."""
        picture = draw_overlay(result.frame.image, result.labels)
        if self._is_still:
            target = self._folder.file("overlay.png")
            with atomic_path(target) as temporary:
                Image.fromarray(picture).save(temporary, format="PNG")
            self._finished = (target,)
            return
        if self._video is None:
            self._video = self._open(result.frame.time_base)
        self._video.write(picture, pts=result.frame.pts)

    def close(self) -> tuple[Path, ...]:
        """Finish the video."""
        if self._video is not None and not self._finished:
            self._video.close()
            self._finished = (self._folder.path / "overlay.mp4",)
        return self._finished

    def abort(self) -> None:
        """Remove the unfinished video."""
        if self._video is not None:
            self._video.abort()

    def _open(self, time_base: Fraction) -> VideoWriter:
        return VideoWriter(
            self._folder.file("overlay.mp4"),
            height=self._info.height,
            width=self._info.width,
            time_base=time_base,
            frame_rate=self._info.frame_rate,
            audio_from=self._sound,
            pixel_aspect=self._info.pixel_aspect,
        )
