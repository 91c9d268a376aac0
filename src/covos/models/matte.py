"""covos-matte: the opacity of every pixel of an uncertain band, from a picture and a rough probability.

    picture, probability, band, the frame before's alpha, a first alpha by colour -> alpha

The first alpha is solved in closed form of colours sampled on both sides (`covos.engines.band`), so the network does
not have to know what things look like. It sees where that alpha can be trusted, and mends it by what is around.

It is a small U-Net without an encoder of its own or of covos-lite's, for tiles of a fixed size.

Shape legend: B tiles, C channels, H height, W width (multiples of `STRIDE`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.layers import conv

STRIDE = 16
"""Sides of tiles are multiples of this."""
INPUTS = 16
"""Channels of an input. 0-2: the picture; 3: probability; 4: band; 5, 6: alpha of the frame before, and where it is
known; 7-9, 10-12: colours of the subject and of what is behind it; 13: the alpha that these give; 14: what they do not
explain; 15: how far apart they are. All in [0, 1] or so."""
PROBABILITY, BAND, BEFORE, GUESS = 3, 4, 5, 13
SLOPE = 0.05
"""Slope of an alpha beyond [0, 1] while training: a clamp would give no gradient to come back by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatteConfig:
    """Widths of covos-matte, in channels: at strides 2, 4, 8 and 16, and of the head at full size."""

    widths: tuple[int, int, int, int] = (32, 64, 80, 96)
    shuffled: int = 8
    head: int = 12


class CovosMatte(nn.Module):
    """The network of `covos-matte`."""

    def __init__(self, config: MatteConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or MatteConfig()
        a, b, c, d = config.widths
        self.s2 = nn.Sequential(conv(4 * INPUTS, a), conv(a, a))
        self.s4 = nn.Sequential(conv(a, b, stride=2), conv(b, b))
        self.s8 = nn.Sequential(conv(b, c, stride=2), conv(c, c))
        self.s16 = nn.Sequential(conv(c, d, stride=2), conv(d, d))
        self.up8 = conv(d + c, c)
        self.up4 = conv(c + b, b)
        self.up2 = nn.Sequential(conv(b + a, a), conv(a, 4 * config.shuffled))
        self.head = conv(config.shuffled + 6, config.head)
        self.answer = nn.Conv2d(config.head, 2, 3, padding=1)
        # Untrained, it gives a blend of the guess and the probability.
        nn.init.zeros_(self.answer.weight)
        nn.init.constant_(self.answer.bias, 0.0)  # type: ignore[arg-type]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x `INPUTS` x H x W -> B x 1 x H x W float32: alpha in [0, 1], which means something in the band alone.

        While training, it may leave [0, 1] a little.
        """
        s2 = self.s2(F.pixel_unshuffle(x_BCHW, 2))
        s4 = self.s4(s2)
        s8 = self.s8(s4)
        x = self.up8(torch.cat([_doubled(self.s16(s8)), s8], dim=1))
        x = self.up4(torch.cat([_doubled(x), s4], dim=1))
        x = self.up2(torch.cat([_doubled(x), s2], dim=1))
        given = [x_BCHW[:, : BAND + 1], x_BCHW[:, GUESS : GUESS + 1]]
        trust, change = self.answer(self.head(torch.cat([F.pixel_shuffle(x, 2), *given], dim=1))).float().chunk(2, 1)
        trust = trust.sigmoid()
        guess, probability = x_BCHW[:, GUESS : GUESS + 1].float(), x_BCHW[:, PROBABILITY : PROBABILITY + 1].float()
        alpha = trust * guess + (1 - trust) * probability + change
        inside: Tensor = alpha.clamp(0, 1)
        return inside + SLOPE * (alpha - inside) if self.training else inside


def _doubled(x_BCHW: Tensor) -> Tensor:
    # Convolutions follow, which make smooth of it what should be; on a processor, training is a fifth faster so.
    return F.interpolate(x_BCHW, scale_factor=2, mode="nearest")
