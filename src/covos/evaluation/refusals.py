"""What is refused rather than scored, and what the user is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.core.errors import AnnotationError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from covos.evaluation.mask_trees import MaskSequence, ReadMasks
    from covos.evaluation.protocols import ScoringProtocol

LISTED = 3
"""How many offenders a message names."""


def listed(names: Iterable[object]) -> str:
    """The first few names, and how many more there are."""
    every = [str(name) for name in names]
    more = len(every) - LISTED
    return ", ".join(every[:LISTED]) + (f" and {more} more" if more > 0 else "")


def other_size(prediction: ReadMasks, truth: ReadMasks) -> AnnotationError:
    """A prediction that does not have the size of its ground truth."""
    (h, w), (height, width) = prediction.masks.size, truth.masks.size
    rotated = (w, h) == (height, width)
    return AnnotationError(
        f"{prediction.where} cannot be compared with {truth.where}",
        why=f"the prediction is {w}x{h}, the ground truth {width}x{height}" + (" (rotated?)" if rotated else ""),
        fix="predict at the size of the ground truth: resizing a mask changes its score",
    )


def size_changes(truth: ReadMasks, first: ReadMasks) -> AnnotationError:
    """A ground truth whose size changes within a sequence."""
    (h, w), (height, width) = truth.masks.size, first.masks.size
    return AnnotationError(
        f"the ground truth {truth.where} cannot be scored",
        why=f"it is {w}x{h}, but {first.where} is {width}x{height}",
        fix="annotate a sequence at one size",
    )


def void_among_ids(read: ReadMasks) -> AnnotationError:
    """255 beside other ids, where one object is scored."""
    return AnnotationError(
        f"{read.where} is not the mask of one object",
        why=f"it holds 255 beside {listed(read.masks.ids)}: 255 is the object in a mask of one, void among several",
        fix="score several objects with davis2017-semi or davis2017-unsup, or save the object alone as 0/255",
    )


def void_predicted(prediction: ReadMasks) -> AnnotationError:
    """255 in a prediction of several objects."""
    return AnnotationError(
        f"{prediction.where} holds the value 255, which is no object id",
        why="in masks of several objects 255 means void; a 0/255 mask is that of one object",
        fix="score it with davis2016, or save the masks with the ids of the objects as values",
    )


def foreign_ids(where: str, ids: Iterable[int], *, allowed: Iterable[int]) -> AnnotationError:
    """Ids that the ground truth does not have."""
    return AnnotationError(
        f"{where} holds object ids that the ground truth lacks: {listed(ids)}",
        why=f"under this protocol ids are compared one to one, and the ground truth has {listed(allowed)}",
        fix="give predicted objects the ids of the ground truth, or match them freely with davis2017-unsup",
    )


def object_zero(where: str) -> AnnotationError:
    """An object with the id 0."""
    return AnnotationError(
        f"{where} is an object with the id 0",
        why="under this protocol the objects are 1 to the highest id of the first annotation",
        fix="number the objects from 1",
    )


def too_many_proposals(prediction: ReadMasks, *, most: int) -> AnnotationError:
    """Ids beyond the number of proposals."""
    over = [number for number in prediction.masks.ids if not 1 <= number <= most]
    return AnnotationError(
        f"{prediction.where} holds proposals that the protocol does not allow: {listed(over)}",
        why=f"proposals are the ids 1 to {most}",
        fix=f"keep the best {most} proposals of the sequence, numbered from 1",
    )


def no_object(where: str) -> AnnotationError:
    """A ground truth without any object."""
    return AnnotationError(
        f"the ground truth {where} has no object",
        why="an empty prediction would score 1.0, and nothing would be measured",
        fix="check that this is the annotation, and that its masks are not all black",
    )


def no_frames_left(truth: MaskSequence, *, protocol: ScoringProtocol) -> AnnotationError:
    """A sequence too short for its protocol."""
    return AnnotationError(
        f"{truth.where}: no frames left to score",
        why=f"{len(truth.stems)} annotated, and {protocol.name} drops the first and the last",
        fix="score it with davis2016-all, which keeps all frames, or leave the sequence out",
    )
