"""Do flagged frames really score lower? The flags of the report against ground truth.

    python benchmarks/quality.py --data DAVIS [--subset val_open] [--follow] [--model covos-lite] [--rows rows.jsonl]

Segments the sequences of a subset, or follows the objects of their first masks (``--follow``), scores each frame's J
(first and last frames included; the mean over the objects that the truth or the result shows), and prints for each kind
of flag, and for suspicious frames (any flag but ``border``): the share of frames that have it, their mean J beside that
of the others, the share of them with J below 0.5 (precision), how many times that is what frames drawn at random would
have (lift), the share of all frames with J below 0.5 that it finds (recall), and the share of them with a J that is 0.2
or more below the median of their sequence (drops). ``--rows`` keeps what was computed, and reads it if it is there;
rows of several subsets can stand in one file.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

import covos
from covos.data import open_dataset, read_labels
from covos.evaluation.measures import jaccard
from covos.masks import objects_in
from covos.runs.quality import KINDS, find_flags, suspicion
from covos.runs.report import frame_row
from covos.runs.schema import FrameRow, as_json

BAD = 0.5
DROP = 0.2


def measured(root: Path, *, subset: str, model: str, follow: bool) -> Iterator[dict[str, Any]]:
    """The row of each frame, with its sequence, size and J."""
    dataset = open_dataset(root, layout="davis")
    loaded = covos.load_model(model)
    for video in dataset.subset(dataset.splits[subset]):
        first = video.frames[0].image
        assert first is not None
        if follow:
            session = loaded.session(first.parent)
            session.add_labels(0, labels=read_labels(video, video.frames[0]))
            results = session.stream("forward")
        else:
            results = covos.stream(first.parent, model=loaded)
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="root of DAVIS 2016, or of a set in its layout")
    parser.add_argument("--subset", default="val_open", help="list of sequences")
    parser.add_argument("--follow", action="store_true", help="follow the objects of the first masks")
    parser.add_argument("--model", default="covos-lite", help="a name, or a .safetensors file")
    parser.add_argument("--rows", type=Path, help="file to keep the rows in")
    arguments = parser.parse_args()
    if arguments.rows is not None and arguments.rows.exists():
        rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    else:
        rows = list(measured(arguments.data, subset=arguments.subset, model=arguments.model, follow=arguments.follow))
        if arguments.rows is not None:
            arguments.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))


if __name__ == "__main__":
    main()
