"""From features at stride 16 to one logit at stride 2, with skips from the encoder.

The plan of DeepLabV3+ (Chen et al., ECCV 2018, section 3.2) with steps more: skips at strides 8 and 4, and at stride 2
a narrow branch that corrects the up-sampled logit. Contours lie there: at stride 4 of a 256 x 448 frame a cell is
eight pixels of a 480p frame, as wide as an arm.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from covos.models.layers import pointwise_conv, separable_conv, upsample_to


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
