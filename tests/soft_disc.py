"""A red disc with a soft rim, over green: known colours, which show what a format makes of an edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from covos.core.types import FrameResult

RED, GREEN = (200, 30, 40), (20, 180, 60)


def soft_disc(made: FrameResult) -> FrameResult:
    """Return a result of 48 x 64 pixels with the disc as its picture and its mask."""
    y, x = np.mgrid[:48, :64]
    opacity = np.clip((16 - np.hypot(x - 32, y - 24)) / 4 + 0.5, 0, 1).astype(np.float32)
    image = np.array(RED) * opacity[..., None] + np.array(GREEN) * (1 - opacity[..., None])
    return replace(
        made,
        frame=replace(made.frame, image=np.rint(image).astype(np.uint8)),
        probability=opacity * np.float32(0.8) + np.float32(0.1),
        labels=(opacity > 0.5).astype(np.uint8),
    )
