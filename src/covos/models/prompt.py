"""covos-prompt: given clicks, a box or an earlier mask on a frame, the mask of the object that they mean.

    features of covos-lite       -> context, keys at three scales, skips   (`project`: once for each frame)
    features + clicks, box, mask -> logits at stride 2                     (`find`: at every click)

As in RITM (Sofiiuk et al., *Reviving Iterative Training with Mask Guidance for Interactive Segmentation*, ICIP 2022)
clicks are maps, and the mask that the network found before the latest click is one of its inputs. Two things are added
for a small network on features that stay as they are. Each position gets its likeness to the clicked positions, by the
cosines of keys at strides 16, 8 and 4. And the positions at stride 16 attend to one another, so that a click on one end
of an object reaches the other.

The encoder is that of covos-lite, so a frame that is followed (`covos.models.follow`) is not encoded again.

Shape legend: B pairs of a frame and one of its objects, C channels, H height, W width, h x w cells at stride 16,
N = h w, K points of the object with the most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.follow import MAX_SCALE
from covos.models.layers import Residual, conv, pointwise_conv, shrink_to, upsample_to
from covos.models.lite import Features, LiteConfig

OUTPUT_STRIDE = 2
GUIDE_STRIDE = 4
"""Stride of the maps that the clicks are turned into."""
SPREADS = (1.5, 12.0)
"""Standard deviations of a click's two Gaussians, in cells of the guide: a dot, and a neighbourhood of 48 pixels."""
GUIDE_CHANNELS = 2 * len(SPREADS) + 3
"""Gaussians of the positive and of the negative clicks, within the box, outside the box, the earlier mask."""
LIKENESSES = 3
"""Channels of `likeness`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptConfig:
    """Widths of covos-prompt, in channels."""

    context: int = 128
    keys: tuple[int, int, int] = (64, 32, 16)
    guide: tuple[int, int, int] = (64, 32, 16)
    heads: int = 4
    blocks: int = 2
    widths: tuple[int, int, int] = (64, 32, 16)
    skips: tuple[int, int, int] = (32, 16, 16)


class PromptFeatures(NamedTuple):
    """Features that all prompts on B frames share."""

    context_BChw: Tensor
    key16_BCHW: Tensor
    """Keys of length 1 along C, float32, as are the others."""
    key8_BCHW: Tensor
    key4_BCHW: Tensor
    s8_BCHW: Tensor
    s4_BCHW: Tensor
    s2_BCHW: Tensor


class PromptTensors(NamedTuple):
    """Clicks, box and mask of one object on each of B frames. Positions are shares of the width and height."""

    point_BK3: Tensor
    """x and y in [0, 1], and 1 for a click on the object, -1 for one beside it, 0 for none; K >= 1."""
    box_B5: Tensor
    """Left, top, right, bottom in [0, 1], and 1 if there is a box; all 0 if there is none."""
    previous_B1HW: Tensor
    """In [0, 1]: the mask that is to be corrected; all 0 if there is none."""


class Attention(nn.Module):
    """Lets positions attend to one another (Vaswani et al., NeurIPS 2017), before that to their neighbours.

    The depth-wise convolution stands for an encoding of the positions (Chu et al., *Conditional Positional Encodings
    for Vision Transformers*, ICLR 2023, section 3), so that any size will do.
    """

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.near = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.norm = nn.LayerNorm(channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = nn.Linear(channels, channels)
        self.each = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 2 * channels),
            nn.ReLU(inplace=True),
            nn.Linear(2 * channels, channels),
        )

    def forward(self, x_BChw: Tensor) -> Tensor:
        """B x channels x h x w -> the same."""
        x = x_BChw + self.near(x_BChw)
        batch, channels, height, width = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        parts = self.qkv(self.norm(tokens)).view(batch, height * width, 3, self.heads, channels // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        tokens = tokens + self.out(mixed.transpose(1, 2).flatten(2))
        tokens = tokens + self.each(tokens)
        out: Tensor = tokens.transpose(1, 2).reshape(batch, channels, height, width)
        return out


class GuidePyramid(nn.Module):
    """Encodes the maps of a prompt at strides 16, 8 and 4."""

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        c16, c8, c4 = widths
        self.s4 = conv(GUIDE_CHANNELS, c4)
        self.s8 = conv(c4, c8, stride=2)
        self.s16 = conv(c8, c16, stride=2)

    def forward(self, guide_BGHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode the maps of `draw_guide`; the coarsest first."""
        s4 = self.s4(guide_BGHW)
        s8 = self.s8(s4)
        return self.s16(s8), s8, s4


class CovosPrompt(nn.Module):
    """The network of `covos-prompt`. It takes features of covos-lite, and has no encoder of frames of its own."""

    def __init__(self, config: PromptConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or PromptConfig()
        c_s4, c_s8, c_s16, _ = EfficientNetLite.channels
        self.context = pointwise_conv(LiteConfig().context + c_s16, config.context)
        self.keys = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 1) for c_in, c_out in zip((config.context, c_s8, c_s4), config.keys, strict=True)
        )
        # exp(2.3) = 10, as in `covos.models.coattention`; one for each scale.
        self.log_scale = nn.Parameter(torch.full((len(config.keys),), 2.3))
        k8, k4, k2 = config.skips
        self.skip8 = pointwise_conv(c_s8, k8)
        self.skip4 = pointwise_conv(c_s4, k4)
        self.skip2 = pointwise_conv(EfficientNetLite.fine_channels, k2)
        self.guide = GuidePyramid(config.guide)
        g16, g8, g4 = config.guide
        a, b, c = config.widths
        self.join = pointwise_conv(config.context + g16 + LIKENESSES, config.context)
        self.blocks = nn.Sequential(*(Attention(config.context, heads=config.heads) for _ in range(config.blocks)))
        self.s8 = nn.Sequential(pointwise_conv(config.context + k8 + g8 + LIKENESSES, a), Residual(a))
        self.s4 = nn.Sequential(pointwise_conv(a + k4 + g4 + LIKENESSES, b), Residual(b))
        self.s2 = nn.Sequential(conv(b + k2 + 1, c), conv(c, c))
        self.logit = nn.Conv2d(c, 1, 1)

    def project(self, features: Features) -> PromptFeatures:
        """Make what all prompts on a frame share; once for each frame."""
        context = self.context(torch.cat([features.v_BCHW, features.s16_BCHW], dim=1))
        s8, s4 = features.s8_BCHW, features.s4_BCHW
        # In float32: the norm of a bf16 vector has three digits, and the scale multiplies its error.
        key16, key8, key4 = (
            F.normalize(key(level).float(), dim=1) for key, level in zip(self.keys, (context, s8, s4), strict=True)
        )
        return PromptFeatures(context, key16, key8, key4, self.skip8(s8), self.skip4(s4), self.skip2(features.s2_BCHW))

    def find(self, features: PromptFeatures, prompt: PromptTensors) -> Tensor:
        """Segment what is meant: B x 1 x H/2 x W/2 float32 logits of the frames' encoded size."""
        dtype = features.context_BChw.dtype
        with torch.autocast(features.context_BChw.device.type, enabled=False):
            previous = prompt.previous_B1HW.float()
            guide = draw_guide(prompt, size=features.s4_BCHW.shape[2:])
            scale = self.log_scale.exp().clamp(max=MAX_SCALE)
            keys = (features.key16_BCHW, features.key8_BCHW, features.key4_BCHW)
            like = [likeness(key, prompt.point_BK3, scale=own) for key, own in zip(keys, scale, strict=True)]
        g16, g8, g4 = self.guide(guide.to(dtype))
        x = self.blocks(self.join(torch.cat([features.context_BChw, g16, like[0].to(dtype)], dim=1)))
        x = self.s8(torch.cat([upsample_to(x, g8.shape[2:]), features.s8_BCHW, g8, like[1].to(dtype)], dim=1))
        x = self.s4(torch.cat([upsample_to(x, g4.shape[2:]), features.s4_BCHW, g4, like[2].to(dtype)], dim=1))
        size = features.s2_BCHW.shape[2:]
        before = resize_mask(previous, size).to(dtype)
        x = self.s2(torch.cat([upsample_to(x, size), features.s2_BCHW, before], dim=1))
        logit: Tensor = self.logit(x)
        return logit.float()


def likeness(key_BCHW: Tensor, point_BK3: Tensor, *, scale: Tensor) -> Tensor:
    """Compare each position with the clicked ones, by keys of length 1 along C, float32.

    Returns:
        B x 3 x H x W float32: the largest affinity exp(scale (cosine - 1)) with a positive click, that with a negative
        one, and the mean cosine with the positive ones; 0 where there is no such click.
    """
    kind_BK11 = point_BK3[..., 2, None, None]
    at = F.grid_sample(key_BCHW, 2 * point_BK3[:, :, None, :2] - 1, padding_mode="border", align_corners=False)
    clicked_BCK = F.normalize(at[..., 0], dim=1)
    cosine = torch.einsum("bck,bchw->bkhw", clicked_BCK, key_BCHW)
    affinity = torch.exp(scale * (cosine - 1))
    positive, negative = (kind_BK11 > 0).float(), (kind_BK11 < 0).float()
    mean = (cosine * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    return torch.stack([(affinity * positive).amax(dim=1), (affinity * negative).amax(dim=1), mean], dim=1)


def draw_guide(prompt: PromptTensors, *, size: Sequence[int]) -> Tensor:
    """Draw a prompt as maps of a size (H, W) at stride 4.

    Returns:
        B x 7 x H x W float32 in [0, 1]: the Gaussians of the positive clicks, narrow and wide, those of the negative
        ones, what lies within the box and outside it (both 0 if there is none), and the earlier mask.
    """
    height, width = size
    point = prompt.point_BK3.float()
    device = point.device
    x = torch.arange(width, device=device) + 0.5
    y = torch.arange(height, device=device) + 0.5
    dx = x - point[..., 0, None] * width
    dy = y - point[..., 1, None] * height
    square_BKHW = dy.square()[..., :, None] + dx.square()[..., None, :]
    maps = []
    for sign in (1, -1):
        there = (point[..., 2, None, None] * sign > 0).float()
        for spread in SPREADS:
            maps.append((torch.exp(-square_BKHW / (2 * spread**2)) * there).amax(dim=1))
    box = prompt.box_B5.float()
    inside = _covered(box[:, 1], box[:, 3], height)[:, :, None] * _covered(box[:, 0], box[:, 2], width)[:, None, :]
    given = box[:, 4, None, None]
    maps += [inside * given, (1 - inside) * given, resize_mask(prompt.previous_B1HW.float(), size)[:, 0]]
    return torch.stack(maps, dim=1)


def resize_mask(mask_B1HW: Tensor, size: Sequence[int]) -> Tensor:
    """Resize by area averages where the mask shrinks; bilinear where it grows."""
    height, width = (int(side) for side in mask_B1HW.shape[2:])
    if (height, width) == tuple(size):
        return mask_B1HW
    if height * int(size[1]) == width * int(size[0]) and height % int(size[0]) == 0:
        return shrink_to(mask_B1HW, size)
    if height >= size[0] and width >= size[1]:
        return F.interpolate(mask_B1HW, size=list(size), mode="area")
    return upsample_to(mask_B1HW, size)


def _covered(start_B: Tensor, end_B: Tensor, cells: int) -> Tensor:
    """Return B x cells: the share of each cell that lies between two positions in [0, 1]."""
    left = torch.arange(cells, device=start_B.device)
    first, last = start_B[:, None] * cells, end_B[:, None] * cells
    return (torch.minimum(last, left + 1.0) - torch.maximum(first, left.float())).clamp(0, 1)
