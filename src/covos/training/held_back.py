"""Pictures that no training draws, so that test clips can be composed of them.

Which ones is decided by their names alone: on every machine, in every run and whatever else is in the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from covos.data import Dataset

ONE_IN = 20
"""So many pictures give one that is held back."""
LEAST = 200
"""Smaller sets are trained on whole: their pictures are dear, and ten of them would test little."""


def held_back(name: str) -> bool:
    """Whether a picture of this name is held back, in a data set that is large enough for it."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big") % ONE_IN == 0


def without_held_back(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """The data sets without the pictures that are held back; doing it twice changes nothing more.

    Args:
        datasets: Videos are left as they are, and so are sets of fewer than `LEAST` pictures.
    """
    return tuple(_without(dataset, _names(dataset)) for dataset in datasets)


def only_held_back(datasets: Iterable[Dataset]) -> tuple[Dataset, ...]:
    """The pictures that `without_held_back` takes away; sets without any are left out."""
    parts = (dataset.subset(_names(dataset)) for dataset in datasets)
    return tuple(part for part in parts if len(part))


def _names(dataset: Dataset) -> frozenset[str]:
    pictures = [video.name for video in dataset if video.kind == "image" and video.annotated]
    if len(pictures) < LEAST:
        return frozenset()
    return frozenset(name for name in pictures if held_back(name))


def _without(dataset: Dataset, names: frozenset[str]) -> Dataset:
    return dataset.subset(video.name for video in dataset if video.name not in names) if names else dataset
