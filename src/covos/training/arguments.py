"""The arguments of `covos.train` that are things, not settings: each is checked before a folder is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import torch

from covos.core.device import choose_precision
from covos.core.errors import UsageError, one_of
from covos.core.places import path_text
from covos.data import Dataset, Video
from covos.training.events import TrainingEvent
from covos.training.gather import Data

Listener = Callable[[TrainingEvent], None]
PRECISIONS = ("auto", "fp32", "bf16")


def listeners_of(given: object) -> tuple[Listener, ...]:
    """Return the listeners of events: one function, or several."""
    listeners = tuple(given) if isinstance(given, Iterable) and not callable(given) else (given,)
    for each in listeners:
        made = isinstance(each, type)
        if made or not callable(each):
            name = each.__name__ if isinstance(each, type) else shortened(each)
            raise UsageError(
                f"on_event: {name} cannot take events",
                why="it is a class, and an object of it is called" if made else f"it is a {type(each).__name__}",
                fix=f"write {name}()" if made else "give a function of one argument, the event, or several of these",
            )
    return listeners


def folder_of(given: object) -> Path:
    """Return the folder of a run."""
    if not isinstance(given, (str, os.PathLike)):
        raise UsageError(
            f"{given!r} is no folder for the run",
            why=f"it is a {type(given).__name__}",
            fix='give a path: covos.train(recipe, data, "runs/mine")',
        )
    return Path(path_text(given, what="the run"))


def sources_of(given: object) -> list[Data]:
    """Return what is trained on: one folder or data set, or several."""
    one = isinstance(given, (str, os.PathLike, Dataset, Video)) or not isinstance(given, Iterable)
    sources: list[Any] = [given] if one else list(given)  # type: ignore[call-overload]
    for each in sources:
        if not isinstance(each, (str, os.PathLike, Dataset)):
            raise UsageError(
                f"{shortened(each)} cannot be trained on",
                why=f"it is a {type(each).__name__}",
                fix="give a folder, a data set of covos.data.open_dataset, or several of these; of a single video "
                "dataset.subset(NAME) makes a data set, and dataset.split(0.8) makes two",
            )
    if not sources:
        raise UsageError("there is nothing to train on", why="data is empty", fix="give a folder or a data set")
    return sources


def open_sets_of(given: object) -> list[Dataset]:
    """Return what is measured on: one data set that is open, or several."""
    sets = [given] if isinstance(given, Dataset) or not isinstance(given, Iterable) else list(given)
    if isinstance(given, (str, os.PathLike, Video)):
        sets = [given]
    for each in sets:
        if not isinstance(each, Dataset):
            raise UsageError(
                f"validation: {shortened(each)} is no data set that is open",
                why=f"it is a {type(each).__name__}",
                fix='open it first: covos.data.open_dataset(root, subset="val"), or dataset.split(0.8)[1]',
            )
    return sets  # type: ignore[return-value]


def check_precision(name: str) -> None:
    """Refuse a precision that no training has."""
    if name not in PRECISIONS:
        why = "fp16 gradients underflow without scaling" if name == "fp16" else "no precision has this name"
        raise UsageError(f"precision {name} for training", why=why, fix=one_of(name, PRECISIONS))


def precision_of(device: torch.device, name: str) -> torch.dtype:
    """Return the dtype that a training computes and measures in on a device, by the name of a precision."""
    check_precision(name)
    dtype = choose_precision(device, name)  # type: ignore[arg-type]
    # The choice of auto on GPUs without bfloat16: good for running a network, not for gradients.
    return torch.float32 if dtype == torch.float16 else dtype
