"""Train one network with several processes, each on a device of its own, as ``torchrun`` starts them.

Each computes its share of a step's batch, and torch's DistributedDataParallel averages the gradients, so all hold
the same weights after every step. The first process leads: it alone measures and writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import distributed, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from covos.core.errors import EnvironmentProblem, UsageError

T = TypeVar("T")

PATIENCE = timedelta(hours=6)
"""Time that the others wait for the leader, who measures. If a process dies, torchrun ends the others at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessGroup:
    """The processes of a training, as one of them sees it; its local rank is the number of its GPU."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """True if this is the process that measures and writes."""
        return self.rank == 0

    def mean(self, values: list[float], *, device: torch.device) -> list[float]:
        """Return the mean of each value over the processes; all must call it."""
        if self.size == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return [float(value) for value in total / self.size]

    def wait(self) -> None:
        """Return when every process has called it."""
        if self.size > 1:
            distributed.barrier()

    def of_leader(self, value: T) -> T:
        """Return the value of the process that leads, which can be pickled; all must call it."""
        if self.size == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def parallel(self, module: nn.Module, *, partial: bool) -> nn.Module:
        """Return the module, such that each backward pass averages the gradients over the processes.

        It is ``partial`` if a step may leave some parameters unused; to look for them costs time.
        """
        if self.size == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=partial, gradient_as_bucket_view=True)

    def averaging(self, module: nn.Module, *, wanted: bool) -> AbstractContextManager[None]:
        """Let the backward passes in the block average, or not: of several for a step, only the last needs to."""
        if wanted or not isinstance(module, DistributedDataParallel):
            return nullcontext()
        context: AbstractContextManager[None] = module.no_sync()
        return context


SINGLE_PROCESS = ProcessGroup()


def process_group_from_environment() -> ProcessGroup:
    """Return the group that ``torchrun`` started this process in; a group of one if it did not start it."""
    if "WORLD_SIZE" not in os.environ:
        return SINGLE_PROCESS
    try:
        group = ProcessGroup(
            rank=int(os.environ["RANK"]), size=int(os.environ["WORLD_SIZE"]), local_rank=int(os.environ["LOCAL_RANK"])
        )
    except (KeyError, ValueError) as error:
        raise UsageError(
            "the variables RANK, WORLD_SIZE and LOCAL_RANK do not fit together",
            why=f"{type(error).__name__}: {error}",
            fix="start several processes with: torchrun --nproc-per-node N -m covos train ..., or unset them",
        ) from error
    if not 0 <= group.rank < group.size:
        raise UsageError(
            f"RANK = {group.rank} of WORLD_SIZE = {group.size}",
            why="ranks count from 0",
            fix="start them with torchrun",
        )
    return group


@contextmanager
def joined(group: ProcessGroup, device: torch.device) -> Iterator[None]:
    """Connect the processes of a group in the block; do nothing for a group of one."""
    if group.size == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        # After a restart, torchrun's store still has the addresses of the processes that are gone.
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        distributed.init_process_group(
            "nccl" if device.type == "cuda" else "gloo",
            store=PrefixStore(f"attempt {attempt}", store),
            rank=rank,
            world_size=size,
            timeout=PATIENCE,
        )
        yield
    except RuntimeError as error:
        # Gloo reports a lost peer as a plain RuntimeError.
        if not (isinstance(error, distributed.DistError) or "gloo" in str(error)):
            raise
        raise EnvironmentProblem(
            f"process {group.rank} of {group.size} lost the others",
            why=str(error).splitlines()[0],
            fix="see what the process that ended first says; the last checkpoint is intact",
        ) from error
    # After an error the others may never answer, and torchrun ends them.
    distributed.destroy_process_group()
