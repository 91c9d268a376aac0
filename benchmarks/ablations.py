"""The worth of each choice of a training: variants of a recipe, each with several seeds, in one table.

    python benchmarks/ablations.py VARIANTS.toml --data ROOT [--data ROOT ...] -o runs/ablations [--jobs 4]

VARIANTS.toml:

    base = "lite-finetune"      # a name of the package's, or a .toml file
    weights = "covos-lite"      # what all start from; left out: the recipe's own, ImageNet for lite
    steps = 600
    seeds = [0, 1, 2]

    [set]                       # fields of the recipe for all variants
    frames_per_step = 16

    [variants.as-it-is]         # a variant and the fields that make it; `base` and `weights` may stand here, too
    [variants.still]
    motion_share = 0.0

Every run is one training by the loop of `covos train`, in a process of its own, on the training lists of the data
without the pictures that are held back. Its last weights are measured on the validation list (J and F of every so many
frames), there without references and without motion, too, and on the composed clips (see composed.py). Finished runs
are kept in the output folder: the same command skips them, goes on in the middle of a run that was stopped, and prints
the table. Variants that share a seed see the same draws as far as their recipes agree.

Only folders of pictures are read, so PyAV is not needed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from covos.core.errors import CovosError
from covos.engines.choices import DEFAULT_AREA

COLUMNS = {
    "J": "validation J",
    "F": "validation F",
    "J alone": "validation J without references",
    "J still": "validation J without motion",
    "shared 0": "composed clips where the references tell, without references",
    "shared 5": "the same with five",
    "moving off": "composed clips where the motion tells, without motion",
    "moving on": "the same with motion",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One training: a variant with a seed.

    Attributes:
        variant: Its name.
        seed: Of the training.
        recipe: A name or a file.
        weights: To start from; empty for what the recipe starts from.
        overrides: Fields of the recipe, ``field=value`` in TOML's notation.
    """

    variant: str
    seed: int
    recipe: str
    weights: str
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.variant}-seed{self.seed}"


def plan(path: Path) -> list[Run]:
    """The runs that a file of variants asks for, seed by seed, so that early numbers compare all variants."""
    from covos.training.registry import load_recipe

    content = tomllib.loads(path.read_text())
    unknown = set(content) - {"base", "weights", "steps", "seeds", "set", "variants"}
    if unknown or not content.get("variants"):
        raise SystemExit(f"{path}: unknown: {', '.join(sorted(unknown)) or 'nothing'}; it needs [variants.NAME] tables")
    runs = []
    for seed in content.get("seeds", [0]):
        for variant, own in content["variants"].items():
            fields = content.get("set", {}) | own
            recipe = fields.pop("base", content.get("base", "lite"))
            weights = fields.pop("weights", content.get("weights", load_recipe(recipe).start))
            # Measured once, at the end, and on more than the loop measures.
            fields = {"steps": content["steps"]} | fields | {"seed": seed, "validate_every": 0}
            overrides = tuple(f"{name}={json.dumps(value)}" for name, value in fields.items())
            runs.append(Run(variant=variant, seed=seed, recipe=recipe, weights=weights, overrides=overrides))
    return runs


def asked(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """All that a result depends on, in plain values."""
    from covos.models.registry import find_model
    from covos.training.registry import load_recipe

    weights = find_model(run.weights).card.sha256 if run.weights else ""
    recipe = load_recipe(run.recipe, overrides=run.overrides).model_dump(mode="json")
    data = [root.resolve().name for root in options.data]
    values = {"recipe": recipe, "weights": weights, "data": data, "every": options.every, "clips": options.clips}
    plain: dict[str, Any] = json.loads(json.dumps(values))
    return plain


def carry_out(run: Run, options: argparse.Namespace) -> dict[str, Any]:
    """Train and measure, in this process."""
    import torch

    from composed import Setting, by_kind, measure_clips
    from covos.core.device import configure_threads
    from covos.data import Dataset
    from covos.engines.choices import DEFAULT_REFERENCES
    from covos.engines.encoding import FrameEncoder
    from covos.engines.find import FindEngine
    from covos.models.lite import CovosLite
    from covos.models.registry import build_network, find_model
    from covos.training import StepDone, TrainingEvent, loop
    from covos.training.gather import gather
    from covos.training.prepared import Training
    from covos.training.registry import load_recipe
    from covos.training.validate import measure
    from scenes_composed import compose_clips, fingerprint

    def say_step(event: TrainingEvent) -> None:
        if isinstance(event, StepDone):
            print(f"{event.step}/{event.steps} loss {event.loss:.4f}", flush=True)

    device, precision = machine(options)
    configure_threads()
    recipe = load_recipe(run.recipe, overrides=run.overrides)
    data = gather(options.data, seed=recipe.split_seed, ratio=recipe.ratio, videos=recipe.videos)
    if not data.videos:
        raise SystemExit("the data has no videos to measure on")
    validation: Dataset = data.videos[0]
    folder = options.output / run.name
    last = folder / "last.safetensors"
    began = time.perf_counter()
    if not last.exists():
        training = Training(
            recipe=recipe,
            data=replace(data, validation=()),
            device=device,
            precision=precision,
            start=find_model(run.weights).path if run.weights else None,
            workers=options.workers,
        )
        loop.train(training, folder=folder, on_event=say_step)
    seconds = time.perf_counter() - began
    network = build_network(find_model(last))
    assert isinstance(network, CovosLite), "only covos-lite has both references and motion to leave out"
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def on_videos(*, references: int = DEFAULT_REFERENCES, motion: bool = True) -> tuple[float, float, dict[str, Any]]:
        network.uses_motion = motion
        encoder = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
        score = measure(FindEngine(encoder), validation, references=references, every=options.every)
        network.uses_motion = True
        return score.j, score.f, dict(score.sequences)

    clips = compose_clips(data.pictures, count=options.clips)

    def on_clips(*, references: int, motion: bool) -> dict[str, float]:
        setting = Setting(references=references, motion=motion)
        return by_kind(measure_clips(network, clips, setting=setting, device=device, precision=precision), clips)

    j, f, sequences = on_videos()
    with_both = on_clips(references=5, motion=True)
    scores = {
        "J": j,
        "F": f,
        "J alone": on_videos(references=0)[0],
        "J still": on_videos(motion=False)[0],
        "shared 0": on_clips(references=0, motion=True)["shared"],
        "shared 5": with_both["shared"],
        "moving off": on_clips(references=5, motion=False)["moving"],
        "moving on": with_both["moving"],
    }
    return {
        "variant": run.variant,
        "seed": run.seed,
        "scores": scores,
        "sequences": sequences,
        "fingerprint": fingerprint(clips),
        "device": f"{device}, {precision}",
        "seconds": round(seconds, 1),
        "asked": asked(run, options),
    }


def machine(options: argparse.Namespace) -> tuple[Any, Any]:
    """The device and the precision; never float16, whose gradients underflow."""
    import torch

    from covos.core.device import choose_precision, resolve_device

    device = resolve_device(options.device)
    precision = choose_precision(device, options.precision)
    return device, torch.float32 if precision == torch.float16 else precision


def result_of(run: Run, options: argparse.Namespace) -> dict[str, Any] | None:
    """The record of a run; None if it is still to do."""
    path = options.output / run.name / "result.json"
    if not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text())
    if kept["asked"] != asked(run, options):
        raise SystemExit(f"{path} was asked for with other settings: give another -o, or remove {path.parent}")
    return kept


def start(run: Run, options: argparse.Namespace) -> int:
    """Carry a run out in a process of its own; its exit status."""
    folder = options.output / run.name
    folder.mkdir(parents=True, exist_ok=True)
    threads = max((os.cpu_count() or 1) // options.jobs, 1)
    with (folder / "run.log").open("a") as log:
        command = [sys.executable, __file__, *sys.argv[1:], "--run", run.name]
        environment = os.environ | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
        return subprocess.run(command, stdout=log, stderr=log, env=environment, check=False).returncode


def carry_out_all(runs: Sequence[Run], options: argparse.Namespace) -> list[str]:
    """Carry runs out, several at a time; the names of those that failed."""
    failed = []
    began = time.perf_counter()
    with ThreadPoolExecutor(options.jobs) as pool:
        waiting = {pool.submit(start, run, options): run for run in runs}
        for done, future in enumerate(as_completed(waiting), start=1):
            run = waiting[future]
            elapsed = time.perf_counter() - began
            left = elapsed / done * (len(runs) - done) / 60
            if future.result():
                failed.append(run.name)
                tail = (options.output / run.name / "run.log").read_text().splitlines()[-6:]
                print(f"{run.name} failed:", *tail, sep="\n    ", flush=True)
            else:
                scores = (result_of(run, options) or {})["scores"]
                numbers = "  ".join(f"{name} {scores[name]:.3f}" for name in COLUMNS)
                print(f"{done}/{len(runs)} {run.name}: {numbers}  (about {left:.0f} min left)", flush=True)
    return failed


def table(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Markdown: a row a variant, mean and standard deviation over its seeds."""
    yield "| variant | seeds | " + " | ".join(COLUMNS) + " |"
    yield "|---|--:|" + "--:|" * len(COLUMNS)
    for variant, cells in summary(results).items():
        row = [
            f"{cell['mean']:.3f}" + (f" ± {cell['deviation']:.3f}" if cell["deviation"] is not None else "")
            for cell in (cells["scores"][name] for name in COLUMNS)
        ]
        yield f"| {variant} | {len(cells['seeds'])} | " + " | ".join(row) + " |"


def summary(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The rows of the variants: seeds, and the mean and the sample deviation of each score; None for a single seed."""
    found: dict[str, Any] = {}
    for variant in dict.fromkeys(result["variant"] for result in results):
        own = [result for result in results if result["variant"] == variant]
        scores = {}
        for name in COLUMNS:
            values = [result["scores"][name] for result in own]
            deviation = statistics.stdev(values) if len(values) > 1 else None
            scores[name] = {"mean": statistics.fmean(values), "deviation": deviation}
        found[variant] = {"seeds": [result["seed"] for result in own], "scores": scores}
    return found


def write(path: Path, content: dict[str, Any]) -> None:
    """Write JSON under its name only when it is whole."""
    from covos.core.files import atomic_path

    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2) + "\n")


def main() -> None:
    """Carry out what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("variants", type=Path)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--workers", type=int, default=2, help="loader processes of each run")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"))
    parser.add_argument("--every", type=int, default=5, help="measure every so many frames")
    parser.add_argument("--clips", type=int, default=24, help="composed clips of each kind")
    parser.add_argument("--run", help=argparse.SUPPRESS)
    options = parser.parse_args()

    runs = plan(options.variants)
    if options.run:
        (run,) = (run for run in runs if run.name == options.run)
        write(options.output / run.name / "result.json", carry_out(run, options))
        return
    try:
        for run in runs:
            asked(run, options)
    except CovosError as error:
        raise SystemExit(str(error)) from error
    missing = [run for run in runs if result_of(run, options) is None]
    print(f"{len(runs)} runs, {len(runs) - len(missing)} done, {options.jobs} at a time", flush=True)
    failed = carry_out_all(missing, options)
    results = [result for run in runs if (result := result_of(run, options)) is not None]
    print(*table(results), sep="\n")
    print(*(f"{name}: {meaning}" for name, meaning in COLUMNS.items()), sep="\n")
    write(options.output / "ablations.json", {"summary": summary(results), "runs": results, "failed": failed})
    if failed:
        raise SystemExit(f"{len(failed)} runs failed: {', '.join(failed)}; the same command tries them again")


if __name__ == "__main__":
    main()
