"""Objects that covos finds by itself, measured: object by object, and where each of them is lost.

    python benchmarks/discover.py --data MULTI [--subset val_open] [--sequences NAME] [--show OVERLAYS]
    python benchmarks/discover.py --data DAVIS --subset train --crowds 8      subjects of several sequences in one clip
    python benchmarks/discover.py --staged 10                                 textured shapes: needs no data

For each true object, J of what comes nearest to it, after each step of ``--objects auto``:

    subject   share of the object that lies in the subject, the mean of the frames that are looked at;
    parts     J of the best separate part of the subject, the same mean;
    apart     of the best thing into which the parts are divided;
    tracks    of the best candidate that was ever followed through the frames that are looked at;
    believed  of the best among the candidates that are kept;
    followed  of the best of the objects that are followed at last, in all frames;

then J, F and J&F by the protocol davis2017-unsup, in which each proposal stands for one object.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.api import stream
from covos.core.device import configure_threads
from covos.core.types import ImageArray, LabelArray, MaskArray
from covos.data import open_dataset, read_image, read_labels
from covos.engines import candidates, discover
from covos.engines.candidates import choose_candidates, overlap, share_inside
from covos.evaluation import Evaluation, evaluate
from covos.masks import VOID, draw_overlay, write_label_map
from covos.model import Model, load_model
from covos.models.follow import FollowFeatures
from recorded import keep
from scenes_crowds import crowded
from scenes_staged import staged_clip

SHOWN = 6
"""Frames of a strip."""
STEPS = ("subject", "parts", "apart", "tracks", "believed", "followed")


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """A clip: the folder of its frames, and the names and labels of these."""

    name: str
    folder: Path
    images: Sequence[ImageArray]
    stems: Sequence[str]
    labels: Sequence[LabelArray]


@dataclass(slots=True)
class Seen:
    """All that discovery made of one frame that it looked at, masks at stride 2."""

    subject: MaskArray
    parts: Sequence[MaskArray]
    apart: Sequence[MaskArray]
    tracks: dict[int, MaskArray] = field(default_factory=dict)


class Watched(discover.DiscoveryPass):
    """A pass that keeps what it finds."""

    latest: Watched | None = None

    def _take(
        self, index: int, features: FollowFeatures, standing_out: Tensor, *, divide: discover.Divide | None
    ) -> None:
        Watched.latest = self
        seen = self.__dict__.setdefault("seen", {})
        whole: list[MaskArray] = []
        apart: list[MaskArray] = []

        def split(solid: MaskArray, **settings: int) -> tuple[MaskArray, ...]:
            found = candidates.split(solid, **settings)
            whole.extend(found)
            return found

        def parts(*args: Any, **settings: Any) -> Any:
            found = made(*args, **settings)
            apart.extend(each.mask for each in found)
            return found

        made = discover._parts
        with patch.object(discover, "split", split), patch.object(discover, "_parts", parts):
            super()._take(index, features, standing_out, divide=divide)
        subject = (torch.logit(features.cue_B1HW[0, 0], eps=1e-5).cpu().maximum(standing_out) > 0).numpy()
        seen[index] = Seen(subject, whole, apart, dict(self._recent[-1].tracks))

    @property
    def believed(self) -> set[int]:
        """The candidates that are kept."""
        every = [*self._retired, *self._without_doubles()]
        return {each.id for each in choose_candidates(every, sampled=self._sampled, most=self.most)}


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    model = load_model(options.model, device=options.device)
    print(f"{model.name} and {options.follower}, {model.device}, {model.precision}, {threads} threads")
    rows: list[list[str | float]] = []
    began, frames = time.process_time(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for clip in _clips(options, folder / "frames"):
            steps, labels = _found(clip, model, options)
            frames += len(labels)
            _write(folder / "truth" / clip.name, clip.stems, clip.labels)
            _write(folder / "found" / clip.name, clip.stems, labels)
            rows += [[f"{clip.name} {identity}", *steps[identity]] for identity in sorted(steps)]
            print(f"{clip.name}: {len(steps)} objects, {len(set(np.unique(np.stack(labels))) - {0})} found", flush=True)
            if options.show is not None:
                options.show.mkdir(parents=True, exist_ok=True)
                strip = np.concatenate([_strip(clip.images, each) for each in (clip.labels, labels)])
                cv2.imwrite(str(options.show / f"{clip.name}.png"), strip[..., ::-1])
        spent = time.process_time() - began
        scores = evaluate(folder / "found", folder / "truth", protocol="davis2017-unsup")
    _report(rows, scores, options)
    print(f"{len(rows)} objects, {frames} frames, {1000 * spent / max(frames, 1):.0f} ms of processor time a frame")


def _report(rows: list[list[str | float]], scores: Evaluation, options: argparse.Namespace) -> None:
    for row, each in zip(rows, scores.objects, strict=True):
        row += [each.scores.j.mean, each.scores.f.mean, each.scores.jf]
    means: list[str | float] = ["mean", *(float(np.mean([row[k] for row in rows])) for k in range(1, len(rows[0])))]
    columns = ["object", *STEPS, "J", "F", "J&F"]
    print(f"{columns[0]:28}" + "".join(f"{each:>10}" for each in columns[1:]))
    for row in [*rows, means]:
        print(f"{row[0]:28}" + "".join(f"{value:10.3f}" for value in row[1:]))
    kind = "staged" if options.staged else "crowds" if options.crowds else "multi"
    keep(options.json, kind, columns=columns, rows=[*rows, means])


def _found(clip: Clip, model: Model, options: argparse.Namespace) -> tuple[dict[int, list[float]], list[LabelArray]]:
    """Find the objects of a clip: for each true one what comes nearest to it after each step, and the labels."""
    with patch.object(discover, "DiscoveryPass", Watched):
        results = stream(clip.folder, objects=options.objects, follower=options.follower, model=model)
        labels = [result.labels for result in results]
    watched = Watched.latest
    assert watched is not None, "a clip has frames"
    seen: dict[int, Seen] = watched.__dict__["seen"]
    steps = {}
    for identity in sorted(set(np.unique(np.stack(clip.labels)).tolist()) - {0, VOID}):
        there = [index for index, truth in enumerate(clip.labels) if (truth == identity).any()]
        looked = [(seen[index], _at(clip.labels[index] == identity, seen[index].subject)) for index in seen]
        looked = [(each, truth) for each, truth in looked if truth.any()]
        every = {key for each, _ in looked for key in each.tracks}
        tracks = {
            key: float(np.mean([overlap(each.tracks.get(key, ~truth), truth) for each, truth in looked]))
            for key in every
        }
        ids = set(np.unique(np.stack(labels)).tolist()) - {0}
        followed = [
            float(np.mean([overlap(labels[index] == own, clip.labels[index] == identity) for index in there]))
            for own in ids
        ]
        steps[identity] = [
            float(np.mean([share_inside(truth, each.subject) for each, truth in looked])),
            float(np.mean([_best(each.parts, truth) for each, truth in looked])),
            float(np.mean([_best(each.apart, truth) for each, truth in looked])),
            max(tracks.values(), default=0.0),
            max((tracks[key] for key in watched.believed & every), default=0.0),
            max(followed, default=0.0),
        ]
    return steps, labels


def _best(masks: Sequence[MaskArray], truth: MaskArray) -> float:
    return max((overlap(mask, truth) for mask in masks), default=0.0)


def _at(mask: MaskArray, like: MaskArray) -> MaskArray:
    return cv2.resize(mask.astype(np.uint8), like.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0


def _clips(options: argparse.Namespace, folder: Path) -> Iterator[Clip]:
    if options.staged:
        for number in range(options.staged):
            made = staged_clip(number)
            yield _written(made.name, list(made.images), list(made.labels), folder)
        return
    dataset = open_dataset(options.data, layout="davis")
    videos = list(dataset.subset(options.sequences or dataset.splits[options.subset]))
    if options.crowds:
        for name, images, labels in crowded(videos, count=options.crowds):
            yield _written(name, images, labels, folder)
        return
    for video in videos:
        image = video.frames[0].image
        assert image is not None, "DAVIS has pictures"
        labels = [read_labels(video, record) for record in video.frames]
        images = [read_image(record) for record in video.frames]
        yield Clip(video.name, image.parent, images, [record.stem for record in video.frames], labels)


def _written(name: str, images: Sequence[ImageArray], labels: Sequence[LabelArray], folder: Path) -> Clip:
    own = folder / name
    own.mkdir(parents=True)
    for index, image in enumerate(images):
        cv2.imwrite(str(own / f"{index:05}.png"), image[..., ::-1])
    return Clip(name, own, images, [f"{index:05}" for index in range(len(images))], labels)


def _write(folder: Path, stems: Sequence[str], masks: Sequence[LabelArray]) -> None:
    folder.mkdir(parents=True)
    for stem, mask in zip(stems, masks, strict=True):
        write_label_map(folder / f"{stem}.png", mask)


def _strip(images: Sequence[ImageArray], masks: Sequence[LabelArray]) -> np.ndarray:
    shown = []
    for index in np.linspace(0, len(masks) - 1, SHOWN).round().astype(int):
        mixed = draw_overlay(images[index], masks[index], opacity=2 / 3)
        shown.append(cv2.resize(mixed, (320, round(320 * mixed.shape[0] / mixed.shape[1]))))
    return np.concatenate(shown, axis=1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="root of a DAVIS tree, with object ids unless there are crowds")
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--sequences", nargs="+", help="these only")
    parser.add_argument("--crowds", type=int, default=0, help="so many clips, composed of the sequences")
    parser.add_argument("--staged", type=int, default=0, help="so many staged clips of textured shapes")
    parser.add_argument("--objects", default="auto", type=lambda text: text if text == "auto" else int(text))
    parser.add_argument("--show", type=Path, help="folder for strips of frames, the truth above what is found")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--follower", default="covos-follow")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.data is None and not options.staged:
        parser.error("name a DAVIS tree (--data), or ask for staged clips (--staged)")
    return options


if __name__ == "__main__":
    main()
