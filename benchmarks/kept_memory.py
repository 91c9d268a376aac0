"""Processor time of a training step, with freed memory kept by the process and given back each time.

    python benchmarks/kept_memory.py [--rounds 3] [--steps 3] [--json FILE]

A step is forward and backward of covos-lite on eight random frames of 256 x 448, on one thread in float32. A process of
its own does the steps of a round; the two kinds take turns. The table has the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

from recorded import keep

KINDS = "given back", "kept"


def measured(kind: str, steps: int) -> tuple[float, float, float]:
    """Seconds of the program and of the system for a step, and the most memory, in gigabytes."""
    import torch

    import covos
    from covos.core.memory import keeping_freed_memory, peak_of_process
    from covos.training.lite import siblings

    torch.set_num_threads(1)
    network = covos.load_model(device="cpu", precision="fp32", runtime="torch").network.train()
    image = torch.rand(8, 3, 256, 448).to(memory_format=torch.channels_last)
    motion = torch.zeros(8, 4, 64, 112)

    def step() -> None:
        features = network.encode(image, motion)
        answer = network.decode(features, siblings(network.memorise(features), group_size=4)).logit_B1HW
        answer.square().mean().backward()
        network.zero_grad(set_to_none=True)

    with keeping_freed_memory() if kind == "kept" else nullcontext():
        step()
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(steps):
            step()
        after = resource.getrusage(resource.RUSAGE_SELF)
    own, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    return own / steps, system / steps, (peak_of_process() or 0) / 1e9


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--kind", choices=KINDS, help="measure this kind in this process, and print JSON")
    parser.add_argument("--json", type=Path, help="keep the table in this file")
    asked = parser.parse_args()
    if asked.kind:
        print(json.dumps(measured(asked.kind, asked.steps)))
        return
    found: dict[str, list[list[float]]] = {kind: [] for kind in KINDS}
    for _ in range(asked.rounds):
        for kind, rounds in found.items():
            command = [sys.executable, __file__, "--kind", kind, "--steps", str(asked.steps)]
            rounds.append(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    rows = []
    for kind, rounds in found.items():
        own, system, peak = (statistics.median(column) for column in zip(*rounds, strict=True))
        rows.append([kind, own, system, own + system, peak])
        print(f"{kind:10}: {own:.2f} s of the program, {system:.2f} s of the system, {peak:.2f} GB")
    print(f"ratio: {rows[1][3] / rows[0][3]:.2f}")
    columns = ["freed memory", "program, s a step", "system, s a step", "both", "GB at most"]
    keep(asked.json, "training", columns=columns, rows=rows, digits=[0, 2, 2, 2, 2])


if __name__ == "__main__":
    main()
