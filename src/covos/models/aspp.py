"""Atrous spatial pyramid pooling: context at several scales at one resolution.

Chen et al., *Rethinking Atrous Convolution for Semantic Image Segmentation* (DeepLabV3), 2017, section 3.3.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from covos.models.layers import pointwise_conv, separable_conv


class SeparableASPP(nn.Module):
    """ASPP of separable branches: 1x1, one 3x3 for each dilation, and the global mean.

    Args:
        c_in: Channels in.
        c_out: Channels out.
        branch: Channels of each branch.
        dilations: One separable branch each, in cells of the input map.
    """

    def __init__(self, c_in: int, c_out: int, *, branch: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.point = pointwise_conv(c_in, branch)
        self.dilated = nn.ModuleList(separable_conv(c_in, branch, dilation=d) for d in dilations)
        # No batch norm here: its statistics over 1x1 maps of a small batch are noise.
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c_in, branch, 1), nn.ReLU(inplace=True))
        self.project = pointwise_conv(branch * (2 + len(dilations)), c_out)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x c_in x H x W -> B x c_out x H x W."""
        pooled = self.pooled(x_BCHW).expand(-1, -1, *x_BCHW.shape[2:])
        maps = [self.point(x_BCHW), *(branch(x_BCHW) for branch in self.dilated), pooled]
        out: Tensor = self.project(torch.cat(maps, dim=1))
        return out
