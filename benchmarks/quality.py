"""Do flagged frames really score lower? The flags and the confidence of the report against ground truth.

    python benchmarks/quality.py --data DAVIS [--subset val_open] [--follow] [--quality best] [--model covos-lite]
        [--rows rows.jsonl]

Segments the sequences of a subset, or follows the objects of their first masks (``--follow``), and scores the J of
each mask, first and last frames included; masks that were given are not judged. Each followed object is judged by
itself: its rows are those of the report as if it were the only one, with its own confidence. So no mean over several
objects hides one.

Printed is for each kind of flag, and for suspicious masks (any flag but ``empty`` and ``border``): the share of masks
that have it, their mean J beside that of the others, the share of them with J below 0.5 (precision), how many times
that is what masks drawn at random would have (lift), the share of all masks with J below 0.5 that it finds (recall),
and the share of them with a J that is 0.2 or more below the median of their sequence, or of their object in it (drops).

It also prints three facts about the confidence: its expected calibration error in ten bins, Spearman's rank correlation
with J over all masks, with the mean of those of the sequences, and the share of the masks with J below 0.5, and below
0.7, that lie below one threshold. The threshold is the highest below which at least half of the masks are such masks.
The last lines have J and confidence of each sequence, or of each followed object.

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
from recorded import keep

BAD = 0.5
POOR = 0.7
"""Few masks are bad: those below this are counted too, for confidence."""
DROP = 0.2
PRECISION = 0.5
BINS = 10

COLUMNS = ("flag", "masks", "share", "mean J", "others", "precision", "lift", "recall", "drops")

Numbers = NDArray[np.float64]


def measured(root: Path, *, subset: str, model: str, follow: bool, quality: Quality) -> Iterator[dict[str, Any]]:
    """The row of each mask, with its sequence, size and J; those of one object come one after the other."""
    dataset = open_dataset(root, layout="davis")
    loaded = covos.load_model(model)
    for video in dataset.subset(dataset.splits[subset]):
        first = video.frames[0].image
        assert first is not None
        followed: tuple[int, ...] = ()
        if follow:
            session = loaded.session(first.parent, quality=quality)
            shown = read_labels(video, video.frames[0])
            session.add_labels(0, labels=shown)
            results, followed = session.stream("forward"), tuple(objects_in(shown))
        else:
            results = covos.stream(first.parent, model=loaded, quality=quality)
        before = None
        of_object: dict[int, list[dict[str, Any]]] = {}
        for result, frame in zip(results, video.frames, strict=True):
            row = frame_row(result, seconds=0, before=before)
            before, truth = result.labels, read_labels(video, frame)
            for identity in followed or (1,):
                j = jaccard(before == identity, truth == identity if follow else truth > 0)
                own = {
                    **as_json(alone(row, identity) if follow else row),
                    "sequence": f"{video.name} {identity}" if follow else video.name,
                    "size": list(before.shape),
                    "j": float(j),
                    "given": follow and result.frame.index == 0,
                }
                of_object.setdefault(identity, []).append(own)
        for own_rows in of_object.values():
            yield from own_rows


def alone(row: FrameRow, identity: int) -> FrameRow:
    """The row of a frame as if this object were the only one in it."""
    state = row.states.get(identity)
    kept: dict[str, Any] = {
        name: {key: value for key, value in getattr(row, name).items() if key == identity}
        for name in ("area", "box", "centre", "overlap", "states")
    }
    kept["objects"] = [each for each in row.objects if each == identity]
    kept["confidence"] = row.confidence if state is None else state.confidence
    return row.model_copy(update=kept)


def table(rows: list[dict[str, Any]]) -> str:
    """A line a kind of flag."""
    summary, kinds = judged(rows)
    widths = (-14, 7, 7, 7, 7, 10, 6, 7, 6)
    lines = (
        " ".join(
            f"{cell:<{-width}}" if width < 0 else f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)
        )
        for row in (COLUMNS, *kinds)
    )
    return "\n".join((summary, *(line.rstrip() for line in lines)))


def judged(rows: list[dict[str, Any]]) -> tuple[str, list[list[str]]]:
    """What all masks are like, in words, and the `COLUMNS` of each kind of flag; empty ones where it tells nothing."""
    kinds: list[set[str]] = []
    drops: list[bool] = []
    for _, group in groupby(rows, key=lambda row: row["sequence"]):
        clip = list(group)
        usual = np.median([row["j"] for row in clip if not row["given"]])
        records = [FrameRow.model_validate(row) for row in clip]
        for at, row in enumerate(clip):
            if row["given"]:
                continue
            flags = find_flags(records, at, size=tuple(row["size"]))
            kinds.append({flag.kind for flag in flags} | ({"suspicious"} if suspicion(flags) > 0 else set()))
            drops.append(row["j"] <= usual - DROP)
    j, dropped = np.array([row["j"] for row in rows if not row["given"]]), np.array(drops)
    bad = j < BAD
    summary = (
        f"{len(j)} masks, mean J {j.mean():.3f}, {bad.mean():.1%} of them below {BAD}, "
        f"{dropped.mean():.1%} {DROP} below the median of their sequence"
    )
    told: list[list[str]] = []
    for kind in (*KINDS, "suspicious"):
        has = np.array([kind in each for each in kinds])
        told.append([kind, str(has.sum()), f"{has.mean():.1%}", *[""] * 6])
        if not has.any() or has.all():
            continue
        precision, found = bad[has].mean(), (bad & has).sum()
        lift, recall = (precision / bad.mean(), found / bad.sum()) if bad.any() else (np.nan, np.nan)
        means = [f"{j[has].mean():.3f}", f"{j[~has].mean():.3f}"]
        told[-1][3:] = [*means, *(f"{value:.2f}" for value in (precision, lift, recall, dropped[has].mean()))]
    return summary, told


def calibration_error(confidence: Numbers, j: Numbers) -> float:
    """Expected calibration error: the mean over N masks of how far confidence and J are apart in their bin of ten."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs((confidence - j)[bins == k].sum()) for k in range(BINS)) / len(j))


def rank_correlation(confidence: Numbers, j: Numbers) -> float:
    """Spearman's rank correlation over N masks; NaN if either is the same in all of them."""
    if np.ptp(confidence) == 0 or np.ptp(j) == 0:
        return float("nan")
    return float(spearmanr(confidence, j).statistic)


def recall_at_precision(confidence: Numbers, j: Numbers, *, below: float) -> float:
    """Share of the masks with J below a bound that lie under one threshold of confidence.

    The threshold is the highest under which at least `PRECISION` of the masks are such masks. Masks of equal
    confidence are on the same side of it. NaN if there is no such mask.
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
    """The worth of the confidence, in two lines; rows without one are left out, and masks that were given."""
    known = [row for row in rows if row["confidence"] is not None and not row["given"]]
    if not known:
        return "no confidence"
    confidence, j = (np.array([row[name] for row in known], np.float64) for name in ("confidence", "j"))
    sequences = np.array([row["sequence"] for row in known])
    each = [rank_correlation(confidence[sequences == name], j[sequences == name]) for name in np.unique(sequences)]
    ranked = [value for value in each if not np.isnan(value)]
    recalls = ", ".join(
        f"{recall_at_precision(confidence, j, below=bound):.2f} of the {(j < bound).sum()} masks below {bound}"
        for bound in (BAD, POOR)
    )
    return (
        f"confidence: mean {confidence.mean():.3f}, calibration error {calibration_error(confidence, j):.3f}, rank "
        f"correlation with J {rank_correlation(confidence, j):.3f}, mean of the sequences' "
        f"{np.mean(ranked) if ranked else np.nan:.3f}\n"
        f"found at precision {PRECISION}: {recalls}"
    )


def sequence_lines(rows: list[dict[str, Any]]) -> str:
    """A line a sequence, or a followed object of one."""
    lines = [f"{'':24}   masks  mean J  least  confidence"]
    for name, group in groupby(rows, key=lambda row: row["sequence"]):
        judged = [row for row in group if not row["given"]]
        j, confidence = (np.array([row[key] for row in judged], np.float64) for key in ("j", "confidence"))
        lines.append(f"{name:24} {len(j):7} {j.mean():7.3f} {j.min():6.3f} {np.nanmean(confidence):11.3f}")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="root of DAVIS 2016, or of a set in its layout")
    parser.add_argument("--subset", default="val_open", help="list of sequences")
    parser.add_argument("--follow", action="store_true", help="follow the objects of the first masks")
    parser.add_argument("--model", default="covos-lite", help="a name, or a .safetensors file")
    parser.add_argument("--quality", default=DEFAULT_QUALITY, choices=VIEWS, help="of finding and following")
    parser.add_argument("--rows", type=Path, help="file to keep the rows in")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
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
    print(sequence_lines(rows))
    summary, kinds = judged(rows)
    name = f"{arguments.data.name.lower()}_{arguments.subset}" + "_followed" * arguments.follow
    note = f"{summary}. {confidence_lines(rows)}.".replace("\n", "; ")
    keep(arguments.json, name, columns=COLUMNS, rows=kinds, note=note[0].upper() + note[1:])


if __name__ == "__main__":
    main()
