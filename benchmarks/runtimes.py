"""Runtimes side by side: torch, OpenVINO and ONNX Runtime, the networks alone and `covos segment` end to end.

    python benchmarks/runtimes.py [--threads 1 2] [--rounds 15] [--frames 120] [--runs 3] [--data DAVIS] [--isa AVX2]
                                  [--json FILE]

The ways are measured in turn, one round after another, so that whatever else the machine does meets all of them; each
number is the median of its rounds, and beside it stands the time of torch over it. Processor time, of all threads,
counts beside the wall clock: on a busy machine it is the steadier of the two.

- Alone, at 256 x 448: one frame of covos-lite with five references, the first step of following three objects with
  seven frames in the memory, and eight tiles of a matte.
- End to end: the example clip, at 854 x 480 and as long as ``--frames`` asks, to masks and an overlay, in a process of
  its own each time; frames a second without the start, which is that of a run of two frames.
- Masks: J of each way's masks with those of torch in float32 on the example clip, found and followed; with ``--data``,
  J and F of each way on its ``val_open``.

``--isa AVX2`` lets torch and OpenVINO take this processor for one without AVX-512, and so without bfloat16.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from recorded import keep

if TYPE_CHECKING:
    from covos.model import Model

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZE = (256, 448)
RESTRICTED = "COVOS_BENCHMARK_ISA"
"""Variable of the environment that says that libraries use no more than a set of instructions."""
START = 2
"""Frames of the short run, which is mostly start."""


class Way(NamedTuple):
    """A runtime, and a precision."""

    runtime: str
    precision: str

    @property
    def name(self) -> str:
        """Both, in words."""
        return f"{self.runtime} {self.precision}"


TORCH = Way("torch", "fp32")


def ways() -> list[Way]:
    """What can be measured here; torch in float32 first."""
    import torch

    from covos.core.device import choose_precision
    from covos.runtimes.choice import is_installed

    restricted = RESTRICTED in os.environ
    narrow = choose_precision(torch.device("cpu")) == torch.bfloat16 and not restricted
    every = [TORCH, Way("torch", "bf16"), Way("openvino", "fp32"), Way("openvino", "bf16"), Way("onnxruntime", "fp32")]
    if restricted:
        every.pop()  # ONNX Runtime asks the processor itself
    return [way for way in every if is_installed(way.runtime) and (narrow or way.precision != "bf16")]  # type: ignore[arg-type]


class Spent(NamedTuple):
    """Seconds of the wall clock, and of the processor."""

    wall: float
    processor: float


def timed(work: Callable[[], object]) -> Spent:
    """Do something once."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - processor)


def alone(model: Model) -> dict[str, Callable[[], object]]:
    """The networks' work, by name."""
    import torch

    from covos.models.follow import Belief, ObjectMemory, certainty, with_others
    from covos.models.registry import build_matter, find_matter
    from covos.models.target import TargetModel
    from covos.runtimes.loading import ready

    height, width = SIZE
    torch.manual_seed(0)
    ladder, network = model.engine.encoder.ladder, model.network
    image = torch.rand(1, 3, height, width).contiguous(memory_format=torch.channels_last)
    motion = torch.randn(1, 4, height // 4, width // 4)
    follower: Any = model.follower().network
    entry = find_matter()
    matter = ready(build_matter(entry), entry=entry, computing=model.computing)
    tiles = torch.rand(8, 16, 128, 128).contiguous(memory_format=torch.channels_last)
    objects = torch.zeros(3, dtype=torch.long)
    mask = with_others(torch.rand(3, 1, height // 4, width // 4), objects)
    with ladder.computing():
        features = network.encode(image, motion)
        memories = [network.memorise(features)] * 5
        seen = follower.project(features, cue_B1HW=torch.randn(1, 1, height // 2, width // 2), flow_B2HW=None)
        sure, given = certainty(mask[:, :1]), torch.ones(3, dtype=torch.bool)
        latest = follower.memorise(seen, mask, objects, certainty_P1HW=sure, given_P=given)
        memory = ObjectMemory(latest.key_BMK.repeat(1, 7, 1), latest.value_PMC.repeat(1, 7, 1))
        belief = Belief(mask, TargetModel(torch.randn(3, seen.fit_BLD.shape[2]) / 10), torch.ones(3, 2))

    def find() -> None:
        with ladder.computing():
            network.segment(network.encode(image, motion), memories, fusion="group")

    def follow() -> None:
        with ladder.computing():
            shown = follower.project(features, cue_B1HW=None, flow_B2HW=None)
            follower.find(shown, memory, latest, belief, objects)
            follower.memorise(shown, mask, objects, certainty_P1HW=sure, given_P=given)

    def solve() -> None:
        with ladder.computing():
            matter(tiles)

    return {"find": find, "follow": follow, "matte": solve}


def print_alone(threads: int, *, rounds: int, json: Path | None) -> None:
    """Print the time of the networks, of each way."""
    import torch

    import covos

    torch.set_num_threads(threads)
    works = {way: alone(covos.load_model(device="cpu", precision=way.precision, runtime=way.runtime)) for way in ways()}  # type: ignore[arg-type]
    spent: dict[tuple[Way, str], list[Spent]] = {}
    for number in range(rounds + 1):
        for way, work in works.items():
            for name, part in work.items():
                found = timed(part)
                if number:  # the first round makes what the others find
                    spent.setdefault((way, name), []).append(found)
    print(
        f"\nnetworks alone, {threads} thread{'s' * (threads > 1)}: ms, and torch fp32 over it; processor ms in brackets"
    )
    names = ["find", "follow", "matte"]
    print_table(names, works, lambda way, name: spent[way, name], unit=1e3)
    kept: list[list[str | float]] = []
    for way in works:
        times = {name: statistics.median(each.processor for each in spent[way, name]) for name in names}
        base = {name: statistics.median(each.processor for each in spent[TORCH, name]) for name in names}
        kept.append([way.name, *(f"{1e3 * times[name]:.0f} ({base[name] / times[name]:.1f})" for name in names)])
    restricted = os.environ.get(RESTRICTED)
    title = "networks alone, processor ms" + (f", {restricted}" if restricted else "")
    name = "alone" + (f"_{restricted.lower()}" if restricted else "") + ("" if threads == 1 else f"_{threads}")
    keep(json, name, columns=[title, *names], rows=kept)


def print_table(columns: list[str], rows: Iterable[Way], of: Callable[[Way, str], list[Spent]], *, unit: float) -> None:
    """Print medians, and those of torch over them."""
    print(f"{'':18}" + "".join(f"{name:>28}" for name in columns))
    for way in rows:
        cells = []
        for name in columns:
            wall, processor = (statistics.median(times) * unit for times in zip(*of(way, name), strict=True))
            base = statistics.median(each.wall for each in of(TORCH, name)) * unit
            cells.append(f"{wall:10.1f} {base / wall:6.2f}x ({processor:7.1f})")
        print(f"{way.name:18}" + "".join(f"{cell:>28}" for cell in cells), flush=True)


def print_end_to_end(*, frames: int, runs: int, json: Path | None) -> None:
    """Print frames a second of ``covos segment``, of each way."""
    from segment import COVOS, make_clip

    spent: dict[tuple[Way, int], list[Spent]] = {}
    with tempfile.TemporaryDirectory() as name:
        clips = {count: Path(name) / f"{count}.mp4" for count in (START, START + frames)}
        for count, clip in clips.items():
            make_clip(clip, count)
        for number in range(runs + 1):
            for way in ways():
                # The first round makes the graphs.
                for count, clip in clips.items() if number else [(START, clips[START])]:
                    asked = ["--runtime", way.runtime, "--precision", way.precision, "--device", "cpu"]
                    found = run([*COVOS, "segment", str(clip), "-o", str(Path(name) / "out"), "-y", "-q", *asked])
                    if number:
                        spent.setdefault((way, count), []).append(found)

    def steady(way: Way) -> Spent:
        short, long = ([statistics.median(each) for each in zip(*spent[way, count], strict=True)] for count in clips)
        return Spent((long[0] - short[0]) / frames, (long[1] - short[1]) / frames)

    print(f"\ncovos segment, 854 x 480, {frames} frames, {os.cpu_count()} processors")
    print(f"{'':18}{'frames a second':>18}{'over torch fp32':>18}{'processor ms':>14}{'start s':>9}")
    base = steady(TORCH)
    rows: list[list[str | float]] = []
    for way in ways():
        own = steady(way)
        start = statistics.median(each.wall for each in spent[way, START])
        ratio = base.wall / own.wall
        print(f"{way.name:18}{1 / own.wall:18.1f}{ratio:17.2f}x{own.processor * 1e3:14.1f}{start:9.1f}", flush=True)
        rows.append([way.name, 1 / own.wall, ratio, own.processor * 1e3, start])
    columns = [f"{frames} frames, end to end", "frames a second", "over torch fp32", "processor ms a frame", "start, s"]
    keep(json, "end_to_end", columns=columns, rows=rows, digits=[0, 1, 2, 0, 1])


def run(command: list[str]) -> Spent:
    """Run a command to its end."""
    wall = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed with status {os.waitstatus_to_exitcode(status)}: {' '.join(command)}")
    return Spent(time.perf_counter() - wall, usage.ru_utime + usage.ru_stime)


def masks(model: Model, *, seed: Any, stop: int) -> dict[str, list[Any]]:
    """The masks of the example clip, found, and followed from that of one frame."""
    import covos

    part = range(stop)
    found = covos.stream(EXAMPLE, model=model, range=part)
    followed = covos.stream(EXAMPLE, model=model, range=part, masks={stop // 2: seed})
    return {name: [each.labels > 0 for each in results] for name, results in (("find", found), ("follow", followed))}


def print_masks(*, stop: int) -> None:
    """Print J of the masks of each way with those of torch in float32."""
    import numpy as np

    import covos
    from covos.evaluation.measures import jaccard

    models = {way: covos.load_model(device="cpu", precision=way.precision, runtime=way.runtime) for way in ways()}  # type: ignore[arg-type]
    exact = models[TORCH]
    seed = [each.labels for each in covos.stream(EXAMPLE, model=exact, range=range(stop))][stop // 2]
    wanted = masks(exact, seed=seed, stop=stop)
    print(f"\nJ with the masks of torch fp32, {stop} frames of the example")
    for way, model in models.items():
        own = masks(model, seed=seed, stop=stop)
        cells = (f"{name} {np.mean(list(map(jaccard, own[name], wanted[name]))):.4f}" for name in wanted)
        print(f"{way.name:18}" + "   ".join(cells), flush=True)


def print_accuracy(data: Path, *, json: Path | None) -> None:
    """Print J and F of each way on the sequences of val_open."""
    import covos
    from covos.reproduce import reproduce_davis2016

    print("\nval_open of DAVIS 2016")
    rows: list[list[str | float]] = []
    for way in ways():
        model = covos.load_model(device="cpu", precision=way.precision, runtime=way.runtime)  # type: ignore[arg-type]
        with tempfile.TemporaryDirectory() as name:
            done = reproduce_davis2016(data, output=Path(name) / "masks", model=model, subset="val_open")
        scores = done.evaluation.scores
        print(f"{way.name:18}J {scores.j.mean:.4f}  F {scores.f.mean:.4f}  J&F {scores.jf:.4f}", flush=True)
        rows.append([way.name, scores.j.mean, scores.f.mean, scores.jf])
    keep(json, "davis", columns=["val_open", "J", "F", "J&F"], rows=rows, digits=[0, 4, 4, 4])


def installed() -> Iterator[str]:
    """Names and releases of what computes."""
    from importlib.metadata import PackageNotFoundError, version

    for name in ("torch", "openvino", "onnxruntime", "onnx"):
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            yield f"no {name}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="threads of the networks alone")
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the networks alone; 0 leaves them out")
    parser.add_argument("--frames", type=int, default=120, help="frames of the clip end to end")
    parser.add_argument("--runs", type=int, default=3, help="runs end to end; 0 leaves them out")
    parser.add_argument("--masks", type=int, default=60, help="frames of the example to compare; 0 leaves them out")
    parser.add_argument("--data", type=Path, help="DAVIS tree")
    parser.add_argument("--isa", help="largest set of instructions: AVX2, for one")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.isa and RESTRICTED not in os.environ:
        # They look at it once, when they are imported.
        isa = {"ONEDNN_MAX_CPU_ISA": options.isa, "ATEN_CPU_CAPABILITY": options.isa.lower(), RESTRICTED: options.isa}
        raise SystemExit(subprocess.call([sys.executable, *sys.argv], env={**os.environ, **isa}))
    print(f"{', '.join(installed())}; {platform.processor() or platform.machine()}, {os.cpu_count()} processors")
    for threads in options.threads if options.rounds else ():
        print_alone(threads, rounds=options.rounds, json=options.json)
    if options.runs:
        print_end_to_end(frames=options.frames, runs=options.runs, json=options.json)
    if options.masks:
        print_masks(stop=options.masks)
    if options.data is not None:
        print_accuracy(options.data, json=options.json)


if __name__ == "__main__":
    main()
