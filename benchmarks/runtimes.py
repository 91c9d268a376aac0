"""Runtimes side by side: torch, OpenVINO and ONNX Runtime, the networks alone and `covos segment` end to end.

    python benchmarks/runtimes.py [--threads 1 2] [--rounds 15] [--frames 120] [--runs 3] [--data DAVIS] [--isa AVX2]
                                  [--compile] [--json FILE]

The ways are measured in turn, one round after another, so that whatever else the machine does meets all of them; each
number is the median of its rounds, and beside it stands the time of torch over it. Processor time, of all threads,
counts beside the wall clock: on a busy machine it is the steadier of the two.

- Alone, at 256 x 448: one frame of covos-lite with five references, the first step of following three objects with
  seven frames in the memory, and eight tiles of a matte.
- End to end: the example clip, at 854 x 480 and as long as ``--frames`` asks, to masks and an overlay, in a process of
  its own each time; frames a second without the start, which is that of a run of two frames.
- Masks: J of each way's masks with those of torch in float32 on the example clip, found and followed; with ``--data``,
  J and F of each way on its ``val_open``.

``--compile`` measures finding alone, by torch as it is, by ``torch.compile`` and by the other runtimes in float32.
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
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recorded import keep

if TYPE_CHECKING:
    from covos.bench.ways import Way
    from covos.model import Model

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZE = (256, 448)
RESTRICTED = "COVOS_BENCHMARK_ISA"
"""Variable of the environment that says that libraries use no more than a set of instructions."""


def ways() -> list[Way]:
    """The ways that can be measured here; torch in float32 first."""
    from covos.bench.ways import ways as every

    # ONNX Runtime asks the processor itself what it can do; the others obey.
    narrow = RESTRICTED not in os.environ
    return [way for way in every() if narrow or (way.precision != "bf16" and way.runtime != "onnxruntime")]


def print_alone(threads: int, *, rounds: int, json: Path | None) -> None:
    """Print the time of the networks, of each way."""
    import torch

    from covos.bench.networks import PARTS, measure_networks

    torch.set_num_threads(threads)
    spent = measure_networks(ways(), size=SIZE, rounds=rounds)
    print(
        f"\nnetworks alone, {threads} thread{'s' * (threads > 1)}: ms, and torch fp32 over it; processor ms in brackets"
    )
    print(f"{'':18}" + "".join(f"{name:>28}" for name in PARTS))
    for way in ways():
        cells = []
        for name in PARTS:
            wall, processor = (each * 1e3 for each in spent[way, name])
            ratio = spent[ways()[0], name].wall * 1e3 / wall
            cells.append(f"{wall:10.1f} {ratio:6.2f}x ({processor:7.1f})")
        print(f"{way.name:18}" + "".join(f"{cell:>28}" for cell in cells), flush=True)
    kept: list[list[str | float]] = []
    for way in ways():
        times = {name: spent[way, name].processor for name in PARTS}
        base = {name: spent[ways()[0], name].processor for name in PARTS}
        kept.append([way.name, *(f"{1e3 * times[name]:.0f} ({base[name] / times[name]:.1f})" for name in PARTS)])
    restricted = os.environ.get(RESTRICTED)
    title = "networks alone, processor ms" + (f", {restricted}" if restricted else "")
    name = "alone" + (f"_{restricted.lower()}" if restricted else "") + ("" if threads == 1 else f"_{threads}")
    keep(json, name, columns=[title, *PARTS], rows=kept)


def print_compiled(*, rounds: int) -> None:
    """Print the processor's time of finding alone by torch, by ``torch.compile``, and by the other runtimes."""
    import torch

    import covos
    from covos.bench.networks import works
    from covos.bench.spent import median, timed

    torch.set_num_threads(1)
    finds, compiled = {}, "torch fp32, compiled"
    for way in [each for each in ways() if each.precision == "fp32"]:
        for name in [way.name, compiled] if way.runtime == "torch" else [way.name]:
            model = covos.load_model(device="cpu", precision=way.precision, runtime=way.runtime)
            work = works(model, size=SIZE)["find"]
            if name == compiled:
                network: Any = model.network
                network.encode, network.segment = torch.compile(network.encode), torch.compile(network.segment)
            finds[name] = work
    first = {name: timed(work) for name, work in finds.items()}
    spent = {name: median([timed(work) for _ in range(rounds)]) for name, work in finds.items()}
    for name, own in spent.items():
        ratio = spent["torch fp32"].processor / own.processor
        print(f"{name:22}{1e3 * own.processor:8.1f} ms{ratio:6.2f}x, the first time {first[name].processor:.1f} s")


def print_end_to_end(*, frames: int, runs: int, json: Path | None) -> None:
    """Print frames a second of finding, to masks and an overlay, of each way."""
    from covos.bench.runs import RunAsked, RunMeasured, measure_run
    from segment import make_clip

    measured: dict[Way, list[RunMeasured]] = {}
    with tempfile.TemporaryDirectory() as name:
        clip = Path(name) / "clip.mp4"
        make_clip(clip, frames)
        for _ in range(runs):
            for way in ways():
                asked = RunAsked(
                    work="find",
                    clip=clip,
                    runtime=way.runtime,
                    precision=way.precision,
                )
                measured.setdefault(way, []).append(measure_run(asked))
    print(f"\ncovos segment, 854 x 480, {frames} frames, {os.cpu_count()} processors")
    print(f"{'':18}{'frames a second':>18}{'over torch fp32':>18}{'processor ms':>14}{'start s':>9}")
    rates = {way: statistics.median(each.rate for each in found) for way, found in measured.items()}
    rows: list[list[str | float]] = []
    for way, found in measured.items():
        own, each = rates[way], statistics.median(run.each for run in found)
        start = statistics.median(run.start for run in found)
        ratio = own / rates[ways()[0]]
        print(f"{way.name:18}{own:18.1f}{ratio:17.2f}x{each:14.1f}{start:9.1f}", flush=True)
        rows.append([way.name, own, ratio, each, start])
    columns = [f"{frames} frames, end to end", "frames a second", "over torch fp32", "processor ms a frame", "start, s"]
    keep(json, "end_to_end", columns=columns, rows=rows, digits=[0, 1, 2, 0, 1])


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
    exact = models[ways()[0]]
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
    parser.add_argument(
        "--compile", action="store_true", help="measure torch.compile alone, which needs a C++ compiler"
    )
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.isa and RESTRICTED not in os.environ:
        # They look at it once, when they are imported.
        isa = {"ONEDNN_MAX_CPU_ISA": options.isa, "ATEN_CPU_CAPABILITY": options.isa.lower(), RESTRICTED: options.isa}
        raise SystemExit(subprocess.call([sys.executable, *sys.argv], env={**os.environ, **isa}))
    print(f"{', '.join(installed())}; {platform.processor() or platform.machine()}, {os.cpu_count()} processors")
    if options.compile:
        print_compiled(rounds=options.rounds)
        return
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
