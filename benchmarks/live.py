"""Accuracy and latency of a live video, beside the same frames as a whole video.

    python benchmarks/live.py --data DAVIS
    python benchmarks/live.py --data DAVIS --quality balanced fast
    python benchmarks/live.py --data DAVIS --subset train --span 25 100 400 --references 3 5 [--json FILE]

Every frame is pushed; the whole video is found by `find_subject`, whose references may lie in the future. J and F are
of every few frames; milliseconds are those of one `push`, on as many threads as `--threads` says: by the clock, and of
the processor, which other programs disturb less. With one thread on a quiet machine the two are alike.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch

import covos
from covos.core.types import LabelArray
from covos.data import Dataset, Video, open_dataset, read_foreground, read_image
from covos.engines.choices import DEFAULT_QUALITY, DEFAULT_REFERENCES, SPAN
from covos.evaluation.measures import boundary_f, jaccard
from covos.training.validate import frames_to_score, measure
from recorded import keep


class Scores(NamedTuple):
    """J and F over all sequences, and the milliseconds of all pushes, by the clock and of the processor."""

    j: float
    f: float
    ms: Sequence[float]
    processor: Sequence[float]


def live_scores(
    model: covos.Model,
    dataset: Dataset,
    *,
    every: int,
    references: int = DEFAULT_REFERENCES,
    span: int = SPAN,
    mask: bool = False,
    quality: Literal["balanced", "fast"] = DEFAULT_QUALITY,
) -> Scores:
    """Push every frame of every video; with ``mask`` the first one shows its object."""
    pairs, ms, processor = [], [], []
    for video in dataset:
        live = model.live(quality=quality, references=references, span=span)
        wanted = set(frames_to_score(video.frames, every=every))
        own = []
        for index, record in enumerate(video.frames):
            image = read_image(record)
            shown = read_foreground(video, record)[0] > 0.5 if mask and index == 0 else None
            began, busy = time.perf_counter(), time.process_time()
            labels = live.push(image, mask=shown).labels
            ms.append(1000 * (time.perf_counter() - began))
            processor.append(1000 * (time.process_time() - busy))
            if index in wanted:
                own.append(score(video, index, labels))
        pairs.append(np.mean(own, axis=0))
    j, f = np.mean(pairs, axis=0)
    return Scores(float(j), float(f), ms, processor)


def score(video: Video, index: int, labels: LabelArray) -> tuple[float, float]:
    """J and F of a frame."""
    foreground, valid = read_foreground(video, video.frames[index])
    mask, truth, void = labels > 0, foreground > 0.5, ~valid
    return jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)


def compare_qualities(
    model: covos.Model,
    dataset: Dataset,
    qualities: Sequence[Literal["balanced", "fast"]],
    *,
    every: int,
) -> None:
    """Print how good live finding is at each quality, and its time of the processor: median, 95 and 99 %."""
    for quality in qualities:
        found = live_scores(model, dataset, every=every, quality=quality)
        times = map(float, np.percentile(found.processor, (50, 95, 99)))
        scores = f"{(found.j + found.f) / 2:6.3f} {found.j:6.3f} {found.f:6.3f}"
        print(f"{quality:9} {scores}  ms of the processor:", *(f"{each:6.1f}" for each in times), flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--frames", type=int, default=5, help="score every so many frames")
    parser.add_argument("--span", type=int, nargs="+", default=[SPAN])
    parser.add_argument("--references", type=int, nargs="+", default=[5])
    parser.add_argument("--videos", type=int, default=None, help="only every so many videos")
    parser.add_argument("--mask", action="store_true", help="also with the first frame's mask shown")
    parser.add_argument("--quality", nargs="+", choices=["balanced", "fast"], help="compare these alone")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    model = covos.load_model()
    dataset = open_dataset(asked.data, subset=asked.subset)
    if asked.videos:
        dataset = dataset[:: asked.videos]
    if asked.quality:
        compare_qualities(model, dataset, asked.quality, every=asked.frames)
        return
    print(f"{'':38} {'J&F':>6} {'J':>6} {'F':>6}  ms: median, 95 and 99 %; of the processor")
    whole = measure(model.engine.at(DEFAULT_QUALITY), dataset, references=5, every=asked.frames)
    print(f"{'the whole video':38} {(whole.j + whole.f) / 2:6.3f} {whole.j:6.3f} {whole.f:6.3f}", flush=True)
    spent: list[list[str | float]] = []
    rows: list[list[str | float]] = [["the whole video is known", (whole.j + whole.f) / 2, whole.j, whole.f]]
    for references in asked.references:
        for span in asked.span:
            for mask in [False, True] if asked.mask else [False]:
                found = live_scores(model, dataset, every=asked.frames, references=references, span=span, mask=mask)
                name = f"live, {references} references of {span} frames" + ", first mask" * mask
                clock, busy = (np.percentile(each, (50, 95, 99)) for each in (found.ms, found.processor))
                times = "; ".join(" ".join(f"{value:6.1f}" for value in each) for each in (clock, busy))
                print(f"{name:38} {(found.j + found.f) / 2:6.3f} {found.j:6.3f} {found.f:6.3f}  {times}", flush=True)
                rows.append([name, (found.j + found.f) / 2, found.j, found.f])
                spent.append([name, *(float(value) for value in busy)])
    keep(asked.json, "davis", columns=["", "J&F", "J", "F"], rows=rows)
    columns = ["processor ms of a frame", "median", "95 %", "99 %"]
    keep(asked.json, "processor", columns=columns, rows=spent, digits=[0, 0, 0, 0])


if __name__ == "__main__":
    main()
