"""Scores as the CSV files that other tools of the field write, and frame by frame."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from covos.core.files import atomic_path
from covos.core.tables import cell
from covos.evaluation.results import Evaluation
from covos.evaluation.scores import ObjectScore, Scores


def csv_names(subset: str | None) -> tuple[str, ...]:
    """Return the names of the files that hold the scores of a subset; None is the whole set, called ``all``."""
    name = "all" if subset is None else subset.rpartition("/")[2]
    kinds = ("global_results", "per-sequence_results", "per-frame_results")
    return (*(f"{kind}-{name}.csv" for kind in kinds), "results.csv")


def csv_files(evaluation: Evaluation) -> dict[str, str]:
    """Return the content of each file by its name.

    ``global_results-{set}.csv`` and ``per-sequence_results-{set}.csv`` have the form of the DAVIS 2017 evaluation,
    down to its naming of objects: ``name_1`` is the first row, and where proposals are matched rows are ordered by
    proposal, so that ``name_1`` need not be object 1. ``results.csv`` has the form of vos-benchmark.
    ``per-frame_results-{set}.csv`` is of covos, and names objects by their ids.
    """
    numbers = evaluation.scores.numbers
    names = [name if "-" in name else f"{name}-Mean" for name in numbers]
    sequences = [
        (f"{sequence.name}_{row}", f"{score.j_statistics.mean:.3f}", f"{score.f_statistics.mean:.3f}")
        for sequence in evaluation.sequences
        for row, score in enumerate(sorted(sequence.objects, key=_official_order), start=1)
    ]
    frames = [
        (score.sequence, score.object_id, frame, f"{j:.6f}", f"{f:.6f}")
        for score in evaluation.objects
        for frame, j, f in zip(score.frames, score.j, score.f, strict=True)
    ]
    contents = (
        _rows(names, [f"{value:.3f}" for value in numbers.values()]),
        _rows(("Sequence", "J-Mean", "F-Mean"), *sequences),
        _rows(("Sequence", "Object", "Frame", "J", "F"), *frames),
        _benchmark(evaluation),
    )
    return dict(zip(csv_names(evaluation.subset), contents, strict=True))


def write_csv(evaluation: Evaluation, folder: Path) -> None:
    """Write the files of :func:`csv_files` into a folder, which is made; existing files are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in csv_files(evaluation).items():
        with atomic_path(folder / name) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="")


def _official_order(score: ObjectScore) -> int:
    return score.object_id if score.proposal is None else score.proposal


def _rows(*rows: Sequence[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def _name(sequence: str) -> str:
    """Return a sequence's name for a table whose cells are not quoted."""
    return str(cell(sequence.replace(",", ";")))


def _benchmark(evaluation: Evaluation) -> str:
    width = max(len("Global score"), *(len(_name(sequence.name)) for sequence in evaluation.sequences))
    rows = [
        f"{'sequence':<{width}},obj,  J&F,    J,    F",
        f"{'Global score':<{width}},   , {', '.join(_percents(evaluation.scores))}",
    ]
    for score in evaluation.objects:
        aligned = (text.rjust(4) for text in _percents(score.scores))
        rows.append(f"{_name(score.sequence):<{width}},{score.object_id:03}, {', '.join(aligned)}")
    return "\n".join(rows) + "\n"


def _percents(scores: Scores) -> list[str]:
    return [f"{100 * value:.1f}" for value in (scores.jf, scores.j.mean, scores.f.mean)]
