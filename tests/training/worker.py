"""``covos train`` with narrow COSNets, as one of several processes; not a test itself.

    torchrun --nproc-per-node 2 tests/training/worker.py FOLDER FAILING ARGUMENTS...

Each process leaves its weights as FOLDER/rank<N>.pt. The process of rank FAILING dies in its second step; -1: none.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from covos.cli import main
from covos.errors import InputError
from covos.models.cosnet import COSNETS
from covos.training import loop
from covos.training.cosnet import task


def work() -> int:
    folder, failing, rank = Path(sys.argv[1]), int(sys.argv[2]), int(os.environ.get("RANK", "0"))
    torch.set_num_threads(1)
    for name, config in COSNETS.items():
        COSNETS[name] = replace(config, width=8, blocks=(1, 1, 1, 1))
    networks = []
    make_average, batch_losses = loop.make_average, task.batch_losses
    loop.make_average = lambda network: (networks.append(network), make_average(network))[1]
    steps = []

    def dying(*arguments: object, **named: object) -> object:
        steps.append(1)
        if rank == failing and len(steps) == 2:
            raise InputError("frame 7 cannot be read", why="it was removed", fix="put it back")
        return batch_losses(*arguments, **named)

    task.batch_losses = dying
    code = main(sys.argv[3:])
    if networks:
        torch.save(networks[0].state_dict(), folder / f"rank{rank}.pt")
    return code


if __name__ == "__main__":
    sys.exit(work())
