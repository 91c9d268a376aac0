"""Measure the memory that a run takes, by its frames and by what it follows: the numbers of `covos.runs.room`.

    python benchmarks/memory.py
    python benchmarks/memory.py --sizes 854x480 --runtimes torch openvino onnxruntime --frames 32   # docs/long.md
    python benchmarks/memory.py --quality best

Each run is a process of its own, on a clip that is made for it. Its resident memory, in MB: of the libraries, once they
are loaded; at its highest; and what grows from frame 40 to the last one. No object is one subject that is found, and by
`best` followed as well. Others are shown on the first frame, and followed. A run makes two calls of a network at a
time, as on any machine of two processors and more. Linux alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from dataclasses import astuple, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recorded import keep

SIZES = ("854x480", "1920x1080", "3840x2160")
RUNTIMES = ("torch", "openvino", "onnxruntime")
QUALITIES = ("balanced", "best")
FRAMES = 64
FIRST = 40
"""Frame from which the growth is measured: by then, all is loaded, and each buffer is full."""
MEGABYTE = 2**20


@dataclass(frozen=True, slots=True)
class Taken:
    """Resident memory of a process, in MB: of its libraries, at its highest, and grown since frame `FIRST`."""

    libraries: float
    most: float
    growth: float

    @property
    def run(self) -> float:
        """What the run took beside the libraries."""
        return self.most - self.libraries


def picture(index: int, *, height: int, width: int, noise: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Draw squares that move over noise, five in a row, to the right for `FRAMES` and then back."""
    image = noise.copy()
    image[labels(index, height=height, width=width) > 0] = (230, 200, 40)
    return image


def labels(index: int, *, height: int, width: int, objects: int = 5) -> NDArray[np.uint8]:
    """Return the mask of the squares in a frame, of the first ``objects`` of them."""
    drawn = np.zeros((height, width), np.uint8)
    side, step = height // 8, width // 6
    for number in range(objects):
        moved = FRAMES - abs(index % (2 * FRAMES) - FRAMES)
        left, top = step // 4 + number * step + moved * step // (2 * FRAMES), height // 3 + (number % 2) * side
        drawn[top : top + side, left : left + side] = number + 1
    return drawn


def write_clip(path: Path, *, height: int, width: int, frames: int = FRAMES) -> None:
    """Write a clip of `picture`."""
    import av

    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(frames):
            image = picture(index, height=height, width=width, noise=noise)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def run_here(clip: Path, folder: Path, *, runtime: str, quality: str, objects: int) -> Taken:
    """Run in this process, which has done nothing before, as on two processors: two calls of a network at a time."""
    import importlib
    import os

    os.environ["OMP_NUM_THREADS"] = "2"  # one thread for each call; whatever this machine has, the memory is the same

    import covos.cli.progress
    import covos.work.choice  # noqa: F401 - all that a run imports counts as libraries
    from covos.core.device import configure_threads
    from covos.core.memory import peak_of_process
    from covos.events import FrameDone
    from covos.job import Job
    from covos.media.opening import open_source
    from covos.plan import Plan
    from covos.prompts.values import MaskPrompt
    from covos.runtimes.choice import choose_computing
    from covos.task import Find, Follow
    from memory_long import resident

    configure_threads(pipeline=True)
    importlib.import_module(choose_computing(device="cpu", runtime=runtime).runtime)
    libraries = resident()
    task = Find(quality=quality)
    if objects:
        with open_source(clip) as source:
            shown = labels(0, height=source.info.height, width=source.info.width, objects=objects)
        task = Follow(prompts=(MaskPrompt(labels=shown),), quality=quality)
    start = growth = 0.0
    for event in Job(Plan(source=str(clip), task=task, device="cpu", runtime=runtime), folder):
        if isinstance(event, FrameDone) and event.index == FIRST:
            start = resident()
        elif isinstance(event, FrameDone) and event.index > FIRST:
            growth = max(growth, resident() - start)
    most = peak_of_process()
    assert most is not None, "Linux tells it"
    return Taken(libraries, most / MEGABYTE, growth)


def measured(clip: Path, *, runtime: str, quality: str, objects: int) -> Taken:
    """Run in a process of its own."""
    with tempfile.TemporaryDirectory() as root:
        words = [str(clip), str(Path(root) / "out"), runtime, quality, str(objects)]
        done = subprocess.run(
            [sys.executable, __file__, "--inside", *words], check=True, capture_output=True, text=True
        )
    return Taken(*map(float, done.stdout.splitlines()[-1].split()))


def make_graphs(runtime: str) -> None:
    """Have the graphs of the networks made, in a process of their own: it takes more memory than a run."""
    code = (
        f"import covos; m = covos.load_model(device='cpu', runtime='{runtime}'); "
        "from covos.models.registry import DEFAULT_FOLLOWER; m.follower(DEFAULT_FOLLOWER)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def main() -> None:
    """Print a line for each."""
    from covos.runtimes.choice import choose_computing, is_installed

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="WIDTHxHEIGHT")
    parser.add_argument("--runtimes", nargs="+", choices=RUNTIMES, default=[choose_computing(device="cpu").runtime])
    parser.add_argument("--quality", nargs="+", choices=QUALITIES, default=QUALITIES[:1])
    parser.add_argument("--objects", nargs="+", type=int, choices=range(6), default=(0, 1, 5))
    parser.add_argument("--frames", type=int, default=FRAMES, help="of each clip; the most is reached within 30")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--inside", nargs=5, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        clip, folder, runtime, quality, objects = asked.inside
        print(*astuple(run_here(Path(clip), Path(folder), runtime=runtime, quality=quality, objects=int(objects))))
        return
    rows: list[list[str | float]] = []
    with tempfile.TemporaryDirectory() as root:
        for size in asked.sizes:
            width, height = map(int, size.split("x"))
            clip = Path(root) / f"{size}.mp4"
            write_clip(clip, height=height, width=width, frames=asked.frames)
            for runtime in filter(is_installed, asked.runtimes):
                make_graphs(runtime)
                for quality in asked.quality:
                    most: list[float] = []
                    for objects in asked.objects:
                        taken = measured(clip, runtime=runtime, quality=quality, objects=objects)
                        most.append(taken.run)
                        what = f"{objects} followed" if objects else "found"
                        print(
                            f"{size:>9}, {runtime:11}, {quality:8}, {what:10}: "
                            f"libraries {taken.libraries:.0f} MB, the run {taken.run:.0f} MB more, "
                            f"{taken.growth:.1f} MB of them after frame {FIRST}",
                            flush=True,
                        )
                    rows.append([f"{size}, {runtime}, {quality}", *most])
    columns = ["MB beside the libraries", *(f"{each} followed" if each else "found" for each in asked.objects)]
    keep(asked.json, "runs", columns=columns, rows=rows, digits=[0, *[0] * len(asked.objects)])


if __name__ == "__main__":
    main()
