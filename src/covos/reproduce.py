"""Segment and score a whole benchmark, so that a published table can be checked, or a row be added to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import covos  # its types bring torch, once somebody asks for them (`typing.get_type_hints`)
from covos.core.arguments import checked
from covos.core.shards import as_place
from covos.data import Dataset
from covos.data.davis import VALIDATION_OF_2016, name_in_2016
from covos.data.subsets import open_subset
from covos.evaluation import Evaluation, evaluate
from covos.events import Event
from covos.job import Job
from covos.media.source import Health
from covos.predict import predict
from covos.task import FIND, Find

PROTOCOL: Final = "davis2016"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A benchmark, segmented and scored.

    Attributes:
        subset: The list of sequences; None if the data set has no lists.
        reused: Names of the sequences that an earlier run had finished.
        evaluation: The scores.
        damaged: See `covos.predict.Prediction`; they are scored as they were read.
    """

    subset: str | None
    reused: tuple[str, ...]
    evaluation: Evaluation
    damaged: Mapping[str, Health] = field(default_factory=dict)


@checked()
def reproduce_davis2016(
    root: str | os.PathLike[str],
    *,
    output: Path,
    model: covos.Model,
    task: Find = FIND,
    subset: str | None = None,
    workers: int = 1,
    listen: Callable[[Job, Event], None] | None = None,
) -> Reproduction:
    """Segment and score DAVIS 2016: `covos.predict.predict`, which goes on where it stopped, and then the scores.

    Args:
        root: Root of the DAVIS tree, or its shards.
        output: Folder; see `covos.predict.predict`.
        model: Model to segment with.
        task: The way to find the subject.
        subset: One of the data set's lists; ``val``, or else ``val_open``, if not given; of 2016's lists first.
        workers: Processes that score.
        listen: Called with each event of each sequence.

    Raises:
        UsageError: ``output`` holds masks of another model, other settings or other data, or something else.
        SourceError: There is no such data set or subset.
        IncompleteError: A sequence cannot be read; nothing is scored.
    """
    dataset = open_davis2016(root, subset=subset)
    name = dataset.videos[0].subset
    done = predict(dataset, output=output, model=model, task=task, follow=False, listen=listen)
    evaluation = evaluate(output, root, protocol=PROTOCOL, subset=subset or name, workers=workers)
    return Reproduction(subset=name, reused=done.reused, evaluation=evaluation, damaged=done.damaged)


def open_davis2016(root: str | os.PathLike[str], *, subset: str | None = None) -> Dataset:
    """Open the sequences that are segmented and scored; arguments and errors are those of `reproduce_davis2016`."""
    return open_subset(
        os.fspath(root), subset=name_in_2016(as_place(root), subset), otherwise=VALIDATION_OF_2016, layout="davis"
    )
