"""How well a network follows the first annotation of videos, measured through the engine that users run."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import torch

from covos.data import Dataset, FrameRecord, Video, read_image, read_labels
from covos.engines.defaults import DEFAULT_AREA
from covos.engines.follow import FollowEngine
from covos.engines.memory import DEFAULT_BETWEEN
from covos.engines.unsupervised import UnsupervisedEngine
from covos.errors import InputError
from covos.evaluation import boundary_f, jaccard
from covos.models.follow import CovosFollow
from covos.models.lite import CovosLite
from covos.training.validate import Validation
from covos.types import Frame

VOID = 255


def validate_following(
    network: CovosFollow,
    eyes: CovosLite,
    dataset: Dataset,
    *,
    device: torch.device,
    precision: torch.dtype,
    every: int,
) -> Validation:
    """Follow the objects of the first annotation through each video.

    Args:
        network: In evaluation mode.
        eyes: The encoder.
        dataset: Annotated videos.
        device: Where to compute.
        precision: See `UnsupervisedEngine`.
        every: Score every so many frames, first and last left out as in the DAVIS protocols.

    Returns:
        Means over frames and objects of each video, then over videos.
    """
    engine = FollowEngine(
        UnsupervisedEngine(eyes, device=device, precision=precision, area=DEFAULT_AREA, batch=4), network
    )
    scores: dict[str, tuple[float, float]] = {}
    for video in dataset:
        first = video.first_annotation
        if video.kind != "video" or first is None:
            continue
        pairs = list(_scored(engine, video, video.frames[video.frames.index(first) :], every=every))
        if pairs:
            scores[video.name] = (float(np.mean([j for j, _ in pairs])), float(np.mean([f for _, f in pairs])))
    if not scores:
        raise InputError(
            f"nothing to measure on in {dataset.root}",
            why="none of its videos has an object in its first annotation and annotated frames after it",
            fix="give videos of three annotated frames or more",
        )
    return Validation.over(scores)


def _scored(
    engine: FollowEngine, video: Video, records: tuple[FrameRecord, ...], *, every: int
) -> Iterator[tuple[float, float]]:
    first = read_labels(video, records[0])
    given = {int(identity): first == identity for identity in np.unique(first) if identity not in (0, VOID)}
    if not given:
        return
    measured = range(1, len(records) - 1, every)
    frames = engine.eyes.observe(_frames(records))
    for result in engine.forward(frames, {0: given}, between=DEFAULT_BETWEEN):
        index = result.frame.index
        if index not in measured or records[index].annotation is None:
            continue
        truth = read_labels(video, records[index])
        for identity in given:
            mask, true, void = result.labels == identity, truth == identity, truth == VOID
            yield jaccard(mask, true, void=void), boundary_f(mask, true, void=void)


def _frames(records: tuple[FrameRecord, ...]) -> Iterator[Frame]:
    for index, record in enumerate(records):
        yield Frame(index=index, stem=record.stem, image=read_image(record), pts=index, time_base=Fraction(1, 25))
