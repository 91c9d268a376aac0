"""Measure the calibration of the confidence of followed objects, or fit it.

    python benchmarks/calibration.py --fit [--data PICTURES] [--train DAVIS]     fit it, and write it to the card
    python benchmarks/calibration.py [--data PICTURES] [--word]                  how confidence, J and lost objects go
                                                                                 together
    python benchmarks/calibration.py --davis DAVIS [--ids] [--word]              the same on the val_open sequences

Objects are followed at `QUALITY` from the masks of the first frame through staged clips (`scenes_staged`) of things
cut out of the pictures that are held back from training, or of textured shapes without --data. The fit takes clips of
one seed, and the measures are of another. With --train it takes clips of training sequences of a DAVIS tree, too: a
subject alone, with its own mirror image (`scenes_twins`), and several that touch and pass (`scenes_crowds`). In the
video of one object of --davis it is the foreground; --ids takes each object by itself.

Printed: the expected calibration error, in ten bins, of the confidence in a mask against its J, and the bins; the
precision and recall of empty masks (state occluded or lost) for objects that are out of sight, or whose mask before
the decision had a J below 0.1; and floods (see benchmarks/objects.py). --word has the same of the network's own
estimate, without the fit.
"""

from __future__ import annotations

import argparse
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from torch import Tensor

from covos.core.device import configure_threads
from covos.core.records import write_record
from covos.core.types import Frame, ImageArray, LabelArray, MaskArray, ObjectStatus
from covos.data import FrameRecord, Video, open_collection, open_dataset, read_foreground, read_image, read_labels
from covos.engines.calibration import AGAINST, Calibration, Signals, Weights
from covos.engines.choices import DEFAULT_MEMORY, DEFAULT_REFERENCES
from covos.engines.discover import masks_of
from covos.engines.find import uniform_references
from covos.engines.follow import FollowEngine, at_stride
from covos.engines.follow_pass import FollowPass
from covos.evaluation import jaccard
from covos.masks import VOID, present_ids
from covos.model import load_model
from covos.models.cards import card_path
from covos.models.follow import FollowFeatures
from covos.models.registry import find_follower
from scenes_crowds import Part, crowd, may_join, part_of, twin_of
from scenes_staged import cast_and_ground, staged_clip
from scenes_twins import with_twin

Clip = tuple[ImageArray, LabelArray]
FIT_SEED, TEST_SEED = 11, 12
CLIPS = 8
QUALITY = "balanced"
"""Quality that is followed at: it has one view, so the signals of a pass are all that there are."""
STAGED, ALONE, TWINS, CROWDS, FRAMES = 5, 6, 3, 7, 24
"""Clips of each kind that are fitted, and their frames."""
MOST = 5
"""Things that join a sequence, at most."""
BINS = 10
RIDGE, FEW = 3e-4, 1e-2
"""Weight of the squared distance from the guess; for being out of sight, of which the clips have few cases, more."""
WRONG = 0.1
"""A mask whose J is less is taken for that of another thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An object in a frame, at stride 2 of the encoded size; `own` is of what was found, `jaccard` of what is shown."""

    signals: Signals
    own: float
    visible: bool
    shown: bool
    confidence: float
    jaccard: float
    flooded: bool


def main() -> None:
    """Fit, or measure and print."""
    options = _options()
    configure_threads()
    model = load_model(options.model, device=options.device)
    entry = find_follower(options.follower, encoder=model.entry)
    network = model.follower(options.follower).network  # as the model computes: in its precision
    if options.fit:
        known = Calibration.from_card(entry.card.calibration)
        staged = _staged(options.data, clips=STAGED, seed=FIT_SEED, frames=FRAMES)
        clips = chain(staged, () if options.train is None else _composed(options.train))
        cases = list(_followed(clips, FollowEngine(model.engine.encoder, network, calibration=known)))
        calibration = _fitted(cases)
        write_record(entry.card.model_copy(update={"calibration": asdict(calibration)}), card_path(entry.path))
        print(f"fitted on {len(cases)} masks, written to {card_path(entry.path)}")
        print(json.dumps({"signals": Signals._fields, **asdict(calibration)}))
        return
    ways = {"calibrated": Calibration.from_card(entry.card.calibration)}
    if ways["calibrated"] is None:
        print("the card holds no calibration: --fit makes one")
        del ways["calibrated"]
    if options.word:
        ways["the network's word"] = None
    for name, chosen in ways.items():
        cases = _followed(_measured(options), FollowEngine(model.engine.encoder, network, calibration=chosen))
        _report(name, list(cases))


def fit(
    signals: NDArray[np.float64],
    targets: NDArray[np.float64],
    *,
    start: Weights,
    rising: bool,
    unused: Sequence[str] = (),
    ridge: float = RIDGE,
) -> Weights:
    """Find the weights of a logistic regression, no further from a guess than the data ask for.

    Args:
        signals: N x S, in the order of `Signals`.
        targets: N, in [0, 1].
        start: The guess: what is held to where the data say little.
        rising: If true, what speaks for the mask raises the target, else it lowers it. A weight that would say
            otherwise is 0: beyond the data that it was fitted on, it would mislead.
        unused: Names of signals that get no weight.
        ridge: See `RIDGE`.

    Returns:
        S + 1 numbers.
    """
    x, prior = np.column_stack([signals, np.ones(len(signals))]), np.array(start)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z, away = x @ weights, weights - prior
        entropy = np.logaddexp(0, z) - targets * z
        slope = x.T @ (1 / (1 + np.exp(-z)) - targets) / len(x)
        return float(entropy.mean() + ridge * (away**2).sum()), slope + 2 * ridge * away

    bounds: list[tuple[float | None, float | None]] = [
        (0.0, 0.0) if name in unused else (0.0, None) if rising == (name not in AGAINST) else (None, 0.0)
        for name in Signals._fields
    ]
    found = minimize(loss, prior, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)])
    return tuple(round(float(each), 4) for each in found.x)


def fitted(signals: NDArray[np.float64], jaccard: NDArray[np.float64], visible: NDArray[np.bool_]) -> Calibration:
    """Find the calibration that fits masks whose truth is known.

    Args:
        signals: N x S, in the order of `Signals`.
        jaccard: Jaccard index of each of the N masks.
        visible: N: true where anything of the object was to be seen.
    """
    ones = {name: tuple(float(each == name) for each in (*Signals._fields, "")) for name in Signals._fields}
    return Calibration(
        jaccard=fit(signals, np.where(visible, jaccard, 0.0), start=ones["quality"], rising=True),
        # The quality of what is not to be seen is not taught, so it says nothing there.
        absent=fit(
            signals,
            (~visible).astype(np.float64),
            start=tuple(-each for each in ones["presence"]),
            rising=False,
            unused=("quality",),
            ridge=FEW,
        ),
    )


def _fitted(cases: list[Case]) -> Calibration:
    return fitted(
        np.array([case.signals for case in cases], np.float64),
        np.array([case.own for case in cases]),
        np.array([case.visible for case in cases]),
    )


class RecordingPass(FollowPass):
    """A pass that keeps the signals and logits of the objects that its latest step looked for, shown or not."""

    found: Mapping[int, tuple[Signals, Tensor]] = MappingProxyType({})

    def look(self, features: FollowFeatures) -> tuple[list[Signals], Tensor]:
        """As `FollowPass.look`."""
        signals, logits = super().look(features)
        self.found = dict(zip(self.ids, zip(signals, logits, strict=True), strict=True))
        return signals, logits


def _followed(clips: Iterable[Clip], engine: FollowEngine) -> Iterator[Case]:
    """Follow the objects of each clip as a session does, forward from its first frame."""
    for images, labels in clips:
        smallest = min((float((labels[0] == each).mean()) for each in _ids(labels)), default=1.0)
        sized = engine.at(QUALITY, smallest=smallest)
        encoder = sized.encoder
        chosen = uniform_references(len(images), references=DEFAULT_REFERENCES)
        (references,) = sized.finder.remember(encoder.observe(_frames(images), wanted=chosen))
        bound = sized.within(references)
        follower = RecordingPass(sized.network, memory=DEFAULT_MEMORY, calibration=sized.calibration)
        for observed in encoder.observe(_frames(images)):
            index = observed.frame.index
            with encoder.computing():
                ((_, view),) = bound.encoded([observed])
                cells = view.s2_BCHW.shape[2:]
                truth = {int(each): at_stride(labels[index] == each, cells, encoder.device) for each in _ids(labels)}
                answer = follower.step(index, view, given={} if index else truth)
            if index:
                yield from _cases(masks_of(answer), answer.objects, follower.found, truth)


def _cases(
    shown: dict[int, MaskArray],
    objects: Iterable[ObjectStatus],
    found: Mapping[int, tuple[Signals, Tensor]],
    truth: Mapping[int, Tensor],
) -> Iterator[Case]:
    for status in objects:
        true, mask = (truth[status.id] > 0.5).cpu().numpy(), shown[status.id]
        signals, logit_HW = found[status.id]
        yield Case(
            signals=signals,
            own=jaccard((logit_HW > 0).cpu().numpy(), true),
            visible=bool(true.any()),
            shown=status.state == "present",
            confidence=status.confidence,
            jaccard=jaccard(mask, true),
            flooded=int(mask.sum()) > max(2 * int(true.sum()), true.size // 1000),
        )


def _report(name: str, cases: list[Case]) -> None:
    masks = [case for case in cases if case.shown]
    confidence, reached = np.array([case.confidence for case in masks]), np.array([case.jaccard for case in masks])
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    error = sum(abs((confidence - reached)[bins == k].sum()) for k in range(BINS)) / max(len(masks), 1)
    print(
        f"\n{name}: {len(cases)} object frames, {len(masks)} masks shown, J {np.mean([c.jaccard for c in cases]):.3f}"
    )
    print(f"expected calibration error {error:.3f}")
    for k in range(BINS):
        part = bins == k
        if part.any():
            print(f"  {k / BINS:.1f}-{(k + 1) / BINS:.1f}: {part.sum():5} masks, mean J {reached[part].mean():.3f}")
    wrong = [not case.visible or case.own < WRONG for case in cases]
    empty = [not case.shown for case in cases]
    right = sum(a and b for a, b in zip(wrong, empty, strict=True))
    print(f"empty masks: precision {right / max(sum(empty), 1):.3f}, recall {right / max(sum(wrong), 1):.3f}", end="; ")
    print(f"{sum(wrong)} object frames are out of sight or wrongly found")
    print(f"floods: {sum(case.flooded for case in cases)}")


def _staged(data: Path | None, *, clips: int, seed: int, frames: int = 40) -> Iterator[Clip]:
    cast, ground = (None, None) if data is None else cast_and_ground(open_collection(data))
    for number in range(clips):
        clip = staged_clip(number, cast=cast, ground=ground, seed=seed, frames=frames)
        yield clip.images, clip.labels


def _composed(root: Path) -> Iterator[Clip]:
    """Clips of training sequences: alone, with their own mirror image, and several that touch and pass."""
    dataset = open_dataset(root, layout="davis")
    videos = {video.name: video for video in dataset.subset(dataset.splits["train"])}
    for video in list(videos.values())[:ALONE]:
        alone = part_of(video, frames=40)
        if alone.masks[0].any():
            yield np.stack(alone.images[::2]), np.stack(alone.masks[::2])
    long = [name for name, video in videos.items() if len(video.frames) >= FRAMES]
    joining = [name for name in long if may_join(part_of(videos[name], frames=FRAMES))]
    for number in range(TWINS):
        rng = np.random.default_rng((zlib.crc32(b"calibtwins"), number))
        base, *_ = _drawn(videos, joining, rng=rng)
        yield _stacked(with_twin(base.images, base.masks, rng=rng))
    for number in range(CROWDS):
        rng = np.random.default_rng((zlib.crc32(b"calibcrowds"), number))
        base, *others = _drawn(videos, joining, rng=rng)
        if number % 2:
            others = [twin_of(base), others[0], twin_of(others[0]), *others[1:]][:MOST]
        yield _stacked(crowd(base, others, rng=rng))


def _drawn(videos: Mapping[str, Video], joining: Sequence[str], *, rng: np.random.Generator) -> list[Part]:
    """Draw two to five videos, and a stretch of each."""
    names = rng.choice(joining, 1 + int(rng.integers(1, 5)), replace=False).tolist()
    starts = [int(rng.integers(0, max(len(videos[name].frames) - FRAMES, 0) + 1)) for name in names]
    return [part_of(videos[name], frames=FRAMES, start=start) for name, start in zip(names, starts, strict=True)]


def _stacked(clip: tuple[Sequence[ImageArray], Sequence[LabelArray]]) -> Clip:
    images, labels = clip
    return np.stack(images), np.stack(labels)


def _foreground(video: Video, record: FrameRecord) -> LabelArray:
    return (read_foreground(video, record)[0] > 0.5).astype(np.uint8)


def _measured(options: argparse.Namespace) -> Iterator[Clip]:
    if options.davis is None:
        yield from _staged(options.data, clips=options.clips, seed=TEST_SEED)
        return
    dataset = open_dataset(options.davis, layout="davis")
    for video in dataset.subset(dataset.splits["val_open"]):
        read = read_labels if options.ids else _foreground
        yield (
            np.stack([read_image(record) for record in video.frames]),
            np.stack([read(video, record) for record in video.frames]),
        )


def _frames(images: ImageArray) -> Iterator[Frame]:
    for index, image in enumerate(images):
        yield Frame(index=index, stem=f"{index:05}", image=image, pts=index, time_base=Fraction(1, 25))


def _ids(labels: LabelArray) -> list[int]:
    return [each for each in present_ids(labels[0]) if each != VOID]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the calibration, and write it to the follower's card")
    parser.add_argument("--data", type=Path, help="a set of pictures with masks, or a folder of sets")
    parser.add_argument("--train", type=Path, help="a DAVIS tree, of whose training sequences clips are fitted, too")
    parser.add_argument("--davis", type=Path, help="measure on the val_open sequences of this DAVIS tree")
    parser.add_argument("--ids", action="store_true", help="of --davis take each object by itself")
    parser.add_argument("--word", action="store_true", help="measure the network's own estimate, too")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--follower", default="covos-follow")
    parser.add_argument("--device", default="auto")
    return parser.parse_args()


if __name__ == "__main__":
    main()
