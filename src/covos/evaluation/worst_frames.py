"""The worst frames, as pictures: what was predicted, what is true, and where they differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.pages import picture_uri
from covos.core.types import ImageArray
from covos.evaluation.mask_trees import MaskFolder, MaskSequence
from covos.evaluation.results import Evaluation
from covos.evaluation.scores import ObjectScore
from covos.evaluation.scoring import without_void
from covos.media.images import read_image

_PICTURES = (".jpg", ".jpeg", ".png")
_WIDTH = 420
_PER_SEQUENCE = 2
_EMPTY_STAGE = (38, 42, 48)
OBJECT = (240, 240, 240)
# Okabe and Ito's palette: told apart by people who do not see red and green alike.
EXTRA = (230, 159, 0)
MISSED = (86, 180, 233)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstFrame:
    """A frame in which an object was scored low, with masks as data URIs of pictures."""

    score: ObjectScore
    index: int
    """Index among the object's frames."""
    prediction: str
    truth: str
    difference: str
    """Both masks: what they share, what was predicted in excess, what was missed."""


def worst_frames(evaluation: Evaluation, *, count: int) -> Iterator[WorstFrame]:
    """Yield the frames with the lowest mean of J and F, at most two of a sequence, and one of an object in it."""
    protocol = evaluation.protocol
    pairs = {pair.name: pair for pair in evaluation.pairs}
    taken: dict[str, int] = {}
    lowest = [(score, int(((score.j + score.f) / 2).argmin())) for score in evaluation.objects]
    for score, index in sorted(lowest, key=lambda entry: float(entry[0].j[entry[1]] + entry[0].f[entry[1]])):
        if score.sequence not in pairs or taken.get(score.sequence, 0) >= _PER_SEQUENCE:
            continue
        taken[score.sequence] = taken.get(score.sequence, 0) + 1
        stem = score.frames[index]
        pair = pairs[score.sequence]
        truth = next(pair.truth.read([stem])).masks
        prediction = without_void(next(pair.prediction.read([stem])).masks, truth, protocol=protocol)
        foreground = protocol.objects == "foreground"
        predicted_id = score.object_id if score.proposal is None else score.proposal
        p, g = (
            masks.object(None if foreground else number, radius=0).region.on_canvas(truth.size).view(np.bool_)
            for masks, number in ((prediction, predicted_id), (truth, score.object_id))
        )
        stage = _stage(_picture_of(pair.truth, stem), size=truth.size)
        yield WorstFrame(
            score=score,
            index=index,
            prediction=picture_uri(_painted(stage, (p, OBJECT))),
            truth=picture_uri(_painted(stage, (g, OBJECT))),
            difference=picture_uri(_painted(stage, (p & g, OBJECT), (p & ~g, EXTRA), (g & ~p, MISSED))),
        )
        if sum(taken.values()) == count:
            return


def _picture_of(truth: MaskSequence, stem: str) -> Path | None:
    """Find the picture that was annotated, where annotations lie beside pictures as data sets have it."""
    if not isinstance(truth, MaskFolder):
        return None
    parts = truth.where.absolute().parts
    level = next((i for i in reversed(range(len(parts))) if parts[i].startswith("Annotations")), None)
    if level is None:
        return None
    folder = Path(*parts[:level], "JPEGImages", *parts[level + 1 :])
    return next((path for path in (folder / f"{stem}{suffix}" for suffix in _PICTURES) if path.is_file()), None)


def _stage(picture: Path | None, *, size: tuple[int, int]) -> ImageArray:
    """Return the ground to paint masks on: the picture, dimmed, at the page's size; or a plain one."""
    height, width = round(size[0] * _WIDTH / size[1]), _WIDTH
    if picture is None:
        return np.full((height, width, 3), _EMPTY_STAGE, np.uint8)
    image = cv2.resize(read_image(picture), (width, height), interpolation=cv2.INTER_AREA)
    dimmed: ImageArray = (image * 0.55).astype(np.uint8)
    return dimmed


def _painted(stage: ImageArray, *layers: tuple[NDArray[np.bool_], tuple[int, int, int]]) -> ImageArray:
    canvas = stage.astype(np.float32)
    size = (stage.shape[1], stage.shape[0])
    for mask, colour in layers:
        share = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA)[..., None] * 0.75
        canvas = canvas * (1 - share) + np.array(colour, np.float32) * share
    painted: ImageArray = canvas.round().astype(np.uint8)
    return painted
