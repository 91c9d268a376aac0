"""Time and memory of `covos evaluate` beside vos-benchmark, on a set of the size of DAVIS 2016's validation.

    python -m venv /tmp/peer && /tmp/peer/bin/pip install vos-benchmark
    python benchmarks/evaluation.py --peer /tmp/peer/bin/python --davis DAVIS

Both score the same 20 sequences at 854x480, by the same rules, with the same number of workers, in turns. The
ground truth is that of 20 DAVIS sequences, scaled to 480p if need be; without ``--davis``, drawn shapes. Predictions
are the ground truth, shifted, eroded or dilated. Masks are palette files with one object, as DAVIS 2017 has them and
covos writes them; with ``--grey``, 0/255, as DAVIS 2016 has them: these take longer to decode, which both do with the
same library. Memory is the proportional set size of all processes of a run.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from covos.data import open_dataset
from covos.masks import write_label_map

SEQUENCES, FRAMES, SIZE = 20, 69, (480, 854)
PEER = """
import sys
from vos_benchmark.benchmark import benchmark
truth, predictions, processes = sys.argv[1:]
_, j, f, _ = benchmark([truth], [predictions], num_processes=int(processes), verbose=False)
print(j[0] / 100, f[0] / 100)
"""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The cost of one run."""

    seconds: float
    cpu_seconds: float
    megabytes: float
    output: str


def main() -> None:
    """Build the set, run both in turns, print medians and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--davis", type=Path, help="root of a DAVIS tree")
    parser.add_argument("--peer", type=Path, help="Python of an environment that has vos-benchmark")
    parser.add_argument("--grey", action="store_true", help="store masks as grey 0/255")
    parser.add_argument("--objects", type=int, default=1, help="cut the subject into so many upright strips")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--repeat", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="covos-evaluation-") as folder:
        root = Path(folder)
        truth, predictions, scores = root / "truth", root / "predictions", root / "scores.json"
        frames = build(truth, predictions, davis=arguments.davis, grey=arguments.grey, objects=arguments.objects)
        size = f"{frames} frames of {SIZE[1]}x{SIZE[0]}, {arguments.objects} object(s)"
        print(f"{SEQUENCES} sequences, {size}, {arguments.workers} workers")
        protocol = "davis2016" if arguments.objects == 1 else "davis2017-semi"
        ours = [sys.executable, "-m", "covos", "evaluate", predictions, truth, "--protocol", protocol, "-q", "-y"]
        ours += ["--workers", str(arguments.workers), "--json", scores]
        commands = {"covos": ours}
        if arguments.peer:
            commands["vos-benchmark"] = [arguments.peer, "-c", PEER, truth, predictions, str(arguments.workers)]
        runs: dict[str, list[Run]] = {name: [] for name in commands}
        for _ in range(arguments.repeat):
            for name, command in commands.items():
                runs[name].append(measured([str(part) for part in command]))
        summary = json.loads(scores.read_text())["summary"]
        print(f"covos          J {summary['J-Mean']:.6f}  F {summary['F-Mean']:.6f}")
        if arguments.peer:
            j, f = map(float, runs["vos-benchmark"][-1].output.split()[-2:])
            print(f"vos-benchmark  J {j:.6f}  F {f:.6f}")
        report(runs)


def report(runs: dict[str, list[Run]]) -> None:
    """Print the median of each, and how many times the peer's are ours."""
    medians = {
        name: [
            statistics.median(getattr(run, field) for run in each) for field in ("seconds", "cpu_seconds", "megabytes")
        ]
        for name, each in runs.items()
    }
    for name, (seconds, cpu, megabytes) in medians.items():
        print(f"{name:<14} {seconds:7.2f} s   {cpu:7.2f} s of processor   {megabytes:6.0f} MB at most")
    if "vos-benchmark" in medians:
        ratios = [theirs / ours for theirs, ours in zip(medians["vos-benchmark"], medians["covos"], strict=True)]
        print(f"ratio          {ratios[0]:7.2f}     {ratios[1]:7.2f}                  {ratios[2]:6.2f}")


def measured(command: list[str]) -> Run:
    """Run a command in a session of its own and add up its processes, looked at ten times a second."""
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL, start_new_session=True)
        cpu: dict[int, float] = {}
        peak = 0.0
        while process.poll() is None:
            members = session_members(process.pid)
            cpu |= {pid: seconds for pid, seconds in members.items() if seconds > cpu.get(pid, 0)}
            peak = max(peak, sum(map(megabytes_of, members)))
            time.sleep(0.1)
        seconds = time.perf_counter() - started
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"{command[0]} ended with {process.returncode}: {text}")
    return Run(seconds=seconds, cpu_seconds=sum(cpu.values()), megabytes=peak, output=text)


def session_members(session: int) -> dict[int, float]:
    """Processes of a session, with the processor seconds that each has used."""
    members = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            members[int(entry.name)] = (int(fields[11]) + int(fields[12])) / TICKS
    return members


def megabytes_of(pid: int) -> float:
    """Proportional set size: pages that several processes share count once."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def build(truth: Path, predictions: Path, *, davis: Path | None, grey: bool, objects: int) -> int:
    """Write the set; how many frames it has."""
    rng = np.random.default_rng(0)
    count = 0
    for name, masks in (drawn(rng) if davis is None else annotated(davis)).items():
        (truth / name).mkdir(parents=True)
        (predictions / name).mkdir(parents=True)
        drift = rng.normal(0, 8, 2)
        for index, mask in enumerate(masks):
            shift = drift * np.sin(index / 9) + rng.normal(0, 0.6, 2)
            moved = cv2.warpAffine(
                mask, np.array([[1, 0, shift[0]], [0, 1, shift[1]]]), SIZE[::-1], flags=cv2.INTER_NEAREST
            )
            element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (7, 7))
            predicted = (cv2.erode, cv2.dilate)[index % 2](moved, element)
            for folder, binary in ((truth, mask), (predictions, predicted)):
                labels = binary * strips(mask, objects)
                path = folder / name / f"{index:05d}.png"
                if grey:
                    Image.fromarray(labels * 255).save(path)
                else:
                    write_label_map(path, labels)
            count += 1
    return count


def strips(mask: NDArray[np.uint8], objects: int) -> NDArray[np.uint8]:
    """1 to ``objects`` from left to right of the subject, outside it too."""
    left, _, width, _ = cv2.boundingRect(mask)
    position = (np.arange(SIZE[1]) - left) * objects // max(width, 1)
    return (position.clip(0, objects - 1) + 1).astype(np.uint8)


def annotated(davis: Path) -> dict[str, list[NDArray[np.uint8]]]:
    """The masks of the first 20 sequences of a DAVIS tree."""
    sequences = {}
    for video in open_dataset(davis).videos[:SEQUENCES]:
        masks = [np.array(Image.open(frame.annotation)) > 0 for frame in video.annotated]
        sequences[video.name] = [
            cv2.resize(mask.astype(np.uint8), SIZE[::-1], interpolation=cv2.INTER_NEAREST) for mask in masks
        ]
    return sequences


def drawn(rng: np.random.Generator) -> dict[str, list[NDArray[np.uint8]]]:
    """Ellipses with limbs that move and turn."""
    sequences = {}
    for number in range(SEQUENCES):
        size, speed = rng.integers(40, 130, 2), rng.normal(0, 3, 2)
        masks = []
        for t in range(FRAMES):
            mask = np.zeros(SIZE, np.uint8)
            centre = np.array([427, 240]) + speed * (t - FRAMES / 2)
            cv2.ellipse(mask, tuple(map(int, centre)), tuple(map(int, size)), 3 * t, 0, 360, 1, -1)
            for limb in range(4):
                angle = limb * 1.6 + t / 12
                end = centre + 1.7 * size.max() * np.array([np.cos(angle), np.sin(angle)])
                cv2.line(mask, tuple(map(int, centre)), tuple(map(int, end)), 1, 12)
            masks.append(mask)
        sequences[f"sequence-{number:02d}"] = masks
    return sequences


if __name__ == "__main__":
    main()
