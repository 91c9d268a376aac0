"""Small building blocks that several models share.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn


class Residual(nn.Module):
    """Two 3x3 convolutions around which the input passes (He et al., CVPR 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(conv(channels, channels), conv(channels, channels, active=False))

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x channels x H x W -> the same."""
        return F.relu(x_BCHW + self.body(x_BCHW))


def conv(c_in: int, c_out: int, *, stride: int = 1, active: bool = True) -> nn.Sequential:
    """3x3 convolution, batch norm, and ReLU where active."""
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True) if active else nn.Identity(),
    )


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
