"""Frames that are brought together with those around them: J&F and flicker, by how many count, and how alike they are.

    python benchmarks/around.py --data DAVIS [--subset train --videos 4] [--runtime openvino] [--json FILE]

The network looks at all frames of each sequence once. Then each number of frames on a side is tried, and each number of
levels by which a place may differ and still count for a third (`covos.engines.around`). J&F is the mean over all
frames of a sequence, first and last left out, then over sequences. The flicker is that of `covos evaluate`. The
milliseconds are those that this takes the processor for a frame.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

import covos
from between import looked_at
from covos.core.types import MaskArray
from covos.data import Video, open_dataset, read_foreground
from covos.engines import around
from covos.engines.between import Seen
from covos.engines.encoding import to_probability
from covos.evaluation.measures import boundary_f, flicker, jaccard
from recorded import keep


class Way(NamedTuple):
    """Frames on each side, and levels of brightness."""

    frames: int
    levels: float


WAYS = [Way(0, around.ALIKE), *(Way(frames, around.ALIKE) for frames in (1, 2, 3, 4, 6, 8))]
WAYS += [Way(around.AROUND, levels) for levels in (5.0, 15.0, 20.0)]


class Scored(NamedTuple):
    """J, F and flicker of a sequence, and seconds of the processor for each frame."""

    j: float
    f: float
    flicker: float
    seconds: float


def brought(seen: list[Seen], way: Way) -> dict[int, Tensor]:
    """Bring the frames of a sequence together; return the logits by index."""
    weights = np.exp(-np.arange(256, dtype=np.float32) / np.float32(way.levels))
    together = around.Around[int](way.frames, way.frames)
    with patch.object(around, "_WEIGHTS", weights):
        found = {index: logits for each in seen for index, logits in together.push(each.index, each)}
        return found | dict(together.end())


def scored(video: Video, seen: list[Seen], way: Way) -> Scored:
    """Score a sequence, one way."""
    began = time.process_time()
    logits = brought(seen, way)
    seconds = (time.process_time() - began) / len(seen)
    masks: list[MaskArray] = []
    scores = []
    for index, record in enumerate(video.frames):
        foreground, valid = read_foreground(video, record)
        mask, truth, void = to_probability(logits[index][0], size=foreground.shape) > 0.5, foreground > 0.5, ~valid
        masks.append(mask)
        scores.append((jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)))
    j, f = np.mean(scores[1:-1], axis=0)
    return Scored(float(j), float(f), float(flicker(iter(masks)).mean()), seconds)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--videos", type=int, default=1, help="take each so manieth sequence")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    engine = covos.load_model(device="cpu", runtime=asked.runtime).engine
    found: dict[Way, list[Scored]] = {way: [] for way in WAYS}
    for video in open_dataset(asked.data, subset=asked.subset)[:: asked.videos]:
        seen = [each for _, each in looked_at(video, engine)]
        for way in WAYS:
            found[way].append(scored(video, seen, way))
        print(
            f"{video.name:24}" + " ".join(f"{(found[way][-1].j + found[way][-1].f) / 2:.4f}" for way in WAYS),
            flush=True,
        )
    rows: list[list[str | float]] = []
    for way, each in found.items():
        j, f, flickering, seconds = (float(value) for value in np.mean(each, axis=0))
        rows.append([str(way.frames), way.levels, (j + f) / 2, j, f, flickering, 1e3 * seconds])
        print(
            f"{way.frames} frames, {way.levels:g} levels".ljust(24) + " ".join(f"{value:.4f}" for value in rows[-1][2:])
        )
    columns = ["frames on each side", "levels", "J&F", "J", "F", "flicker", "processor ms"]
    keep(asked.json, asked.subset, columns=columns, rows=rows, digits=[0, 0, 4, 4, 4, 4, 1])


if __name__ == "__main__":
    main()
