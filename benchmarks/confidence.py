"""Would a fitted confidence of a found subject know more than that of the report? Fitted on clips, measured on others.

    python benchmarks/confidence.py --data PICTURES [--davis DAVIS] [--clips 24]

The report's confidence is the J that the mask would have if the network's probabilities were right. Here logistic
regressions estimate J from it and from more: the overlap of the output with that of the still-image head, the match of
the mask's positions with the references, how much more moves inside the mask than outside, the mask's share of the
frame, and if it touches the border. They are fitted on clips made of pictures that no training draws: staged clips
(`scenes_staged`; the subject is all that moves), composed ones (`scenes_composed`), and plain pictures under a moving
camera. Measured is on such clips of another seed, and on val_open of DAVIS (``--davis``, every fifth frame). References
are left out. Printed is what `benchmarks/quality.py` says of a confidence, for each set and each choice of signals.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from covos.core.device import configure_threads
from covos.core.types import Frame, FrameResult, ImageArray, MaskArray
from covos.data import Dataset, open_collection, open_dataset, read_foreground, read_image
from covos.engines.choices import DEFAULT_REFERENCES
from covos.engines.find import uniform_references
from covos.engines.motion import MotionArray
from covos.evaluation import jaccard
from covos.model import Model, load_model
from covos.models.lite import CovosLite
from covos.training.pools import only_held_back
from covos.training.scenes.windows import draw_camera, seen_with_masks
from quality import Numbers, confidence_lines
from scenes_composed import compose_clips
from scenes_staged import cast_and_ground, staged_clip

FIT_SEED, TEST_SEED = 11, 12
SIZE = (256, 448)
FRAMES = 8
RIDGE = 1e-3


class Signals(NamedTuple):
    """The facts about a frame's mask."""

    decided: float
    """Logit of the report's confidence."""
    agreement: float
    match: float
    moving: float
    area: float
    """The log of the share of the frame."""
    border: float


CHOICES: dict[str, tuple[str, ...]] = {
    "scale alone": ("decided",),
    "and still image": ("decided", "agreement"),
    "and match": ("decided", "match"),
    "and motion": ("decided", "moving"),
    "all signals": Signals._fields,
}

Clip: TypeAlias = tuple[str, Sequence[Frame], Sequence[MaskArray], Sequence[int]]
"""Name, frames, truth of each, and the positions that are measured."""


class Case(NamedTuple):
    """A frame that was measured."""

    clip: str
    signals: Signals
    confidence: float
    j: float


class Watcher:
    """Finds the subject of clips and notes what the network knew of each frame."""

    def __init__(self, model: Model) -> None:
        network = model.network
        if not isinstance(network, CovosLite):
            raise SystemExit(f"{model.name} is not a covos-lite")
        self.engine = model.engine
        self._still = self._match = torch.zeros(())
        network.still.register_forward_hook(self._see_still)
        network.coattention.register_forward_hook(self._see_match)

    def _see_still(self, _module: Any, _inputs: Any, logit_B1HW: torch.Tensor) -> None:
        self._still = logit_B1HW

    def _see_match(self, _module: Any, _inputs: Any, readout: Any) -> None:
        self._match = readout.match_B1HW

    def cases(self, clip: Clip) -> Iterator[Case]:
        """Measure some frames of a clip; a reference is not encoded again, so it is left out."""
        name, frames, truth, positions = clip
        encoder = self.engine.encoder
        chosen = {frames[k].index for k in uniform_references(len(frames), references=DEFAULT_REFERENCES)}
        known = self.engine.remember(encoder.observe(frames, wanted=chosen))
        wanted = {frames[k].index: truth[k] for k in positions if frames[k].index not in chosen}
        for observed in encoder.observe(frames, wanted=wanted):
            (result,) = self.engine.stream([observed], known)
            j = jaccard(result.labels > 0, wanted[observed.frame.index])
            yield Case(name, self._signals(result, observed.motion), result.confidence, j)

    def _signals(self, result: FrameResult, motion: MotionArray | None) -> Signals:
        still, match = (part[0, 0].float().numpy(force=True) for part in (self._still.sigmoid(), self._match))
        small = cv2.resize(result.probability, still.shape[::-1], interpolation=cv2.INTER_AREA)
        weight = max(float(small.sum()), 1e-6)
        moving = 0.0
        if motion is not None:
            length = cv2.resize(motion[..., 2], still.shape[::-1], interpolation=cv2.INTER_AREA)
            outside = 1 - small
            moving = float((small * length).sum()) / weight - float((outside * length).sum() / outside.sum())
        sure = min(max(result.confidence, 1e-3), 1 - 1e-3)
        mask = result.labels > 0
        rim = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
        return Signals(
            decided=float(np.log(sure / (1 - sure))),
            agreement=float(np.minimum(small, still).sum() / np.maximum(small, still).sum()),
            match=float((small * match).sum()) / weight,
            moving=moving,
            area=float(np.log(max(mask.mean(), 1e-3))),
            border=float(any(side.any() for side in rim)),
        )


def fit(signals: Numbers, targets: Numbers) -> Numbers:
    """Find the S + 1 weights of a logistic regression on N x S signals of N targets in [0, 1]; the last is constant."""
    x = np.column_stack([signals, np.ones(len(signals))])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = x @ weights
        slope = x.T @ (1 / (1 + np.exp(-z)) - targets) / len(x)
        entropy = (np.logaddexp(0, z) - targets * z).mean()
        return float(entropy + RIDGE * (weights**2).sum()), slope + 2 * RIDGE * weights

    return np.asarray(minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x)


def estimated(signals: Numbers, weights: Numbers) -> Numbers:
    """Apply the weights of `fit`: N estimates of J."""
    return np.asarray(1 / (1 + np.exp(-(signals @ weights[:-1] + weights[-1]))))


def _frames(images: Sequence[ImageArray]) -> list[Frame]:
    return [
        Frame(index=k, stem=f"{k:05}", image=image, pts=k, time_base=Fraction(1, 25)) for k, image in enumerate(images)
    ]


def _staged(datasets: Sequence[Dataset], *, clips: int, seed: int) -> Iterator[Clip]:
    cast, ground = cast_and_ground(datasets)
    for number in range(clips):
        clip = staged_clip(number, cast=cast, ground=ground, seed=seed)
        yield clip.name, _frames(list(clip.images)), list(clip.labels > 0), range(2, len(clip.images), 8)


def _composed(datasets: Sequence[Dataset], *, clips: int, seed: int) -> Iterator[Clip]:
    for clip in compose_clips(only_held_back(datasets), count=clips // 2, seed=seed):
        yield clip.name, clip.frames, clip.truth, range(len(clip.frames))


def _plain(datasets: Sequence[Dataset], *, clips: int, seed: int) -> Iterator[Clip]:
    pictures = [video for dataset in only_held_back(datasets) for video in dataset]
    rng = np.random.default_rng(seed)
    for number in rng.choice(len(pictures), clips, replace=False):
        (record,) = pictures[number].frames
        image = read_image(record)
        mask = (read_foreground(pictures[number], record).probability > 0.5).astype(np.uint8) * 255
        camera = draw_camera(image.shape, frames=FRAMES, size=SIZE, zoom=(0.8, 1.0), calm=True, rng=rng)
        seen = [seen_with_masks(image, [mask], window, size=SIZE) for window in camera]
        images = [np.ascontiguousarray(view[..., :3]) for view, _ in seen]
        yield pictures[number].name, _frames(images), [masks[0] > 127 for _, masks in seen], range(FRAMES)


def _davis(root: Path) -> Iterator[Clip]:
    dataset = open_dataset(root, layout="davis")
    for video in dataset.subset(dataset.splits["val_open"]):
        truth = [read_foreground(video, record).probability > 0.5 for record in video.frames]
        yield video.name, _frames([read_image(record) for record in video.frames]), truth, range(0, len(truth), 5)


def main() -> None:
    """Fit, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="still pictures with masks, or a folder of such sets")
    parser.add_argument("--davis", type=Path, help="measure on the val_open sequences of this DAVIS tree too")
    parser.add_argument("--clips", type=int, default=24, help="of each kind, for fitting and for measuring")
    parser.add_argument("--model", default="covos-lite")
    options = parser.parse_args()
    configure_threads()
    datasets = open_collection(options.data)
    watcher = Watcher(load_model(options.model))
    makers = {"staged": _staged, "composed": _composed, "plain": _plain}
    made = {
        (name, seed): [case for clip in make(datasets, clips=options.clips, seed=seed) for case in watcher.cases(clip)]
        for name, make in makers.items()
        for seed in (FIT_SEED, TEST_SEED)
    }
    learnt = [case for name in makers for case in made[name, FIT_SEED]]
    tests = {name: made[name, TEST_SEED] for name in makers}
    if options.davis is not None:
        tests["val_open"] = [case for clip in _davis(options.davis) for case in watcher.cases(clip)]
    signals, j = np.array([case.signals for case in learnt]), np.array([case.j for case in learnt])
    places = {name: [Signals._fields.index(each) for each in chosen] for name, chosen in CHOICES.items()}
    weights = {name: fit(signals[:, place], j) for name, place in places.items()}
    print(f"fitted on {len(learnt)} frames, mean J {j.mean():.3f}")
    for name, chosen in CHOICES.items():
        pairs = zip((*chosen, "constant"), weights[name], strict=True)
        print(f"{name:16}" + ", ".join(f"{each} {weight:.2f}" for each, weight in pairs))
    for name, cases in tests.items():
        print(f"\n{name}: {len(cases)} frames, mean J {np.mean([case.j for case in cases]):.3f}")
        seen = np.array([case.signals for case in cases])
        guesses = {"report": np.array([case.confidence for case in cases])}
        guesses |= {choice: estimated(seen[:, place], weights[choice]) for choice, place in places.items()}
        for choice, guess in guesses.items():
            rows = [
                {"sequence": case.clip, "confidence": each, "j": case.j}
                for case, each in zip(cases, guess, strict=True)
            ]
            print(f"{choice}\n  " + confidence_lines(rows).replace("\n", "\n  "))


if __name__ == "__main__":
    main()
