"""covos-matte: the opacity of every pixel of an uncertain band, from a picture and a rough probability.

    picture, probability, band, the frame before's alpha, a first alpha by colour -> alpha

The first alpha is solved in closed form of colours sampled on both sides (`covos.engines.band`), so the network does
not have to know what things look like. It sees where that alpha can be trusted, and mends it by what is around.

It is a small U-Net without an encoder of its own or of covos-lite's, for tiles of a fixed size.

Shape legend: B tiles, C channels, H height, W width (multiples of 16).
"""

from __future__ import annotations

from dataclasses import dataclass

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
        s4 = self.s4(F.pixel_unshuffle(x_BCHW, CELL))
        s8 = self.s8(s4)
        x = self.up8(torch.cat([_doubled(self.s16(s8)), s8], dim=1))
        x = self.up4(torch.cat([_doubled(x), s4], dim=1))
        answers = F.pixel_shuffle(self.answer(x), CELL).float()
        given = x_BCHW.float()
        sources = torch.cat([given[:, at : at + 1] for at in (GUESS, PROBABILITY, BEFORE)], dim=1)
        trust = answers[:, :3].softmax(dim=1)
        alpha = (trust * sources).sum(dim=1, keepdim=True)
        alpha = alpha + (answers[:, 3:6] * given[:, :3]).sum(dim=1, keepdim=True) + answers[:, 6:]
        inside: Tensor = alpha.clamp(0, 1)
        return inside + SLOPE * (alpha - inside) if self.training else inside


def _doubled(x_BCHW: Tensor) -> Tensor:
    # Convolutions follow, which make smooth of it what should be; on a processor, training is a fifth faster so.
    return F.interpolate(x_BCHW, scale_factor=2, mode="nearest")
