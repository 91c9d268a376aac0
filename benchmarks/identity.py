"""Identity switches: frames in which a followed object takes the id of another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from covos.core.types import LabelArray
from covos.evaluation.measures import jaccard
from covos.masks import VOID

MATCHED = 0.5
"""J from which a predicted object is the true one."""
BACKGROUND_AND_VOID = (0, VOID)


def identity_switches(predictions: Iterable[LabelArray], truths: Iterable[LabelArray]) -> dict[int, int]:
    """Count how often each object of the ground truth is taken for another one than before.

    In each frame an object is matched to the predicted id that covers it best, if its J is at least 0.5. A frame in
    which it is matched to another id than when it was last matched is a switch, as in the CLEAR MOT metrics (Bernardin
    & Stiefelhagen, EURASIP 2008); frames in which it is not matched are passed over.

    Args:
        predictions: H x W uint8 each, in order.
        truths: As many, of the same sizes.

    Returns:
        Object id to its number of switches.
    """
    last: dict[int, int] = {}
    switches: dict[int, int] = {}
    for predicted, truth in zip(predictions, truths, strict=True):
        void = truth == VOID
        for object_id in _ids(truth):
            switches.setdefault(object_id, 0)
            region = truth == object_id
            scores = {each: jaccard(predicted == each, region, void=void) for each in _ids(predicted[region])}
            best = max(scores, key=lambda each: scores[each], default=None)
            if best is None or scores[best] < MATCHED:
                continue
            switches[object_id] += last.get(object_id, best) != best
            last[object_id] = best
    return switches


def _ids(labels: LabelArray) -> list[int]:
    return [int(each) for each in np.unique(labels) if each not in BACKGROUND_AND_VOID]
