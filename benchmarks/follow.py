"""Following the first frame's mask, measured: accuracy beside two baselines, speed by objects, memory by length.

    python benchmarks/follow.py --data DAVIS [--subset val_open] [--sequences camel dog] [--follower FILE]
    python benchmarks/follow.py --data DAVIS --without cue advice target flow memory
    python benchmarks/follow.py --data DAVIS --ids --quality fast balanced best
    python benchmarks/follow.py --data DAVIS --subset train --each 4 --apart 1 2 4
    python benchmarks/follow.py --data DAVIS --subset train --each 8 --twins --without focus
    python benchmarks/follow.py --data DAVIS --ids --sheet FILE.png [--worst 6]
    python benchmarks/follow.py --objects 1 3 10 --lengths 100 2000 [--json FILE]

With --data: J&F of every sequence by the protocol davis2017-semi of covos.evaluation, on the foreground of each
annotation as one object, or with --ids on each object of the first annotation, of

    covos   the first mask, followed;
    copy    the first mask, copied to all frames;
    warp    the first mask, warped from frame to frame along DIS optical flow (Kroeger et al., ECCV 2016; medium
            preset).

With --without: what following loses without one of its helps, one after the other:

    cue     what covos-lite finds: neither an input nor mixed in;
    advice  what covos-lite finds is an input alone;
    target  the linear model of the object;
    flow    the latest masks stay where they were;
    focus   a position reads the whole memory, and the memory speaks everywhere alike;
    around  masks are not brought together with those of the frames around them;
    memory  the frames between the first and the latest.

With --twins: a mirror image of the subject, run backward, crosses it (`scenes_twins`), and both are scored, in the
first 40 frames. Sequences that were trained on tell how two are kept apart, not how well one is seen.

With --quality: beside that, J and F at each quality, the processor time of a frame, decoding too, and the share of the
frames that the networks looked at. With --apart: the same where they look at every so manieth frame of a pass, at these
qualities, or else at `fast`.

With --sheet: the worst frame of each object, those of the lowest J, for people to look at: the truth beside the
prediction, cut out around the object, with its J and its confidence. Nothing else of --data is measured then.

With --objects: processor milliseconds a frame and frames a second of the whole run, decoding too, with so many objects
in the example clip. With --lengths: peak memory of `covos segment --mask` on clips of so many frames, each in a fresh
process.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from unittest.mock import patch

import cv2
import numpy as np
import torch
from PIL import Image

from covos.api import stream
from covos.core.device import configure_threads
from covos.core.types import ImageArray, LabelArray
from covos.data import Video, open_dataset, read_foreground, read_image, read_labels
from covos.engines import advice
from covos.engines.around import Around
from covos.engines.choices import DEFAULT_MEMORY, FOLLOWED_APART, FOLLOWED_IN, Quality
from covos.engines.follow import FollowEngine
from covos.evaluation import Evaluation, evaluate
from covos.evaluation.measures import jaccard
from covos.masks import VOID, contact_sheet, draw_overlay, present_ids, write_label_map
from covos.media.opening import open_source
from covos.model import Model, load_model
from covos.models import follow as network
from covos.runtimes.choice import ChosenRuntime
from recorded import keep
from scenes_twins import with_twin
from segment import COVOS, EXAMPLE, make_clip, run

HELPS = ("cue", "advice", "target", "flow", "focus", "around", "memory")
"""Helps that following can be measured without."""
TWINNED = 40
"""Frames of a clip with twins."""
SHOWN = 560
"""Width of a picture on the sheet."""
LEAST_SHOWN = 0.35
"""Least share of the sides of a frame that a picture on the sheet shows."""


@dataclass(slots=True, kw_only=True, eq=False)
class Way:
    """A way to follow: a quality, at which the networks may look at frames otherwise far apart; and what it took."""

    name: str
    quality: Quality
    apart: int | None = None
    frames: int = 0
    looked: int = 0
    spent: float = 0.0


def main() -> None:
    """Measure and print what is asked for."""
    options = _options()
    threads = configure_threads()
    # The graphs of other runtimes are made once, and nothing can be left out of them.
    runtime: ChosenRuntime = "torch" if options.without else "auto"
    model = load_model(options.model, device=options.device, runtime=runtime)
    print(f"{model.name} and {options.follower}, {model.device}, {model.precision}, {threads} threads")
    with tempfile.TemporaryDirectory() as name:
        if options.sheet is not None:
            _write_sheet(options.sheet, _worst_frames(model, options, Path(name))[: options.worst])
        elif options.data is not None:
            _score(model, options, Path(name))
        for count in options.objects:
            _time(model, count, follower=options.follower)
        for length in options.lengths:
            _weigh(length, options, Path(name))


def _videos(options: argparse.Namespace) -> list[Video]:
    dataset = open_dataset(options.data, layout="davis")
    return list(dataset.subset(options.sequences or dataset.splits[options.subset][:: options.each]))


def _score(model: Model, options: argparse.Namespace, folder: Path) -> None:
    videos = _videos(options)
    if options.apart:
        pairs = product(options.quality or ["fast"], options.apart)
        ways = [Way(name=f"{quality}, one in {apart}", quality=quality, apart=apart) for quality, apart in pairs]
    else:
        ways = [Way(name=name, quality=name) for name in options.quality]
    for video in videos:
        source, images, truth = _clip(video, folder / "frames" / video.name, options)
        first = np.where(truth[0] == VOID, 0, truth[0])
        _write(folder / "truth" / video.name, video, truth)
        _write(folder / "copy" / video.name, video, [first] * len(truth))
        _write(folder / "warp" / video.name, video, _warped_all(first, images))
        for name in (None, *options.without):
            memory = 0 if name == "memory" else DEFAULT_MEMORY
            with without(name):
                results = stream(
                    source,
                    masks=first,
                    direction="forward",
                    memory=memory,
                    follower=options.follower,
                    model=model,
                )
                _write(folder / (name or "covos") / video.name, video, [result.labels for result in results])
        for way in ways:
            with patch.dict(FOLLOWED_APART, {} if way.apart is None else {way.quality: way.apart}):
                began = time.process_time()
                results = stream(
                    source,
                    masks=first,
                    direction="forward",
                    follower=options.follower,
                    model=model,
                    quality=way.quality,
                )
                found = [(result.labels, result.between) for result in results]
                way.spent += time.process_time() - began
            way.frames += len(found)
            way.looked += sum(not between for _, between in found)
            _write(folder / way.name / video.name, video, [labels for labels, _ in found])
    names = ("covos", "copy", "warp", *options.without, *(way.name for way in ways))
    scores = {name: evaluate(folder / name, folder / "truth", protocol="davis2017-semi") for name in names}
    print(f"{'davis2017-semi':20}" + "".join(f"{name:>8}: J     F   J&F" for name in scores))
    for row in zip(*(evaluation.sequences for evaluation in scores.values()), strict=True):
        print(_line(row[0].name, [(each.scores.j.mean, each.scores.f.mean) for each in row]))
    print(_line("mean", [(each.scores.j.mean, each.scores.f.mean) for each in scores.values()]))
    names_of = {"copy": "copied", "warp": "warped"}
    sequences = zip(*(evaluation.sequences for evaluation in scores.values()), strict=True)
    rows: list[list[str | float]] = [[row[0].name, *(each.scores.jf for each in row)] for row in sequences]
    rows.append(["mean", *(each.scores.jf for each in scores.values())])
    columns = ["J&F", *(names_of.get(name, name) for name in scores)]
    if ways:
        _report_ways(options, {way: scores[way.name] for way in ways})
    else:
        name = "twins" if options.twins else "without" if options.without else "davis"
        keep(options.json, name, columns=columns, rows=rows)


def _report_ways(options: argparse.Namespace, scores: dict[Way, Evaluation]) -> None:
    rows: list[list[str | float]] = []
    for way, each in scores.items():
        took, looked, found = 1000 * way.spent / way.frames, way.looked / way.frames, each.scores
        name, numbers = way.name, f"J {found.j.mean:.3f}  F {found.f.mean:.3f}  J&F {found.jf:.3f}"
        print(f"{name:10} {numbers}  {looked:4.0%} of the frames looked at  {took:4.0f} ms a frame")
        rows.append([name, found.jf, found.j.mean, found.f.mean, f"{looked:.0%}", f"{took:.0f} ms"])
    columns = ["quality", "J&F", "J", "F", "frames looked at", "processor time of a frame"]
    kept = "apart" if options.apart else "quality"
    keep(options.json, f"{kept}_ids" if options.ids else kept, columns=columns, rows=rows)


@contextmanager
def without(name: str | None) -> Iterator[None]:
    """Follow without one of the helps, in the block."""
    with ExitStack() as stack:
        if name == "cue":
            stack.enter_context(patch.object(FollowEngine, "within", lambda engine, references: engine))
        elif name == "advice":
            stack.enter_context(patch.object(advice, "ADVICE", 0.0))
        elif name == "target":
            unknown = lambda model, fit, owner: torch.zeros(len(owner), fit.shape[1])  # noqa: E731 - a stand-in
            stack.enter_context(patch.object(network, "score", unknown))
        elif name == "focus":
            stack.enter_context(patch.object(network, "focused", lambda affinity, cells: None))
        elif name == "around":
            begin = Around.__init__
            stack.enter_context(patch.object(Around, "__init__", lambda around, *_: begin(around, 0, 0)))
        elif name == "flow":
            still = lambda engine, batch, encoded, **_: torch.zeros(len(batch), 2, *encoded.s4_BCHW.shape[2:])  # noqa: E731
            stack.enter_context(patch.object(FollowEngine, "_flow", still))
        yield


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A frame in which an object was followed badly."""

    name: str
    identity: int
    j: float
    confidence: float
    image: ImageArray
    truth: LabelArray
    labels: LabelArray


def _worst_frames(model: Model, options: argparse.Namespace, folder: Path) -> list[Missed]:
    """The worst frame of each object, the worst first: others of an object show much the same."""
    worst: dict[tuple[str, int], Missed] = {}
    for video in _videos(options):
        source, images, truth = _clip(video, folder / "frames" / video.name, options)
        first = np.where(truth[0] == VOID, 0, truth[0])
        results = stream(source, masks=first, direction="forward", follower=options.follower, model=model)
        for result, image, own in zip(results, images, truth, strict=True):
            confidence = {each.id: each.confidence for each in result.objects}
            for identity in present_ids(first):
                j = jaccard(result.labels == identity, own == identity)
                if (video.name, identity) in worst and worst[video.name, identity].j <= j:
                    continue
                worst[video.name, identity] = Missed(
                    name=f"{video.name} {result.frame.stem}",
                    identity=identity,
                    j=j,
                    confidence=confidence[identity],
                    image=image,
                    truth=own,
                    labels=result.labels,
                )
    return sorted(worst.values(), key=lambda each: each.j)


def _write_sheet(path: Path, worst: list[Missed]) -> None:
    """A row a frame: truth and prediction, of the part of the frame that has the object in one of them."""
    cells, captions = [], []
    for each in worst:
        print(f"{each.name}, object {each.identity}: J {each.j:.3f}, confidence {each.confidence:.2f}")
        part = _around((each.truth == each.identity) | (each.labels == each.identity))
        truth = np.where(each.truth == VOID, 0, each.truth)
        cells += [draw_overlay(each.image, labels)[part] for labels in (truth, each.labels)]
        captions += [
            f"{each.name}, object {each.identity}: truth",
            f"J {each.j:.3f}, confidence {each.confidence:.2f}",
        ]
    Image.fromarray(contact_sheet(cells, columns=2, cell_width=SHOWN, captions=captions)).save(path)


def _around(mask: np.ndarray) -> tuple[slice, slice]:
    """The rows and columns around a mask, in the shape of the frame."""
    if not mask.any():
        return slice(None), slice(None)
    spans = [np.flatnonzero(mask.any(axis)) for axis in (1, 0)]
    share = max(1.3 * (at[-1] + 1 - at[0]) / side for at, side in zip(spans, mask.shape, strict=True))
    share = min(max(share, LEAST_SHOWN), 1.0)
    slices = []
    for at, side in zip(spans, mask.shape, strict=True):
        length = round(share * side)
        start = min(max((int(at[0] + at[-1]) - length) // 2, 0), side - length)
        slices.append(slice(start, start + length))
    return slices[0], slices[1]


def warped(first: LabelArray, images: list[ImageArray]) -> Iterator[LabelArray]:
    """The first mask, carried on by the flow from each frame back to the one before it."""
    flow_of = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in images]
    y, x = np.indices(first.shape, dtype=np.float32)
    # As a matte: resampling a mask of 0 and 1 in each frame would wear its contour away.
    matte = first.astype(np.float32)
    yield first
    for before, now in pairwise(grey):
        flow = flow_of.calc(now, before, None)
        matte = cv2.remap(matte, x + flow[..., 0], y + flow[..., 1], cv2.INTER_LINEAR)
        yield (matte > 0.5).astype(np.uint8)


def _warped_all(first: LabelArray, images: list[ImageArray]) -> list[LabelArray]:
    """Each object of the first mask, carried on by the flow; where two meet, the one of the higher id is on top."""
    labels = [np.zeros_like(first) for _ in images]
    for identity in np.unique(first[first > 0]):
        for own, mask in zip(labels, warped((first == identity).astype(np.uint8), images), strict=True):
            own[mask > 0] = identity
    return labels


def _clip(video: Video, folder: Path, options: argparse.Namespace) -> tuple[Path, list[ImageArray], list[LabelArray]]:
    """The folder of a video's frames, the frames, and their labels; with --twins they are made."""
    images, truth = [read_image(each) for each in video.frames], _truth(video, ids=options.ids)
    if not options.twins:
        image = video.frames[0].image
        assert image is not None, "DAVIS has pictures"
        return image.parent, images, truth
    rng = np.random.default_rng(zlib.crc32(video.name.encode()))
    images, truth = with_twin(images[:TWINNED], truth[:TWINNED], rng=rng)
    folder.mkdir(parents=True)
    for index, each in enumerate(images):
        cv2.imwrite(str(folder / f"{index:05}.png"), each[..., ::-1])
    return folder, images, truth


def _truth(video: Video, *, ids: bool) -> list[LabelArray]:
    if ids:
        return [read_labels(video, record) for record in video.frames]
    return [(read_foreground(video, record)[0] > 0.5).astype(np.uint8) for record in video.frames]


def _write(folder: Path, video: Video, masks: list[LabelArray]) -> None:
    folder.mkdir(parents=True)
    for record, mask in zip(video.frames[: len(masks)], masks, strict=True):
        write_label_map(folder / f"{record.stem}.png", mask)


def _line(name: str, scores: list[tuple[float, float]]) -> str:
    return f"{name:20}" + "".join(f"{'':6}{j:6.3f}{f:6.3f}{(j + f) / 2:6.3f}" for j, f in scores)


def _time(model: Model, count: int, *, follower: str) -> None:
    with open_source(EXAMPLE) as source:
        labels = blocks(count, height=source.info.height, width=source.info.width)
        results = stream(EXAMPLE, masks=labels, direction="forward", follower=follower, model=model)
        next(results)  # the networks are loaded, and the first batch is done
        began, busy = time.perf_counter(), time.process_time()
        rest = sum(1 for _ in results)
        seconds, busy = time.perf_counter() - began, time.process_time() - busy
        size = f"{source.info.width}x{source.info.height}"
    # Of the first batch, only the first frame was taken.
    frames = rest - model.engine.encoder.batch + 1
    print(
        f"{count:3} objects: {1000 * busy / frames:4.0f} processor ms a frame, {frames / seconds:5.1f} frames a second "
        f"of {size}"
    )


def _weigh(length: int, options: argparse.Namespace, folder: Path) -> None:
    clip, mask = folder / f"{length}.mp4", folder / "first.png"
    make_clip(clip, length)
    write_label_map(mask, blocks(1, height=480, width=854))
    command = [*COVOS, "segment", str(clip), "-o", str(folder / f"out-{length}"), "-f", "palette"]
    command += ["--mask", str(mask), "--follower", options.follower, "-m", options.model, "--device", options.device]
    seconds, peak = run(command)
    print(f"{length:5} frames of 854x480, 1 object: peak {peak:5.0f} MiB, {length / seconds:.1f} frames a second")


def blocks(count: int, *, height: int, width: int) -> LabelArray:
    """So many squares in a row across the middle, ids from 1."""
    labels = np.zeros((height, width), np.uint8)
    side = min(height // 3, int(0.8 * width / count))
    for index in range(count):
        left = int((index + 0.5) * width / count) - side // 2
        top = (height - side) // 2
        labels[top : top + side, left : left + side] = index + 1
    return labels


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="root of a DAVIS tree")
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--sequences", nargs="+", help="these only")
    parser.add_argument("--each", type=int, default=1, help="every so many-th sequence")
    parser.add_argument("--twins", action="store_true", help="a mirror image of the subject crosses it")
    parser.add_argument("--ids", action="store_true", help="score each object of the first annotation by itself")
    parser.add_argument("--quality", nargs="+", default=[], choices=tuple(FOLLOWED_IN), help="qualities to compare")
    parser.add_argument(
        "--apart", nargs="+", type=int, default=[], help="frames from one that is looked at to the next"
    )
    parser.add_argument("--without", nargs="+", default=[], choices=HELPS)
    parser.add_argument("--sheet", type=Path, help="write the worst frames here, a picture; measure nothing else")
    parser.add_argument("--worst", type=int, default=6, help="frames on the sheet")
    parser.add_argument("--objects", nargs="+", type=int, default=[], help="numbers of objects to time")
    parser.add_argument("--lengths", nargs="+", type=int, default=[], help="numbers of frames to take the memory of")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--follower", default="covos-follow")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.sheet is not None and options.data is None:
        parser.error("--sheet shows frames of --data")
    return options


if __name__ == "__main__":
    main()
