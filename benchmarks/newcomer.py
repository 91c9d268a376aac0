"""Minutes, megabytes and commands that a new user needs, from nothing to a mask, a training step and a passing test.

    python benchmarks/newcomer.py [--whole [--json FILE]]

The last commit is cloned into an empty folder. Each command runs with an empty home, so nothing was downloaded before.
A row is what one more goal takes after those above it:

    first mask      make demo
    training step   covos train lite-finetune, one step on frames of the example clip and the masks just found,
                    without the optional packages of training
    passing test    make .venv/ready, and the tests of one room; with --whole all of make test

Megabytes fetched are the sizes of the files that pip downloads, or finds in its cache. Megabytes on the disk are those
of .venv. The seconds depend on the network, from which gigabytes come.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recorded import ROOT, keep
from tables import columns_of

MADE = """
import cv2, pathlib
masks = sorted(pathlib.Path("out/demo/masks").glob("*.png"))
clip = cv2.VideoCapture("examples/car.mp4")
for folder in ("images", "masks"):
    pathlib.Path("mine", folder).mkdir(parents=True)
for index, mask in enumerate(masks):
    shown, frame = clip.read()
    if index % 10 == 0:
        cv2.imwrite(f"mine/images/{index:03}.png", frame)
        pathlib.Path(f"mine/masks/{index:03}.png").write_bytes(mask.read_bytes())
"""
"""A data set of pictures and masks, made of the demo."""
TRAIN = "covos train lite-finetune --data mine -o runs/mine --no-check --steps 1"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whole", action="store_true", help="run all of make test, not the tests of one room")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.json and not options.whole:
        parser.error("the table that is kept is that of --whole: give --whole, or leave out --json")
    tests = ["make test"] if options.whole else ["make .venv/ready", ".venv/bin/pytest -q tests/masks"]
    goals = {
        "first mask": ["make demo"],
        "training step": [f".venv/bin/{TRAIN}"],
        "passing test": tests,
    }
    rows: list[list[str | float | int]] = []
    with tempfile.TemporaryDirectory() as name:
        clone, home = Path(name) / "covos", Path(name) / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        for goal, commands in goals.items():
            if goal == "training step":
                subprocess.run([str(clone / ".venv/bin/python"), "-c", MADE], cwd=clone, check=True)
            began = time.perf_counter()
            fetched = 0
            for command in commands:
                print(f"$ {command}", flush=True)
                fetched += _fetched(_run(command, clone, home))
            minutes, disk = (time.perf_counter() - began) / 60, _megabytes(clone / ".venv")
            rows.append([goal, " && ".join(f"`{each}`" for each in commands), minutes, fetched, disk])
            print(f"{goal}: {minutes:.1f} min, {fetched} MB fetched, {disk} MB on the disk", flush=True)
        columns = columns_of("newcomer.steps")
        keep(options.json, "steps", columns=columns, rows=rows, digits=[0, 0, 1, 0, 0], tree=clone)


def _run(command: str, clone: Path, home: Path) -> str:
    """Run a command as a user who has just come, and return what it says, which is shown if it fails."""
    # Where packages come from is the machine's affair; what covos or pip have kept at home is not taken along.
    kept = ("PATH", "LANG", "PIP_", "npm_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy")
    place = {each: value for each, value in os.environ.items() if each.startswith(kept)} | {"HOME": str(home)}
    done = subprocess.run(command, shell=True, cwd=clone, env=place, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:])
        sys.exit(f"{command} ended with {done.returncode}")
    return done.stdout


def _fetched(said: str) -> int:
    """Return the megabytes of the sums that `.ci/install.py` has said."""
    return sum(
        map(int, re.findall(r"(?:^fetched|, and) (\d+) MB (?:in \d+ files|were in pip's cache)", said, re.MULTILINE))
    )


def _megabytes(folder: Path) -> int:
    files = (each for each in folder.rglob("*") if each.is_file() and not each.is_symlink())
    return round(sum(each.stat().st_size for each in files) / 1e6)


if __name__ == "__main__":
    main()
