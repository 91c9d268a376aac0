"""Tell which frames of a folder of pictures have to be computed again after some of its files were mended."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def frames_to_redo(
    changed: Collection[int],
    *,
    count: int,
    unreadable: Collection[int],
    references: Sequence[int],
    uses_motion: bool,
    around: int,
    batch: int,
) -> tuple[int, ...] | None:
    """Return the frames whose masks depend on changed files, in whole batches; None if that is all of them.

    Args:
        changed: Indices of the files that are others now.
        count: Number of frames.
        unreadable: Indices of the pictures that could not be read before.
        references: Indices of the frames that every frame is compared with.
        uses_motion: True if a frame's mask depends on the frame before it, too.
        around: Frames on each side that a frame is brought together with.
        batch: Frames that are computed together: one that is computed in other company may round otherwise.
    """
    pictures = set(changed)
    # A picture that cannot be read is stood in for by the one before it, at the beginning by the first that can be.
    leading = next((index for index in range(count) if index not in unreadable), count)
    if any(index <= leading for index in pictures):
        pictures |= set(range(leading))
    _spread(pictures, unreadable)
    if pictures & set(references):
        return None
    masks = set(pictures)
    if uses_motion:
        masks |= {index + 1 for index in pictures if index + 1 < count} | ({0} if 1 in pictures else set())
    _spread(masks, unreadable)
    masks = {near for index in masks for near in range(max(index - around, 0), min(index + around + 1, count))}
    whole = {
        each for index in masks for each in range(index // batch * batch, min(count, (index // batch + 1) * batch))
    }
    _spread(whole, unreadable)
    whole = {
        each for index in whole for each in range(index // batch * batch, min(count, (index // batch + 1) * batch))
    }
    return None if len(whole) == count else tuple(sorted(whole))


def _spread(indices: set[int], unreadable: Collection[int]) -> None:
    """Add the unreadable pictures that follow: they take over what is before them."""
    for index in sorted(unreadable):
        if index - 1 in indices:
            indices.add(index)
