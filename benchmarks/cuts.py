"""Cuts: how surely they are found, and what they cost the masks, on sequences that are glued together.

    python benchmarks/cuts.py --data DAVIS --subset train --detect
    python benchmarks/cuts.py --data DAVIS --subset train --fades 8 12 16 24 36
    python benchmarks/cuts.py --data DAVIS
    python benchmarks/cuts.py --data DAVIS --subset train --follow

`--detect` counts the cuts that are missed between every two sequences, and the false alarms within each, also where
only each second, third and fifth frame is taken. `--fades` counts the fades of so many frames that are found between
every two sequences, within half of their length, and the false alarms likewise. Else the sequences are segmented alone
and glued together, in turns of `--turn` frames of each; as one shot, and by their cuts. With `--follow` the object of
each sequence is followed through another one that is put in its midst. J and F are of every few frames; outside its own
sequence an object has no mask.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np
import torch

import covos
from covos.core.types import ImageArray
from covos.data import Dataset, FrameRecord, Video, open_dataset, read_foreground, read_image
from covos.engines.choices import DEFAULT_MEMORY
from covos.engines.fades import FadeDetector
from covos.engines.find import FindEngine
from covos.engines.find_passes import find_subject, references_of
from covos.engines.follow import FollowEngine
from covos.engines.follow_passes import follow_objects
from covos.engines.looks import SIZE, Look
from covos.engines.shots import CutDetector, Shots
from covos.evaluation.measures import boundary_f, jaccard
from covos.training.validate import DatasetSource
from recorded import keep

Shown = tuple[Video, FrameRecord]


def detected(images: Sequence[ImageArray]) -> list[int]:
    """Return the cuts in pictures."""
    detector = CutDetector()
    return [index for index, image in enumerate(images) if detector.take(Look.at(image)) and index]


def detect(dataset: Dataset) -> Iterator[str]:
    """Count missed cuts and false alarms."""
    images = {video.name: [read_image(record) for record in video.frames] for video in dataset}
    for step in (1, 2, 3, 5):
        false = {name: len(detected(each[::step])) for name, each in images.items()}
        missed = more = count = 0
        for one, other in permutations(images, 2):
            before, after = images[one][::step][-6:], images[other][::step][:6]
            found = detected([*before, *after])
            count += 1
            missed += len(before) not in found
            more += len(set(found) - {len(before)})
        where = ", ".join(f"{number} in {name}" for name, number in false.items() if number)
        frames = sum(len(each[::step]) for each in images.values())
        yield (
            f"each {step}. frame: {missed} of {count} cuts missed, {more} more found beside them; "
            f"{sum(false.values())} false alarms in {frames} frames" + (f" ({where})" if where else "")
        )


def faded(looks: Sequence[Look]) -> list[int]:
    """Return the middles of the fades in looks, those beside cuts left out."""
    detector, fades = CutDetector(), FadeDetector()
    cuts = []
    for index, look in enumerate(looks):
        fades.take(look, index=index)
        if detector.take(look) and index:
            cuts.append(index)
    return list(fades.middles(cuts))


def fade(before: Sequence[ImageArray], after: Sequence[ImageArray], length: int) -> list[ImageArray]:
    """Let the end of one sequence go over into the beginning of another, over so many frames."""
    shares = [(each + 1) / (length + 1) for each in range(length)]
    within = zip(before[-length:], after[:length], shares, strict=True)
    mixed = [cv2.addWeighted(one, 1 - share, other, share, 0).astype(np.uint8) for one, other, share in within]
    return [*before[:-length], *mixed, *after[length:]]


def detect_fades(dataset: Dataset, lengths: Sequence[int]) -> Iterator[str]:
    """Count found fades and false alarms, on pictures of the size that is looked at."""
    small = {
        video.name: [cv2.resize(read_image(each), SIZE, interpolation=cv2.INTER_AREA) for each in video.frames]
        for video in dataset
    }
    for step in (1, 2, 3, 5):
        false = {name: len(faded([Look.of(each) for each in images[::step]])) for name, images in small.items()}
        where = ", ".join(f"{number} in {name}" for name, number in false.items() if number)
        frames = sum(len(images[::step]) for images in small.values())
        yield f"each {step}. frame: {sum(false.values())} false alarms in {frames} frames ({where})"
    for length in lengths:
        found = elsewhere = count = 0
        for one, other in permutations(small, 2):
            size = min(length, len(small[one]) - 12, len(small[other]) - 12)
            images = fade(small[one][-size - 12 :], small[other][: size + 12], size)
            middles = faded([Look.of(each) for each in images])
            near = [abs(each - 12 - size / 2) <= size / 2 for each in middles]
            count, found, elsewhere = count + 1, found + any(near), elsewhere + near.count(False)
        yield f"fades of {length} frames: {found} of {count} found, {elsewhere} more found beside them"


def glued(dataset: Dataset, *, turn: int) -> list[Shown]:
    """Put sequences together, so many frames of each in turn, until all are used up."""
    shown: list[Shown] = []
    longest = max(len(video.frames) for video in dataset)
    for start in range(0, longest, turn):
        for video in dataset:
            shown += [(video, record) for record in video.frames[start : start + turn]]
    return shown


def cuts_of(shown: Sequence[Shown]) -> tuple[int, ...]:
    """Return the true cuts."""
    return tuple(at for at in range(1, len(shown)) if shown[at][0] is not shown[at - 1][0])


def found(shown: Sequence[Shown], engine: FindEngine, shots: Shots | None, *, every: int) -> dict[str, list[float]]:
    """Segment the subject; return J and F of every few frames of each sequence."""
    scores: dict[str, list[float]] = {}
    scored = {id(record) for video, _ in shown for record in video.frames[1:-1:every]}
    wanted = [index for index, (_, record) in enumerate(shown) if id(record) in scored]
    source = DatasetSource([record for _, record in shown])
    for result in find_subject(source, engine, shots=shots, wanted=wanted):
        video, record = shown[result.frame.index]
        foreground, valid = read_foreground(video, record)
        mask, truth, void = result.labels > 0, foreground > 0.5, ~valid
        both = jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)
        scores.setdefault(video.name, []).append(float(np.mean(both)))
    return scores


def followed(one: Video, other: Video, engine: FollowEngine, *, known: bool) -> tuple[list[float], list[float]]:
    """Follow the object of a sequence through another one in its midst; J before and after, and of no mask within."""
    middle = len(one.frames) // 2
    shown = [*((one, each) for each in one.frames[:middle]), *((other, each) for each in other.frames[:25])]
    shown += [(one, each) for each in one.frames[middle:]]
    source = DatasetSource([record for _, record in shown])
    shots = Shots.cut(source, cuts_of(shown)) if known else Shots(frame_count=len(shown))
    engine = engine.cut_at(shots.cuts)
    engine = engine.within(references_of(source, engine.finder, shots))
    given = {0: {1: read_foreground(*shown[0])[0] > 0.5}}
    own, foreign = [], []
    for result in follow_objects(source, engine, given, memory=DEFAULT_MEMORY, direction="forward"):
        index = result.frame.index
        video, record = shown[index]
        if video is one and index > middle:
            foreground, valid = read_foreground(video, record)
            own.append(jaccard(result.labels > 0, foreground > 0.5, void=~valid))
        elif video is other:
            foreign.append(float(not result.labels.any()))
    return own, foreign


def main() -> None:
    """Print what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--detect", action="store_true", help="count missed cuts and false alarms")
    parser.add_argument("--fades", type=int, nargs="+", help="count the fades of so many frames that are found")
    parser.add_argument("--follow", action="store_true", help="follow objects through another sequence")
    parser.add_argument("--frames", type=int, default=5, help="score every so many frames")
    parser.add_argument("--turn", type=int, nargs="+", default=[1000, 25, 10], help="frames of each sequence in turn")
    parser.add_argument("--videos", type=int, default=1, help="take each so manieth sequence")
    parser.add_argument("--json", type=Path, help="keep the table of glued sequences in this file: see recorded.py")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    dataset = open_dataset(asked.data, subset=asked.subset)[:: asked.videos]
    if asked.detect or asked.fades:
        for line in detect(dataset) if asked.detect else detect_fades(dataset, asked.fades):
            print(line, flush=True)
        return
    model = covos.load_model()
    if asked.follow:
        videos = list(dataset)
        for known in (False, True):
            pairs = zip(videos, [*videos[1:], videos[0]], strict=True)
            told = [followed(one, other, model.follower(), known=known) for one, other in pairs]
            own, foreign = (np.mean([np.mean(each[side]) for each in told]) for side in (0, 1))
            print(
                f"cuts {'known' if known else 'off'}: J after {own:.3f}, frames without a mask within {foreign:.3f}",
                flush=True,
            )
        return
    alone: dict[str, list[float]] = {}
    for video in dataset:
        alone |= found([(video, each) for each in video.frames], model.engine, None, every=asked.frames)
    rows: list[list[str | float]] = [["each alone", report("alone", alone), ""]]
    for turn in asked.turn:
        shown = glued(dataset, turn=turn)
        off = report(f"turns of {turn}, cuts off", found(shown, model.engine, None, every=asked.frames))
        source = DatasetSource([record for _, record in shown])
        cuts = detected([frame.image for frame in source])
        wrong = len(set(cuts) ^ set(cuts_of(shown)))
        scores = found(shown, model.engine, Shots.cut(source, tuple(cuts)), every=asked.frames)
        auto = report(f"turns of {turn}, cuts auto", scores, f"  {len(cuts)} cuts, {wrong} wrong")
        rows.append([f"turns of {turn} frames, {len(cuts_of(shown))} cuts, {wrong} wrong", off, auto])
    columns = ["", "J&F, one shot (`--cuts off`)", "J&F, cuts found"]
    keep(asked.json, asked.subset, columns=columns, rows=rows)


def report(name: str, scores: dict[str, list[float]], more: str = "") -> float:
    """Print the mean over the sequences, and return it."""
    mean = float(np.mean([np.mean(each) for each in scores.values()]))
    print(f"{name:28} J&F {mean:.3f}{more}", flush=True)
    return mean


if __name__ == "__main__":
    main()
