"""Frames that are made of their neighbours (`--quality fast`): J&F and the frames looked at, by the doubt that passes.

    python benchmarks/between.py --data DAVIS --subset train [--runtime openvino] [--videos 1]

The network looks at all frames of each sequence, so that both are known of each second one: the mask by the network,
and that of its neighbours. J&F is the mean over all frames of a sequence, first and last left out, then over sequences.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import covos
from covos.data import FrameRecord, Video, open_dataset, read_foreground
from covos.engines.between import Seen, find_between
from covos.engines.encoding import to_probability
from covos.engines.find import FindEngine
from covos.engines.motion import Observed
from covos.engines.passes import observed, references_of
from covos.engines.shots import one_shot
from covos.evaluation.measures import boundary_f, jaccard
from covos.training.validate import DatasetSource

LIMITS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, float("inf"))


class Scored(NamedTuple):
    """J&F of a frame by the network, and by its neighbours; the doubt, infinite where these do not make it."""

    own: float
    between: float
    doubt: float


def score(logit: Tensor, video: Video, record: FrameRecord) -> float:
    """Return the mean of J and F."""
    foreground, valid = read_foreground(video, record)
    mask, truth, void = to_probability(logit, size=foreground.shape) > 0.5, foreground > 0.5, ~valid
    return (jaccard(mask, truth, void=void) + boundary_f(mask, truth, void=void)) / 2


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


def scored(video: Video, engine: FindEngine) -> list[Scored]:
    """Score the frames of a sequence."""
    seen, rows = looked_at(video, engine), []
    for index in range(1, len(seen) - 1):
        own = score(seen[index][1].logits[0], video, video.frames[index])
        made = find_between(seen[index - 1][1], seen[index][0], seen[index + 1][1]) if index % 2 else None
        between = own if made is None else score(made.logits[0], video, video.frames[index])
        rows.append(Scored(own, between, float("inf") if made is None else made.doubt))
    return rows


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="train")
    parser.add_argument("--runtime", default="auto")
    parser.add_argument("--videos", type=int, default=1, help="take each so manieth sequence")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    engine = covos.load_model(device="cpu", runtime=asked.runtime).engine
    found = {}
    for video in open_dataset(asked.data, subset=asked.subset)[:: asked.videos]:
        found[video.name] = rows = scored(video, engine)
        own, between = (float(np.mean([row[side] for row in rows])) for side in (0, 1))
        print(f"{video.name:24} by the network {own:.4f}, each second by its neighbours {between:.4f}", flush=True)
    print(f"by the network {np.mean([np.mean([row.own for row in rows]) for rows in found.values()]):.4f}")
    for limit in LIMITS:
        chosen = [[row.between if row.doubt <= limit else row.own for row in rows] for rows in found.values()]
        share = np.mean(
            [np.mean([row.doubt > limit or row.doubt == np.inf for row in rows]) for rows in found.values()]
        )
        print(f"doubt up to {limit}: J&F {np.mean([np.mean(each) for each in chosen]):.4f}, looked at {share:.2f}")


if __name__ == "__main__":
    main()
