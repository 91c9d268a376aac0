"""Clips a minute of a batch: one worker and two, and on Ray; beside the same clips in one process.

    python benchmarks/batch.py
    python benchmarks/batch.py --clips 12 --ray [--json FILE]
    python benchmarks/batch.py --rounds 0 --errands 40 --ray     # what it costs to hand out a clip, and no more

The clips are copies of the example clip's first frames. The ways take turns, round after round, so that a machine that
slows down slows all of them; ratios are of the medians.

`--errands` measures what a batch adds to a clip. All clips are done before, so that no network runs. A batch of two and
one of so many are gone through: the difference, over the number of clips, is the cost of one, and the smaller batch is
the start. Seconds are those of the processors, of this process and of all that it began, Ray's own among them (Linux):
other programs disturb them least.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import covos
from covos.core.device import configure_threads
from covos.jobs import run_jobs
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
LOOK_EVERY = 0.05
"""Seconds from one look at the processes to the next: what a process does after the last look is not counted."""

Way = Callable[[list[Path], Path, dict[str, object]], None]


def alone(clips: list[Path], out: Path, plan: dict[str, object]) -> None:
    """One process, one clip after another, as ``covos segment`` does it."""
    models = covos.ModelCache()
    jobs = [covos.Job(covos.Plan(source=clip, **plan), out / clip.stem, load=models) for clip in clips]
    assert all(outcome.error is None for outcome in run_jobs(jobs))


def batched(**settings: object) -> Way:
    """A batch with these settings."""

    def run(clips: list[Path], out: Path, plan: dict[str, object]) -> None:
        result = covos.batch(clips, out, **settings, **plan)
        assert all(row.status in ("done", "done before") for row in result.rows), result.rows

    return run


class Family:
    """Processor seconds of this process and of all that it begins, as long as it is entered: Linux alone."""

    def __init__(self) -> None:
        self._seconds: dict[int, float] = {}
        self._began: dict[int, float] = {}
        self._over = threading.Event()

    def __enter__(self) -> Family:
        self._look()
        self._began = dict(self._seconds)
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    @property
    def seconds(self) -> float:
        """All of them together; of processes that ended, as they were seen last."""
        return sum(self._seconds.values()) - sum(self._began.values())

    def _watch(self) -> None:
        while not self._over.wait(LOOK_EVERY):
            self._look()

    def _look(self) -> None:
        seconds, parents = {}, {}
        for process in Path("/proc").glob("[0-9]*"):
            try:
                fields = (process / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            number = int(process.name)
            parents[number] = int(fields[1])
            seconds[number] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        mine, found = {os.getpid(), *self._seconds}, -1
        while found != len(mine):
            found = len(mine)
            mine |= {number for number, parent in parents.items() if parent in mine}
        self._seconds |= {number: seconds[number] for number in mine if number in seconds}


def copied(count: int, folder: Path) -> list[Path]:
    """So many copies of the example."""
    clips = [folder / f"clip{number}.mp4" for number in range(count)]
    for clip in clips:
        clip.write_bytes(EXAMPLE.read_bytes())
    return clips


def compare(ways: dict[str, Way], *, count: int, frames: int, rounds: int, kept: Path | None) -> None:
    """Let the ways do the same clips, in turns, and print a table."""
    plan: dict[str, object] = {"formats": ("palette",), "device": "cpu", "range": range(frames)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with tempfile.TemporaryDirectory() as folder:
        clips = copied(count, Path(folder))
        for turn in range(rounds):
            for name, way in ways.items():
                began = time.perf_counter()
                way(clips, Path(folder) / f"{name} {turn}", plan)
                seconds[name].append(time.perf_counter() - began)
    base = statistics.median(seconds["one process"])
    print(f"{count} clips of {frames} frames, median of {rounds} rounds, starts of processes included")
    print("| way | seconds | clips a minute | of one process |\n|---|--:|--:|--:|")
    rows: list[list[str | float]] = []
    for name, each in seconds.items():
        middle = statistics.median(each)
        rows.append([name, middle, 60 * count / middle, base / middle])
        print(f"| {name} | {middle:.1f} | {60 * count / middle:.1f} | {base / middle:.2f} |")
    columns = [f"{count} clips of {frames} frames", "seconds", "clips a minute", "speed over one process"]
    keep(kept, "ways", columns=columns, rows=rows, digits=[0, 1, 1, 2])


def hand_out(ways: dict[str, Way], *, count: int, kept: Path | None) -> None:
    """Let the ways go through clips that are done, and print what each clip and each start costs."""
    plan: dict[str, object] = {"formats": ("palette",), "device": "cpu", "range": range(1)}
    print("| clips that are done | processor ms a clip | processor seconds of two, with the start |\n|---|--:|--:|")
    rows: list[list[str | float]] = []
    with tempfile.TemporaryDirectory() as folder:
        clips, out = copied(count, Path(folder)), Path(folder) / "out"
        alone(clips, out, plan)
        for name, way in ways.items():
            spent = {}
            for some in (clips[:2], clips):
                with Family() as family:
                    way(some, out, plan)
                spent[len(some)] = family.seconds
            each = 1e3 * (spent[count] - spent[2]) / (count - 2)
            rows.append([name, each, spent[2]])
            print(f"| {name} | {each:.0f} | {spent[2]:.1f} |", flush=True)
    columns = [f"{count} clips that are done", "processor ms a clip", "processor seconds of two, with the start"]
    keep(kept, "errands", columns=columns, rows=rows, digits=[0, 0, 1])


def main(arguments: list[str]) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--frames", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--errands", type=int, default=0, help="also what it costs to hand out so many clips")
    parser.add_argument("--ray", action="store_true", help="also on Ray, with two workers of this machine")
    parser.add_argument("--json", type=Path, help="keep the tables in this file: see recorded.py")
    asked = parser.parse_args(arguments)
    ways = {"one process": alone, "batch, 1 worker": batched(workers=1), "batch, 2 workers": batched(workers=2)}
    if asked.ray:
        ways["Ray, 2 workers"] = batched(workers=2, ray="local")
    configure_threads(pipeline=True)
    if asked.rounds:
        compare(ways, count=asked.clips, frames=asked.frames, rounds=asked.rounds, kept=asked.json)
    if asked.errands:
        hand_out(ways, count=asked.errands, kept=asked.json)


if __name__ == "__main__":
    main(sys.argv[1:])
