"""Let the N-th system call of a command fail, lift the fault, give the same command again, and compare."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from errno import EIO, ENOSPC
from pathlib import Path
from typing import Any, Self

from checked_output import check_output
from covos.formats.table import FORMATS
from faults.invariants import left_over
from faults.media_mutants import INPUTS

FRAMES = 4
SHIM = Path(__file__).with_name("shim.c")
CALLS = ("write", "rename", "fsync", "mkdir", "open")
_OWN = {".covos-files", ".covos-lock", "covos.json", "journal.jsonl", "kept.jsonl", "report.json", "report.html"}
"""Files that are no outputs: those of covos itself, and those that hold times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault: the N-th call, from 1, of a kind ("any" counts all of them) fails, or the process ends there."""

    call: str
    at: int
    way: str

    @property
    def order(self) -> dict[str, Any]:
        """The fault, as `injected_runs` takes it."""
        error, lasting = WAYS[self.way]
        return {"kind": self.call, "at": self.at, "error": error, "lasting": lasting}


WAYS = {"I/O error once": (EIO, False), "disk full from then on": (ENOSPC, True), "killed": (-1, False)}


@contextmanager
def preloaded(folder: Path) -> Iterator[subprocess.Popen[str] | None]:
    """Start the program that runs commands under faults; None where there is no C compiler, or no such system."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        yield None
        return
    shim = folder / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", str(shim), str(SHIM), "-ldl"], check=True)
    tests = str(Path(__file__).parents[1])
    paths = os.pathsep.join([tests, *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "faults.injected_runs"]
    pipe = subprocess.PIPE
    environment = {**os.environ, "LD_PRELOAD": str(shim), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


class Sweep:
    """A command whose calls are to fail, with what it gives undisturbed.

    Args:
        process: From `preloaded`.
        argv: Command line, without the output folder.
        folder: Scratch folder.
    """

    def __init__(self, process: subprocess.Popen[str], argv: Sequence[str], *, folder: Path) -> None:
        self._process, self._argv = process, list(argv)
        # Faults strike below this folder: a conversion is made beside the folder that it is for.
        self._place = folder / "work"
        self._out = self._place / "out"
        self._empty()
        whole = self._run()
        assert whole["code"] == 0, whole["said"]
        self.counts: dict[str, int] = whole["counts"]
        self._expected = _outputs(self._out)

    @classmethod
    def of_segment(cls, process: subprocess.Popen[str], clip: Path, formats: Sequence[str], *, folder: Path) -> Self:
        """Sweep over ``covos segment`` in some formats."""
        options = [name for name in formats if name.startswith("--")]
        return cls(process, ["segment", str(clip), *_named(formats), *options], folder=folder)

    @classmethod
    def of_convert(cls, process: subprocess.Popen[str], clip: Path, formats: Sequence[str], *, folder: Path) -> Self:
        """Sweep over ``covos convert`` to some formats, from masks that it makes first."""
        masks = folder / "masks"
        if not masks.exists():
            _order(process, ["segment", str(clip), "-o", str(masks), "-q", "-f", "palette"], folder)
        return cls(process, ["convert", str(masks), *_named(formats)], folder=folder)

    def broken(self, fault: Fault) -> list[str]:
        """Run under a fault, and again without; return what does not hold, a line each."""
        met = self.met(fault)
        found = [f"{fault}: {line}" for line in self._after(fault, met)]
        # A conversion that is whole in spite of the fault is not made again unless asked.
        is_whole = self._argv[0] == "convert" and _outputs(self._out) == self._expected
        again = self._run("-y") if is_whole else self._run()
        if again["code"] != 0:
            return [*found, f"{fault}: given again, exit code {again['code']}: {again['said']}"]
        found += [f"{fault}: given again, {line}" for line in _differences(_outputs(self._out), self._expected)]
        found += [f"{fault}: given again, {line}" for line in check_output(self._out)]
        found += [f"{fault}: given again, {each} is left" for each in self._place.iterdir() if each != self._out]
        return found

    def met(self, fault: Fault) -> dict[str, Any]:
        """Run in an empty folder under a fault, and return what the program answers."""
        self._empty()
        return self._run(fault=fault)

    def _empty(self) -> None:
        shutil.rmtree(self._place, ignore_errors=True)
        self._place.mkdir()

    def _after(self, fault: Fault, met: dict[str, Any]) -> Iterator[str]:
        killed = fault.way == "killed"
        if killed:
            if met["signal"] not in (0, signal.SIGKILL) or (met["code"] is None) != (met["signal"] == signal.SIGKILL):
                yield f"the process ended by itself: {met}"
        elif met["code"] is None:
            yield f"the process died of signal {met['signal']}"
        elif met["code"] not in {0, 5}:
            yield f"exit code {met['code']}: {met['said']}"
        elif met["code"] == 5 and "  why: " not in met["said"]:
            yield f"the error is not explained: {met['said']}"
        here = _outputs(self._out)
        if met["code"] == 0:
            yield from _differences(here, self._expected)
        elif halves := [name for name in here if here[name] != self._expected.get(name)]:
            yield f"half a file stands under a final name: {halves}"
        for name in ("covos.json", "report.json"):
            if (self._out / name).exists():
                try:
                    json.loads((self._out / name).read_text())
                except ValueError:
                    yield f"{name} is half written"
        if not killed and self._out.exists() and (partial := left_over(self._out)):
            yield f"unfinished files are left: {partial}"
        if not killed and (beside := sorted({each.name for each in self._place.iterdir()} - {self._out.name})):
            yield f"this is left beside the folder: {beside}"

    def _run(self, *options: str, fault: Fault | None = None) -> dict[str, Any]:
        order = {"kind": None, "at": 0, "error": 0, "lasting": False} if fault is None else fault.order
        return _order(self._process, [*self._argv, *options, "-q", "-o", str(self._out)], self._place, **order)


def small_clip(folder: Path) -> Path:
    """Write a video of four small frames, with sound."""
    made: Path = INPUTS.make_clip(replace(INPUTS.KINDS["mp4, sound"], size=(24, 32)), folder, count=FRAMES)
    return made


def all_faults(counts: dict[str, int]) -> list[Fault]:
    """List every fault of a command: each call of each kind in each way, and a kill at each call of any kind."""
    failing = [way for way in WAYS if way != "killed"]
    return [
        *(Fault(call=call, at=at, way=way) for call in CALLS for at in range(1, counts[call] + 1) for way in failing),
        *(Fault(call="any", at=at, way="killed") for at in range(1, counts["any"] + 1)),
    ]


GROUPS: tuple[tuple[str, ...], ...] = (*((name,) for name in FORMATS), ("palette", "overlay"), ("rgba", "--matte"))
"""Formats that are swept together, and options of ``covos segment`` beside them."""


def _named(formats: Sequence[str]) -> list[str]:
    return [part for name in formats if not name.startswith("--") for part in ("-f", name)]


def _order(process: subprocess.Popen[str], argv: Sequence[str], below: Path, **fault: Any) -> dict[str, Any]:
    plain = {"kind": None, "at": 0, "error": 0, "lasting": False}
    assert process.stdin is not None
    assert process.stdout is not None
    print(json.dumps({"argv": list(argv), "below": str(below), **plain, **fault}), file=process.stdin, flush=True)
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    return answer


def _outputs(folder: Path) -> dict[str, bytes]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in _OWN)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found if ".partial" not in path.name}


def _differences(here: dict[str, bytes], expected: dict[str, bytes]) -> Iterator[str]:
    if lacking := sorted(expected.keys() - here.keys()):
        yield f"these are not there: {lacking}"
    if others := sorted(name for name in here if here[name] != expected.get(name)):
        yield f"these are others than undisturbed: {others}"
