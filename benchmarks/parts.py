"""The worth of a first click for a new object inside another one: J of the part that it means.

    python benchmarks/parts.py --pictures FOLDER        images/NAME.*, masks/NAME.png with ids

Objects of a picture that touch are taken as one that is there, as a found subject often is: horse and rider. A click
goes in the middle of each of them, for a new object. Three answers are scored: the whole that is there, what the
prompter says of a click (`RelayPrompter.mask`), and what it says of a click inside that whole (`RelayPrompter.part`).
Beside J stands how often an answer has nearly all of the whole, more than 80 %.
"""

from __future__ import annotations

import argparse
from itertools import groupby
from pathlib import Path

import numpy as np

from clicks import tasks_of_pictures
from covos.core.device import configure_threads
from covos.engines.close_up import parts_at
from covos.engines.prompt import PartPrompter
from covos.evaluation import jaccard
from covos.evaluation.clicks import next_click
from covos.model import load_model

SMALLEST = 0.003
"""Share of the picture from which an object counts."""
OWN = 0.85
"""An object that is more of its whole than this is no part of it."""
NEARLY_ALL = 0.8


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, required=True, help="folder with images/ and masks/ (object ids)")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    configure_threads()
    model = load_model(options.model, device=options.device)
    prompter = model.prompter().prompter
    assert isinstance(prompter, PartPrompter), "the weights of covos-prompt are not there"
    scores: dict[str, list[tuple[float, bool]]] = {"whole": [], "mask": [], "part": []}
    tasks = tasks_of_pictures(sorted((options.pictures / "images").iterdir()), options.pictures / "masks")
    for _, of_picture in groupby(tasks, key=lambda task: task.sequence):
        objects = list(of_picture)
        union = np.logical_or.reduce([task.truth for task in objects])
        for task in objects:
            click = next_click(np.zeros_like(union), task.truth, void=task.void)
            if click is None or task.truth.mean() < SMALLEST:
                continue
            whole = parts_at(union, [click])
            if (whole & task.truth).sum() > OWN * whole.sum():
                continue
            answers = {
                "whole": whole,
                "mask": prompter.mask(task.observed, points=[click], box=None, previous=None),
                "part": prompter.part(task.observed, whole, points=[click]),
            }
            for name, mask in answers.items():
                nearly_all = bool((mask & whole).sum() > NEARLY_ALL * whole.sum())
                scores[name].append((jaccard(mask, task.truth, void=task.void), nearly_all))
    print(f"{model.name}, {model.device}: {len(scores['whole'])} objects inside a larger mask")
    for name, found in scores.items():
        j, share = np.mean(found, axis=0)
        print(f"{name:6} J {j:.3f}, nearly all of the whole in {100 * share:.0f} %")


if __name__ == "__main__":
    main()
