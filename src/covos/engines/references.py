"""Which frames of a video the others are compared with."""

from __future__ import annotations


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
