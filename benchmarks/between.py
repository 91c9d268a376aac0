"""Frames that are made of their neighbours (`--quality fast`): J&F and the frames looked at, by the doubt that passes.

    python benchmarks/between.py --data DAVIS --subset train [--apart 2 4] [--runtime openvino] [--videos 1]

The network looks at all frames of each sequence once. Then each distance is tried with each doubt: where one of the
frames between two is doubted more, the network looks at the middle one. J&F is the mean over all frames of a sequence,
first and last left out, then over sequences. The flicker is that of `covos evaluate`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import covos
from covos.core.types import MaskArray
from covos.data import Video, open_dataset, read_foreground
from covos.engines.between import Seen, find_between
from covos.engines.encoding import to_probability
from covos.engines.find import FindEngine
from covos.engines.find_passes import observed, references_of
from covos.engines.motion import Observed
from covos.engines.shots import one_shot
from covos.evaluation.measures import boundary_f, flicker, jaccard
from covos.training.validate import DatasetSource


class Way(NamedTuple):
    """Frames from one that the network looks at to the next, and the doubt that passes."""

    apart: int
    limit: float


class Scored(NamedTuple):
    """J&F of a sequence, the share of frames that the network looked at, and the flicker."""

    jf: float
    looked: float
    flicker: float


def looked_at(video: Video, engine: FindEngine) -> list[tuple[Observed, Seen]]:
    """Let the network look at all frames of a sequence."""
    source = DatasetSource(video.frames)
    references, found = references_of(source, engine, one_shot(source)), []
    for each in observed(source, engine.encoder):
        with engine.ladder.computing():
            ((logit,),) = (
                part.values()
                for part in engine._in_views(
                    [each], references=references(each.frame.index), fusion=engine.check_fusion(None)
                )
            )
        found.append((each, Seen.of(each, logit[None])))
    return found


def between(
    seen: list[tuple[Observed, Seen]], first: int, last: int, limit: float
) -> Iterator[tuple[int, Tensor | None]]:
    """Make the frames between two; yield each with its logit, None for one that the network has to look at."""
    if last - first < 2:
        return
    made = find_between(seen[first][1], [each for each, _ in seen[first + 1 : last]], seen[last][1])
    if made is not None and all(each.doubt <= limit for each in made):
        yield from zip(range(first + 1, last), (each.logits[0] for each in made), strict=True)
        return
    middle = first + 1 + (last - first - 1) // 2
    yield from between(seen, first, middle, limit)
    yield middle, None
    yield from between(seen, middle, last, limit)


def scored(video: Video, engine: FindEngine, ways: Sequence[Way]) -> dict[Way, Scored]:
    """Score a sequence, each way."""
    seen, own = looked_at(video, engine), {}
    annotated = [read_foreground(video, record) for record in video.frames]

    def found(index: int, logit: Tensor) -> tuple[MaskArray, float]:
        foreground, valid = annotated[index]
        mask, truth, void = to_probability(logit, size=foreground.shape) > 0.5, foreground > 0.5, ~valid
        return mask, (jaccard(mask, truth, void=void) + boundary_f(mask, truth, void=void)) / 2

    rows = {}
    for way in ways:
        stops = sorted({*range(0, len(seen), way.apart), len(seen) - 1})
        made = dict(each for pair in pairwise(stops) for each in between(seen, *pair, way.limit))
        masks = []
        for index, (_, looked) in enumerate(seen):
            logit = made.get(index)
            if logit is None and index not in own:
                own[index] = found(index, looked.logits[0])
            masks.append(own[index] if logit is None else found(index, logit))
        inner = [score for _, score in masks[1:-1]]
        share = 1 - sum(logit is not None for logit in made.values()) / len(seen)
        rows[way] = Scored(float(np.mean(inner)), share, float(flicker(mask for mask, _ in masks).mean()))
    return rows


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="train")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--quality", default="balanced", help="the size of frames is that of this quality")
    parser.add_argument("--apart", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--limits", type=float, nargs="+", default=[0.1, 0.2, 0.3, 0.5, float("inf")])
    parser.add_argument("--videos", type=int, default=1, help="take each so manieth sequence")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    engine = covos.load_model(device="cpu", runtime=asked.runtime).engine.at(asked.quality)
    ways = [Way(1, 0.0), *(Way(apart, limit) for apart in asked.apart for limit in asked.limits)]
    found: dict[Way, list[Scored]] = {way: [] for way in ways}
    for video in open_dataset(asked.data, subset=asked.subset)[:: asked.videos]:
        for way, row in scored(video, engine, ways).items():
            found[way].append(row)
        print(f"{video.name:24}" + " ".join(f"{found[way][-1].jf:.4f}" for way in ways), flush=True)
    for way, rows in found.items():
        jf, looked, flickering = np.mean(rows, axis=0)
        shown = f"each {way.apart}, doubt up to {way.limit}"
        print(f"{shown:28} J&F {jf:.4f}, looked at {looked:.2f}, flicker {flickering:.4f}")


if __name__ == "__main__":
    main()
