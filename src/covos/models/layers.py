"""Small building blocks that several models share.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


def separable_conv(c_in: int, c_out: int, *, dilation: int = 1) -> nn.Sequential:
    """Depth-wise 3x3, then point-wise 1x1, each with batch norm; ReLU at the end (Xception, section 3)."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_in, 3, padding=dilation, dilation=dilation, groups=c_in, bias=False),
        nn.BatchNorm2d(c_in),
        nn.Conv2d(c_in, c_out, 1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


def pointwise_conv(c_in: int, c_out: int) -> nn.Sequential:
    """1x1 convolution, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(c_in, c_out, 1, bias=False), nn.BatchNorm2d(c_out), nn.ReLU(inplace=True))


def upsample_to(x_BCHW: Tensor, size: Sequence[int]) -> Tensor:
    """Bilinear, half-pixel centres (align_corners=False)."""
    return F.interpolate(x_BCHW, size=list(size), mode="bilinear", align_corners=False)
