"""How well things that touch are told apart, frame by frame, and if one thing stays one.

    python benchmarks/apart.py --data DAVIS MULTI [--subset val_open] [--every 10]
    python benchmarks/apart.py --pictures PICTURES        images/NAME.*, masks/NAME.png with ids
    python benchmarks/apart.py --touching ROOT            one subject alone, several in a row: scenes_touching.py
    python benchmarks/apart.py --crowds DAVIS             clips that are composed of its training sequences

The true objects of a frame are made one mask. `covos.engines.apart.Divider` divides its separate parts, as ``--objects
auto`` does. J is that of the pieces with the objects, each piece for one object at most, the mean over the objects;
beside it stand the pieces and the objects of a frame. *Undivided* takes the parts as they are. In frames of one object
each further piece is a mistake. ``--together`` tries other thresholds, ``--prompter`` other weights of covos-prompt.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from covos.core.device import configure_threads
from covos.core.types import Frame, ImageArray, LabelArray, MaskArray
from covos.data import FrameRecord, Video, open_dataset, read_foreground, read_image, read_labels
from covos.engines import apart
from covos.engines.apart import Divider
from covos.engines.candidates import overlap, split
from covos.engines.choices import DEFAULT_QUALITY
from covos.engines.discover import LEAST, REACH
from covos.engines.motion import Observed
from covos.masks import VOID, read_label_map
from covos.model import load_model
from covos.models.prompt import PromptFeatures
from covos.models.registry import DEFAULT_FOLLOWER
from recorded import keep
from scenes_crowds import crowded
from scenes_touching import touching_frames

SMALLEST = 0.004
"""Share of the frame from which an object counts."""
OF_A_CROWD = (0, 14, 28)
"""Frames that are taken of a crowd."""


@dataclass(slots=True)
class Tally:
    """Results of one set of frames."""

    j: list[float] = field(default_factory=list)
    pieces: list[int] = field(default_factory=list)
    objects: list[int] = field(default_factory=list)

    def add(self, pieces: Sequence[MaskArray], objects: Sequence[MaskArray]) -> None:
        """Score the pieces of a frame."""
        every = np.array([[overlap(piece, each) for piece in pieces] for each in objects])
        rows, columns = linear_sum_assignment(-every)
        best = np.zeros(len(objects))
        best[rows] = every[rows, columns]
        self.j += best.tolist()
        self.pieces.append(len(pieces))
        self.objects.append(len(objects))


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """A frame: what all questions on it share, its objects, and the separate parts of their union, at stride 2.

    Things of fewer than ``least`` cells are not told apart.
    """

    kind: str
    features: PromptFeatures
    objects: list[MaskArray]
    parts: tuple[MaskArray, ...]
    least: int


def main() -> None:
    """Measure and print."""
    options = options_of(__doc__)
    divider, frames = truths(options)
    tallies: dict[str, dict[str, Tally]] = {}
    for truth in frames:
        rows = tallies.setdefault(truth.kind, {})
        rows.setdefault("undivided", Tally()).add(truth.parts, truth.objects)
        for together in options.together:
            apart.TOGETHER = together
            pieces = [
                piece for part in truth.parts for piece in divider.divide(truth.features, part, least=truth.least)
            ]
            rows.setdefault(f"{together:.2f}", Tally()).add(pieces, truth.objects)
    table: list[list[str | float]] = []
    for name, rows in tallies.items():
        for row, tally in rows.items():
            means = [float(np.mean(each)) for each in (tally.j, tally.pieces, tally.objects)]
            table.append([name, row, *means])
            print(f"{name:24}{row:>10}  J {means[0]:.3f}, {means[1]:.1f} pieces of {means[2]:.1f} objects a frame")
    keep(
        options.json,
        "apart",
        columns=["frames", "together", "J", "pieces", "objects"],
        rows=table,
        digits=[0, 0, 3, 1, 1],
    )


def truths(options: argparse.Namespace) -> tuple[Divider, Iterator[Truth]]:
    """Return what divides, and the frames that are asked for, as ``--objects auto`` looks at them."""
    configure_threads()
    model = load_model(options.model, device=options.device)
    encoder = model.follower(DEFAULT_FOLLOWER).discovering(DEFAULT_QUALITY).encoder
    divider = model.prompter(options.prompter).divider(encoder.ladder)
    assert divider is not None, "the weights of covos-prompt are not there"

    def frames() -> Iterator[Truth]:
        for kind, image, labels in _frames(options):
            frame = Frame(index=0, stem="", image=image, pts=0, time_base=Fraction(1, 25))
            features = divider.project(encoder.encode([Observed(frame=frame, motion=None)]))
            height, width = (int(side) for side in features.s2_BCHW.shape[2:])
            least = round(LEAST * height * width)
            objects = [_small(labels == each, (width, height)) for each in sorted({*np.unique(labels)} - {0, VOID})]
            objects = [each for each in objects if each.mean() > SMALLEST]
            if objects:
                parts = split(np.logical_or.reduce(objects), least=least, gap=round(REACH * width))
                yield Truth(kind, features, objects, parts, least)

    return divider, frames()


def _small(mask: MaskArray, size: tuple[int, int]) -> MaskArray:
    return np.asarray(cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.5, np.bool_)


def _frames(options: argparse.Namespace) -> Iterator[tuple[str, ImageArray, LabelArray]]:
    for path in sorted((options.pictures / "images").iterdir()) if options.pictures is not None else ():
        image = cv2.imread(str(path))
        assert image is not None, path
        labels = read_label_map(options.pictures / "masks" / f"{path.stem}.png")
        yield options.pictures.name, np.ascontiguousarray(image[..., ::-1]), labels
    if options.touching is not None:
        yield from touching_frames(options.touching, options.sets, count=options.frames)
    if options.crowds is not None:
        yield from _crowds(options)
    for root in options.data:
        dataset = open_dataset(root, layout="davis")
        for video in dataset.subset(dataset.splits[options.subset]):
            for record in video.frames[:: options.every]:
                yield video.name, read_image(record), _labels(video, record)


def _crowds(options: argparse.Namespace) -> Iterator[tuple[str, ImageArray, LabelArray]]:
    dataset = open_dataset(options.crowds, layout="davis")
    videos = dataset.subset(dataset.splits["train"])
    for _, images, labels in crowded(videos, count=options.frames // len(OF_A_CROWD)):
        yield from (("crowds", images[index], labels[index]) for index in OF_A_CROWD)


def _labels(video: Video, record: FrameRecord) -> LabelArray:
    """Read the ids of a frame; a subject without ids is object 1."""
    if video.encoding == "ids":
        return read_labels(video, record)
    return (read_foreground(video, record).probability > 0.5).astype(np.uint8)


def options_of(description: str | None) -> argparse.Namespace:
    """Read the command line: the frames, and what divides them."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="roots of DAVIS trees")
    parser.add_argument("--pictures", type=Path, help="folder with images/ and masks/ (object ids)")
    parser.add_argument("--touching", type=Path, help="folder of data sets of pictures")
    parser.add_argument("--crowds", type=Path, help="root of a DAVIS tree")
    parser.add_argument("--sets", nargs="+", default=["ccp", "horses", "humans"], help="data sets of --touching")
    parser.add_argument("--frames", type=int, default=40, help="of each kind, of --touching and --crowds")
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--every", type=int, default=10, help="take every so many frames")
    parser.add_argument("--together", nargs="+", type=float, default=[apart.TOGETHER])
    parser.add_argument("--prompter", default="auto")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if not options.data and all(each is None for each in (options.pictures, options.touching, options.crowds)):
        parser.error("name frames: --data, --pictures, --touching or --crowds")
    return options


if __name__ == "__main__":
    main()
