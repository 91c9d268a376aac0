"""Whether a followed object is there: a state with inertia, so that one doubtful frame changes nothing for long."""

from __future__ import annotations

from dataclasses import dataclass

from covos.engines.calibration import Estimate
from covos.types import ObjectStatus, Presence

DOUBT = 0.25
"""Expected J below which a mask is rather not shown: what is shown would mostly be something else."""
FOUND = 0.4
"""Expected J from which a lost object is there again: garbage is worse than a gap."""
PATIENCE = 25
"""Frames of absence after which an object is lost rather than hidden."""
MEMORY = 0.1
"""Weight of a frame in the usual area."""


@dataclass(slots=True)
class PresenceTracker:
    """The state of one object along a pass.

    Attributes:
        identity: Of the object.
        state: As of the latest frame.
        absent: Frames since it was last seen.
        usual: Its area as it has been, as a share of the frame: a moving mean over the frames that showed it.
    """

    identity: int
    state: Presence = "present"
    absent: int = 0
    usual: float | None = None

    def given(self, *, area: float) -> ObjectStatus:
        """Take note of a mask from the user, which is right by definition."""
        self.state, self.absent = ("present", 0) if area else ("occluded", 1)
        self.usual = area or self.usual
        return ObjectStatus(id=self.identity, state=self.state, confidence=1.0)

    def judge(self, estimated: Estimate, *, area: float) -> ObjectStatus:
        """Take note of what was found.

        A mask is shown if its expected J is no less than that of an empty one, which is the probability that the
        object is out of sight: J is 1 where neither truth nor mask shows anything.

        Args:
            estimated: Of its mask.
            area: Of its mask, as a share of the frame.

        Returns:
            The state. The confidence is that of the answer given: of a mask, its expected J; of an empty one, that
            there is nothing.
        """
        least = FOUND if self.state == "lost" else DOUBT
        there = estimated.jaccard >= max(least, estimated.absent)
        if there:
            self.state, self.absent = "present", 0
            self.usual = area if self.usual is None else self.usual + MEMORY * (area - self.usual)
        else:
            self.absent += 1
            self.state = "lost" if self.absent > PATIENCE else "occluded"
        return ObjectStatus(
            id=self.identity, state=self.state, confidence=estimated.jaccard if there else estimated.absent
        )
