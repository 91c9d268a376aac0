"""Videos whose annotations are far apart, as those of YouTube-VOS are, are measured on."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import covos
from covos.core.errors import InputError
from covos.data import Dataset, FrameRecord, open_dataset
from covos.training.estimate import estimate_time
from covos.training.gather import TrainingData, gather
from covos.training.lite import LiteTask
from covos.training.registry import load_recipe
from covos.training.validate import Validation, frames_to_score
from on_cpu import training_of

FRAMES = 11
SMALL: dict[str, Any] = {
    "steps": 1, "frames_per_step": 2, "group_sizes": [2], "crops": [(64, 96)], "crop_chances": [1.0], "warmup": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def sparse(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """A video of 11 frames, of which the first, the sixth and the last are annotated."""
    root = tmp_path_factory.mktemp("sparse")
    images, masks = root / "JPEGImages" / "a", root / "Annotations" / "a"
    for folder in (images, masks):
        folder.mkdir(parents=True)
    for number in range(FRAMES):
        image = np.full((64, 96, 3), 90, np.uint8)
        cv2.circle(image, (30 + 3 * number, 32), 14, (30, 200, 240), -1)
        cv2.imwrite(str(images / f"{number:05}.jpg"), image)
        if number % 5 == 0:
            cv2.imwrite(str(masks / f"{number:05}.png"), (image[..., 2] > 160).astype(np.uint8))
    return open_dataset(root)


def records(annotated: set[int], *, count: int) -> list[FrameRecord]:
    return [
        FrameRecord(stem=str(k), image=Path(f"{k}.jpg"), annotation=Path(f"{k}.png") if k in annotated else None)
        for k in range(count)
    ]


@pytest.mark.parametrize(
    ("annotated", "count", "every", "scored"),
    [
        (set(range(21)), 21, 5, [1, 6, 11, 16]),
        (set(range(21)), 21, 1, list(range(1, 20))),
        ({0, 5, 10, 15, 20}, 21, 5, [5, 10, 15]),
        ({0, 10, 20, 30}, 31, 5, [10, 20]),
        ({2, 3, 4, 9, 10, 11}, 13, 5, [2, 9, 11]),
        ({0, 10}, 11, 5, []),
        (set(), 11, 5, []),
    ],
)
def test_the_next_annotated_frame_takes_the_place_of_one_that_is_not(
    annotated: set[int], count: int, every: int, scored: list[int]
) -> None:
    assert frames_to_score(records(annotated, count=count), every=every) == scored


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("covos-lite", {}),
        ("covos-follow", {"clips_per_step": 1, "clip_sizes": (2,), "crop": (64, 96)}),
        ("covos-prompt", {"frames_per_step": 4, "rounds": (1,), "crop": (64, 96)}),
    ],
)
def test_every_kind_of_network_is_measured_on_them(name: str, small: dict[str, Any], sparse: Dataset) -> None:
    """The recipe is made smaller for the losses alone."""
    found = covos.training.measure(name, sparse, device="cpu", precision="fp32", **small)
    scored = found.sets[sparse.name].videos
    assert scored is not None
    assert scored.sequences


def test_videos_that_cannot_be_scored_end_no_training(sparse: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "ends"
    for part, suffix in (("JPEGImages", "jpg"), ("Annotations", "png")):
        for name in "ab":
            (root / part / name).mkdir(parents=True)
            for stem in ("00000", "00010"):
                shutil.copy(sparse.root / part / "a" / f"{stem}.{suffix}", root / part / name)
    given: dict[str, Any] = {**SMALL, "device": "cpu", "workers": 0, "check": False}
    reason = "none has an annotated frame between its first and its last"
    with pytest.warns(UserWarning, match=reason):
        done = covos.train("lite-finetune", sparse, tmp_path / "run", validation=open_dataset(root), **given)
    assert (done.best, done.weights) == (None, tmp_path / "run" / "last.safetensors")
    with pytest.warns(UserWarning, match=reason):  # also where the data are divided for the run
        assert covos.train("lite-finetune", root, tmp_path / "divided", ratio=0.5, **given).best is None
    measured = gather([open_dataset(root)], seed=0, validation=[sparse])
    assert (measured.validation, measured.unmeasured) == ((sparse,), ())
    with pytest.raises(InputError, match="nothing to measure on") as refused:
        covos.training.measure("covos-lite", root, device="cpu", ratio=0.5)
    assert reason in refused.value.why


def test_an_estimate_measures_on_frames_that_are_annotated(sparse: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    (video,) = sparse
    # Its second annotation lies beyond the frames that would do for a video that is annotated throughout.
    late = replace(video, frames=(*(replace(each, annotation=None) for each in video.frames * 3), *video.frames))
    recipe = load_recipe("lite-finetune", settings=SMALL)
    asked: list[list[int]] = []

    def measure(self: LiteTask, network: object, dataset: Dataset, *, every: int, **machine: object) -> Validation:
        asked.extend(frames_to_score(each.frames, every=every) for each in dataset)
        return Validation(j=1.0, f=1.0, sequences={})

    monkeypatch.setattr(LiteTask, "measure", measure)
    estimate_time(training_of(recipe, TrainingData(train=(sparse,), validation=(replace(sparse, videos=(late,)),))))
    assert asked == [[33, 38]]
