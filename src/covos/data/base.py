"""The small values of data sets: the files of a frame, facts about objects, and the meanings of annotations."""

from __future__ import annotations

import difflib
import hashlib
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, SupportsIndex, TypeAlias

from covos.core.errors import SourceError, UsageError, listed
from covos.core.places import Place
from covos.core.progress import counted
from covos.core.records import Record
from covos.core.words import Words

Layout: TypeAlias = Literal["davis", "youtube-vos", "tianchi", "image-mask"]
Encoding: TypeAlias = Literal["ids", "binary", "soft"]
"""Meaning of the values of an annotation file.

``ids``: object ids, 0 = background, 255 = void. ``binary``: what is not 0 is the one object. ``soft``: 0..255 is how
much of the pixel belongs to the one object.
"""
Coverage: TypeAlias = Literal["every", "first", "some", "none"]
"""The frames of a video that are annotated; ``"first"`` is the first one alone."""
Size: TypeAlias = tuple[int, int]
"""(height, width) in pixels."""


APART = "to hold some back, move them to another folder" + Words(
    "", python=", or: train, val = dataset.split(0.8, seed=0)"
)
"""The remedy where no list and no ratio divides."""


class NoSubsetError(SourceError):
    """A data set has no subset of the name that was asked for: a wrong name, not a file that cannot be read."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class FrameRecord:
    """The files of one frame.

    Attributes:
        stem: The file name without its extension; image and annotation share it.
        image: The picture; None only in a tree that holds annotations alone.
        annotation: The mask; None where the frame has none.
    """

    stem: str
    image: Place | None
    annotation: Place | None


class ObjectInfo(Record, coerce_numbers_to_str=True):
    """Facts about one object, from its data set.

    Attributes:
        category: Such as ``"person"``; None if it is not stated.
        frames: Stems of the frames it is annotated in; the first is where it appears.
    """

    category: str | None = None
    frames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of `open_dataset` for the reader of a layout; None leaves the choice to it."""

    subset: str | None = None
    resolution: str | None = None
    encoding: Encoding | None = None


def checked_size(size: object) -> Size:
    """Return a size to resize to as two plain numbers.

    Raises:
        UsageError: It is not a pair of whole numbers of 1 or more.
    """
    # numpy's numbers are not ints, and a bool is one.
    try:
        height, width = (operator.index(side) for side in size)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        height = width = 0
    if height < 1 or width < 1:
        raise UsageError(
            f"size={size!r} is no size of a picture",
            why="it takes two whole numbers of 1 or more: (height, width) in pixels",
            fix="write it so: size=(480, 854)",
        )
    return height, width


def checked_ratio(ratio: object) -> float:
    """Return a share of videos to train on.

    Raises:
        UsageError: It is not a number between 0 and 1, both excluded.
    """
    if not isinstance(ratio, int | float) or not 0 < ratio < 1:
        raise UsageError(
            f"cannot split by the ratio {ratio!r}",
            why="it is the share of the videos that are trained on, a number between 0 and 1",
            fix="0.8 is common",
        )
    return float(ratio)


def checked_position(index: SupportsIndex, *, count: int, what: str) -> int:
    """Return an index as one from 0 up; a negative one counts from the end.

    Args:
        index: From -count to count - 1.
        count: Number of things there are.
        what: Names one of them in the message, such as ``"video"``.

    Raises:
        IndexError: There is none at that place. Loops over indices end by it.
    """
    number = operator.index(index)
    if not -count <= number < count:
        there = f"0 to {count - 1}, or -{count} to -1" if count else "none"
        raise IndexError(f"there is no {what} {number}: of {count} there are {there}")
    return number % count


def no_such_name(*names: str, among: Sequence[str], of: object, what: str) -> UsageError:
    """Return the error of names that a data set or a video does not have, with those that are close to the first."""
    close = difflib.get_close_matches(names[0], among, n=3)
    have = f"the closest names are {', '.join(close)}" if close else f"there are {listed(among, shown=4)}"
    return UsageError(
        f"{of}: no {what} {listed(names, shown=4)}",
        why=f"of {counted(len(among), what)}, {have}",
        fix="look at the names with: covos data inspect ROOT",
    )


def no_such_key(key: object, *, of: str, names: str) -> UsageError:
    """Return the error of a key that is neither a number nor a name nor a slice."""
    return UsageError(
        f"{of} has nothing at {key!r}",
        why=f"it is a {type(key).__name__}",
        fix=f'take a place such as 0 or -1, a name such as "{names}", or a slice such as 2:5',
    )


def no_tensors(what: str) -> UsageError:
    """Return the error of something that a DataLoader of torch cannot make batches of."""
    return UsageError(
        f"{what} makes no batches",
        why="a DataLoader takes items of tensors; this has frames as arrays, some without an annotation",
        fix="DataLoader(covos.data.FrameDataset(dataset, size=(180, 320))), or PairDataset, or GroupDataset",
    )


def in_random_order(name: str, *, seed: int) -> bytes:
    """Return what names are sorted by to bring them into an order that the seed decides.

    By hash, not by a random generator: neither the order of files nor the version of numpy can change the result.
    """
    return digest_of(f"{seed}/{name}")


def digest_of(name: str) -> bytes:
    """Return 8 bytes that depend on a name alone, on every machine; it may be a file's name that is no UTF-8."""
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
