"""Check that each decoded frame is exactly once in every output of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from covos.core.errors import CovosError
from covos.formats.table import TABLE, load_format
from covos.masks import present_ids, read_label_map
from covos.media.opening import open_source
from covos.runs.folder import PARTIAL
from covos.runs.schema import FrameRow, ReportContent, load_report

_LISTED = 3
# Matroska rounds times to thousandths of a second, the first one's and that of the frame that is looked at.
_LATEST = 1.5e-3


def check_output(folder: Path) -> list[str]:
    """Compare a run's report with the outputs beside it.

    Decoded frames = report rows = files of each format with a file a frame = frames of each video, at the same
    times; the ids of each mask are those of its row; nothing unfinished is left.

    Args:
        folder: The output folder of a run.

    Returns:
        The problems, one line each; empty if all is well.
    """
    problems = [f"an unfinished file is left: {path}" for path in sorted(folder.rglob("*")) if _is_partial(path)]
    try:
        report = load_report(folder)
    except CovosError as error:
        return [*problems, f"{error.what}: {error.why}"]
    problems += _check_rows(report)
    shapes = {kind.output: kind.shape for kind in map(load_format, TABLE)}
    for name in report.outputs:
        shape = shapes.get(name, "file")
        if not (folder / name).exists():
            problems.append(f"the report lists {name}, which is not there")
        elif shape == "a label map a frame":
            problems += _check_masks(folder / name, report)
        elif shape == "a picture a frame":
            problems += _check_stems(folder / name, report.frames)
        elif shape == "a picture a frame and object":
            for each in sorted((folder / name).iterdir()):
                problems += _check_stems(each, report.frames)
        elif shape == "video":
            problems += _check_video(folder / name, report.frames)
    return problems


def _check_rows(report: ReportContent) -> Iterator[str]:
    rows, decoded, total = report.frames, report.health.decoded, report.totals.frames
    if not len(rows) == decoded == total:
        yield f"{decoded} frames were decoded, the report counts {total} and has {len(rows)} rows"
    indices = [row.index for row in rows]
    if indices != sorted(set(indices)):
        yield "the indices of the report's rows do not ascend"
    if len({row.stem for row in rows}) != len(rows):
        yield "two rows of the report name the same frame"


def _check_stems(folder: Path, rows: Sequence[FrameRow]) -> Iterator[str]:
    stems, files = {row.stem for row in rows}, _pictures(folder).keys()
    if lost := _some(stems - files):
        yield f"frames without a file in {folder.name}: {lost}"
    if extra := _some(files - stems):
        yield f"files in {folder.name} without a row in the report: {extra}"


def _check_masks(folder: Path, report: ReportContent) -> Iterator[str]:
    yield from _check_stems(folder, report.frames)
    rows, files = {row.stem: row for row in report.frames}, _pictures(folder)
    for stem in sorted(rows.keys() & files.keys()):
        try:
            labels = read_label_map(files[stem])
        except CovosError as error:
            yield f"{error.what}: {error.why}"
            continue
        size = rows[stem].size or (report.source.height, report.source.width)
        if labels.shape != size:
            yield f"{files[stem]} is {labels.shape[1]}x{labels.shape[0]}, the frame {size[1]}x{size[0]}"
        ids = present_ids(labels)
        if ids != rows[stem].objects:
            yield f"{files[stem]} holds the objects {ids}, its row {rows[stem].objects}"


def _pictures(folder: Path) -> dict[str, Path]:
    return {
        path.stem: path
        for path in folder.iterdir()
        if path.suffix in {".exr", ".png", ".tif"} and not _is_partial(path)
    }


def _check_video(path: Path, rows: Sequence[FrameRow]) -> Iterator[str]:
    try:
        with open_source(path) as source:
            times = [frame.time for frame in source]
    except CovosError as error:
        yield f"{error.what}: {error.why}"
        return
    if len(times) != len(rows):
        yield f"{path} has {len(times)} frames, the report {len(rows)}"
        return
    # The writer may move a start that players do not expect: what must agree is the time since the first frame.
    expected = [row.time - rows[0].time for row in rows]
    late = [i for i, time in enumerate(times) if abs(time - times[0] - expected[i]) > _LATEST]
    if late:
        yield f"{path} shows {len(late)} frames at other times than the source, first frame {rows[late[0]].index}"


def _is_partial(path: Path) -> bool:
    return PARTIAL.fullmatch(path.name) is not None


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    rest = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(json.dumps(name) for name in ordered[:_LISTED]) + rest
