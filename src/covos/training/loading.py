"""Load the batches of a training, ahead of time and in other processes."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from typing import Any, NamedTuple

import cv2
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from covos.core.errors import CovosError
from covos.core.fresh import fork_server
from covos.core.limits import limits, set_limits
from covos.training.skipping import Skips, Unreadable

_PRELOADED = ("torch.utils.data", "covos.training.lite")


class Loaded(NamedTuple):
    """The batch of a step, the number of draws that made it, and the files that some of these could not read."""

    batch: Any
    drawn: int
    unreadable: tuple[Unreadable, ...]


class _Reporting(TorchDataset[Any]):
    """Batches with what was skipped, or an error as a value: raised in a loader process it would lose its kind."""

    def __init__(self, batches: TorchDataset[Any]) -> None:
        self._batches = batches

    def __getitem__(self, step: int) -> Loaded | CovosError:
        skips = getattr(self._batches, "skips", None) or Skips()
        try:
            return Loaded(self._batches[step], *skips.take())
        except CovosError as error:
            return error


def _start_worker(_: int, *, most: dict[str, int]) -> None:
    set_limits(**most)
    # A loader process must not take the cores from the training.
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    # Ctrl-C reaches every process of a terminal: the training must be able to finish its step.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def iterate_batches(batches: TorchDataset[Any], *, start: int, stop: int, workers: int) -> Iterator[Loaded]:
    """Yield the batches of the steps from ``start`` to before ``stop``, in order; 0 workers load in this process.

    Batches that have ``skips`` (`covos.training.skipping.Skips`) draw again when a file cannot be read, and report it.
    """
    loader = DataLoader(
        _Reporting(batches),
        batch_size=None,
        sampler=range(start, stop),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=partial(_start_worker, most=asdict(limits())),
        multiprocessing_context=fork_server(_PRELOADED) if workers else None,
        # Pinned memory is copied to a GPU while it computes.
        pin_memory=torch.cuda.is_available(),
    )
    for loaded in loader:
        if isinstance(loaded, CovosError):
            raise loaded
        yield loaded
