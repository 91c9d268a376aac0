"""Write the pictures of a video anew, with its sound: what an overlay does, without a network."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from numpy.typing import NDArray

from covos.core.types import ImageArray, Tags
from covos.media.inputs import open_input
from covos.media.presets import H264, Preset, SoundChoice
from covos.media.range import WHOLE, Range
from covos.media.source import Health
from covos.media.writer import VideoWriter


class Rewritten(NamedTuple):
    """What a rewriting said."""

    writer: VideoWriter
    times: list[Fraction]
    """Seconds of the pictures that were written."""
    health: Health
    """Of the source, at the end."""


def rewritten(
    path: Path,
    target: Path,
    *,
    preset: Preset = H264,
    count: int | None = None,
    part: Range = WHOLE,
    sound: SoundChoice | None = None,
    picture: Callable[[ImageArray], NDArray] = lambda image: image,
) -> Rewritten:
    """Write the first ``count`` pictures, or all, of a part, each through ``picture``."""
    with open_input(path, range=part) as source:
        info = source.info
        times = []
        with VideoWriter(
            target,
            height=info.height,
            width=info.width,
            time_base=info.time_base,
            frame_rate=info.frame_rate,
            preset=preset,
            audio_from=path,
            sound=sound,
            tags=Tags(counts_on=info.tags.counts_on),
            cut=info.is_part,
            times=info.times,
        ) as writer:
            for frame in source if count is None else source.select(range(count)):
                writer.write(picture(frame.image), pts=frame.pts, duration=frame.duration)
                times.append(frame.pts * frame.time_base)
        return Rewritten(writer, times, source.health)
