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


class DenseASPP(nn.Module):
    """ASPP of full convolutions, as in COSNet: the global mean, 1x1, one 3x3 for each of three dilations.

    Its convolutions have biases before their batch norms, and its output a PReLU with one slope for all channels:
    needless, but part of the published weights, whose names these are.

    Args:
        c_in: Channels in.
        c_out: Channels out.
        branch: Channels of each branch.
        dilations: Of the 3x3 convolutions, in cells of the input map.
    """

    def __init__(self, c_in: int, c_out: int, *, branch: int, dilations: tuple[int, int, int] = (6, 12, 18)) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, branch, 1)
        self.bn_x = nn.BatchNorm2d(branch)
        self.conv2d_0 = nn.Conv2d(c_in, branch, 1)
        self.bn_0 = nn.BatchNorm2d(branch)
        self.conv2d_1, self.conv2d_2, self.conv2d_3 = (
            nn.Conv2d(c_in, branch, 3, padding=dilation, dilation=dilation) for dilation in dilations
        )
        self.bn_1, self.bn_2, self.bn_3 = (nn.BatchNorm2d(branch) for _ in dilations)
        self.relu = nn.ReLU(inplace=True)
        self.bottleneck = nn.Conv2d(5 * branch, c_out, 3, padding=1)
        self.bn = nn.BatchNorm2d(c_out)
        self.prelu = nn.PReLU()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x c_in x H x W -> B x c_out x H x W."""
        pooled = self.relu(self.bn_x(self.conv(x_BCHW.mean(dim=(2, 3), keepdim=True))))
        maps = [
            # One value up-sampled bilinearly is that value everywhere.
            pooled.expand(-1, -1, *x_BCHW.shape[2:]),
            self.relu(self.bn_0(self.conv2d_0(x_BCHW))),
            self.relu(self.bn_1(self.conv2d_1(x_BCHW))),
            self.relu(self.bn_2(self.conv2d_2(x_BCHW))),
            self.relu(self.bn_3(self.conv2d_3(x_BCHW))),
        ]
        out: Tensor = self.prelu(self.bn(self.bottleneck(torch.cat(maps, dim=1))))
        return out
