"""``covos train`` with narrow COSNets, as one of several processes; not a test itself.

    PYTHONPATH=tests torchrun --nproc-per-node 2 tests/training/worker.py FOLDER EVENT ARGUMENTS...

Tests fork such processes, too: `forked` is ``torchrun``, with its agent and its restarts, but each of its processes
begins as a fork of this one, which has loaded torch.

Each process leaves its weights as FOLDER/rank<N>.pt. EVENT is what happens in the second step: ``error0`` or
``error1`` raises in the process of that rank, ``stop0`` or ``stop1`` sends it SIGTERM; ``lost0`` or ``lost1`` kills
it in the fourth step, unless torchrun has started it again; anything else is nothing.
"""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from children import in_child
from covos.cli import main
from covos.core.errors import InputError
from covos.models.cosnet.network import COSNETS
from covos.training import run_folder, state
from covos.training.cosnet import CosnetTask

IN_EACH = ("torch._dynamo", "torch.distributed.launcher.api", "torch.distributed.run")
"""Modules that each fork would load for itself. Optimisers load the first, for two seconds."""


def work(words: Sequence[str]) -> int:
    folder, event, rank = Path(words[0]), words[1], int(os.environ.get("RANK", "0"))
    torch.set_num_threads(1)
    for name, config in COSNETS.items():
        COSNETS[name] = replace(config, width=8, blocks=(1, 1, 1, 1))
    networks = []
    make_average, losses = state.make_average, CosnetTask.losses
    state.make_average = lambda network: (networks.append(network), make_average(network))[1]
    steps = []

    def eventful(*arguments: object, **named: object) -> object:
        steps.append(1)
        if len(steps) == 2 and event == f"error{rank}":
            raise InputError("frame 7 cannot be read", why="it was removed", fix="put it back")
        if len(steps) == 2 and event == f"stop{rank}":
            os.kill(os.getpid(), signal.SIGTERM)
        if len(steps) == 4 and event == f"lost{rank}" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return losses(*arguments, **named)

    CosnetTask.losses = eventful
    write = run_folder.save_checkpoint
    if event.startswith("stop"):  # longer than torchrun takes to see that a process has ended
        run_folder.save_checkpoint = lambda *arguments, **named: (time.sleep(2), write(*arguments, **named))
    code = main(list(words[2:]))
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it as soon as another process has ended
    if networks:  # the last: those before were timed only
        torch.save(networks[-1].state_dict(), folder / f"rank{rank}.pt")
    return code


def forked(options: Sequence[str], words: Sequence[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
    """Do as ``torchrun OPTIONS worker.py WORDS``, or as ``worker.py WORDS`` without options, in forks.

    The folder takes what they print, which the answer has.
    """
    for name in IN_EACH:
        importlib.import_module(name)
    out, err = folder / "stdout", folder / "stderr"
    child = in_child(lambda: _printing(lambda: _launched(options, words), out, err), seconds=300)
    assert child.end == "answered", child.answer
    return subprocess.CompletedProcess([*options, *words], child.answer, out.read_text(), err.read_text())


def _launched(options: Sequence[str], words: Sequence[str]) -> int:
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import elastic_launch
    from torch.distributed.run import config_from_args, parse_args

    if not options:
        return work(words)
    config = config_from_args(parse_args([*options, __file__]))[0]
    try:
        elastic_launch(replace(config, start_method="fork"), _ending)(words)
    except ChildFailedError:
        return 1
    return 0


def _ending(words: Sequence[str]) -> None:
    sys.exit(work(words))


def _printing(function: Callable[[], int], out: Path, err: Path) -> int:
    """Run a function whose processes print into files, as far as they write to the descriptors too."""
    for number, path in ((1, out), (2, err)):
        with path.open("w") as file:
            os.dup2(file.fileno(), number)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    try:
        return function()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(work(sys.argv[1:]))
