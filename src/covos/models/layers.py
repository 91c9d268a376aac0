"""Small building blocks that several models share.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

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


# Batch norms folded into the convolutions before them: the same function with fewer passes over memory.


def fold_batch_norms(network: nn.Module) -> None:
    """Fold, in place, each batch norm that follows a convolution in a `torch.nn.Sequential`.

    For running only: in evaluation mode a batch norm is an affine map of each channel, which the convolution before it
    can do itself. The results are those of before, up to rounding; the names of the parameters are not.

    Args:
        network: In evaluation mode.
    """
    for part in network.modules():
        if not isinstance(part, nn.Sequential):
            continue
        for index, (layer, norm) in enumerate(pairwise(list(part))):
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                part[index], part[index + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()


# From features at stride 16 to one logit at stride 2, with skips from the encoder.
#
# The plan of DeepLabV3+ (Chen et al., ECCV 2018, section 3.2) with steps more: skips at strides 8 and 4, and at stride
# 2 a narrow branch that corrects the up-sampled logit. Contours lie there: at stride 4 of a 256 x 448 frame a cell is
# eight pixels of a 480p frame, as wide as an arm.
#
# Shape legend: B batch, C channels, H height, W width.


class SkipDecoder(nn.Module):
    """Two separable convolutions at each of the strides 16, 8 and 4, one at stride 2.

    Args:
        c_in: Channels at stride 16.
        skip_channels: Channels of the encoder at strides 8, 4 and 2.
        widths: Channels of the decoder at strides 16, 8 and 4.
        skips: Channels that the skips at strides 8 and 4 are projected to.
        detail: Channels at stride 2; few, for there are many positions.
    """

    def __init__(
        self,
        c_in: int,
        *,
        skip_channels: tuple[int, int, int],
        widths: tuple[int, int, int],
        skips: tuple[int, int],
        detail: int,
    ) -> None:
        super().__init__()
        c_s8, c_s4, c_s2 = skip_channels
        self.s16 = nn.Sequential(separable_conv(c_in, widths[0]), separable_conv(widths[0], widths[0]))
        self.skip8 = pointwise_conv(c_s8, skips[0])
        self.s8 = nn.Sequential(separable_conv(widths[0] + skips[0], widths[1]), separable_conv(widths[1], widths[1]))
        self.skip4 = pointwise_conv(c_s4, skips[1])
        self.s4 = nn.Sequential(separable_conv(widths[1] + skips[1], widths[2]), separable_conv(widths[2], widths[2]))
        self.logit = nn.Conv2d(widths[2], 1, 1)
        self.narrow = pointwise_conv(widths[2], detail)
        self.s2 = separable_conv(detail + c_s2, detail)
        self.correction = nn.Conv2d(detail, 1, 1)
        # A training begins with the interpolated logit.
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor, s8_BCHW: Tensor, s4_BCHW: Tensor, s2_BCHW: Tensor) -> Tensor:
        """Returns B x 1 x H/2 x W/2 logits."""
        x = self.s16(x_BCHW)
        skip8 = self.skip8(s8_BCHW)
        x = self.s8(torch.cat([upsample_to(x, skip8.shape[2:]), skip8], dim=1))
        skip4 = self.skip4(s4_BCHW)
        x = self.s4(torch.cat([upsample_to(x, skip4.shape[2:]), skip4], dim=1))
        fine = s2_BCHW.shape[2:]
        detail = self.s2(torch.cat([upsample_to(self.narrow(x), fine), s2_BCHW], dim=1))
        logit: Tensor = upsample_to(self.logit(x), fine) + self.correction(detail)
        return logit


# What a network wants done to a picture before it sees it, as a value.


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """From RGB in [0, 1] to a network's input: reorder the channels, scale, subtract the mean.

    Attributes:
        size: (height, width) that frames are resized to.
        order: Of the channels.
        scale: What a value of 1 becomes.
        mean: Of each channel in ``order``, after scaling.
    """

    size: tuple[int, int]
    order: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)

    def apply(self, image_BCHW: Tensor) -> Tensor:
        """B x 3 x H x W float RGB in [0, 1] -> the same shape, as the network takes it; sizes are left alone."""
        ordered = image_BCHW.flip(1) if self.order == "bgr" else image_BCHW
        mean = ordered.new_tensor(self.mean)[:, None, None]
        return ordered * self.scale - mean
