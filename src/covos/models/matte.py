"""covos-matte: the opacity of every pixel of an uncertain band, from a picture and a rough probability.

    picture, probability, band, the frame before's alpha, a first alpha by colour -> alpha

The first alpha is solved in closed form of colours sampled on both sides (`covos.engines.band`), so the network does
not have to know what things look like. It sees where that alpha can be trusted, and mends it by what is around.

It is a small U-Net without an encoder of its own or of covos-lite's, for tiles of a fixed size.

Shape legend: B tiles, C channels, H height, W width (multiples of 16).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.layers import conv, pointwise_conv

INPUTS = 16
"""Channels of an input. 0-2: the picture; 3: probability; 4: band; 5, 6: alpha of the frame before, and where it is
known; 7-9, 10-12: colours of the subject and of what is behind it; 13: the alpha that these give; 14: what they do not
explain; 15: how far apart they are. All in [0, 1] or so."""
PROBABILITY, BAND, BEFORE, GUESS = 3, 4, 5, 13
CELL = 4
"""Side of the cells of pixels that the network sees as one."""
ANSWERS = 7
"""Channels of the answer for a pixel: trust in the guess, the probability and the frame before; weights of the three
colours; a change."""
SLOPE = 0.05
"""Slope of an alpha beyond [0, 1] while training: a clamp would give no gradient to come back by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteConfig:
    """Widths of covos-matte, in channels: at strides 4, 8 and 16."""

    widths: tuple[int, int, int] = (56, 64, 96)


class CovosMatte(nn.Module):
    """The network of `covos-matte`.

    It never computes at full size: cells of 4 x 4 pixels are folded into channels. For each pixel it says how to make
    the alpha from what is known there at full size, so no detail is lost (in the manner of bilateral learning; Gharbi
    et al., SIGGRAPH 2017).
    """

    def __init__(self, config: MatteConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MatteConfig()
        a, b, c = config.widths
        self.s4 = nn.Sequential(pointwise_conv(CELL * CELL * INPUTS, a), conv(a, a))
        self.s8 = nn.Sequential(conv(a, b, stride=2), conv(b, b))
        self.s16 = nn.Sequential(conv(b, c, stride=2), conv(c, c))
        self.up8 = conv(c + b, b)
        self.up4 = conv(b + a, a)
        self.answer = nn.Conv2d(a, CELL * CELL * ANSWERS, 1)
        # Untrained, it gives a blend of the guess, the probability, and the frame before.
        nn.init.zeros_(self.answer.weight)
        nn.init.constant_(self.answer.bias, 0.0)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x `INPUTS` x H x W -> B x 1 x H x W float32: alpha in [0, 1], which means something in the band alone.

        While training, it may leave [0, 1] a little.
        """
        s4 = self._first(x_BCHW)
        s8 = self.s8(s4)
        x = self.up8(torch.cat([_doubled(self.s16(s8)), s8], dim=1))
        answers = self._answers(self.up4(torch.cat([_doubled(x), s4], dim=1))).float()
        given = x_BCHW.float()
        trust = answers[:, :3].softmax(dim=1)
        alpha = answers[:, 6:]
        for channel, at in enumerate((GUESS, PROBABILITY, BEFORE)):
            alpha = alpha + trust[:, channel : channel + 1] * given[:, at : at + 1]
        for channel in range(3):
            alpha = alpha + answers[:, 3 + channel : 4 + channel] * given[:, channel : channel + 1]
        inside: Tensor = alpha.clamp(0, 1)
        return inside + SLOPE * (alpha - inside) if self.training else inside

    def _first(self, x_BCHW: Tensor) -> Tensor:
        """Fold the pixels of each cell into channels, and take the first step, by which few are made of them.

        It is `F.pixel_unshuffle` and a convolution of 1 x 1. Channels that come last are moved in runs, and a product
        of matrices is faster than the convolution: together half of the time.
        """
        first, then = self.s4
        point, *others = cast("nn.Sequential", first)
        assert isinstance(point, nn.Conv2d)
        channels, (height, width) = x_BCHW.shape[1], x_BCHW.shape[2:]
        cells = x_BCHW.permute(0, 2, 3, 1).reshape(-1, height // CELL, CELL, width // CELL, CELL, channels)
        folded = cells.permute(0, 1, 3, 2, 4, 5).flatten(3)
        weight = point.weight.reshape(-1, channels, CELL, CELL).permute(0, 2, 3, 1).flatten(1)
        x = F.linear(folded, weight, point.bias).permute(0, 3, 1, 2)
        for each in (*others, then):
            x = each(x)
        return x

    def _answers(self, x_BChw: Tensor) -> Tensor:
        """Answer for each pixel of the cells: B x C x h x w -> B x `ANSWERS` x H x W. See `_first`."""
        height, width = x_BChw.shape[2:]
        weight = self.answer.weight.reshape(ANSWERS, CELL, CELL, -1).permute(1, 2, 0, 3).flatten(0, 2)
        assert self.answer.bias is not None
        bias = self.answer.bias.reshape(ANSWERS, CELL, CELL).permute(1, 2, 0).flatten()
        told = F.linear(x_BChw.permute(0, 2, 3, 1), weight, bias)
        cells = told.reshape(-1, height, width, CELL, CELL, ANSWERS).permute(0, 1, 3, 2, 4, 5)
        return cells.reshape(-1, height * CELL, width * CELL, ANSWERS).permute(0, 3, 1, 2)


def _doubled(x_BCHW: Tensor) -> Tensor:
    # Convolutions follow, which make smooth of it what should be; on a processor, training is a fifth faster so.
    return F.interpolate(x_BCHW, scale_factor=2, mode="nearest")
