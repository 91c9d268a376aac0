"""The card of trained weights: which settings, data and code made them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import covos
from covos.data import Dataset
from covos.models.card import Card
from covos.training.checkpoint import State
from covos.training.task import Task
from covos.training.validate import Validation

LICENCES = {
    "davis2016": "DAVIS 2016: CC BY-NC; most sequences by the authors under CC BY 4.0",
    "ccp": "Clothing Co-Parsing: Apache-2.0",
    "horses": "Weizmann Horse: no licence stated",
    "humans": "no licence stated; masks by a matting service",
    "imagenet_soft": "ImageNet samples: research use; labels by ISNet (MIT)",
    "objects_soft": "Caltech-101: research use; labels by ISNet (MIT)",
}
"""Terms of the data sets that the embedded weights are made from; others are the user's to know."""


def current_commit() -> str:
    """The commit of the running code, with ``+changes`` if files differ from it; empty outside a repository."""
    folder = Path(__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def make_card(
    task: Task,
    datasets: Sequence[Dataset],
    *,
    measured: Validation | None,
    state: State,
) -> Card:
    """The card of a run's weights as they are.

    Args:
        task: With the recipe of the run.
        datasets: Trained on.
        measured: At this step, if it was.
        state: Of the run.
    """
    scores = {}
    if measured is not None:
        scores["training validation, every fifth frame"] = {
            "J": round(measured.j, 4),
            "F": round(measured.f, 4),
            "sequences": {name: [round(j, 4), round(f, 4)] for name, (j, f) in measured.sequences.items()},
        }
    return Card(
        name=task.name,
        architecture=task.architecture,
        version=covos.__version__,
        commit=current_commit(),
        recipe={**task.recipe.to_dict(), "step": state.step}
        | ({} if state.started_from is None else {"started_from": state.started_from}),
        data=tuple(
            {"name": d.name, "items": len(d), "licence": LICENCES.get(d.name, "as its owner says")} for d in datasets
        ),
        scores=scores,
        licence="code Apache-2.0; the weights inherit the terms of the data: research and non-commercial use",
    )
