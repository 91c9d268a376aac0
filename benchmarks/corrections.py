"""The worth of corrections: J of all frames after each round of clicks, and the frames that a round made worse.

    python benchmarks/corrections.py --data DAVIS [--subset val_open] [--sequences breakdance dog] [--every 2]
    python benchmarks/corrections.py --data DAVIS --objects ids          each object of the first annotation by itself
    python benchmarks/corrections.py --staged 10                         textured shapes of `scenes_staged`: no data
    python benchmarks/corrections.py --staged 10 --data PICTURES         things cut out of the pictures held back there
    python benchmarks/corrections.py --data DAVIS --subset train --each 8 --twins      see `scenes_twins`
    python benchmarks/corrections.py --data DAVIS --subset train --crowds 12 --every 2 see `scenes_crowds`

The objects are shown by the annotation of the first frame and followed. Then a simulated user corrects three times: of
the mask with the lowest J, up to three clicks are given, each in the middle of the largest region of error, positive
or negative (`covos.evaluation.clicks`), until its J is 0.95, and the session follows again from all that was given.
Printed, for each sequence, after each round:

    J       mean over the objects and the frames behind the first;
    worse   masks whose J fell by more than 0.02 in that round, and their share; a mask is of one object in one frame;
    at      the frame that was clicked, its J before the clicks, and with the mask that came of them.

The means of J are over the sequences, the shares over all masks. With --whole, each new answer is taken as it is, as if
there had been none before it. With --page, the clicks and tracks are those of the page: a track goes both ways from the
clicked frame, and no two answers of a frame are fused.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np

from corrections_page import PageSession
from covos.core.device import configure_threads
from covos.core.errors import UsageError
from covos.core.types import ImageArray, LabelArray, MaskArray
from covos.data import Video, open_collection, open_dataset, read_foreground, read_image, read_labels
from covos.evaluation import jaccard
from covos.evaluation.clicks import next_click
from covos.masks import VOID, objects_in
from covos.masks.frame_mask import FrameMask
from covos.model import Model, load_model
from covos.plan import Plan
from covos.serve.spreading import Spreading
from covos.sessions.following import Following
from follow import TWINNED
from recorded import keep
from scenes_crowds import crowded
from scenes_staged import cast_and_ground, staged_clip
from scenes_twins import with_twin

ROUNDS = 3
CLICKS = 3
"""Clicks of a round, at most."""
CONTENT = 0.95
"""J from which a user sees nothing that is wrong, and clicks no more."""
WORSE = 0.02
"""Fall of J from which a mask counts as worse."""

Place = tuple[int, int]
"""Index of a frame, and id of an object."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round: J by frame and object, and the mask that was clicked, with its J before and after the clicks."""

    scores: Mapping[Place, float]
    clicked: tuple[Place, float, float] | None

    @property
    def mean(self) -> float:
        """Mean J of all masks but those of the first frame, which was given."""
        return float(np.mean([j for (frame, _), j in self.scores.items() if frame]))


@dataclass(slots=True, kw_only=True)
class Clip:
    """A sequence: its truth as label maps, void included, and the rounds that were gone."""

    name: str
    truth: Sequence[LabelArray]
    rounds: list[Round] = field(default_factory=list)


def main() -> None:
    """Measure and print."""
    options = _options()
    threads = configure_threads()
    model = load_model(options.model, device=options.device)
    print(f"{model.name} and {options.follower}, {model.device}, {model.precision}, {threads} threads")
    clips = []
    with ExitStack() as stack:
        if options.whole:
            stack.enter_context(patch.object(Following, "correct", lambda *_: None))
            stack.enter_context(patch.object(Spreading, "_known", lambda *_: None))
        for name, images, truth in _sequences(options):
            clips.append(_corrected(name, images, truth, model, options))
            print("\n".join(_lines(clips[-1])), flush=True)
    means: list[str | float] = ["J"]
    shares: list[str | float] = ["masks that became worse", ""]
    for number in range(1 + ROUNDS):
        fallen = sum(len(_worse(clip, number)) for clip in clips)
        masks = sum(len(clip.rounds[number].scores) for clip in clips)
        mean = np.mean([clip.rounds[number].mean for clip in clips])
        means.append(float(mean))
        shares += [f"{100 * fallen / masks:.1f} %"] if number else []
        print(
            f"{'all':22} round {number}   J {mean:.3f}" + f"   worse {fallen:4} ({fallen / masks:.1%})" * (number > 0)
        )
    columns = ["", "first mask", *(f"round {number + 1}" for number in range(ROUNDS))]
    made = [each for each in ("staged", "twins", "crowds") if getattr(options, each)]
    name = made[0] if made else f"{options.subset}_{options.objects}"
    name += "_page" * options.page + "_whole" * options.whole
    keep(options.json, name, columns=columns, rows=[means, shares])


def _sequences(options: argparse.Namespace) -> Iterator[tuple[str, Sequence[ImageArray], Sequence[LabelArray]]]:
    """Give the name, the frames and the truth of each sequence."""
    if options.staged:
        cast, ground = (None, None) if options.data is None else cast_and_ground(open_collection(options.data))
        for number in range(options.staged):
            clip = staged_clip(number, cast=cast, ground=ground)
            yield clip.name, clip.images, clip.labels
        return
    dataset = open_dataset(options.data, layout="davis")
    videos = dataset.subset(options.sequences or dataset.splits[options.subset][:: options.each])
    if options.crowds:
        for name, images, labels in crowded(videos, count=options.crowds):
            yield name, images[:: options.every], labels[:: options.every]
        return
    for video in videos:
        places = range(0, len(video.frames), options.every)[: TWINNED if options.twins else None]
        images = [read_image(video.frames[place]) for place in places]
        if options.objects == "ids":
            truth = [read_labels(video, video.frames[place]) for place in places]
        else:
            truth = [_foreground(video, place) for place in places]
        if options.twins:
            images, truth = with_twin(images, truth, rng=np.random.default_rng(zlib.crc32(video.name.encode())))
        yield video.name, images, truth


def _corrected(
    name: str,
    images: Sequence[ImageArray],
    truth: Sequence[LabelArray],
    model: Model,
    options: argparse.Namespace,
) -> Clip:
    clip = Clip(name=name, truth=truth)
    with ExitStack() as stack:
        if options.page:
            plan = Plan(source=name, model=options.model, device=options.device)
            folder = Path(stack.enter_context(TemporaryDirectory())) / "clip"
            folder.mkdir()
            frames = open_dataset(options.data, layout="davis").subset([name])[0].frames[0].image.parent
            session: Any = PageSession(frames, every=options.every, plan=plan, folder=folder)
        else:
            session = stack.enter_context(model.session(list(images), follower=options.follower))
        session.add_labels(0, labels=np.where(truth[0] == VOID, 0, truth[0]))
        for number in range(1 + ROUNDS):
            clicked = _click_worst(session, clip) if number else None
            frames = session.propagate(options.direction).frames
            clip.rounds.append(Round(scores=scores_of(frames, truth), clicked=clicked))
    return clip


def _click_worst(session: Any, clip: Clip) -> tuple[Place, float, float]:
    """Correct the mask with the lowest J; return its place, and its J before and after the clicks."""
    scores = clip.rounds[-1].scores
    shown = {place: j for place, j in scores.items() if place[0] and (clip.truth[place[0]] == place[1]).any()}
    frame, identity = worst = min(shown, key=lambda place: shown[place])
    labels = clip.truth[frame]
    truth, void = labels == identity, labels == VOID
    mask: MaskArray = session.preview(frame) == identity
    for _ in range(CLICKS):
        point = next_click(mask, truth, void=void)
        if point is None or jaccard(mask, truth, void=void) >= CONTENT:
            break
        try:
            mask = session.add_points(frame, identity, points=[(point.x, point.y)], labels=[int(point.positive)]).mask
        except UsageError:  # the click would leave nothing of the object: the user stays with the mask before
            break
    return worst, scores[worst], jaccard(mask, truth, void=void)


def scores_of(frames: Sequence[FrameMask], truth: Sequence[LabelArray]) -> dict[Place, float]:
    """J of each object of the first annotation, in all frames."""
    return {
        (frame.index, identity): jaccard(frame.labels == identity, labels == identity, void=labels == VOID)
        for frame, labels in zip(frames, truth, strict=True)
        for identity in objects_in(np.where(truth[0] == VOID, 0, truth[0]))
    }


def worse_places(before: Mapping[Place, float], after: Mapping[Place, float]) -> list[Place]:
    """The masks whose J fell by more than `WORSE`."""
    return [place for place, j in after.items() if j < before[place] - WORSE]


def _worse(clip: Clip, number: int) -> list[Place]:
    return worse_places(clip.rounds[number - 1].scores, clip.rounds[number].scores) if number else []


def _lines(clip: Clip) -> Iterator[str]:
    for number, each in enumerate(clip.rounds):
        line = f"{clip.name:22} round {number}   J {each.mean:.3f}"
        if each.clicked is not None:
            fallen = len(_worse(clip, number))
            line += f"   worse {fallen:4} ({fallen / len(each.scores):.1%})"
            (frame, identity), before, after = each.clicked
            line += f"   at {frame}:{identity}, J {before:.3f} to {after:.3f}"
        yield line


def _foreground(video: Video, index: int) -> LabelArray:
    subject, valid = read_foreground(video, video.frames[index])
    return np.where(valid, subject > 0.5, VOID).astype(np.uint8)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="root of a DAVIS tree; with --staged, sets of pictures with masks")
    parser.add_argument("--staged", type=int, default=0, metavar="CLIPS", help="so many staged clips instead")
    parser.add_argument("--twins", action="store_true", help="with mirror images of the subjects, 40 frames")
    parser.add_argument("--crowds", type=int, default=0, metavar="CLIPS", help="so many clips composed of sequences")
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--sequences", nargs="+", help="these only")
    parser.add_argument("--each", type=int, default=1, help="take every so manieth sequence")
    parser.add_argument("--objects", choices=["foreground", "ids"], default="foreground", help="as one, or each")
    parser.add_argument("--every", type=int, default=1, help="take every so many frames of a sequence")
    parser.add_argument("--direction", choices=["auto", "forward"], default="auto", help="forward fuses nothing")
    parser.add_argument("--page", action="store_true", help="through the page's own path; with --data alone")
    parser.add_argument("--whole", action="store_true", help="nothing stays of the answer before a correction")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--follower", default="covos-follow")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    if options.data is None and not options.staged:
        parser.error("name the data (--data), or take staged clips (--staged 10)")
    if options.page and (options.staged or options.twins or options.crowds):
        parser.error("the page reads its frames from files (--data)")
    return options


if __name__ == "__main__":
    main()
