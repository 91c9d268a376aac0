"""``covos stream``: segment a live video, frame by frame."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from covos.cli import groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say
from covos.core.memory import refuse_small_address_space
from covos.engines.choices import DEFAULT_MEMORY, DEFAULT_QUALITY, DEFAULT_REFERENCES, SPAN
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MODEL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from covos.core.types import FrameResult
    from covos.engines.live import Live
    from covos.media.live_video import LiveFrame, LiveSource

Show = Literal["overlay", "mask", "rgba", "green", "black", "white"]

From = Annotated[
    str,
    typer.Argument(metavar="INPUT", help="- for standard input, a camera such as /dev/video0, a URL, or a file."),
]
To = Annotated[
    str,
    typer.Argument(metavar="OUTPUT", help="- for standard output, a file (.mkv, .ts, .nut, .y4m), a device, a URL."),
]
Shown = Annotated[
    Show,
    typer.Option(
        help="Picture that is written: the video with its subject tinted, the mask, the subject's colours with alpha, "
        "or the subject before a colour."
    ),
]
InputFormat = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="FFmpeg's name of the input's format: v4l2, rawvideo, matroska and the like."),
]
Container = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Container of the output: matroska, mpegts, nut, y4m, rawvideo, flv or v4l2."),
]
Size = Annotated[
    str | None, typer.Option(metavar="WxH", help="Size of raw pixels, or the size that a camera is asked for.")
]
Pixels = Annotated[
    str | None, typer.Option(metavar="FORMAT", help="Format of raw pixels: rgb24, bgr24, yuv420p and the like.")
]
Rate = Annotated[str | None, typer.Option(metavar="FPS", help="Frames a second of raw pixels, or of a camera.")]
Mask = Annotated[Path | None, typer.Option(metavar="FILE", help="Follow the objects of this mask of the first frame.")]
Drop = Annotated[
    bool | None,
    typer.Option("--drop/--no-drop", help="Leave out frames that come too fast; by default for cameras and URLs."),
]
LiveMatte = Annotated[
    bool,
    typer.Option(
        "--matte/--no-matte",
        help="Find the opacity of edges by covos-matte: hair, fur, spokes, blur. For soft formats.",
        rich_help_panel="Edges",
    ),
]
LiveQuality = Annotated[
    Literal["balanced", "fast"],
    typer.Option(help="fast finds the subject in smaller frames.", rich_help_panel="The model"),
]
Span = Annotated[
    int,
    typer.Option(min=1, help="Frames of the past over which the references are spread.", rich_help_panel="The model"),
]


@grouped
def stream(
    source: From,
    output: To,
    show: Shown = "overlay",
    input_format: InputFormat = None,
    container: Container = None,
    size: Size = None,
    pixels: Pixels = None,
    rate: Rate = None,
    mask: Mask = None,
    drop: Drop = None,
    quality: LiveQuality = DEFAULT_QUALITY,
    references: options.References = DEFAULT_REFERENCES,
    span: Span = SPAN,
    memory: options.Memory = DEFAULT_MEMORY,
    follower: options.Follower = DEFAULT_FOLLOWER,
    matte: LiveMatte = False,
    model: options.Model = DEFAULT_MODEL,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    *,
    part: groups.LivePart,
    rims: groups.LiveRims,
    machine: groups.Machine,
) -> int:
    """Segment a live video: each frame is written before the next one comes.

    The subject is found by what it has in common with the past alone, which is less sure than in a whole video. Ctrl-C
    ends it, and the output is whole. --start, --end and --every count from the first frame that comes: --end 60 ends it
    after a minute. Frames that are missing or damaged are reported at the end, and make the exit code 4.
    """
    refuse_small_address_space()
    from covos.core.device import configure_threads
    from covos.core.errors import IncompleteError, SourceError, UsageError
    from covos.core.handed import HandedOver
    from covos.core.numbered import refuse_pattern
    from covos.masks import letterbox
    from covos.media.live_sink import LiveSink, codec_of, container_of, refuse_file
    from covos.media.live_video import LiveSource, refuse_missing
    from covos.models.registry import find_model

    edges, taken = rims.edges(), part.range()
    if show in {"mask", "overlay"} and (unseen := "--matte" * matte or "--feather" * (edges.feather != "0")):
        raise UsageError(
            f"{unseen} with --show {show}",
            why="it makes edges soft, and these are hard",
            fix="choose --show rgba, green, black or white, or leave it out",
        )
    refuse_pattern(output, fix=lambda plain: f"name one file: {plain.with_suffix('.mkv')}; pictures: covos segment")
    kind = container or container_of(output)
    wanted: Literal["gray", "rgb24", "rgba"] = "gray" if show == "mask" else "rgba" if show == "rgba" else "rgb24"
    codec_of(kind, wanted)  # a container that cannot hold it is refused before a camera is opened
    refuse_file(output, overwrite=overwrite)
    refuse_missing(source, container=input_format)
    find_model(model)
    shown = None if mask is None else _mask(mask, quiet=quiet)
    from covos.model import load_model  # brings torch: what is wrong is refused before

    configure_threads()  # one call at a time, which has all processors: a frame depends on those before
    live = load_model(model, device=machine.device, precision=machine.precision, runtime=machine.runtime).live(
        quality=quality,
        references=references,
        span=span,
        follower=follower,
        memory=memory,
        matte=matte,
        edges=edges,
    )
    newest = drop if drop is not None else source.startswith("/dev/") or "://" in source
    sink: LiveSink | None = None
    latencies: Counter[int] = Counter()  # by the millisecond: a camera may run for weeks
    began = time.perf_counter()
    frames = LiveSource(
        source,
        container=input_format,
        size=options.size_of(size),
        pixels=pixels,
        frame_rate=_rate(rate),
        newest=newest,
        range=taken,
    )
    try:
        # Reading, finding and what follows have a thread each. Finding may wait for a frame: the source ends first.
        with HandedOver(_found(live, frames, shown), name="covos find") as found, frames:
            for frame, result in found:
                if sink is None:
                    sink = LiveSink(
                        output,
                        container=kind,
                        pixels=wanted,
                        size=result.frame.size,
                        frame_rate=frames.frame_rate,
                        overwrite=overwrite,
                    )
                drawn = _drawn(result, show)
                sink.write(letterbox(drawn, sink.size, smooth=show != "mask"), seconds=frame.seconds)
                latencies[round(1000 * (time.perf_counter() - frame.came))] += 1
    finally:
        if sink is not None:
            sink.close()
        if not quiet and latencies:
            say(_closing_line(latencies, dropped=frames.dropped, seconds=time.perf_counter() - began), err=True)
    for text in frames.warnings:
        say(f"warning: {text}", err=True)
    if not latencies:
        raise SourceError(
            f"{frames.name} gave no frame",
            why="it ended before the first one" if part.start is None else f"it ended before start {part.start}",
            fix="check the source" if part.start is None else "give an earlier start",
        )
    if damage := str(frames.damage):
        raise IncompleteError(
            f"{frames.name}: {damage}",
            why="the source is damaged, or a part of it was lost on the way",
            fix=f"what came through is written to {output}; send it again if you need the rest",
        )
    return 0


def _found(live: Live, frames: LiveSource, shown: NDArray[np.uint8] | None) -> Iterator[tuple[LiveFrame, FrameResult]]:
    """Give each frame with its result; the objects of ``shown`` are followed from the first one on."""
    for frame in frames:
        yield frame, live.push(frame.image, mask=shown)
        shown = None


def _drawn(result: FrameResult, show: Show) -> NDArray[np.uint8]:
    import numpy as np

    from covos.formats.compose import ComposedResult
    from covos.masks.draw import draw_overlay

    if show == "overlay":
        return draw_overlay(result.frame.image, result.labels)
    if show == "mask":
        return np.where(result.labels > 0, np.uint8(255), np.uint8(0))
    composed = ComposedResult.of(result)
    if show == "rgba":
        return np.dstack([composed.colours, composed.alpha])
    behind = np.array({"green": (0, 255, 0), "black": (0, 0, 0), "white": (255, 255, 255)}[show], np.float32)
    share = composed.opacity[..., None]
    return np.asarray(np.rint(share * composed.colours + (1 - share) * behind), np.uint8)


def _mask(file: Path, *, quiet: bool) -> NDArray[np.uint8]:
    from covos.masks import read_shown_map

    shown = read_shown_map(file)
    if shown.note and not quiet:
        say(f"note: {shown.note}", err=True)
    return shown.labels


def _rate(text: str | None) -> Fraction | None:
    return None if text is None else options.frame_rate_of(text, option="--rate")


def _closing_line(latencies: Counter[int], *, dropped: int, seconds: float) -> str:
    middle, late, latest = (_percentile(latencies, share) for share in (0.5, 0.95, 0.99))
    return (
        f"{latencies.total()} frames in {seconds:.1f} s, {dropped} dropped; from a frame to its mask "
        f"{middle} ms (median), {late} ms or less for 95 % of the frames, {latest} ms or less for 99 %"
    )


def _percentile(counts: Counter[int], share: float) -> int:
    """Return the least value that so large a share of what was counted does not exceed."""
    left = share * counts.total()
    for value in sorted(counts):
        left -= counts[value]
        if left <= 0:
            return value
    return max(counts)
