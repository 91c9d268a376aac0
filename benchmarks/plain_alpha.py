"""The error of the alpha of soft formats without a matte, against the masks of a DAVIS tree.

    python benchmarks/plain_alpha.py --data DAVIS [--subset val_open] [--frames 60] [--json FILE]

The subject is found in the first frames of each sequence. Every fourth frame is measured in four ways: the stretched
probability by itself; the same, solid deep inside of the mask; the alpha that formats have, which is clear far outside
of the mask, too; and the hard mask. SAD is the sum of absolute differences over the number of pixels, MSE the mean of
their squares, each times 1,000. The true masks are hard, so a soft edge counts as an error in all but the last.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from unittest import mock

import numpy as np

import covos
from covos.core.types import LabelArray, ProbabilityArray
from covos.data import open_dataset
from covos.masks import matte
from covos.masks.matte import opacity_of, stretched
from recorded import keep

EVERY = 4


def solid_alone(probability: ProbabilityArray, labels: LabelArray) -> ProbabilityArray:
    """The alpha of formats, if nothing were clear outside of the mask."""
    with mock.patch.object(matte, "clearness", lambda inside, _veil, **_: np.zeros(inside.shape, np.float32)):
        return opacity_of(probability, labels)


WAYS = {
    "stretched": lambda probability, labels: stretched(probability),
    "solid inside": solid_alone,
    "as written": opacity_of,
    "hard": lambda probability, labels: (labels > 0).astype(np.float32),
}


def main() -> None:
    """Print and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a DAVIS tree")
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--json", type=Path, help="keep the table in this file")
    asked = parser.parse_args()
    rows, every = [], []
    for video in open_dataset(asked.data, subset=asked.subset):
        count = min(len(video), asked.frames)
        found = covos.segment(asked.data / "JPEGImages" / "480p" / video.name, range=covos.Range(end=f"f{count}"))
        errors = []
        for index in range(EVERY, count, EVERY):
            mask = found[index]
            _, labels = video[index]
            assert labels is not None, "all frames of DAVIS are annotated"
            true = labels > 0
            off = [np.abs(way(mask.probability, mask.labels) - true) for way in WAYS.values()]
            errors.append([1000 * float(error) for each in off for error in (each.mean(), (each**2).mean())])
        every.append(np.mean(errors, axis=0))
        rows.append([video.name, *every[-1].tolist()])
        print(video.name, " ".join(f"{value:.2f}" for value in every[-1]), flush=True)
    rows.append(["mean", *np.mean(every, axis=0).tolist()])
    print("mean", " ".join(f"{value:.2f}" for value in rows[-1][1:]))
    columns = ["", *(f"{way}: {error}" for way in WAYS for error in ("SAD", "MSE"))]
    keep(asked.json, "alpha", columns=columns, rows=rows, digits=[0, *[1] * (len(columns) - 1)])


if __name__ == "__main__":
    main()
