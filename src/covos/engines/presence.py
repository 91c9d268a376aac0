"""Whether a followed object is there: a state with inertia, so that one doubtful frame changes nothing for long."""

from __future__ import annotations

from dataclasses import dataclass

from covos.types import ObjectStatus, Presence

SEEN = 0.5
"""Presence from which an object that was there, or just hidden, is there."""
FOUND = 0.7
"""Presence and expected quality from which a lost object is there again: garbage is worse than a gap."""
FOUND_QUALITY = 0.4
PATIENCE = 25
"""Frames of absence after which an object is lost rather than hidden."""


@dataclass(slots=True)
class PresenceTracker:
    """The state of one object along a pass.

    Attributes:
        identity: Of the object.
        state: As of the latest frame.
        absent: Frames since it was last seen.
    """

    identity: int
    state: Presence = "present"
    absent: int = 0

    def given(self, *, empty: bool) -> ObjectStatus:
        """Take note of a mask from the user, which is right by definition."""
        self.state, self.absent = ("occluded", 1) if empty else ("present", 0)
        return ObjectStatus(id=self.identity, state=self.state, confidence=1.0)

    def judge(self, *, presence: float, quality: float) -> ObjectStatus:
        """Take note of what the network says.

        Args:
            presence: Probability that any of the object is to be seen.
            quality: The Jaccard index that its mask is expected to have.

        Returns:
            The state. The confidence is that of the answer given: of a mask, that it is the object's and how good it
            is; of an empty one, that there is nothing.
        """
        returns = presence >= FOUND and quality >= FOUND_QUALITY
        there = returns if self.state == "lost" else presence >= SEEN
        if there:
            self.state, self.absent = "present", 0
        else:
            self.absent += 1
            self.state = "lost" if self.absent > PATIENCE else "occluded"
        confidence = presence * quality if there else 1 - presence
        return ObjectStatus(id=self.identity, state=self.state, confidence=confidence)
