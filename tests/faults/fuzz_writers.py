"""Let every system call of every writer fail, and count what does not hold then.

    make fuzz
    cd tests && python -m faults.fuzz_writers [--format NAME] [--every N]

For each format, `covos segment` and `covos convert` are run again and again. Each time one write, rename, fsync, mkdir,
or opening of a file for writing fails: with an I/O error once, or for a full disk from then on. Or the process is
killed there. Afterwards the exit code must be true, no half file may stand under a final name, and the same command,
given again, must write what it writes undisturbed. Exit code 1 if something does not hold.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from faults.sweep import GROUPS, Sweep, all_faults, preloaded, small_clip


def main() -> int:
    """Print a row for each format and verb."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--format", help="only this one")
    parser.add_argument("--every", type=int, default=1, help="only each N-th fault")
    chosen = parser.parse_args()
    total = wrong = 0
    with tempfile.TemporaryDirectory() as name, preloaded(Path(name)) as process:
        if process is None:
            print("system calls can be made to fail on Linux, with a C compiler")
            return 1
        clip = small_clip(Path(name))
        for formats in GROUPS:
            if chosen.format in (None, *formats):
                for make in (Sweep.of_segment, Sweep.of_convert):
                    sweep = make(process, clip, formats, folder=Path(name))
                    faults = all_faults(sweep.counts)[:: chosen.every]
                    broken = [line for fault in faults for line in sweep.broken(fault)]
                    total, wrong = total + len(faults), wrong + bool(broken)
                    verb = make.__name__.removeprefix("of_")
                    print(f"{verb:8} {' '.join(formats):18} {len(faults):5} faults, {len(broken)} broken", flush=True)
                    for line in broken:
                        print(f"    {line}", flush=True)
    print(f"{total} faults injected, {wrong} sweeps with something broken")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
