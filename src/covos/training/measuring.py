"""Measure a network on everything that a run measures on: videos, still pictures, and the losses of the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from covos.core.errors import InputError
from covos.core.types import MaskArray
from covos.data import Dataset
from covos.training.task import Task, to_device
from covos.training.validate import Measurement, SetScores, WorstFrame, part_of_kind

VALIDATION_STRIDE = 5
"""Score every fifth frame while training: neighbours say the same, and the time is better spent on steps."""
SHOWN_WIDTH = 480
"""Pixels that a frame of the validation is wide where it is shown, at most."""
TINT = (255, 204, 26)
"""Colour of masks where they are shown."""


def named(datasets: Sequence[Dataset]) -> dict[str, Dataset]:
    """Return data sets by their names; of several of one name, the later ones are numbered from 2."""
    found: dict[str, Dataset] = {}
    for dataset in datasets:
        name, number = dataset.name, 2
        while name in found:
            name, number = f"{dataset.name} ({number})", number + 1
        found[name] = dataset
    return found


def measure_all(
    task: Task[Any],
    network: nn.Module,
    datasets: Mapping[str, Dataset],
    *,
    device: torch.device,
    precision: torch.dtype,
    every: int = VALIDATION_STRIDE,
) -> Measurement:
    """Score a network in evaluation mode on each data set, every so many frames of each video."""
    sets = {}
    for name, dataset in datasets.items():
        videos, pictures = part_of_kind(dataset, "video"), part_of_kind(dataset, "image")
        scored = saliency = None
        losses = {}
        if videos is not None:
            scored = task.measure(network, videos, device=device, precision=precision, every=every)
            losses = validation_losses(task, network, videos, device=device, precision=precision)
        if pictures is not None:
            saliency = task.measure_pictures(network, pictures, device=device, precision=precision)
        sets[name] = SetScores(videos=scored, pictures=saliency, losses=losses)
    return Measurement(sets=sets)


@torch.inference_mode()
def validation_losses(
    task: Task[Any], network: nn.Module, dataset: Dataset, *, device: torch.device, precision: torch.dtype
) -> dict[str, float]:
    """Return the losses of a network on videos by name: means over the frames of `Task.validation_batches`.

    Empty if no batch can be made of them: a video of one annotated frame is no pair.
    """
    sums: dict[str, float] = {}
    frames = 0
    try:
        for batch in task.validation_batches(dataset):
            here = task.frames(batch)
            frames += here
            for name, value in task.losses(network, to_device(batch, device), precision=precision).items():
                sums[name] = sums.get(name, 0.0) + float(value) * here
    except InputError:
        return {}
    return {name: value / frames for name, value in sums.items()}


def worst_pictures(measurement: Measurement) -> dict[str, Tensor]:
    """Draw the worst frame of each data set, the prediction beside the truth: 3 x H x W uint8 RGB by name."""
    return {
        f"validation/worst_of_{name}": beside_truth(scores.worst)
        for name, scores in measurement.scored.items()
        if scores.worst is not None
    }


def beside_truth(worst: WorstFrame) -> Tensor:
    """Draw a frame with its predicted mask, and beside it with its true one: 3 x H x W uint8 RGB."""
    height, width = worst.mask.shape
    scale = min(1.0, SHOWN_WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = cv2.resize(worst.image, size, interpolation=cv2.INTER_AREA).astype(np.float32)

    def tinted(mask: MaskArray) -> Tensor:
        alpha = 0.5 * cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None]
        shown = (image * (1 - alpha) + np.array(TINT, np.float32) * alpha).astype(np.uint8)
        return torch.from_numpy(shown).permute(2, 0, 1)

    return torch.cat([tinted(worst.mask), tinted(worst.truth)], dim=2)
