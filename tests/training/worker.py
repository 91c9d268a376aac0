"""``covos train`` with narrow COSNets, as one of several processes; not a test itself.

    torchrun --nproc-per-node 2 tests/training/worker.py FOLDER EVENT ARGUMENTS...

Each process leaves its weights as FOLDER/rank<N>.pt. EVENT is what happens in the second step: ``error0`` or
``error1`` raises in the process of that rank, ``stop0`` or ``stop1`` sends it SIGTERM; ``lost0`` or ``lost1`` kills
it in the fourth step, unless torchrun has started it again; anything else is nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from covos.cli import main
from covos.core.errors import InputError
from covos.models.cosnet.network import COSNETS
from covos.training import run_folder, state
from covos.training.cosnet import CosnetTask


def work() -> int:
    folder, event, rank = Path(sys.argv[1]), sys.argv[2], int(os.environ.get("RANK", "0"))
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
    code = main(sys.argv[3:])
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun sends it as soon as another process has ended
    if networks:  # the last: those before were timed only
        torch.save(networks[-1].state_dict(), folder / f"rank{rank}.pt")
    return code


if __name__ == "__main__":
    sys.exit(work())
