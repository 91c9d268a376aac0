"""Measure the memory that a run takes, by the size of its frames: the numbers of `covos.runs.room`.

    python benchmarks/memory.py

Each run is a process of its own: resident memory and address space at their highest, in MB, less those of a process
that has loaded the libraries. Linux alone.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

SIZES = ((480, 854), (1080, 1920), (2160, 3840))
FRAMES = 24

_RUN = """
import sys
import covos.job, covos.cli.progress
from covos.core.device import configure_threads
configure_threads(pipeline=True)
def peak():
    rows = dict(line.split(":") for line in open("/proc/self/status").read().splitlines() if line.startswith("Vm"))
    return [int(rows[name].split()[0]) / 1024 for name in ("VmHWM", "VmPeak")]
before = peak()
if len(sys.argv) > 1:
    from covos.job import Job
    from covos.plan import Plan
    Job(Plan(source=sys.argv[1], device="cpu"), sys.argv[2]).run()
print(*before, *peak())
"""


def write_clip(path: Path, *, height: int, width: int) -> None:
    """Write a square that moves over noise."""
    import av
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 60, (height, width, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(FRAMES):
            image = noise.copy()
            side, left = height // 3, index * width // 40
            image[side : 2 * side, left : left + side] = (230, 200, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def measured(*arguments: str) -> list[float]:
    """Return resident memory and address space, before the run and at their highest, in MB."""
    done = subprocess.run([sys.executable, "-c", _RUN, *arguments], check=True, capture_output=True, text=True)
    return [float(number) for number in done.stdout.split()]


def main() -> None:
    """Print a line for each size."""
    with tempfile.TemporaryDirectory() as root:
        for height, width in SIZES:
            clip = Path(root) / f"{height}.mp4"
            write_clip(clip, height=height, width=width)
            resident, space, most, most_space = measured(str(clip), str(Path(root) / f"out-{height}"))
            more = most - resident
            print(
                f"{width} x {height}: libraries {resident:.0f} MB ({space:.0f} MB of address space), "
                f"the run {more:.0f} MB more ({most_space - space:.0f} MB of address space): "
                f"{more * 2**20 / (height * width):.0f} bytes a pixel"
            )


if __name__ == "__main__":
    main()
