"""Do flagged frames really score lower? The flags and the confidence of the report against ground truth.

    python benchmarks/quality.py --data DAVIS [--subset val_open] [--follow] [--quality best] [--model covos-lite]
        [--rows rows.jsonl]

Segments the sequences of a subset, or follows the objects of their first masks (``--follow``), scores each frame's J
(first and last frames included; the mean over the objects that the truth or the result shows), and prints for each kind
of flag, and for suspicious frames (any flag but ``border``): the share of frames that have it, their mean J beside that
of the others, the share of them with J below 0.5 (precision), how many times that is what frames drawn at random would
have (lift), the share of all frames with J below 0.5 that it finds (recall), and the share of them with a J that is 0.2
or more below the median of their sequence (drops).

It also prints three facts about the confidence: its expected calibration error in ten bins, Spearman's rank correlation
with J over all frames, with the mean of those of the sequences, and the share of the frames with J below 0.5, and below
0.7, that lie below one threshold. The threshold is the highest below which at least half of the frames are such frames.

``--rows`` keeps what was computed, and reads it if it is there; rows of several subsets can stand in one file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

import covos
from covos.data import open_dataset, read_labels
from covos.engines.choices import DEFAULT_QUALITY, VIEWS, Quality
from covos.evaluation.measures import jaccard
from covos.masks import objects_in
from covos.runs.quality import KINDS, find_flags, suspicion
from covos.runs.report import frame_row
from covos.runs.schema import FrameRow, as_json

BAD = 0.5
POOR = 0.7
"""Few frames are bad: those below this are counted too, for confidence."""
DROP = 0.2
PRECISION = 0.5
BINS = 10

Numbers = NDArray[np.float64]


def measured(root: Path, *, subset: str, model: str, follow: bool, quality: Quality) -> Iterator[dict[str, Any]]:
    """The row of each frame, with its sequence, size and J."""
    dataset = open_dataset(root, layout="davis")
    loaded = covos.load_model(model)
    for video in dataset.subset(dataset.splits[subset]):
        first = video.frames[0].image
        assert first is not None
        if follow:
            session = loaded.session(first.parent, quality=quality)
            session.add_labels(0, labels=read_labels(video, video.frames[0]))
            results = session.stream("forward")
        else:
            results = covos.stream(first.parent, model=loaded, quality=quality)
        before = None
        for result, frame in zip(results, video.frames, strict=True):
            row = frame_row(result, seconds=0, before=before)
            before, truth = result.labels, read_labels(video, frame)
            if not follow:
                truth = (truth > 0).astype(np.uint8)
            shown = sorted({*objects_in(truth), *row.objects})
            j = np.mean([jaccard(before == identity, truth == identity) for identity in shown]) if shown else 1.0
            yield {**as_json(row), "sequence": video.name, "size": list(before.shape), "j": float(j)}


def table(rows: list[dict[str, Any]]) -> str:
    """A line a kind of flag."""
    kinds: list[set[str]] = []
    drops: list[bool] = []
    for _, group in groupby(rows, key=lambda row: row["sequence"]):
        clip = list(group)
        usual = np.median([row["j"] for row in clip])
        records = [FrameRow.model_validate(row) for row in clip]
        for at, row in enumerate(clip):
            flags = find_flags(records, at, size=tuple(row["size"]))
            kinds.append({flag.kind for flag in flags} | ({"suspicious"} if suspicion(flags) > 0 else set()))
            drops.append(row["j"] <= usual - DROP)
    j, dropped = np.array([row["j"] for row in rows]), np.array(drops)
    bad = j < BAD
    lines = [
        f"{len(j)} frames, mean J {j.mean():.3f}, {bad.mean():.1%} of them below {BAD}, "
        f"{dropped.mean():.1%} {DROP} below the median of their sequence"
    ]
    lines.append(f"{'flag':14}  frames   share  mean J  others  precision   lift  recall  drops")
    for kind in (*KINDS, "suspicious"):
        has = np.array([kind in each for each in kinds])
        if not has.any() or has.all():
            lines.append(f"{kind:14} {has.sum():7} {has.mean():7.1%}")
            continue
        precision, found = bad[has].mean(), (bad & has).sum()
        lift, recall = (precision / bad.mean(), found / bad.sum()) if bad.any() else (np.nan, np.nan)
        lines.append(
            f"{kind:14} {has.sum():7} {has.mean():7.1%} {j[has].mean():7.3f} {j[~has].mean():7.3f} {precision:10.2f} "
            f"{lift:6.2f} {recall:7.2f} {dropped[has].mean():6.2f}"
        )
    return "\n".join(lines)


def calibration_error(confidence: Numbers, j: Numbers) -> float:
    """Expected calibration error: the mean over N frames of how far confidence and J are apart in their bin of ten."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs((confidence - j)[bins == k].sum()) for k in range(BINS)) / len(j))


def rank_correlation(confidence: Numbers, j: Numbers) -> float:
    """Spearman's rank correlation over N frames; NaN if either is the same in all of them."""
    if np.ptp(confidence) == 0 or np.ptp(j) == 0:
        return float("nan")
    return float(spearmanr(confidence, j).statistic)


def recall_at_precision(confidence: Numbers, j: Numbers, *, below: float) -> float:
    """Share of the frames with J below a bound that lie under one threshold of confidence.

    The threshold is the highest under which at least `PRECISION` of the frames are such frames. Frames of equal
    confidence are on the same side of it. NaN if there is no such frame.
    """
    bad = j < below
    if not bad.any():
        return float("nan")
    order = np.argsort(confidence, kind="stable")
    found = np.cumsum(bad[order])
    last = np.append(np.diff(confidence[order]) > 0, True)  # of the frames of one confidence
    enough = last & (found >= PRECISION * np.arange(1, len(j) + 1))
    return float(found[enough].max(initial=0) / bad.sum())


def confidence_lines(rows: list[dict[str, Any]]) -> str:
    """The worth of the confidence, in two lines; rows without one are left out."""
    known = [row for row in rows if row["confidence"] is not None]
    if not known:
        return "no confidence"
    confidence, j = (np.array([row[name] for row in known], np.float64) for name in ("confidence", "j"))
    sequences = np.array([row["sequence"] for row in known])
    each = [rank_correlation(confidence[sequences == name], j[sequences == name]) for name in np.unique(sequences)]
    ranked = [value for value in each if not np.isnan(value)]
    recalls = ", ".join(
        f"{recall_at_precision(confidence, j, below=bound):.2f} of the {(j < bound).sum()} frames below {bound}"
        for bound in (BAD, POOR)
    )
    return (
        f"confidence: mean {confidence.mean():.3f}, calibration error {calibration_error(confidence, j):.3f}, rank "
        f"correlation with J {rank_correlation(confidence, j):.3f}, mean of the sequences' "
        f"{np.mean(ranked) if ranked else np.nan:.3f}\n"
        f"found at precision {PRECISION}: {recalls}"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="root of DAVIS 2016, or of a set in its layout")
    parser.add_argument("--subset", default="val_open", help="list of sequences")
    parser.add_argument("--follow", action="store_true", help="follow the objects of the first masks")
    parser.add_argument("--model", default="covos-lite", help="a name, or a .safetensors file")
    parser.add_argument("--quality", default=DEFAULT_QUALITY, choices=VIEWS, help="of finding and following")
    parser.add_argument("--rows", type=Path, help="file to keep the rows in")
    arguments = parser.parse_args()
    if arguments.rows is not None and arguments.rows.exists():
        rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    else:
        given = {name: getattr(arguments, name) for name in ("subset", "model", "follow", "quality")}
        rows = list(measured(arguments.data, **given))
        if arguments.rows is not None:
            arguments.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))
    print(confidence_lines(rows))


if __name__ == "__main__":
    main()
