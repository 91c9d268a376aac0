"""Measure the memory that a long clip takes: what grows from its 500th frame to its last.

    python benchmarks/memory_long.py
    python benchmarks/memory_long.py --frames 2000 --only find batch
    python benchmarks/memory_long.py --size 480 854 --frames 500 --first 100 --only find   # of pictures that count

Each line is a process of its own, on a clip of small frames that is made for it. The networks are those of a user, but
see frames of 32 x 64 pixels: what is looked for grows with the number of frames, not with their size. Resident memory,
in MB; Linux alone. Beside it stand the milliseconds of the processor a frame, of all threads, over the whole run
without its start: they are alike for clips of 100 and of 10,000 frames if nothing is done again and again.
`--floor` prints what each runtime takes before the first frame.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from recorded import keep

if TYPE_CHECKING:
    from covos.model import Model
    from covos.plan import Plan

SIZE = 48, 64
CUT_EVERY = 400
AREA = 32 * 64


def resident() -> float:
    """Return the resident memory of this process, in MB."""
    rows = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines() if line[:2] == "Vm")
    return int(rows["VmRSS"].split()[0]) / 1024


class Grown:
    """Looks at the memory as frames go by."""

    first = 500
    """Frame from which the growth is measured: by then, all is loaded and each buffer is full."""

    def __init__(self) -> None:
        self.start = self.most = self.frames = 0.0
        self.began = time.process_time()

    def look(self, frames: int) -> None:
        """So many frames are done."""
        self.frames = frames
        if frames <= self.first:
            self.start = self.most = resident()
        elif frames % 20 == 0:
            self.most = max(self.most, resident())

    def told(self) -> str:
        """Return frames, the memory at the first of them, the growth since, its end included, and ms a frame."""
        self.most = max(self.most, resident())
        each = (time.process_time() - self.began) / self.frames * 1e3
        return f"{self.frames:.0f} {self.start:.1f} {self.most - self.start:.1f} {each:.1f}"


def write_clip(path: Path, *, frames: int, size: tuple[int, int]) -> None:
    """Write a square that moves over noise, another noise in each shot: drawn small, enlarged to (height, width)."""
    import av
    import cv2
    import numpy as np

    height, width = size
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25), options={"preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for index in range(frames):
            shot, at = divmod(index, CUT_EVERY)
            if at == 0:
                drawn = np.random.default_rng(shot)
                noise = np.repeat(np.repeat(drawn.integers(0, 160, (6, 8, 3), dtype=np.uint8), 8, axis=0), 8, axis=1)
            image = noise.copy()
            left = abs(at % 80 - 40)
            image[14:34, left : left + 20] = (230, 200, 40)
            enlarged = cv2.resize(image, (width, height), interpolation=cv2.INTER_NEAREST)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(enlarged, format="rgb24")))
        container.mux(stream.encode())


def small_model() -> Model:
    """Return covos-lite as it is, looking at small frames."""
    import covos
    from covos.engines.find import FindEngine

    model = covos.load_model(device="cpu")
    return replace(model, engine=FindEngine(model.engine.encoder.scaled(AREA / model.engine.encoder.area)))


def run_job(plan: Plan, folder: str | None) -> Grown:
    """Run a job in a folder, or without one stream its results."""
    from covos.events import FrameDone
    from covos.job import Job

    model, grown = small_model(), Grown()
    job = Job(plan, folder, load=lambda _: model)
    for event in job:
        if isinstance(event, FrameDone):
            grown.look(event.index + 1)
    return grown


def task_of(name: str, clip: Path):  # noqa: ANN201 - one of three kinds
    """Return the task of a name on a clip."""
    import cv2
    import numpy as np

    from covos.media.opening import open_source
    from covos.prompts.values import MaskPrompt
    from covos.task import Discover, Find, Follow

    with open_source(clip) as source:
        size = source.info.width, source.info.height
    shown = np.zeros(SIZE, np.uint8)
    shown[14:34, 40:60] = 1
    prompts = (MaskPrompt(labels=cv2.resize(shown, size, interpolation=cv2.INTER_NEAREST) > 0),)
    tasks = {"follow": Follow(prompts=prompts), "discover": Discover(most=3)}
    best = {"find best": Find(quality="best"), "follow best": Follow(prompts=prompts, quality="best")}
    return (tasks | best).get(name, Find())


def written(clip: Path, folder: Path, name: str) -> Grown:
    """Write a format, of what is bright in the frames: the network's cost is not the point."""
    import numpy as np

    from covos.core.types import FrameResult
    from covos.media.opening import open_source
    from covos.runs.folder import OutputFolder
    from covos.runs.report import Origin
    from covos.runs.writing import RunWriter, Writing

    grown, source = Grown(), open_source(str(clip))
    out = OutputFolder(folder, overwrite=False)
    origin = Origin(model="bright", sha256="", device="cpu", settings={})
    writing = Writing(info=source.info, health=lambda: source.health, folder=out, formats=[name], origin=origin)
    with RunWriter(writing) as writer:
        for frame in source:
            probability = np.asarray(frame.image.min(axis=2) / 255, np.float32) ** 0.1
            labels = (frame.image[..., 0] > 190).astype(np.uint8)
            writer.add(FrameResult(frame=frame, probability=probability, labels=labels, confidence=0.9))
            grown.look(frame.index + 1)
        writer.finish()
    return grown


def with_formats(clip: Path, folder: Path, name: str, *formats: str) -> Grown:
    """Run a job that writes."""
    from covos.plan import Plan

    return run_job(Plan(source=str(clip), task=task_of(name, clip), formats=formats, device="cpu"), str(folder / name))


def streamed(clip: Path, folder: Path, name: str) -> Grown:
    """Stream through the Python API."""
    import covos

    model, grown = small_model(), Grown()
    for result in covos.stream(clip, model=model):
        grown.look(result.frame.index + 1)
    return grown


def kept(clip: Path, folder: Path, name: str) -> Grown:
    """Keep the masks in memory, as ``covos.segment`` does."""
    from covos.plan import Plan

    return run_job(Plan(source=str(clip), device="cpu"), None)


def resumed(clip: Path, folder: Path, name: str) -> Grown:
    """Write a further format of a run that is done: its journal is read."""
    with_formats(clip, folder, "find", "palette")
    return with_formats(clip, folder, "find", "palette", "npz")


def batched(clip: Path, folder: Path, name: str) -> Grown:
    """Work as a worker of ``covos batch``, which does clip after clip: four of a quarter of the frames each."""
    from covos.events import FrameDone
    from covos.job import Job
    from covos.plan import Plan

    model, grown, done = small_model(), Grown(), 0
    for number in range(4):
        plan = Plan(source=str(clip), formats=("palette", "overlay"), device="cpu")
        for event in Job(plan, folder / f"clip-{number}", load=lambda _: model):
            if isinstance(event, FrameDone):
                done += 1
                grown.look(done)
    return grown


KINDS: dict[str, Callable[[Path, Path, str], Grown]] = {
    "find": lambda clip, folder, name: with_formats(clip, folder, name, "palette"),
    "follow": lambda clip, folder, name: with_formats(clip, folder, name, "palette"),
    "find best": lambda clip, folder, name: with_formats(clip, folder, name, "palette"),
    "follow best": lambda clip, folder, name: with_formats(clip, folder, name, "palette"),
    "discover": lambda clip, folder, name: with_formats(clip, folder, name, "palette"),
    "covos.stream": streamed,
    "covos.segment": kept,
    "batch": batched,
    "resume": resumed,
}


def measured(name: str, frames: int, *, size: tuple[int, int], first: int) -> str:
    """Measure one kind, or one format, in a process of its own."""
    with tempfile.TemporaryDirectory() as root:
        clip = Path(root) / "clip.mp4"
        write_clip(clip, frames=frames // 4 if name == "batch" else frames, size=size)
        call = [sys.executable, __file__, "--inside", name, "--clip", str(clip), "--first", str(first)]
        done = subprocess.run(call, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()[-1]


def floors() -> Iterator[tuple[str, float | None]]:
    """Measure what each runtime takes once it is loaded, with and without the model."""
    for runtime in ("torch", "openvino", "onnxruntime"):
        for what, code in (
            ("imported", f"import covos.work, {runtime}"),  # all that a run imports
            ("with covos-lite", f"import covos; m = covos.load_model(device='cpu', runtime='{runtime}')"),
        ):
            call = [sys.executable, "-c", f"{code}\nfrom memory_long import resident\nprint(resident())"]
            done = subprocess.run(call, check=False, capture_output=True, text=True, cwd=Path(__file__).parent)
            yield f"{runtime}, {what}", float(done.stdout.split()[-1]) if done.returncode == 0 else None


def main() -> None:
    """Print a line for each."""
    from covos.formats.table import FORMATS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", type=int, nargs=2, default=SIZE, metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--first", type=int, default=Grown.first, help="frame from which the growth is measured")
    parser.add_argument("--only", nargs="+", default=[*KINDS, *FORMATS])
    parser.add_argument("--floor", action="store_true", help="print what each runtime takes, and no more")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--inside", help=argparse.SUPPRESS)
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    Grown.first = asked.first
    if asked.inside:
        name, clip = asked.inside, asked.clip
        print(KINDS.get(name, written)(clip, clip.parent / "out", name).told())
        return
    rows: list[list[str | float]] = []
    if asked.floor:
        for what, megabytes in floors():
            print(f"{what}: " + ("not installed" if megabytes is None else f"{megabytes:.0f} MB"))
            rows += [] if megabytes is None else [[what, megabytes]]
        keep(asked.json, "floor", columns=["", "MB"], rows=rows, digits=[0, 0])
        return
    for name in asked.only:
        frames, start, growth, each = measured(name, asked.frames, size=tuple(asked.size), first=asked.first).split()
        print(
            f"{name:16} {frames:>6} frames: {start:>6} MB at frame {min(asked.first, int(frames))}, "
            f"{growth:>6} MB more at most, {each:>6} ms of the processor a frame",
            flush=True,
        )
        rows.append([name, int(frames), float(start), float(growth), float(each)])
    columns = ["", "frames", f"MB at frame {asked.first}", "MB more, at most", "processor ms a frame"]
    keep(asked.json, "grown", columns=columns, rows=rows, digits=[0, 0, 1, 1, 1])


if __name__ == "__main__":
    main()
