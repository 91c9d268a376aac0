"""Make a result of what was predicted for a frame, and of the masks that the user gave on it."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import torch

from covos.core.types import Frame, FrameResult, LabelArray, MaskArray
from covos.engines.band import within
from covos.engines.encoding import to_probability, to_size
from covos.engines.find import uncomputed
from covos.engines.follow_pass import FramePrediction
from covos.masks.soft import EDGE, soft_edge


def result_of(frame: Frame, prediction: FramePrediction, given: Mapping[int, MaskArray]) -> FrameResult:
    """Make a result, at the frame's own size, of a prediction and the user's masks, which are in it as they are.

    Around these, the probability has a soft edge, as the network draws it around all others.
    """
    if torch.isnan(prediction.log_odds).any():
        return uncomputed(frame)
    labels = _labels(prediction, frame.size)
    given = {identity: to_size(mask, frame.size) for identity, mask in given.items()}
    for identity, mask in given.items():
        labels[(labels == identity) & ~mask] = 0
        labels[mask] = identity
    if prediction.objects:
        # The odds of any object are the sum of theirs.
        any_HW = torch.logsumexp(prediction.log_odds.float().cpu(), dim=0)
        probability = to_probability(any_HW, size=frame.size)
        confidence = sum(each.confidence for each in prediction.objects) / len(prediction.objects)
    else:
        probability, confidence = np.zeros(frame.size, np.float32), 1.0
    if given:
        shown = np.logical_or.reduce(list(given.values()))
        probability = np.where(within(shown, 2 * EDGE * shown.shape[0]), soft_edge(labels > 0), probability)
    return FrameResult(
        frame=frame, probability=probability, labels=labels, confidence=confidence, objects=prediction.objects
    )


def _labels(prediction: FramePrediction, size: tuple[int, int]) -> LabelArray:
    """At each pixel the likeliest of the objects and the background, of log-odds that are interpolated."""
    height, width = size
    labels = np.zeros(size, np.uint8)
    best = np.zeros(size, np.float32)
    for status, odds in zip(prediction.objects, prediction.log_odds.float().cpu().numpy(), strict=True):
        if status.state != "present":
            continue
        full = cv2.resize(odds, (width, height), interpolation=cv2.INTER_LINEAR)
        better = full > best
        labels[better] = status.id
        np.maximum(best, full, out=best)
    return labels
