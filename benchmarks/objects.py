"""Several objects in fixed staged clips: how well they are followed, and found, and whether they keep their ids.

    python benchmarks/objects.py                                     textured shapes: needs no data
    python benchmarks/objects.py --data PICTURES [--clips 10]        things cut out of the pictures held back there
    python benchmarks/objects.py --show OVERLAYS                     also write a strip of frames for each clip

In the clips of `scenes_staged` 2 to 4 objects cross, are hidden for a while, leave and come back, or
pass a double of themselves. Measured by the protocols of covos.evaluation, per object:

    covos   the masks of the first frame, followed                                         davis2017-semi
    copy    the masks of the first frame, copied to all frames                             davis2017-semi
    warp    the masks of the first frame, warped along DIS optical flow                    davis2017-semi
    auto    objects that covos finds and follows by itself, at most 10                     davis2017-unsup

with identity switches (see `identity`), and floods: frames in which an object's mask is shown though
the object is out of sight, or covers more than twice its area.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from covos.api import stream
from covos.core.device import configure_threads
from covos.core.types import LabelArray
from covos.data import open_collection
from covos.evaluation import evaluate
from covos.masks import write_label_map
from covos.masks.object_ids import davis_palette
from covos.model import Model, load_model
from follow import warped
from identity import identity_switches
from recorded import keep
from scenes_staged import CLIPS, StagedClip, cast_and_ground, staged_clip

SHOWN = 8
"""Frames of a strip."""


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    model = load_model(options.model, device=options.device)
    print(f"{model.name} and {options.follower}, {model.device}, {model.precision}, {threads} threads")
    cast, ground = (None, None) if options.data is None else cast_and_ground(open_collection(options.data))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        clips = [staged_clip(number, cast=cast, ground=ground) for number in range(options.clips)]
        ways = {"covos": _followed, "copy": _copied, "warp": _warped, "auto": _found}
        made: dict[str, list[list[LabelArray]]] = {way: [] for way in ways}
        for clip in clips:
            _write(folder / "truth" / clip.name, list(clip.labels))
            frames = folder / "frames" / clip.name
            frames.mkdir(parents=True)
            for index, image in enumerate(clip.images):
                cv2.imwrite(str(frames / f"{index:05}.png"), image[..., ::-1])
            for way, make in ways.items():
                made[way].append(list(make(clip, frames, model, options.follower)))
                _write(folder / way / clip.name, made[way][-1])
            if options.show is not None:
                options.show.mkdir(parents=True, exist_ok=True)
                strip = np.concatenate([_strip(clip, made[way][-1]) for way in ("covos", "auto")])
                cv2.imwrite(str(options.show / f"{clip.name}.png"), strip[..., ::-1])
        _report(folder, clips, made, options=options)


def _report(
    folder: Path, clips: list[StagedClip], made: dict[str, list[list[LabelArray]]], *, options: argparse.Namespace
) -> None:
    scores = {
        way: evaluate(folder / way, folder / "truth", protocol="davis2017-unsup" if way == "auto" else "davis2017-semi")
        for way in made
    }
    print(f"{'J&F':20}" + "".join(f"{way:>9}" for way in made))
    for row in zip(*(each.sequences for each in scores.values()), strict=True):
        print(f"{row[0].name:20}" + "".join(f"{each.scores.jf:9.3f}" for each in row))
    print(f"{'all objects: J&F':20}" + "".join(f"{each.scores.jf:9.3f}" for each in scores.values()))
    print(f"{'J':20}" + "".join(f"{each.scores.j.mean:9.3f}" for each in scores.values()))
    print(f"{'F':20}" + "".join(f"{each.scores.f.mean:9.3f}" for each in scores.values()))
    switches = [
        sum(sum(identity_switches(labels, clip.labels).values()) for clip, labels in zip(clips, made[way], strict=True))
        for way in made
    ]
    print(f"{'identity switches':20}" + "".join(f"{count:9}" for count in switches))
    flooded = [
        sum(floods(labels, clip.labels) for clip, labels in zip(clips, made[way], strict=True))
        if way != "auto"
        else "-"
        for way in made
    ]
    print(f"{'floods':20}" + "".join(f"{count:>9}" for count in flooded))
    objects = sum(int(clip.labels.max()) for clip in clips)
    print(f"{len(clips)} clips, {objects} objects, {sum(len(clip.labels) for clip in clips)} frames")
    names = {"covos": "first masks", "copy": "copied", "warp": "warped", "auto": "`--objects auto`"}
    rows: list[list[str | float]] = [
        [names[way], each.scores.jf, each.scores.j.mean, each.scores.f.mean, str(switched), str(flooding)]
        for (way, each), switched, flooding in zip(scores.items(), switches, flooded, strict=True)
    ]
    name = "shapes" if options.data is None else "pictures"
    keep(options.json, name, columns=["", "J&F", "J", "F", "switches", "floods"], rows=rows)


def floods(predictions: list[LabelArray], truths: LabelArray) -> int:
    """Frames, summed over objects, in which a mask covers more than twice its object, or an object out of sight."""
    least = truths[0].size // 1000
    return sum(
        int((labels == identity).sum() > max(2 * int((truth == identity).sum()), least))
        for labels, truth in zip(predictions, truths, strict=True)
        for identity in range(1, int(truths.max()) + 1)
    )


def _followed(clip: StagedClip, frames: Path, model: Model, follower: str) -> Iterator[LabelArray]:
    results = stream(frames, masks=clip.labels[0], direction="forward", follower=follower, model=model)
    yield from (result.labels for result in results)


def _found(clip: StagedClip, frames: Path, model: Model, follower: str) -> Iterator[LabelArray]:
    yield from (result.labels for result in stream(frames, objects="auto", follower=follower, model=model))


def _copied(clip: StagedClip, frames: Path, model: Model, follower: str) -> Iterator[LabelArray]:
    yield from [clip.labels[0]] * len(clip.labels)


def _warped(clip: StagedClip, frames: Path, model: Model, follower: str) -> Iterator[LabelArray]:
    ids = range(1, int(clip.labels.max()) + 1)
    each = [warped((clip.labels[0] == identity).astype(np.uint8), list(clip.images)) for identity in ids]
    for masks in zip(*each, strict=True):
        labels = np.zeros_like(masks[0])
        for identity, mask in zip(ids, masks, strict=True):
            labels[mask > 0] = identity
        yield labels


def _write(folder: Path, masks: list[LabelArray]) -> None:
    folder.mkdir(parents=True)
    for index, mask in enumerate(masks):
        write_label_map(folder / f"{index:05}.png", mask)


def _strip(clip: StagedClip, masks: list[LabelArray]) -> np.ndarray:
    palette = np.array(davis_palette(), np.uint8).reshape(-1, 3)
    shown = []
    for index in np.linspace(0, len(masks) - 1, SHOWN).round().astype(int):
        image, labels = clip.images[index], masks[index]
        mixed = np.where(labels[..., None] > 0, image // 3 + palette[labels] // 3 * 2, image)
        shown.append(mixed[::2, ::2].astype(np.uint8))
    return np.concatenate(shown, axis=1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a set of pictures with masks, or a folder of sets")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--show", type=Path, help="folder for strips of frames, followed above found")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--follower", default="covos-follow")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    return parser.parse_args()


if __name__ == "__main__":
    main()
