"""Frames on which nothing can be seen: black before a fade, a white flash, a grey leader."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np

from covos.engines.motion import Observed

SPREAD: Final = 2.0
"""Standard deviation in levels of brightness, of 255, up to which a picture is noise about one colour."""
NOTHING: Final = -12.0
"""Logit of a subject that is nowhere."""


def is_flat(observed: Observed) -> bool:
    """Tell if a picture is of one colour, up to noise: a network takes all of it for the subject, or none."""
    picture = observed.frame.image if observed.small is None else observed.small
    _, spread = cv2.meanStdDev(picture)
    return bool(np.max(spread) <= SPREAD)
