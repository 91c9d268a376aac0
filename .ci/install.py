"""Install with pip and say what is fetched: ``python .ci/install.py WHAT OPTION...``, with options of pip install.

pip has a line or two for each of a hundred packages, and quiet pip is silent for minutes. This has a line for each
large file when its download begins, and one with the sum. All that pip said is shown if it fails.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator

TAKEN = re.compile(r"^\s*(Downloading|Using cached) (\S+) \(([\d.]+) (bytes|kB|MB|GB)\)$")
PROGRESS = re.compile(r"^Progress (\d+) of (\d+)$")
MEGABYTES = {"bytes": 1e-6, "kB": 1e-3, "MB": 1.0, "GB": 1e3}
LARGE = 10.0
"""Megabytes from which a file has a line of its own."""


def main(what: str, options: list[str]) -> int:
    """Install, and return the exit code of pip."""
    print(f"installing {what}", flush=True)
    megabytes: dict[str, list[float]] = {"Downloading": [], "Using cached": []}
    said: list[str] = []
    shown = False
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--progress-bar", "raw", *options]
    place = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as pip:
        for line in _lines(pip):
            if done := PROGRESS.match(line):
                if shown and sys.stdout.isatty():
                    print(f"\r\033[K{said[-1].strip()}: {int(done[1]) / 1e6:.0f} MB", end="", flush=True)
                continue
            said.append(line)
            if taken := TAKEN.match(line):
                way, file, size, unit = taken.groups()
                megabytes[way].append(float(size) * MEGABYTES[unit])
                shown = way == "Downloading" and megabytes[way][-1] >= LARGE
                if shown:
                    print(f"{_start()}  {'-'.join(file.split('-')[:2])}, {megabytes[way][-1]:.0f} MB", flush=True)
    if pip.returncode:
        print(_start() + "\n".join(said), file=sys.stderr)
    else:
        fetched, kept = (sum(megabytes[way]) for way in ("Downloading", "Using cached"))
        again = f", and {kept:.0f} MB were in pip's cache" if kept else ""
        print(f"{_start()}fetched {fetched:.0f} MB in {len(megabytes['Downloading'])} files{again}", flush=True)
    return pip.returncode


def _lines(pip: subprocess.Popen[str]) -> Iterator[str]:
    assert pip.stdout is not None
    for line in pip.stdout:
        yield line.rstrip("\n")


def _start() -> str:
    """Return what begins a line where a terminal shows progress."""
    return "\r\033[K" if sys.stdout.isatty() else ""


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit("usage: python .ci/install.py WHAT OPTION...")
    raise SystemExit(main(sys.argv[1], sys.argv[2:]))
