"""Read a frame's files into arrays."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import AnnotationError, SourceError, UsageError
from covos.core.places import Place
from covos.core.types import ImageArray, LabelArray, MaskArray, ProbabilityArray
from covos.data.base import Encoding, FrameRecord, Size, checked_size
from covos.masks import VOID, fit_labels, read_binary_mask, read_label_map, read_soft_mask
from covos.media import images

_Scalar = TypeVar("_Scalar", np.uint8, np.float32)


class AnnotatedFrames(Protocol):
    """The part of a `covos.data.Video` that reading needs."""

    @property
    def name(self) -> str:
        """Names the video in messages."""

    @property
    def encoding(self) -> Encoding:
        """Meaning of the annotations' values."""

    @property
    def frames(self) -> tuple[FrameRecord, ...]:
        """All frames."""


class Foreground(NamedTuple):
    """A frame's annotation as one subject and its background."""

    probability: ProbabilityArray
    """H x W float32 in [0, 1]; 0 where void."""
    valid: MaskArray
    """H x W bool; False where the annotation is void and nothing is to be learnt or scored."""


def read_image(record: FrameRecord, *others: object, size: Size | None = None) -> ImageArray:
    """Read the frame's picture.

    Args:
        record: The frame; unlike annotations, a picture needs no video to be read.
        others: Nothing else is taken: refused, with the way to write it.
        size: Resize to this (height, width), by area where it shrinks.

    Returns:
        H x W x 3 uint8 RGB.

    Raises:
        SourceError: The frame has no picture, or it cannot be read.
        UsageError: ``size`` is no size, or the frame's files are not what is given.
    """
    if others or not isinstance(record, FrameRecord):
        given = ", ".join(type(each).__name__ for each in (record, *others))
        raise UsageError(
            f"read_image({given}) reads nothing",
            why="it takes the files of one frame: what video.annotated, video.frames and video.frame(0) hold",
            fix="read_image(video.frame(0)); video[0] reads the picture with its annotation; size=(height, width)",
        )
    if record.image is None:
        raise SourceError(
            f"frame {record.stem} has no image",
            why="its tree holds annotations alone",
            fix="put the images beside them, as JPEGImages",
        )
    return _resized(images.read_image(record.image), size)


def read_labels(video: AnnotatedFrames, record: FrameRecord, *, size: Size | None = None) -> LabelArray:
    """Read the frame's annotation as object ids.

    A binary mask is object 1; of a soft one, what is above 0.5.

    Args:
        video: The frame's video, which knows the encoding.
        record: The frame.
        size: Resize to this (height, width), by nearest neighbour: ids are never mixed.

    Returns:
        H x W uint8; 0 = background, 255 = void.

    Raises:
        AnnotationError: The frame has no annotation, it cannot be read, or it does not have the image's size.
        SourceError: The image's size cannot be read.
        UsageError: ``size`` is no size.
    """
    path = _annotation(video, record)
    labels = decode_labels(path, encoding=video.encoding)
    _check_size(record, path, labels.shape)
    return _nearest(labels, size)


def read_annotation(
    video: AnnotatedFrames, record: FrameRecord, *, size: Size | None = None
) -> tuple[LabelArray, ProbabilityArray | None]:
    """Read the frame's annotation once, as `read_labels` returns it and, if it is soft, as shares of the pixels, too.

    Arguments and errors are those of `read_labels`.
    """
    if video.encoding != "soft":
        return read_labels(video, record, size=size), None
    path = _annotation(video, record)
    soft = read_soft_mask(path)
    _check_size(record, path, soft.shape)
    return _nearest((soft > 0.5).view(np.uint8), size), np.minimum(_resized(soft, size), 1)


def read_foreground(video: AnnotatedFrames, record: FrameRecord, *, size: Size | None = None) -> Foreground:
    """Read the frame's annotation as one subject: every object of an id map, soft masks as they are.

    Args:
        video: The frame's video, which knows the encoding.
        record: The frame.
        size: Resize to this (height, width), by area where it shrinks; a pixel is valid if more than half of it is.

    Raises:
        AnnotationError: The frame has no annotation, it cannot be read, or it does not have the image's size.
        SourceError: The image's size cannot be read.
        UsageError: ``size`` is no size.
    """
    path = _annotation(video, record)
    if video.encoding == "soft":
        subject = read_soft_mask(path)
        valid = np.ones(subject.shape, np.bool_)
    else:
        labels = decode_labels(path, encoding=video.encoding)
        valid = labels != VOID
        subject = ((labels != 0) & valid).astype(np.float32)
    _check_size(record, path, subject.shape)
    if size is None or subject.shape == checked_size(size):
        return Foreground(subject, valid)
    # A pixel that is partly void takes the share of the subject in its valid part.
    share = _resized(valid.astype(np.float32), size)
    probability = np.divide(_resized(subject, size), share, out=np.zeros_like(share), where=share > 0.5)
    return Foreground(np.minimum(probability, 1), share > 0.5)


def decode_labels(path: Place, *, encoding: Encoding) -> LabelArray:
    """Read an annotation file as object ids, whatever the size of its image."""
    if encoding == "ids":
        return read_label_map(path)
    if encoding == "binary":
        return read_binary_mask(path).view(np.uint8)
    return (read_soft_mask(path) > 0.5).view(np.uint8)


def _check_size(record: FrameRecord, path: Place, shape: tuple[int, ...]) -> None:
    # A header costs little beside decoding the mask; training on a shifted mask costs a training.
    if record.image is not None and shape != (size := images.image_header(record.image)[:2]):
        fit_labels(np.empty(shape, np.uint8), size=size, path=path)  # raises, and says both sizes


def _annotation(video: AnnotatedFrames, record: FrameRecord) -> Place:
    if record.annotation is None:
        annotated = sum(each.annotation is not None for each in video.frames)
        raise AnnotationError(
            f"frame {record.stem} of {video.name} has no annotation",
            why=f"{annotated} of the {len(video.frames)} frames of the video have one",
            fix="take one of the frames in video.annotated",
        )
    return record.annotation


def _nearest(labels: LabelArray, size: Size | None) -> LabelArray:
    if size is None or labels.shape == (size := checked_size(size)):
        return labels
    return cv2.resize(labels, size[::-1], interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8)


def _resized(array: NDArray[_Scalar], size: Size | None) -> NDArray[_Scalar]:
    if size is None or array.shape[:2] == (size := checked_size(size)):
        return array
    shrinks = size[0] <= array.shape[0] and size[1] <= array.shape[1]
    resized = cv2.resize(array, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized.astype(array.dtype)
