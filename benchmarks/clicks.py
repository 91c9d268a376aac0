"""The worth of clicks: J and F by the number of clicks, of each way to make a mask of them, side by side.

    python benchmarks/clicks.py --data DAVIS [--subset val_open] [--every 10] [--methods grabcut covos-prompt auto]
    python benchmarks/clicks.py --pictures FOLDER       every object of pictures: images/NAME.*, masks/NAME.png with ids

Clicks come from a user simulated from the truth (`covos.evaluation.clicks`): the first in the middle of the object's
largest piece, each next one in the middle of the largest region of error, positive or negative. The object is the
non-zero part of an annotation; every so many annotated frames of each sequence count, each by itself. For every method:

    box       J, F and J&F of the smallest box that holds the object, without clicks;
    N clicks  the same after so many;
    NoC@85    the number of clicks until J is 0.85, the most where it never is; and the share of such frames;
    seconds   of the first mask of a frame and of each further one (median), encoding in the first.

Means are over the frames of a sequence, then over sequences; a picture is a sequence, and each of its objects a frame.
Then J of each method by the share of the frame that the object covers, the mean over all objects, and the processor
time of one answer. A method is one of `--prompter` of `covos segment`. Its whole answer to all clicks is taken; with
`--by-sign`, what the sign of the last click asks for, as in a session. With `--known SHARES`, a method is told how
large the object is, as where it is known from other frames: its true number of pixels, times each share in turn.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from covos.core.device import configure_threads
from covos.core.types import Box, Frame, MaskArray, Point
from covos.data import Video, open_dataset, read_foreground
from covos.engines.encoding import FrameEncoder
from covos.engines.motion import Observed
from covos.engines.prompt import Prompter, refined, with_points
from covos.evaluation import boundary_f, jaccard
from covos.evaluation.clicks import next_click
from covos.masks import VOID, read_label_map
from covos.model import load_model
from covos.models.registry import DEFAULT_PROMPTER
from covos.prompts.known_size import largest_of
from covos.training.validate import DatasetSource
from recorded import keep

WANTED = 0.85
"""Jaccard index at which a user is content, for NoC."""
SIZES = (0.0, 0.01, 0.02, 0.05, 0.1, 1.0)
"""Shares of the frame at which the table by size begins a new column."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A frame, and what is to be cut out of it."""

    sequence: str
    observed: Observed
    truth: MaskArray
    void: MaskArray


@dataclass(slots=True, kw_only=True)
class Tally:
    """The results of a method, by sequence."""

    scores: dict[str, dict[str, list[tuple[float, float]]]] = field(default_factory=dict)
    clicks: dict[str, list[int]] = field(default_factory=dict)
    failures: int = 0
    first: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)
    by_size: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    """By number of clicks: the object's share of the frame, and J."""
    processor: list[float] = field(default_factory=list)

    def mean(self, row: str) -> tuple[float, float]:
        """J and F."""
        j, f = np.mean([np.mean(each[row], axis=0) for each in self.scores.values()], axis=0)
        return float(j), float(f)


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    model = load_model(options.model, device=options.device)
    prompters: list[tuple[str, Prompter]] = []
    for method in options.methods:
        prompters.append((method, model.prompter(method).prompter))
    tallies = {method: Tally() for method, _ in prompters}
    shares = cycle(options.known or [None])
    for task, share in zip(_tasks(options, model.engine.encoder), shares, strict=False):
        areas = {} if share is None else {-1: round(share * task.truth.sum())}
        for method, prompter in prompters:
            _measure(prompter, task, tallies[method], areas=areas, options=options)
    frames = sum(map(len, tallies[options.methods[0]].clicks.values()))
    print(f"{model.name}, {model.device}, {model.precision}, {threads} threads; {frames} frames")
    print(f"{'':10}" + "".join(f"{method[-26:]:>27}" for method in tallies))
    print(f"{'':10}" + f"{'J':>13}{'F':>7}{'J&F':>7}" * len(tallies))
    kept: list[list[str | float]] = []
    for row in ("box", *map(_clicks, options.clicks)):
        means = [tally.mean(row) for tally in tallies.values()]
        print(f"{row:10}" + "".join(f"{j:13.3f}{f:7.3f}{(j + f) / 2:7.3f}" for j, f in means))
        kept.append([row, *(f"{j:.3f} / {f:.3f} / {(j + f) / 2:.3f}" for j, f in means)])
    wanted: list[str | float] = [f"clicks until J is {WANTED}"]
    for method, tally in tallies.items():
        mean = np.mean([np.mean(counts) for counts in tally.clicks.values()])
        wanted.append(f"{mean:.2f}")
        print(
            f"{method}: NoC@{100 * WANTED:.0f} {mean:.2f}, not reached in {options.most} clicks on {tally.failures} "
            f"frames; {statistics.median(tally.first):.3f} s the first mask of a frame, "
            f"{statistics.median(tally.further):.3f} s each further one"
        )

    kept.append(wanted)
    name = ("pictures" if options.data is None else options.subset) + "_by_sign" * options.by_sign
    columns = ["J / F / J&F", *(Path(method).stem for method in tallies)]
    keep(options.json, name + "_known" * bool(options.known), columns=columns, rows=kept)
    _report_sizes(tallies, [_clicks(count) for count in options.clicks])


def _report_sizes(tallies: dict[str, Tally], rows: list[str]) -> None:
    columns = [*pairwise(SIZES), (SIZES[0], SIZES[-1])]
    print("\nJ by the object's share of the frame (objects)")
    print(f"{'':36}" + "".join(f"{f'{100 * low:g}-{100 * high:g} %':>14}" for low, high in columns) + f"{'ms':>7}")
    for row in rows:
        for method, tally in tallies.items():
            line = f"{row:10}{method[-26:]:26}"
            for low, high in columns:
                found = [j for share, j in tally.by_size[row] if low <= share < high or share == high == 1]
                line += f"{np.mean(found):8.3f} ({len(found):3})" if found else f"{'':14}"
            print(line + f"{1000 * np.mean(tally.processor):7.0f}")


def _tasks(options: argparse.Namespace, encoder: FrameEncoder[Any]) -> Iterator[Task]:
    if options.pictures is not None:
        yield from tasks_of_pictures(sorted((options.pictures / "images").iterdir()), options.pictures / "masks")
        return
    dataset = open_dataset(options.data, layout="davis")
    for video in dataset.subset(options.sequences or dataset.splits[options.subset]):
        yield from tasks_of(video, encoder, every=options.every)


def tasks_of_pictures(pictures: Iterable[Path], masks: Path) -> Iterator[Task]:
    """Every object of some pictures; nothing is known of what moves in them."""
    for path in pictures:
        image = np.asarray(Image.open(path).convert("RGB"), np.uint8)
        labels = read_label_map(masks / f"{path.stem}.png")
        frame = Frame(index=0, stem=path.stem, image=image, pts=0, time_base=Fraction(1, 25))
        for identity in sorted(set(np.unique(labels).tolist()) - {0, VOID}):
            observed = Observed(frame=frame, motion=None)
            yield Task(sequence=path.stem, observed=observed, truth=labels == identity, void=labels == VOID)


def tasks_of(video: Video, encoder: FrameEncoder[Any], *, every: int) -> Iterator[Task]:
    """Every so many annotated frames of a video that show the object."""
    records = video.frames
    wanted = [index for index, record in enumerate(records) if record.annotation is not None][::every]
    for observed in encoder.select(DatasetSource(records), wanted):
        foreground, valid = read_foreground(video, records[observed.frame.index])
        truth = foreground > 0.5
        if truth.any():
            yield Task(sequence=video.name, observed=observed, truth=truth, void=~valid)


def _box_around(truth: MaskArray) -> Box:
    """Return the smallest box that holds a mask, which is not empty."""
    left, top, width, height = cv2.boundingRect(truth.view(np.uint8))
    return Box(x0=left, y0=top, x1=left + width, y1=top + height)


def _measure(
    prompter: Prompter, task: Task, tally: Tally, *, areas: dict[int, int], options: argparse.Namespace
) -> None:
    counts, most = options.clicks, options.most
    scores = tally.scores.setdefault(task.sequence, {row: [] for row in ("box", *map(_clicks, counts))})
    mask = _ask(prompter, task, tally.first, points=[], box=_box_around(task.truth), previous=None)
    scores["box"].append(_score(mask, task))
    mask = np.zeros_like(mask)
    points: list[Point] = []
    reached = None
    for count in range(1, most + 1):
        point = next_click(mask, task.truth, void=task.void)
        if point is not None:
            points.append(point)
            previous = mask if count > 1 else None
            started = time.process_time()
            positive = sum(each.positive for each in points) if point.positive else 0
            largest = largest_of(areas, {}, frame=0, points=positive)
            mask = _ask(prompter, task, tally.further, points=points, box=None, previous=previous, largest=largest)
            if options.by_sign and previous is not None:
                mask = with_points(refined(previous, mask, points=[point]), points)
            tally.processor.append(time.process_time() - started)
        if reached is None and jaccard(mask, task.truth, void=task.void) >= WANTED:
            reached = count
        if count in counts:
            score = _score(mask, task)
            scores[_clicks(count)].append(score)
            tally.by_size.setdefault(_clicks(count), []).append((float(task.truth.mean()), score[0]))
        if reached is not None and count >= max(counts):
            break
    tally.failures += reached is None
    tally.clicks.setdefault(task.sequence, []).append(reached or most)


def _ask(
    prompter: Prompter,
    task: Task,
    seconds: list[float],
    *,
    points: list[Point],
    box: Box | None,
    previous: MaskArray | None,
    largest: int | None = None,
) -> MaskArray:
    began = time.perf_counter()
    mask = prompter.mask(task.observed, points=points, box=box, previous=previous, largest=largest)
    seconds.append(time.perf_counter() - began)
    return mask


def _score(mask: MaskArray, task: Task) -> tuple[float, float]:
    return jaccard(mask, task.truth, void=task.void), boundary_f(mask, task.truth, void=task.void)


def _clicks(count: int) -> str:
    return f"{count} click" + "s" * (count > 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shown = parser.add_mutually_exclusive_group(required=True)
    shown.add_argument("--data", type=Path, help="root of a DAVIS tree")
    shown.add_argument("--pictures", type=Path, help="folder with images/ and masks/ (object ids)")
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--sequences", nargs="+", help="these only")
    parser.add_argument("--every", type=int, default=10, help="take every so many annotated frames")
    parser.add_argument("--clicks", nargs="+", type=int, default=[1, 3, 5], help="score after so many")
    parser.add_argument(
        "--most", type=int, default=10, help="clicks on a frame, at most; no fewer than any of --clicks"
    )
    parser.add_argument("--methods", nargs="+", default=["grabcut", DEFAULT_PROMPTER, "auto"])
    parser.add_argument(
        "--by-sign", action="store_true", help="let a further click only add, or only take away, as sessions do"
    )
    parser.add_argument("--known", nargs="+", type=float, metavar="SHARE", help="tell about how large the object is")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    options.most = max(options.most, *options.clicks)
    return options


if __name__ == "__main__":
    main()
