"""The cost of the journal and the report of `covos segment` for a frame, in time and bytes.

    python benchmarks/records.py [--folder DIR] [--json FILE]

Segments the example once, scales each result to 854 x 480, and appends it to a journal in DIR (a temporary folder if
not given), with the probability in 8 bits, in 16 as `matte=16` asks for, and in 8 with a matte. Then one flush to the
disk, of which a run makes one a second, and reading the journal back. Last, the report's share: measuring the masks,
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

import covos
from covos.core.types import FrameResult
from covos.masks.soft import Depth
from covos.media.opening import open_source
from covos.media.source import Health
from covos.runs.folder import OutputFolder
from covos.runs.journal import Journal, JournalEntry
from covos.runs.report import Origin, Report
from formats import matted_results
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZE = 854, 480


def results() -> list[FrameResult]:
    """The example's results at 854 x 480."""
    scaled = []
    for result in covos.stream(EXAMPLE):
        frame = dataclasses.replace(result.frame, image=cv2.resize(result.frame.image, SIZE))
        probability = cv2.resize(result.probability, SIZE)
        labels = (probability > 0.5).astype("uint8")
        scaled.append(dataclasses.replace(result, frame=frame, probability=probability, labels=labels))
    return scaled


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    parser.add_argument("--json", type=Path, help="keep the tables in this file: see recorded.py")
    arguments = parser.parse_args()
    kept = results()
    mattes = matted_results(kept)[0]
    rows: list[list[str | float]] = []
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        for bits, results_of, words in (*((bits, kept, "") for bits in get_args(Depth)), (8, mattes, ", with a matte")):
            path = Path(name) / f"{bits}-{len(words)}.jsonl"
            took, flushes = [], []
            with Journal(path, batch=1) as journal:
                for result in results_of:
                    started = time.process_time()
                    record = JournalEntry.of(result, seconds=0, bits=bits)
                    journal.append(record)
                    took.append(time.process_time() - started)
                    started = time.perf_counter()
                    journal.sync()
                    flushes.append(time.perf_counter() - started)
            started = time.process_time()
            with Journal(path, batch=1) as journal:
                for record, result in zip(journal.replay(), results_of, strict=True):
                    record.restore(result.frame)
            back = (time.process_time() - started) / len(kept)
            kind, size = f"probability in {bits} bits{words}", path.stat().st_size / len(kept) / 1024
            taken, flush = (1e3 * statistics.median(column) for column in (took, flushes))
            print(
                f"{kind:36}: {taken:.2f} ms and {size:.1f} KiB a frame, "
                f"a flush {flush:.2f} ms, back {1e3 * back:.2f} ms a frame"
            )
            rows.append([kind, size, taken, 1e3 * back, flush])
        columns = ["", "KiB", "ms to keep", "ms to read back", "ms a flush waits"]
        keep(arguments.json, "journal", columns=columns, rows=rows, digits=[0, 1, 1, 1, 1])
        with open_source(EXAMPLE) as source:
            info = dataclasses.replace(source.info, width=SIZE[0], height=SIZE[1])
        report = Report(info=info, origin=Origin(model="m", sha256="", device="cpu", settings={}))
        started = time.process_time()
        for result in kept:
            report.add(result, seconds=0)
        added = time.process_time()
        report.save(
            OutputFolder(Path(name) / "report"), health=Health(decoded=len(kept), expected=len(kept)), seconds=1
        )
        each, end = 1e3 * (added - started) / len(kept), 1e3 * (time.process_time() - added)
        print(f"report: {each:.2f} ms a frame, {end:.0f} ms at the end")
        columns = ["", "ms a frame", "ms at the end"]
        keep(arguments.json, "report", columns=columns, rows=[["report", each, end]], digits=[0, 1, 0])


if __name__ == "__main__":
    main()
