"""Measure how much is tried, and how much of it is lost: the numbers of docs/damage.md.

    make fuzz                                      (MUTANTS=300 KIND=mp4 SEED=1 EVERY=1 change it)
    cd tests && python -m faults.measure [--mutants N] [--kind TEXT] [--seed N] [--every N]

Runs the long lanes of media and writers and the attacks, and prints in its last lines: rows of the table of faults that
have a test, faults injected, mutants tried, frames lost unreported, attacks stopped. Exit code 1 if anything failed.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

from faults.fuzz_media import COLUMNS
from faults.test_table import ROWS, rows

TESTS = Path(__file__).parents[1]


def main() -> int:
    """Print the lanes as they go, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", default="300", help="mutants of each kind of file")
    parser.add_argument("--kind", default="", help="only kinds of files whose name has this in it")
    parser.add_argument("--seed", default="0", help="begins another series of mutants")
    parser.add_argument("--every", default="1", help="inject only each N-th fault")
    chosen = parser.parse_args()
    media = _lane("-m", "faults.fuzz_media", "--mutants", chosen.mutants, "--seed", chosen.seed, "--kind", chosen.kind)
    writers = _lane("-m", "faults.fuzz_writers", "--every", chosen.every)
    attacks = _lane("-m", "pytest", "attacks", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider")
    sums = dict(zip(COLUMNS, map(int, re.findall(r"\d+", media[1].split("\nall")[-1])), strict=False))
    faults, wrong = map(int, re.findall(r"\d+", writers[1].strip().splitlines()[-1]))
    passed = sum(int(found) for found in re.findall(r"(\d+) passed", attacks[1]))
    covered = sum(".py::" in line for line in rows().values())
    print(f"rows of the table with a test   {covered} of {ROWS}")
    print(f"faults injected                 {faults}, {wrong} sweeps with something broken")
    print(f"mutants tried                   {sums['mutants']}, {sums['broken']} with something broken")
    print(f"frames lost unreported          {sums['lost']}")
    print(f"attacks stopped                 {passed}")
    return int(any(code for code, _ in (media, writers, attacks)))


def _lane(*command: str) -> tuple[int, str]:
    """Run a lane, show what it says, and return its exit code and that."""
    said = []
    with subprocess.Popen([sys.executable, *command], cwd=TESTS, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            said.append(line)
    code = process.wait()
    if code not in {0, 1}:
        sys.exit(f"{' '.join(command)} ended with code {code}")
    return code, "".join(said)


if __name__ == "__main__":
    sys.exit(main())
