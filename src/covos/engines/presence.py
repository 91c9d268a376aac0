"""Presence: if an object that is followed is shown, hidden or lost, judged with inertia by how sure its masks are."""

from __future__ import annotations

from dataclasses import dataclass, replace

from covos.core.types import ObjectStatus, Presence
from covos.engines.calibration import MaskEstimate

SHOWN = 0.1
"""Expected J from which a mask is shown; below, what is shown would mostly be something else."""
FOUND_AGAIN = 0.4
"""Expected J from which a lost object is there again: garbage is worse than a gap."""
PATIENCE = 25
"""Frames of absence after which an object is lost rather than hidden."""
AREA_WEIGHT = 0.1
"""Weight of a frame in the usual area."""


@dataclass(slots=True)
class PresenceTracker:
    """State of one object along a pass, with inertia, so that one doubtful frame changes nothing for long.

    It was last seen ``absent`` frames ago. ``usual`` is its area as a share of the frame: a moving mean over the frames
    that showed it. ``contested`` is the latest of this signal (see `covos.engines.calibration.Signals`).
    """

    identity: int
    state: Presence = "present"
    absent: int = 0
    usual: float | None = None
    contested: float = 0.0

    def given(self, *, area: float) -> ObjectStatus:
        """Take note of a mask from the user, which is right by definition."""
        self.state, self.absent = ("present", 0) if area else ("occluded", 1)
        self.contested = 0.0
        self.usual = area or self.usual
        return ObjectStatus(id=self.identity, state=self.state, confidence=1.0)

    def begin_shot(self) -> None:
        """Take the object as lost: it is another shot's, and has to be found again."""
        self.state, self.absent = "lost", PATIENCE

    def shows(self, estimated: MaskEstimate) -> bool:
        """Tell if a mask that was found would be shown (see `judge`)."""
        least = FOUND_AGAIN if self.state == "lost" else SHOWN
        return estimated.jaccard >= max(least, estimated.absent)

    def judge(self, estimated: MaskEstimate, *, area: float) -> ObjectStatus:
        """Take note of a mask that was found, and of its area as a share of the frame.

        A mask is shown if its expected J is no less than that of an empty one, which is the probability that the
        object is out of sight: J is 1 where neither truth nor mask shows anything. The confidence is that of the answer
        given: of a mask, its expected J; of an empty one, that there is nothing.
        """
        there = self.shows(estimated)
        if there:
            self.state, self.absent = "present", 0
            if area:  # a thin mask may cover no cell by half
                self.usual = area if self.usual is None else self.usual + AREA_WEIGHT * (area - self.usual)
        else:
            self.absent += 1
            self.state = "lost" if self.absent > PATIENCE else "occluded"
        return ObjectStatus(
            id=self.identity, state=self.state, confidence=estimated.jaccard if there else estimated.absent
        )


def emptied(status: ObjectStatus) -> ObjectStatus:
    """Return the state of an object that was present, and of whose mask nothing is left.

    If it is out of sight, its mask had a J of 0. So that is at most as probable as the mask was expected to be wrong.
    """
    return replace(status, state="occluded", confidence=1 - status.confidence)
