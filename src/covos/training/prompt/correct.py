"""Corrective clicks, found where the prediction is: nothing of it leaves the device.

Shape legend: B frames, h x w cells at twice the output's stride.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

REACH = 24
"""Depths are told apart up to so many cells, 96 pixels."""


@torch.no_grad()
def corrective_click(logit_B1HW: Tensor, target_B1HW: Tensor, weight_B1HW: Tensor, draw_B2: Tensor) -> Tensor:
    """Click where a prediction is most wrong: deep within the region of error that is the deepest.

    That depth decides, not area, and that the click falls on any of its cells beyond a share of that depth, is as in
    RITM (Sofiiuk et al., ICIP 2022); thin errors along a contour draw no clicks.

    Args:
        logit_B1HW: The prediction.
        target_B1HW: In [0, 1].
        weight_B1HW: In [0, 1]; nothing is wrong where it is below 0.5.
        draw_B2: In [0, 1): how far from the middle, the less the more; and which of the cells that qualify.

    Returns:
        B x 1 x 3, see `covos.models.prompt.Prompt`; of kind 0 where nothing is wrong.
    """
    found, meant, known = logit_B1HW > 0, target_B1HW > 0.5, weight_B1HW > 0.5
    wrong = torch.cat([meant & ~found & known, found & ~meant & known], dim=1).float()
    # A cell of which all four pixels are wrong.
    depth = depth_of(-F.max_pool2d(-wrong, 2))
    batch, _, height, width = depth.shape
    deepest, seed = depth.flatten(1).max(dim=1, keepdim=True)
    enough = depth >= (deepest * (0.5 + 0.5 * draw_B2[:, :1]))[..., None, None]
    region = torch.zeros_like(depth).flatten(1).scatter(1, seed, 1.0).view_as(depth)
    count = _grown(region, within=enough.float()).flatten(1).cumsum(dim=1)
    # The first cell at which the count exceeds a random share of it.
    place = (count <= draw_B2[:, 1:] * count[:, -1:]).sum(dim=1).clamp(max=count.shape[1] - 1)
    excess = place >= height * width
    cell = place % (height * width)
    kind = torch.where(excess, -1.0, 1.0) * (deepest[:, 0] > 0)
    x, y = (cell % width + 0.5) / width, (torch.div(cell, width, rounding_mode="floor") + 0.5) / height
    return torch.stack([x, y, kind], dim=1)[:, None].view(batch, 1, 3)


def _grown(region_BRHW: Tensor, *, within: Tensor) -> Tensor:
    """What a region of zeros and ones is connected to, up to `REACH` cells away."""
    for _ in range(REACH):
        region_BRHW = F.max_pool2d(region_BRHW, 3, stride=1, padding=1) * within
    return region_BRHW


def depth_of(region_BRHW: Tensor) -> Tensor:
    """How often each cell survives when a region of zeros and ones is eroded by 3 x 3 cells, up to `REACH` times.

    That is its chessboard distance from what is not in the region; what lies beyond the picture is not.
    """
    left = region_BRHW
    depth = torch.zeros_like(region_BRHW)
    for _ in range(REACH):
        depth = depth + left
        left = 1 - F.max_pool2d(F.pad(1 - left, (1, 1, 1, 1), value=1.0), 3, stride=1)
    return depth
