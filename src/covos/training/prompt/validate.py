"""How well a network understands clicks, measured through the engine that users run."""

from __future__ import annotations

import numpy as np
import torch

from covos.data import Dataset, Video, read_foreground
from covos.engines.defaults import DEFAULT_AREA
from covos.engines.prompt_network import NetworkPrompter
from covos.engines.unsupervised import UnsupervisedEngine
from covos.errors import InputError
from covos.evaluation import boundary_f, jaccard
from covos.evaluation.clicks import next_click
from covos.models.lite import CovosLite
from covos.models.prompt import CovosPrompt
from covos.training.validate import Validation, frames_of
from covos.types import MaskArray, Point

CLICKS = (1, 3)
"""The mask is scored after so many."""


def validate_prompts(
    network: CovosPrompt, eyes: CovosLite, dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
) -> Validation:
    """Click on the subject of annotated frames, each by itself, and score the masks after one click and after three.

    Args:
        network: In evaluation mode.
        eyes: The encoder.
        dataset: Annotated videos; an annotation's non-zero part is the object.
        device: Where to compute.
        precision: See `UnsupervisedEngine`.
        every: Take every so many frames, first and last left out.

    Returns:
        Means over the frames of each video and number of clicks, then over these.
    """
    engine = UnsupervisedEngine(eyes, device=device, precision=precision, area=DEFAULT_AREA, batch=1)
    prompter = NetworkPrompter(engine, network)
    scores: dict[str, tuple[float, float]] = {}
    for video in dataset:
        if video.kind != "video":
            continue
        for clicks, pairs in _scored(prompter, video, every=every).items():
            if pairs:
                j, f = np.mean(pairs, axis=0)
                scores[f"{video.name}, {clicks} {'click' if clicks == 1 else 'clicks'}"] = float(j), float(f)
    if not scores:
        raise InputError(
            f"nothing to measure on in {dataset.root}",
            why="none of its videos shows an object between its first annotated frame and its last",
            fix="give videos of three annotated frames or more",
        )
    return Validation.over(scores)


def _scored(prompter: NetworkPrompter, video: Video, *, every: int) -> dict[int, list[tuple[float, float]]]:
    records = video.frames
    measured = [k for k in range(1, len(records) - 1, every) if records[k].annotation is not None]
    needed = prompter.eyes.needed(measured, frame_count=len(records))
    scores: dict[int, list[tuple[float, float]]] = {clicks: [] for clicks in CLICKS}
    for observed in prompter.eyes.observe(frames_of(records, needed), wanted=measured):
        foreground, valid = read_foreground(video, records[observed.frame.index])
        truth, void = foreground > 0.5, ~valid
        if not truth.any():
            continue
        mask: MaskArray | None = None
        points: list[Point] = []
        for clicks in range(1, max(CLICKS) + 1):
            point = next_click(mask, truth, void=void)
            if point is not None:
                points.append(point)
                mask = prompter.mask(observed, points=points, box=None, previous=mask)
            assert mask is not None, "before the first click all of the object is missing"
            if clicks in CLICKS:
                scores[clicks].append((jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)))
    return scores
