"""Small building blocks that several models share.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


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


def shrink_to(x_BCHW: Tensor, size: Sequence[int]) -> Tensor:
    """Take the means of whole cells: height and width are the same multiple of those of ``size``."""
    # A plain number, in an exported graph too: strides are constants, whatever the size of the frame.
    return F.avg_pool2d(x_BCHW, int(x_BCHW.shape[2]) // int(size[0]))


class SeparableASPP(nn.Module):
    """Atrous spatial pyramid pooling of separable branches: 1x1, one 3x3 for each dilation, and the global mean.

    Context at several scales at one resolution (DeepLabV3, Chen et al., 2017, section 3.3).
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


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, each batch norm that follows a convolution in a `torch.nn.Sequential`, in evaluation mode.

    For running only: a batch norm is then an affine map of each channel, which the convolution can do itself. The
    results are those of before, up to rounding; the names of the parameters are not.
    """
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for index, (layer, norm) in enumerate(pairwise(list(part))):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[index], part[index + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
