"""Do flagged frames really score lower? The flags of the report against ground truth.

    python benchmarks/quality.py --data DAVIS [--subset val_open] [--model covos-lite] [--rows rows.jsonl]

Segments the sequences of a subset, scores each frame's J (first and last frames included), and prints for each kind of
flag, and for suspicious frames (any flag but ``border``): the share of frames that have it, their mean J beside that of
the others, the share of them with J below 0.5 (precision), how many times that is what frames drawn at random would
have (lift), and the share of all frames with J below 0.5 that it finds (recall). ``--rows`` keeps what was computed,
and reads it if it is there.
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
from covos.data import open_dataset
from covos.evaluation.measures import jaccard
from covos.masks import read_binary_mask
from covos.runs.quality import KINDS, find_flags, suspicion
from covos.runs.report import frame_row

BAD = 0.5


def measured(root: Path, *, subset: str, model: str) -> Iterator[dict[str, Any]]:
    """The row of each frame, with its sequence, size and J."""
    dataset = open_dataset(root, layout="davis")
    loaded = covos.load_model(model)
    for video in dataset.subset(dataset.splits[subset]):
        first = video.frames[0].image
        assert first is not None
        before = None
        for result, frame in zip(covos.stream(first.parent, model=loaded), video.frames, strict=True):
            assert frame.annotation is not None
            row = frame_row(result, seconds=0, before=before)
            before = result.labels
            j = jaccard(result.labels > 0, read_binary_mask(frame.annotation))
            yield {**row, "sequence": video.name, "size": list(result.labels.shape), "j": j}


def table(rows: list[dict[str, Any]]) -> str:
    """A line a kind of flag."""
    kinds: list[set[str]] = []
    for _, group in groupby(rows, key=lambda row: row["sequence"]):
        clip: Any = list(group)
        for at in range(len(clip)):
            flags = find_flags(clip, at, size=tuple(clip[at]["size"]))
            kinds.append({flag.kind for flag in flags} | ({"suspicious"} if suspicion(flags) > 0 else set()))
    j = np.array([row["j"] for row in rows])
    bad = j < BAD
    lines = [f"{len(j)} frames, mean J {j.mean():.3f}, {bad.mean():.1%} of them below {BAD}"]
    lines.append(f"{'flag':14} {'share':>7} {'mean J':>7} {'others':>7} {'precision':>10} {'lift':>6} {'recall':>7}")
    for kind in (*KINDS, "suspicious"):
        has = np.array([kind in each for each in kinds])
        if not has.any() or has.all() or not bad.any():
            lines.append(f"{kind:14} {has.mean():7.1%}")
            continue
        precision = bad[has].mean()
        lines.append(
            f"{kind:14} {has.mean():7.1%} {j[has].mean():7.3f} {j[~has].mean():7.3f} {precision:10.2f} "
            f"{precision / bad.mean():6.2f} {(bad & has).sum() / bad.sum():7.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="root of DAVIS 2016")
    parser.add_argument("--subset", default="val_open", help="list of sequences")
    parser.add_argument("--model", default="covos-lite", help="a name, or a .safetensors file")
    parser.add_argument("--rows", type=Path, help="file to keep the rows in")
    arguments = parser.parse_args()
    if arguments.rows is not None and arguments.rows.exists():
        rows = [json.loads(line) for line in arguments.rows.read_text().splitlines()]
    else:
        rows = list(measured(arguments.data, subset=arguments.subset, model=arguments.model))
        if arguments.rows is not None:
            arguments.rows.write_text("".join(json.dumps(row) + "\n" for row in rows))
    print(table(rows))


if __name__ == "__main__":
    main()
