"""Which frames of a video the others are compared with."""

from __future__ import annotations

import random


def uniform_references(frame_count: int, *, references: int) -> tuple[int, ...]:
    """Frames in the middle of equal parts of the video (COSNet, section 3.3: uniform over the clip).

    The middles rather than the ends: first and last frames are often fades or cuts.

    Args:
        frame_count: Frames of the video.
        references: How many are wanted; all frames if there are fewer.

    Returns:
        Ascending, distinct, 0-based indices.
    """
    count = min(references, frame_count)
    return tuple((2 * part + 1) * frame_count // (2 * count) for part in range(count))


def random_references(frame_count: int, *, references: int, seed: int) -> tuple[int, ...]:
    """Frames at random, as in COSNet's released code, which draws anew for each query and without a seed.

    Here they are drawn once for a video, so that each is encoded once and the masks can be had again.

    Args:
        frame_count: Frames of the video.
        references: How many are wanted; all frames if there are fewer.
        seed: The same gives the same frames.

    Returns:
        Ascending, distinct, 0-based indices.
    """
    return tuple(sorted(random.Random(seed).sample(range(frame_count), min(references, frame_count))))
