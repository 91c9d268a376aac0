"""Damage clips of every container, folders of pictures, stills and streams at random, segment each, and count losses.

    make fuzz                 (SEED=1 MUTANTS=300 KIND=mp4 change it)
    cd tests && python -m faults.fuzz_media --mutants 300 [--seed N] [--kind TEXT] [--keep FOLDER]

A row for each kind: mutants that were tried, those that were read whole (exit code 0), in part (4), or not at all (3);
frames that were lost without a word, and those of which nothing can tell (``UNSEEN`` in media_mutants.py and
stream_invariants.py lists them; pixels change unseen in pictures of formats without checksums); frames that a plain
decoder gives and that were withheld; mutants that still give every picture of the intact one, and of which some were
told to be missing; and mutants at which something did not hold that must hold of any: a crash, a hang, a flood, a bug,
outputs that do not belong together. ``--keep`` stores the mutants that count in the last five columns. Exit code 1, and
a last line that says why, if a frame was lost or withheld, or something did not hold.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

from covos.model import Model
from faults.lanes import ALL_KINDS, Tried, lane_of
from faults.warm import warm
from stub_model import bright_model

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
    warm()
    model = bright_model()
    print(f"{'kind':26}" + "".join(f"{name:>10}" for name in COLUMNS), flush=True)
    total: Counter[str] = Counter()
    for kind in ALL_KINDS:
        if chosen.kind in kind:
            with tempfile.TemporaryDirectory() as folder:
                row = tried(kind, Path(folder), model=model, seed=chosen.seed, count=chosen.mutants, keep=chosen.keep)
            print(f"{kind:26}" + "".join(f"{row[name]:10}" for name in COLUMNS), flush=True)
            total += row
    print(f"{'all':26}" + "".join(f"{total[name]:10}" for name in COLUMNS))
    failed = [f"{total[name]} {name}" for name in FAILURES if total[name]]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def tried(kind: str, folder: Path, *, model: Model, seed: str, count: int, keep: Path | None) -> Counter[str]:
    """Try so many mutants of a kind, tell those that something is wrong with, and count."""
    row: Counter[str] = Counter()
    lane = lane_of(kind, folder, model=model)
    for number in range(count):
        found = lane(f"{seed}/{kind}/{number}")
        row.update(_counted(found))
        looked = found.looked
        if looked.lost or found.unseen or looked.withheld or looked.alarm or looked.broken:
            what = f"lost {looked.lost + found.unseen}, withheld {looked.withheld}, alarm {looked.alarm:d}"
            print(f"  {kind} {seed}/{number}: {found.change}: exit {looked.code}, {looked.frames} frames, {what}")
            for line in looked.broken:
                print(f"    {line}")
            sys.stdout.flush()
            if keep is not None:
                _keep(
                    found.made, keep / f"{kind.replace(', ', '-').replace(' ', '-')}-{seed}-{number}{found.made.suffix}"
                )
    return row


def _keep(made: Path, kept: Path) -> None:
    kept.parent.mkdir(parents=True, exist_ok=True)
    if made.is_dir():
        shutil.copytree(made, kept, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copyfile(made, kept)


def _counted(found: Tried) -> dict[str, int]:
    looked = found.looked
    return {
        "mutants": 1,
        "whole": looked.code == 0,
        "in part": looked.code == 4,
        "refused": looked.code == 3,
        "lost": looked.lost,
        "unseen": found.unseen,
        "withheld": looked.withheld,
        "alarms": looked.alarm,
        "broken": bool(looked.broken),
    }


if __name__ == "__main__":
    sys.exit(main())
