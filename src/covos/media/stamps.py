"""Tell which of the times that packets state cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from av.container import InputContainer


def longest_pause(container: InputContainer) -> int:
    """Return the seconds of a jump ahead above which it is no pause, but another recording's clock.

    A transport stream's clock turns over within 27 hours, so that a jump back may look like one ahead.
    """
    return 3_600 if container.format.name in {"mpegts", "mpeg"} else 86_400


def misplaced(shown: Sequence[int | None], decoded: Sequence[int | None], *, most: float) -> frozenset[int]:
    """Return the numbers of the packets that are shown far from when they are decoded, unlike most others.

    Args:
        shown: Presentation time of each packet.
        decoded: Decoding time of each.
        most: The most by which the distance between both may differ from the usual one.
    """
    known = [number for number, both in enumerate(zip(shown, decoded, strict=True)) if None not in both]
    if len(known) < 3:
        return frozenset()
    # Times may have 64 bits: their difference, more.
    delays = np.array([float(shown[each] or 0) - float(decoded[each] or 0) for each in known])
    far = np.abs(delays - np.median(delays)) > most
    return frozenset(known[each] for each in np.flatnonzero(far))
