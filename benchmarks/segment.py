"""Time and memory of `covos segment`, end to end, and the start-up time of the command line.

    python benchmarks/segment.py [--short 100] [--long 2000] [--formats palette overlay] [--quality draft] [--memory]
        [--json FILE]

Makes a short and a long clip of 854 x 480 out of the example, by playing it over and over, segments each in a fresh
process, and prints frames a second, peak memory, and the ratio of the two peaks (which should be 1: nothing holds
the clip). Then `covos --help` beside an empty Python, five times each. `--memory` leaves out all times: on a machine
that does other work they mean nothing, and the peaks are as on a quiet one.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2

from covos.core.types import ImageArray
from covos.engines.choices import DEFAULT_QUALITY
from covos.media.opening import open_source
from covos.media.writer import VideoWriter
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
COVOS = [sys.executable, "-m", "covos"]


def repeated(example: Path) -> Iterator[ImageArray]:
    """The example's frames at 854 x 480, without end."""
    while True:
        with open_source(example) as source:
            for frame in source:
                yield cv2.resize(frame.image, (854, 480), interpolation=cv2.INTER_AREA)


def make_clip(path: Path, frames: int) -> None:
    """Write a clip of so many frames."""
    rate = Fraction(25)
    with VideoWriter(path, height=480, width=854, time_base=1 / rate, frame_rate=rate) as writer:
        for index, image in enumerate(islice(repeated(EXAMPLE), frames)):
            writer.write(image, pts=index)


def run(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in MiB of a command, its own process only."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(f"failed with status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return seconds, usage.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", type=int, default=100, help="frames of the short clip")
    parser.add_argument("--long", type=int, default=2000, help="frames of the long clip")
    parser.add_argument("--formats", nargs="+", default=["palette", "overlay"])
    parser.add_argument("--quality", default=DEFAULT_QUALITY)
    parser.add_argument("--memory", action="store_true", help="peak memory alone")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, peak = {}, {}
        for frames in (arguments.short, arguments.long):
            clip = folder / f"{frames}.mp4"
            make_clip(clip, frames)
            formats = [word for form in arguments.formats for word in ("-f", form)]
            command = [*COVOS, "segment", str(clip), "-o", str(folder / f"out-{frames}"), *formats]
            command += ["--quality", arguments.quality]
            seconds[frames], peak[frames] = run(command)
            print(
                f"{frames:5} frames of 854x480: {seconds[frames]:6.1f} s with start-up, "
                f"{frames / seconds[frames]:5.1f} frames a second, peak {peak[frames]:5.0f} MiB"
            )
    short, long = arguments.short, arguments.long
    print(f"peak memory, long over short clip: {peak[long] / peak[short]:.3f}")
    said = f"854 x 480, {' and '.join(arguments.formats)}, with the report"
    keep(
        arguments.json,
        "memory",
        columns=[said, "MiB"],
        rows=[
            [f"peak memory of {short:,} frames", f"{peak[short]:.0f}"],
            [f"peak memory of {long:,} frames", f"{peak[long]:.0f}"],
        ],
    )
    if arguments.memory:
        return
    steady = (long - short) / (seconds[long] - seconds[short])
    print(f"without start-up: {steady:.1f} frames a second on {os.cpu_count()} cores")
    help_seconds = statistics.median(run([*COVOS, "--help"])[0] for _ in range(5))
    empty_seconds = statistics.median(run([sys.executable, "-c", "pass"])[0] for _ in range(5))
    print(
        f"covos --help: {help_seconds:.2f} s, {help_seconds / empty_seconds:.1f} times an empty Python "
        f"({empty_seconds:.3f} s)"
    )
    keep(
        arguments.json,
        "speed",
        columns=[said, ""],
        rows=[
            ["frames a second once it runs", f"{steady:.1f}"],
            [f"frames a second of {long:,} frames, with the start", f"{long / seconds[long]:.1f}"],
            ["`covos --help`, seconds", f"{help_seconds:.2f}"],
            ["the same, in times that of an empty Python", f"{help_seconds / empty_seconds:.0f}"],
        ],
    )


if __name__ == "__main__":
    main()
