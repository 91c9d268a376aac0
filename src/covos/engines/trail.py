"""Where a pass can be taken up again: copies of its follower, some frames apart.

A copy shares the tensors of what it remembers, and holds on to what the pass itself has long forgotten; so there are
few of them, and the longer the video, the farther apart.
"""

from __future__ import annotations

from covos.engines.follower import Follower

MOST = 8
"""Copies at a time."""


class Trail:
    """Copies of a follower by the frame that it was to take next."""

    def __init__(self) -> None:
        self._marks: dict[int, Follower] = {}
        self._apart = 1

    def __len__(self) -> int:
        return len(self._marks)

    def mark(self, index: int, follower: Follower) -> None:
        """Keep a copy, unless the one before is near.

        Args:
            index: Of the frame that comes next; larger than of all before.
            follower: Of the pass.
        """
        if self._marks and index - max(self._marks) < self._apart:
            return
        self._marks[index] = follower.copy()
        if len(self._marks) > MOST:
            self._marks = dict(list(self._marks.items())[::2])
            first, second = list(self._marks)[:2]
            self._apart = second - first

    def back_to(self, index: int) -> tuple[int, Follower] | None:
        """Forget the copies that have taken this frame or a later one.

        Returns:
            Of the latest that is left the frame that comes next, and a copy to go on with; None if none is left.
        """
        self._marks = {at: follower for at, follower in self._marks.items() if at <= index}
        if not self._marks:
            return None
        at = max(self._marks)
        return at, self._marks[at].copy()
