"""From features at stride 16 to one logit at stride 4, with skips from the encoder.

The plan of DeepLabV3+ (Chen et al., ECCV 2018, section 3.2), with one step more: skips at strides 8 and 4.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from covos.models.layers import pointwise_conv, separable_conv, upsample_to


class SkipDecoder(nn.Module):
    """Two separable convolutions at each of the strides 16, 8 and 4.

    Args:
        c_in: Channels at stride 16.
        c_s8: Channels of the encoder at stride 8.
        c_s4: Channels of the encoder at stride 4.
        widths: Channels of the decoder at strides 16, 8 and 4.
        skips: Channels that the skips at strides 8 and 4 are projected to.
    """

    def __init__(
        self, c_in: int, *, c_s8: int, c_s4: int, widths: tuple[int, int, int], skips: tuple[int, int]
    ) -> None:
        super().__init__()
        self.s16 = nn.Sequential(separable_conv(c_in, widths[0]), separable_conv(widths[0], widths[0]))
        self.skip8 = pointwise_conv(c_s8, skips[0])
        self.s8 = nn.Sequential(separable_conv(widths[0] + skips[0], widths[1]), separable_conv(widths[1], widths[1]))
        self.skip4 = pointwise_conv(c_s4, skips[1])
        self.s4 = nn.Sequential(separable_conv(widths[1] + skips[1], widths[2]), separable_conv(widths[2], widths[2]))
        self.logit = nn.Conv2d(widths[2], 1, 1)

    def forward(self, x_BCHW: Tensor, s8_BCHW: Tensor, s4_BCHW: Tensor) -> Tensor:
        """Returns B x 1 x H/4 x W/4 logits."""
        x = self.s16(x_BCHW)
        skip8 = self.skip8(s8_BCHW)
        x = self.s8(torch.cat([upsample_to(x, skip8.shape[2:]), skip8], dim=1))
        skip4 = self.skip4(s4_BCHW)
        x = self.s4(torch.cat([upsample_to(x, skip4.shape[2:]), skip4], dim=1))
        logit: Tensor = self.logit(x)
        return logit
