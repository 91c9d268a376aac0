"""x264's settings side by side: processor time, size and SSIM of the example clip at 854 x 480.

    python benchmarks/encoder.py [--frames 100] [--runs 3] [CLIP]

All are encoded at the constant rate factor of the package's overlay, from the same planes; the time is the least of the
runs, and SSIM (Wang et al., 2004, Gaussian window) that of the luma.
"""

from __future__ import annotations

import argparse
import io
import tempfile
import time
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.codec.context import ThreadType

from covos.media.presets import H264

SETTINGS = {
    "veryfast": {"preset": "veryfast"},
    "veryfast, subme=1": {"preset": "veryfast", "x264-params": "subme=1"},
    "superfast": {"preset": "superfast"},
    "superfast, look ahead": {"preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=10"},
    "superfast, look ahead, subme=0": {"preset": "superfast", "x264-params": "mbtree=1:rc-lookahead=10:subme=0"},
    "ultrafast": {"preset": "ultrafast"},
}


def encoded(pictures: list[av.VideoFrame], options: dict[str, str]) -> tuple[float, bytes]:
    """Processor milliseconds a frame, and the video."""
    target = io.BytesIO()
    container = av.open(target, "w", format="mp4")
    stream: Any = container.add_stream("libx264", rate=25, options={"crf": str(H264.crf), "bf": "0", **options})
    stream.width, stream.height, stream.pix_fmt = pictures[0].width, pictures[0].height, "yuv420p"
    stream.codec_context.thread_count, stream.codec_context.thread_type = 2, ThreadType.FRAME
    before = time.process_time()
    for index, picture in enumerate(pictures):
        picture.pts, picture.time_base = index, Fraction(1, 25)
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))
    spent = time.process_time() - before
    container.close()
    return spent / len(pictures) * 1e3, target.getvalue()


def similarity(pictures: list[av.VideoFrame], video: bytes) -> float:
    """Mean SSIM of the luma."""
    found = []
    with av.open(io.BytesIO(video)) as container:
        for one, other in zip(pictures, container.decode(video=0), strict=True):
            found.append(ssim(*(each.to_ndarray()[: one.height].astype(np.float32) for each in (one, other))))
    return float(np.mean(found))


def ssim(one: Any, other: Any) -> float:
    """SSIM of two pictures of 8 bits, float32."""

    def blurred(values: Any) -> Any:
        return cv2.GaussianBlur(values, (11, 11), 1.5)

    mean, mean_other = blurred(one), blurred(other)
    variance = blurred(one * one) - mean * mean
    variance_other = blurred(other * other) - mean_other * mean_other
    covariance = blurred(one * other) - mean * mean_other
    above = (2 * mean * mean_other + 6.5025) * (2 * covariance + 58.5225)
    below = (mean * mean + mean_other * mean_other + 6.5025) * (variance + variance_other + 58.5225)
    return float((above / below).mean())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        clip = options.clip
        if clip is None:
            from segment import make_clip

            clip = Path(folder) / "clip.mp4"
            make_clip(clip, options.frames)
        with av.open(str(clip)) as container:
            decoded = islice(container.decode(video=0), options.frames)
            pictures = [picture.reformat(format="yuv420p") for picture in decoded]
    times: dict[str, list[float]] = {name: [] for name in SETTINGS}
    videos = {}
    for _ in range(options.runs):
        for name, settings in SETTINGS.items():
            spent, videos[name] = encoded(pictures, settings)
            times[name].append(spent)
    print(f"{'':32}{'processor ms':>14}{'kB a frame':>12}{'SSIM':>9}")
    for name, video in videos.items():
        size = len(video) / len(pictures) / 1e3
        print(f"{name:32}{min(times[name]):14.1f}{size:12.1f}{similarity(pictures, video):9.4f}", flush=True)


if __name__ == "__main__":
    main()
