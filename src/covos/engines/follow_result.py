"""Make results of what was predicted for frames, and of the masks that the user gave on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from covos.core.types import Frame, FrameResult, LabelArray, MaskArray, ObjectStatus, ProbabilityArray
from covos.engines.around import Around
from covos.engines.backward import Spool
from covos.engines.band import within
from covos.engines.between import Seen
from covos.engines.encoding import to_probability
from covos.engines.find import uncomputed
from covos.engines.follow_pass import FramePrediction
from covos.engines.motion import Observed
from covos.engines.presence import emptied
from covos.masks.object_ids import present_ids
from covos.masks.rims import left_of
from covos.masks.scaling import to_size
from covos.masks.soft import REACH, edge_deviation, soft_edge

Given = Mapping[int, Mapping[int, MaskArray]]
"""Frame index to object id to its mask, H x W bool of the frame's size; empty says that the object is not there."""


def backward_results(frames: Iterable[Observed], given: Given, *, spool: Spool) -> Iterator[FrameResult]:
    """Make results of the backward pass alone, in the order of the frames.

    Frames that the spool does not know come after all that was given, and show nothing.
    """

    def predicted() -> Iterator[tuple[Observed, FramePrediction]]:
        for observed in frames:
            index = observed.frame.index
            yield observed, spool.get(index) or nothing_at(index)

    return results_around(predicted(), given)


def nothing_at(index: int) -> FramePrediction:
    """Return the prediction for a frame of a pass that knows no object there."""
    return FramePrediction(index=index, log_odds=torch.zeros(0, 1, 1), objects=())


def results_around(predicted: Iterable[tuple[Observed, FramePrediction]], given: Given) -> Iterator[FrameResult]:
    """Make results of predictions, each brought together with those around it (see `covos.engines.around`).

    An object that a frame does not show counts nothing there: it may be hidden in one frame and seen in the next.
    Neither does a frame that was made of its neighbours, which count themselves. The results come `AROUND` frames late.

    Args:
        predicted: Of consecutive frames, forward or backward.
        given: The user's masks, which are in the results as they are.
    """
    around = Around[tuple[Frame, FramePrediction]]()
    for observed, came in predicted:
        prediction = _in_order(came)
        seen = _seen_of(observed, prediction)
        yield from _results(
            around.push((observed.frame, prediction), seen, things=prediction.ids, counts=not came.between), given
        )
    yield from _results(around.end(), given)


def _results(brought: Iterator[tuple[tuple[Frame, FramePrediction], Tensor]], given: Given) -> Iterator[FrameResult]:
    for (frame, prediction), odds in brought:
        masks = given.get(frame.index, {})
        # Its own where those around it have nothing to say.
        whole = torch.where(torch.isnan(odds), prediction.log_odds.float().cpu(), odds)
        yield result_of(frame, replace(prediction, log_odds=whole), masks)


def _in_order(prediction: FramePrediction) -> FramePrediction:
    """Return a prediction with its objects by id: in fused ones their order depends on where they were given first."""
    rows = sorted(range(len(prediction.objects)), key=lambda row: prediction.objects[row].id)
    return replace(
        prediction, log_odds=prediction.log_odds[rows], objects=tuple(prediction.objects[row] for row in rows)
    )


def _seen_of(observed: Observed, prediction: FramePrediction) -> Seen:
    """Return a frame with the log-odds of its objects; those of an object that it does not show are NaN."""
    odds = prediction.log_odds.float().cpu().clone()
    for row, status in zip(odds, prediction.objects, strict=True):
        if status.state != "present":
            row.fill_(torch.nan)
    return Seen.of(observed, odds)


def result_of(frame: Frame, prediction: FramePrediction, given: Mapping[int, MaskArray]) -> FrameResult:
    """Make a result, at the frame's own size, of a prediction and the user's masks, which are in it as they are.

    Around these, the probability has a soft edge, as the network draws it around all others. The network may still see
    a given object where the user has ruled it out: that counts for nothing. An object that was present, and of which no
    pixel is left, is occluded.
    """
    if torch.isnan(prediction.log_odds).any():
        return uncomputed(frame)
    labels = _labels(prediction, frame.size)
    given = {identity: to_size(mask, frame.size) for identity, mask in given.items()}
    for identity, mask in given.items():
        labels[(labels == identity) & ~mask] = 0
    for identity, mask in given.items():
        for other in {*np.unique(labels[mask]).tolist()} - {0, *given}:
            own = labels == other
            labels[own & ~left_of(own, mask)] = 0
        labels[mask] = identity
    objects = _left(prediction.objects, {*present_ids(labels), *given})
    probability = _of_any(prediction, frame.size, but=given)
    if given:
        shown = np.logical_or.reduce(list(given.values()))
        reach = 2 * REACH * edge_deviation(shown.shape[0])
        probability = np.where(within(shown, reach), soft_edge(labels > 0), probability)
    confidence = _mean_confidence(objects)
    return FrameResult(
        frame=frame,
        probability=probability,
        labels=labels,
        confidence=confidence,
        objects=objects,
        between=prediction.between,
    )


def with_labels(result: FrameResult, labels: LabelArray) -> FrameResult:
    """Return a result with other labels of the same objects; one that was present and has no pixel is occluded."""
    objects = _left(result.objects, {*present_ids(labels)})
    return replace(result, labels=labels, objects=objects, confidence=_mean_confidence(objects))


def _left(objects: Sequence[ObjectStatus], there: Collection[int]) -> tuple[ObjectStatus, ...]:
    """Return the states of objects of which those with these ids have pixels."""
    return tuple(emptied(each) if each.state == "present" and each.id not in there else each for each in objects)


def _mean_confidence(objects: Sequence[ObjectStatus]) -> float:
    return sum(each.confidence for each in objects) / len(objects) if objects else 1.0


def _of_any(prediction: FramePrediction, size: tuple[int, int], *, but: Collection[int]) -> ProbabilityArray:
    """Return the probability of any object but some, H x W: their odds are the sum of those of each."""
    rows = [row for row, each in enumerate(prediction.objects) if each.id not in but]
    if not rows:
        return np.zeros(size, np.float32)
    return to_probability(torch.logsumexp(prediction.log_odds[rows].float().cpu(), dim=0), size=size)


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
