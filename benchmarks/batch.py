"""Clips a minute of a batch: one worker and two, and on Ray; beside the same clips in one process.

    python benchmarks/batch.py
    python benchmarks/batch.py --clips 12 --ray [--json FILE]

The clips are copies of the example clip's first frames. The ways take turns, round after round, so that a machine that
slows down slows all of them; ratios are of the medians.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import covos
from covos.core.device import configure_threads
from covos.jobs import run_jobs
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"


def alone(clips: list[Path], out: Path, plan: dict[str, object]) -> None:
    """One process, one clip after another, as ``covos segment`` does it."""
    models = covos.ModelCache()
    jobs = [covos.Job(covos.Plan(source=clip, **plan), out / clip.stem, load=models) for clip in clips]
    assert all(outcome.error is None for outcome in run_jobs(jobs))


def batched(**settings: object) -> Callable[[list[Path], Path, dict[str, object]], None]:
    """A batch with these settings."""

    def run(clips: list[Path], out: Path, plan: dict[str, object]) -> None:
        result = covos.batch(clips, out, **settings, **plan)
        assert all(row.status == "done" for row in result.rows), result.rows

    return run


def main(arguments: list[str]) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ray", action="store_true", help="also on Ray, with two workers of this machine")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    asked = parser.parse_args(arguments)
    ways = {"one process": alone, "batch, 1 worker": batched(workers=1), "batch, 2 workers": batched(workers=2)}
    if asked.ray:
        ways["Ray, 2 workers"] = batched(workers=2, ray="local")
    configure_threads(pipeline=True)
    plan: dict[str, object] = {"formats": ("palette",), "device": "cpu", "range": range(asked.frames)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        clips = [Path(folder) / f"clip{number}.mp4" for number in range(asked.clips)]
        for clip in clips:
            clip.write_bytes(EXAMPLE.read_bytes())
        for turn in range(asked.rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                way(clips, Path(folder) / f"{name} {turn}", plan)
                seconds[name].append(time.perf_counter() - began)
    base = statistics.median(seconds["one process"])
    print(
        f"{asked.clips} clips of {asked.frames} frames, median of {asked.rounds} rounds, starts of processes included"
    )
    print("| way | seconds | clips a minute | of one process |\n|---|--:|--:|--:|")
    rows: list[list[str | float]] = []
    for name, each in seconds.items():
        middle = statistics.median(each)
        rows.append([name, middle, 60 * asked.clips / middle, base / middle])
        print(f"| {name} | {middle:.1f} | {60 * asked.clips / middle:.1f} | {base / middle:.2f} |")
    title = f"{asked.clips} clips of {asked.frames} frames"
    columns = [title, "seconds", "clips a minute", "speed over one process"]
    keep(asked.json, "ways", columns=columns, rows=rows, digits=[0, 1, 1, 2])


if __name__ == "__main__":
    main(sys.argv[1:])
