"""The motion branch: what moves by itself joins what is seen.

Motion is an optional input: it enters the encoder's features at strides 4, 8 and 16 as a residual, and a frame whose
motion is not known adds nothing. So one network serves videos and single pictures (compare MATNet, Zhou et al., AAAI
2020, whose second stream is a whole network).

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

MOTION_CHANNELS = 4
"""Motion along x and y, its length, how strong it is in the frame at all."""
MOTION_STRIDE = 4
"""The motion is given at a quarter of the frame's size."""


class MotionPyramid(NamedTuple):
    """What is to be added to the encoder's features, named by their stride."""

    s4: Tensor
    s8: Tensor
    s16: Tensor


class MotionBranch(nn.Module):
    """A small convolutional pyramid over the motion.

    Args:
        channels: Of the encoder at strides 4, 8 and 16.
        widths: Of the branch at these strides.
    """

    def __init__(self, channels: tuple[int, int, int], *, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.s4 = nn.Sequential(_conv(MOTION_CHANNELS, widths[0], stride=1), _conv(widths[0], widths[0], stride=1))
        self.s8 = nn.Sequential(_conv(widths[0], widths[1], stride=2), _conv(widths[1], widths[1], stride=1))
        self.s16 = nn.Sequential(_conv(widths[1], widths[2], stride=2), _conv(widths[2], widths[2], stride=1))
        self.join = nn.ModuleList(nn.Conv2d(width, c, 1, bias=False) for width, c in zip(widths, channels, strict=True))
        for join in self.join:
            # A training starts from what the network makes of pictures alone.
            assert isinstance(join, nn.Conv2d)
            nn.init.zeros_(join.weight)

    def forward(self, motion_B4HW: Tensor) -> MotionPyramid:
        """B x 4 x H/4 x W/4 motion -> residuals at strides 4, 8 and 16; zero for frames whose motion is all zero."""
        known = (motion_B4HW != 0).any(dim=3).any(dim=2).any(dim=1).view(-1, 1, 1, 1)
        s4 = self.s4(motion_B4HW)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        joined = (join(x) for join, x in zip(self.join, (s4, s8, s16), strict=True))
        return MotionPyramid(*(torch.where(known, x, torch.zeros((), dtype=x.dtype, device=x.device)) for x in joined))


def _conv(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )
