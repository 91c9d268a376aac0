"""Damage clips of every container at random, segment each, and count what was lost without a word.

    make fuzz                 (SEED=1 MUTANTS=300 KIND=mp4 change it)
    cd tests && python -m faults.fuzz_media --mutants 300 [--seed N] [--kind TEXT] [--keep FOLDER]

A row for each kind of file: mutants that were tried, those that were read whole (exit code 0), in part (4), or not at
all (3); frames of the intact clip that were lost without a word, and those of which nothing in the file can tell
(``UNSEEN`` in media_mutants.py lists them); frames that a plain decoder gives and that were withheld; mutants that
still give every picture of the intact clip, and of which some were told to be missing; and mutants at which something
did not hold that must hold of any: a crash, a hang, a flood, a bug, outputs that do not belong together. ``--keep``
stores the mutants that count in the last five columns. Exit code 1, and a last line that says why, if a frame was lost
or withheld, or something did not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

from covos.model import Model
from faults.invariants import Looked, look_at
from faults.media_mutants import INPUTS, KINDS, clip_of, is_unseen, mutant, without_packets
from stub_model import bright_model

_EACH = 8
"""One in so many mutants lacks whole packets."""
FAILURES = ("lost", "withheld", "broken")
COLUMNS = ("mutants", "whole", "in part", "refused", "lost", "unseen", "withheld", "alarms", "broken")


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=300, help="mutants of each kind of file")
    parser.add_argument("--seed", default="0", help="begins another series of mutants")
    parser.add_argument("--kind", default="", help="only kinds whose name has this in it")
    parser.add_argument("--keep", type=Path, help="store the mutants that something is wrong with")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model = bright_model()
    print(f"{'kind':22}" + "".join(f"{name:>10}" for name in COLUMNS), flush=True)
    total: Counter[str] = Counter()
    for kind in KINDS:
        if chosen.kind in kind:
            with tempfile.TemporaryDirectory() as folder:
                row = tried(kind, Path(folder), model=model, seed=chosen.seed, count=chosen.mutants, keep=chosen.keep)
            print(f"{kind:22}" + "".join(f"{row[name]:10}" for name in COLUMNS), flush=True)
            total += row
    print(f"{'all':22}" + "".join(f"{total[name]:10}" for name in COLUMNS))
    failed = [f"{total[name]} {name}" for name in FAILURES if total[name]]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def tried(kind: str, folder: Path, *, model: Model, seed: str, count: int, keep: Path | None) -> Counter[str]:
    """Try so many mutants of a kind, tell those that something is wrong with, and count."""
    row: Counter[str] = Counter()
    clip = clip_of(kind, folder)
    content, intact = clip.read_bytes(), INPUTS.decode_plainly(clip)
    path = folder / f"mutant.{KINDS[kind].suffix}"
    for number in range(count):
        own = f"{seed}/{kind}/{number}"
        taken = without_packets(clip, path, own) if number % _EACH == _EACH - 1 else None
        if taken is None:
            name, data = mutant(content, own)
            path.write_bytes(data)
        else:
            name, data = taken, path.read_bytes()
        looked = look_at(path, folder / "out", model=model, intact=intact)
        row.update(_counted(looked, is_unseen=is_unseen(kind, name)))
        if looked.lost or looked.withheld or looked.alarm or looked.broken:
            what = f"lost {looked.lost}, withheld {looked.withheld}, alarm {looked.alarm:d}"
            print(f"  {kind} {seed}/{number}: {name}: exit {looked.code}, {looked.frames} frames, {what}")
            for line in looked.broken:
                print(f"    {line}")
            sys.stdout.flush()
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{kind.replace(', ', '-').replace(' ', '-')}-{seed}-{number}{path.suffix}").write_bytes(data)
    return row


def _counted(looked: Looked, *, is_unseen: bool) -> dict[str, int]:
    return {
        "mutants": 1,
        "whole": looked.code == 0,
        "in part": looked.code == 4,
        "refused": looked.code == 3,
        "lost": 0 if is_unseen else looked.lost,
        "unseen": looked.lost if is_unseen else 0,
        "withheld": looked.withheld,
        "alarms": looked.alarm,
        "broken": bool(looked.broken),
    }


if __name__ == "__main__":
    sys.exit(main())
