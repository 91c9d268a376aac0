"""Score and time the refinement beside none: the same probabilities, the same frames, one run.

    python benchmarks/refine.py --data DAVIS [--subset val_open --every 5] [--sequences camel dog]

Prints J, F and J&F of every sequence, without refinement and what the CRF adds, and the milliseconds that it
takes a frame (median). The first and the last frame are left out, as in the DAVIS-2016 protocol. Without --data there
is nothing to score, and the example clip is timed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import get_args

import numpy as np

from covos.core.device import configure_threads
from covos.core.types import Frame, FrameResult, ProbabilityArray
from covos.data import FrameRecord, Video, open_dataset, read_foreground, read_image
from covos.engines.find import uniform_references
from covos.engines.find_passes import find_subject
from covos.evaluation import boundary_f, jaccard
from covos.media.opening import open_source
from covos.model import Model, load_model
from covos.models.choices import Refinement
from covos.models.cosnet.crf import crf_filter
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
REFERENCES = 5
CHOICES: tuple[Refinement, ...] = get_args(Refinement)


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    model = load_model(options.model, device=options.device)
    if options.data is None:
        _time_example(model, every=options.every)
        return
    dataset = open_dataset(options.data, layout="davis")
    videos = dataset.subset(options.sequences or dataset.splits[options.subset])
    print(f"{model.name}, {model.device}, {threads} threads, every {options.every}th frame of {options.subset}")
    print(f"{'':16} {'frames':>6}   none: J     F   J&F" + "".join(f"   {c:>8}: J      F    J&F" for c in CHOICES[1:]))
    rows, milliseconds = [], {choice: [] for choice in CHOICES}
    kept: list[list[str | float]] = []
    for video in videos:
        scores = _measure(model, video, every=options.every, milliseconds=milliseconds)
        rows.append(scores.mean(axis=0))
        kept.append([video.name, *_cells(rows[-1])])
        print(_line(video.name, len(scores), rows[-1]), flush=True)
    kept.append(["mean", *_cells(np.mean(rows, axis=0))])
    print(_line("mean", len(rows), np.mean(rows, axis=0)))
    better = np.mean(rows, axis=2)[:, 1:] > np.mean(rows, axis=2)[:, :1]
    for k, choice in enumerate(CHOICES[1:]):
        print(f"{choice}: J&F rises in {better[:, k].sum()} of {len(rows)} sequences")
    _print_times(milliseconds)
    columns = [
        "",
        "none: J",
        "F",
        "J&F",
        *(f"{choice}: {name}" for choice in CHOICES[1:] for name in ("J", "F", "J&F")),
    ]
    keep(options.json, options.subset, columns=columns, rows=kept)


def _measure(
    model: Model, video: Video, *, every: int, milliseconds: dict[Refinement, list[float]]
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """J and F of each frame with each refinement: frames x choices x 2."""
    records = video.frames
    engine, count = model.engine, len(records)
    chosen, wanted = uniform_references(count, references=REFERENCES), range(1, count - 1, every)
    encoder = engine.encoder
    references = engine.remember(
        encoder.observe(_frames(records, encoder.needed(chosen, frame_count=count)), wanted=chosen)
    )
    observed = encoder.observe(_frames(records, encoder.needed(wanted, frame_count=count)), wanted=wanted)
    scores = []
    for result in engine.stream(observed, references):
        foreground, valid = read_foreground(video, records[result.frame.index])
        row = []
        for choice in CHOICES:
            refined = _timed(result, choice, model, milliseconds)
            pair = (refined > 0.5, foreground > 0.5)
            row.append((jaccard(*pair, void=~valid), boundary_f(*pair, void=~valid)))
        scores.append(row)
    return np.array(scores)


def _timed(
    result: FrameResult, choice: Refinement, model: Model, milliseconds: dict[Refinement, list[float]]
) -> ProbabilityArray:
    began = time.perf_counter()
    refined = result.probability
    if choice == "crf":
        refined = crf_filter(result.frame.image, refined, device=model.device)
    milliseconds[choice].append(1000 * (time.perf_counter() - began))
    return refined


def _time_example(model: Model, *, every: int) -> None:
    milliseconds: dict[Refinement, list[float]] = {choice: [] for choice in CHOICES}
    with open_source(EXAMPLE) as source:
        print(f"{EXAMPLE.name}, {source.info.width} x {source.info.height}, every {every}th frame, {model.device}")
        for result in islice(find_subject(source, model.engine), 0, None, every):
            for choice in CHOICES:
                _timed(result, choice, model, milliseconds)
    _print_times(milliseconds)


def _print_times(milliseconds: dict[Refinement, list[float]]) -> None:
    for choice in CHOICES[1:]:
        print(f"{choice}: {statistics.median(milliseconds[choice]):.0f} ms a frame")


def _frames(records: Sequence[FrameRecord], indices: Iterable[int]) -> Iterator[Frame]:
    for index in indices:
        record = records[index]
        yield Frame(index=index, stem=record.stem, image=read_image(record), pts=index, time_base=Fraction(1, 25))


def _line(name: str, count: int, scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> str:
    """Scores without refinement, then what each refinement adds."""
    cells = _cells(scores)
    changes = ("     " + " ".join(cells[at : at + 3]) for at in range(3, len(cells), 3))
    return f"{name:16} {count:6}   {'  '.join(cells[:3])}{''.join(changes)}"


def _cells(scores: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[str]:
    """J, F and J&F without refinement, then what each refinement adds to them."""
    table = np.column_stack((scores, scores.mean(axis=1)))
    return [*(f"{value:.3f}" for value in table[0]), *(f"{value:+.3f}" for value in (table[1:] - table[0]).flat)]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="root of a DAVIS tree")
    parser.add_argument("--subset", default="val_open", help="list of sequences")
    parser.add_argument("--sequences", nargs="+", help="these alone")
    parser.add_argument("--every", type=int, default=5, help="measure every so many frames")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    return parser.parse_args()


if __name__ == "__main__":
    main()
