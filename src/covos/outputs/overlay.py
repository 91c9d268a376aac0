"""``overlay``: the source with the objects tinted and outlined, ``overlay.mp4``, or ``overlay.png`` of one picture."""

from __future__ import annotations

from covos.masks import draw_overlay
from covos.outputs.video import VideoOutput
from covos.types import FrameResult, ImageArray


class OverlayWriter(VideoOutput):
    """For looking at masks: what was found, on what it was found in."""

    name = "overlay"
    labels_only = True

    def picture(self, result: FrameResult) -> ImageArray:
        """The objects over the frame."""
        return draw_overlay(result.frame.image, result.labels)
