"""Dense optical flow between two pictures: DIS (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FlowArray = NDArray[np.float32]
"""H/4 x W/4 x 2 float32 of the encoded frame's size; see `MotionFlow`."""

GreyArray = NDArray[np.uint8]
"""H/2 x W/2 of the encoded frame's size."""


def dis_flow(here: GreyArray, there: GreyArray, *, refined: bool = True) -> NDArray[np.float32]:
    """Find where each pixel of one grey picture is seen in another: H x W x 2 float32, (x, y), in pixels.

    Refined, it is smoothed in the end by the variational refinement of the paper.
    """
    # Made anew each time: it keeps its pyramids, and one of them must not serve two threads.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    if not refined:
        dis.setVariationalRefinementIterations(0)
    return np.asarray(dis.calc(here, there, None), np.float32)  # type: ignore[call-overload]
