"""The cost of the journal and the report of `covos segment` for a frame, in time and bytes.

    python benchmarks/records.py [--clip FILE ...] [--folder DIR] [--json FILE]

Segments two clips once, and each FILE. The easy one is the example, two cars with smooth contours. The hard one has
three drawn things with hair and fur, which move before the example's pictures: long contours, of which the network is
not sure. Each result is scaled to 854 x 480 and appended to a journal in DIR (a temporary folder if not given), with
the probability in 8 bits, in 16 as `matte=16` asks for, and in 8 with a matte. Then one flush to the disk, of which a
run makes one a second, and reading the journal back. Last, the report's share, of the example: measuring the masks,
flagging frames, and the pages at the end. Times are the processor's, but for the flush.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
import time
from pathlib import Path
from typing import get_args

import cv2
import numpy as np
from numpy.typing import NDArray

import covos
from covos.core.types import FrameResult
from covos.masks.soft import Depth
from covos.media.opening import open_source
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.journal import Journal, JournalEntry
from covos.runs.report import Origin, Report
from covos.training.scenes.strands import draw_thing
from formats import matted_results
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZE = 854, 480
SEED, SIDE = 6, 300
PATHS = (60, 20, 4, 1), (300, 150, -3, 0.5), (520, 40, -2, 2)
"""Of each drawn thing: its left and top edge, and how far it moves from frame to frame, in pixels."""


def hard_clip() -> NDArray[np.uint8]:
    """Drawn things that move before the example's pictures: N x 480 x 854 x 3 uint8 RGB, the same each time."""
    rng = np.random.default_rng(SEED)
    things = [draw_thing(SIDE, rng=rng).astype(np.float32) for _ in PATHS]
    with open_source(EXAMPLE) as source:
        behind = [cv2.resize(frame.image, SIZE).astype(np.float32) for frame in source]
    pictures = []
    for moment, before in enumerate(behind):
        picture = before
        for thing, (left, top, along, down) in zip(things, PATHS, strict=True):
            moved = np.array([[1.0, 0, left + along * moment], [0, 1, top + down * moment]])
            layer = cv2.warpAffine(thing, moved, SIZE)
            picture = layer[..., :3] + picture * (1 - layer[..., 3:] / 255)
        pictures.append(np.rint(picture).clip(0, 255).astype(np.uint8))
    return np.stack(pictures)


def results(clip: Path | NDArray[np.uint8]) -> list[FrameResult]:
    """The results of a clip at 854 x 480."""
    scaled = []
    for result in covos.stream(clip):
        frame = dataclasses.replace(result.frame, image=cv2.resize(result.frame.image, SIZE))
        probability = cv2.resize(result.probability, SIZE)
        labels = (probability > 0.5).astype("uint8")
        scaled.append(dataclasses.replace(result, frame=frame, probability=probability, labels=labels))
    return scaled


def measure(results: list[FrameResult], *, bits: Depth, path: Path) -> list[float]:
    """KiB of a frame in a journal, and milliseconds to keep it, to read it back, and of a flush."""
    took, flushes = [], []
    with Journal(path, batch=1) as journal:
        for result in results:
            started = time.process_time()
            journal.append(JournalEntry.of(result, seconds=0, bits=bits))
            took.append(time.process_time() - started)
            started = time.perf_counter()
            journal.sync()
            flushes.append(time.perf_counter() - started)
    started = time.process_time()
    with Journal(path, batch=1) as journal:
        for record, result in zip(journal.replay(), results, strict=True):
            record.restore(result.frame)
    back = (time.process_time() - started) / len(results)
    size = path.stat().st_size / len(results) / 1024
    return [size, *(1e3 * each for each in (statistics.median(took), back, statistics.median(flushes)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clip", type=Path, action="append", default=[], help="a further clip; repeatable")
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--json", type=Path, help="keep the tables in this file: see recorded.py")
    arguments = parser.parse_args()
    easy = results(EXAMPLE)
    clips = {"cars": easy, "hair and fur": results(hard_clip()), **{f.stem: results(f) for f in arguments.clip}}
    rows: list[list[str | float]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for clip, kept in clips.items():
            mattes = matted_results(kept)[0]
            kinds: list[tuple[Depth, list[FrameResult], str]] = [(bits, kept, "") for bits in get_args(Depth)]
            for bits, results_of, words in (*kinds, (8, mattes, ", with a matte")):
                path = Path(name) / f"{len(rows)}.jsonl"
                size, taken, back, flush = measure(results_of, bits=bits, path=path)
                kind = f"{clip}: probability in {bits} bits{words}"
                print(
                    f"{kind:50}: {taken:.2f} ms and {size:.1f} KiB a frame, a flush {flush:.2f} ms, "
                    f"back {back:.2f} ms a frame"
                )
                rows.append([kind, size, taken, back, flush])
        columns = ["", "KiB", "ms to keep", "ms to read back", "ms a flush waits"]
        keep(arguments.json, "journal", columns=columns, rows=rows, digits=[0, 1, 1, 1, 1])
        with open_source(EXAMPLE) as source:
            info = dataclasses.replace(source.info, width=SIZE[0], height=SIZE[1])
        report = Report(info=info, origin=Origin(model="m", sha256="", device="cpu", settings={}))
        started = time.process_time()
        for result in easy:
            report.add(result, seconds=0)
        added = time.process_time()
        report.save(
            OutputFolder(Path(name) / "report"), health=Health(decoded=len(easy), expected=len(easy)), seconds=1
        )
        each, end = 1e3 * (added - started) / len(easy), 1e3 * (time.process_time() - added)
        print(f"report: {each:.2f} ms a frame, {end:.0f} ms at the end")
        columns = ["", "ms a frame", "ms at the end"]
        keep(arguments.json, "report", columns=columns, rows=[["report", each, end]], digits=[0, 1, 0])


if __name__ == "__main__":
    main()
