"""``covos stream`` through pipes, in this tree and in an older one in turn: frames a second, and the time of a frame.

    python benchmarks/live_pipe.py [--root OLDER] [--quality balanced fast] [--frames 60] [--rate 3]

The example clip, there and back, goes through a pipe as raw pixels, and its overlay comes back through another. First
the pipe is filled as fast as it empties, which gives the frames a second and the processor milliseconds of each. Then
it gets ``--rate`` frames a second: the latency is the time from the last byte of a frame to the last one of its
overlay. The first 20 frames are not counted. Each number is the best of all runs, which take turns: other work on a
machine only adds to a time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import IO, NamedTuple

import av
import numpy as np

HERE = Path(__file__).parents[1]
SKIPPED, SIZE = 20, (768, 432)
QUIET = 2.0
"""Seconds without a frame after which all that were sent are taken to be done."""
TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """Times of the frames that count, in seconds by the clock, and the processor's in all."""

    sent: Sequence[float]
    came: Sequence[float]
    processor: float


def pictures(clip: Path, frames: int) -> list[bytes]:
    """Return the pixels of a clip, there and back, as often as it takes."""
    with av.open(str(clip)) as container:
        images = [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]
    return list(islice(cycle([*images, *images[-2:0:-1]]), frames))


def streamed(root: Path, video: Sequence[bytes], *, quality: str, rate: float | None) -> Spent:
    """Send a video through the command, at a rate or as fast as it goes, and note when its frames went and came."""
    raw = ["--input-format", "rawvideo", "--size", "x".join(map(str, SIZE)), "--pixels", "rgb24", "--rate", "25"]
    words = ["stream", "-", "-", *raw, "--show", "overlay", "--container", "rawvideo", "--quality", quality, "-q"]
    sent: list[float] = []
    came: list[float] = []
    with subprocess.Popen(
        [sys.executable, "-m", "covos", *words],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def send(pipe: IO[bytes]) -> None:
            for index, piece in enumerate(video):
                if rate is not None and index == SKIPPED:
                    wait_for_all(came)
                elif rate is not None and index > SKIPPED:
                    time.sleep(max(0.0, sent[-1] + 1 / rate - time.perf_counter()))
                pipe.write(piece)
                sent.append(time.perf_counter())
            pipe.close()

        threading.Thread(target=send, args=(process.stdin,), daemon=True).start()
        began = 0.0
        for index in range(len(video)):
            left = len(video[0])
            while left:
                left -= len(process.stdout.read(left)) or sys.exit("the command ended early")
            came.append(time.perf_counter())
            if index == SKIPPED - 1:
                began = busy(process.pid)
        processor = busy(process.pid) - began
    return Spent(sent[SKIPPED:], came[SKIPPED - 1 :], processor)


def wait_for_all(came: Sequence[float]) -> None:
    """Wait until frames have come, and no more do."""
    while not came or time.perf_counter() - came[-1] < QUIET:
        time.sleep(0.1)


def busy(pid: int) -> float:
    """Return the processor seconds that a process has taken so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def numbers(root: Path, video: Sequence[bytes], *, quality: str, rate: float) -> list[float]:
    """Frames a second, processor milliseconds of a frame, and its latency in milliseconds: 50 and 95 %."""
    full = streamed(root, video, quality=quality, rate=None)
    count = len(full.sent)
    live = streamed(root, video, quality=quality, rate=rate)
    waits = [1000 * (there - gone) for gone, there in zip(live.sent, live.came[1:], strict=True)]
    latencies = (float(each) for each in np.percentile(waits, (50, 95)))
    return [count / (full.came[-1] - full.came[0]), 1000 * full.processor / count, *latencies]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, help="an older tree")
    parser.add_argument("--quality", nargs="+", default=["balanced", "fast"])
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rate", type=float, default=3.0, help="frames a second while the latency is measured")
    parser.add_argument("--runs", type=int, default=2)
    asked = parser.parse_args()
    video = pictures(HERE / "examples" / "car.mp4", asked.frames)
    trees = {"now": HERE} if asked.root is None else {"before": asked.root.resolve(), "now": HERE}
    runs: dict[str, list[list[float]]] = {}
    for _ in range(asked.runs):
        for quality in asked.quality:
            for name, root in trees.items():
                own = numbers(root, video, quality=quality, rate=asked.rate)
                runs.setdefault(f"`{quality}`, {name}" if asked.root else f"`{quality}`", []).append(own)
    print(f"{'':22} frames a second, processor ms of a frame, latency in ms: median and 95 %")
    for name, each in runs.items():
        rates, *times = zip(*each, strict=True)
        print(f"{name:22}", *(f"{value:8.1f}" for value in [max(rates), *map(min, times)]))


if __name__ == "__main__":
    main()
