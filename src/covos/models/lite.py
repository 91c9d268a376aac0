"""covos-lite: COSNet's plan at a twentieth of its size.

    frame  -> EfficientNet-Lite0 -+-> context (ASPP) at stride 16 = V -> co-attention with R references -> decoder
    motion -> small pyramid ------+

Each frame is encoded once (`encode`); what the references hold is put in a `Memory` (`memorise`); a query is decoded
against it (`decode`). Beside the features, a reference hands on what it makes of itself alone: the probability of a
still-image head (COSNet's ``main_classifier``) at each position. So a query learns not only what it has in common
with the references, but also how often that was judged the subject there.

Shape legend: B batch, C channels, H height, W width, M positions of the references.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from covos.models.coattention import CoAttention, Fusion, Memory
from covos.models.cosnet.network import SeparableASPP
from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.layers import SkipDecoder, pointwise_conv, upsample_to

# The motion branch: what moves by itself joins what is seen.
#
# Motion is an optional input: it enters the encoder's features at strides 4, 8 and 16 as a residual, and a frame whose
# motion is not known adds nothing. So one network serves videos and single pictures (compare MATNet, Zhou et al., AAAI
# 2020, whose second stream is a whole network).
#
# Shape legend: B batch, C channels, H height, W width.

MOTION_CHANNELS = 4
"""Motion along x and y, its length, how strong it is in the frame at all."""
MOTION_STRIDE = 4
"""The motion is given at a quarter of the frame's size."""


class MotionPyramid(NamedTuple):
    """What is to be added to the encoder's features, named by their stride."""

    s4: Tensor
    s8: Tensor
    s16: Tensor


class MotionBranch(nn.Module):
    """A small convolutional pyramid over the motion.

    Args:
        channels: Of the encoder at strides 4, 8 and 16.
        widths: Of the branch at these strides.
    """

    def __init__(self, channels: tuple[int, int, int], *, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.s4 = nn.Sequential(_conv(MOTION_CHANNELS, widths[0], stride=1), _conv(widths[0], widths[0], stride=1))
        self.s8 = nn.Sequential(_conv(widths[0], widths[1], stride=2), _conv(widths[1], widths[1], stride=1))
        self.s16 = nn.Sequential(_conv(widths[1], widths[2], stride=2), _conv(widths[2], widths[2], stride=1))
        self.join = nn.ModuleList(nn.Conv2d(width, c, 1, bias=False) for width, c in zip(widths, channels, strict=True))
        for join in self.join:
            # A training starts from what the network makes of pictures alone.
            assert isinstance(join, nn.Conv2d)
            nn.init.zeros_(join.weight)

    def forward(self, motion_B4HW: Tensor) -> MotionPyramid:
        """B x 4 x H/4 x W/4 motion -> residuals at strides 4, 8 and 16; zero for frames whose motion is all zero."""
        known = (motion_B4HW != 0).any(dim=3).any(dim=2).any(dim=1).view(-1, 1, 1, 1)
        s4 = self.s4(motion_B4HW)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        joined = (join(x) for join, x in zip(self.join, (s4, s8, s16), strict=True))
        return MotionPyramid(*(torch.where(known, x, torch.zeros((), dtype=x.dtype, device=x.device)) for x in joined))


def _conv(c_in: int, c_out: int, *, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LiteConfig:
    """Widths of covos-lite, in channels."""

    context: int = 128
    aspp_branch: int = 96
    dilations: tuple[int, ...] = (3, 6, 12)
    keys: int = 64
    widths: tuple[int, int, int] = (128, 96, 64)
    skips: tuple[int, int] = (48, 24)
    detail: int = 16
    motion: tuple[int, int, int] = (16, 32, 64)


class Features(NamedTuple):
    """A batch of encoded frames: all that is ever needed of them."""

    v_BCHW: Tensor
    """Context at stride 16."""
    still_B1HW: Tensor
    """Logit of the still-image head at stride 16."""
    s8_BCHW: Tensor
    s4_BCHW: Tensor
    s16_BCHW: Tensor
    """The encoder's own at stride 16: it tells apart what the context holds for one subject."""
    s2_BCHW: Tensor


class DecodedSubject(NamedTuple):
    """Predictions for a batch of queries."""

    logit_B1HW: Tensor
    """At stride 2."""
    extra_BEHW: Tensor
    """What was read, at stride 16, from the extra channels given to `CovosLite.memorise`."""


class CovosLite(nn.Module):
    """The network of `covos-lite`.

    Frames are B x 3 x H x W float RGB in [0, 1], H and W multiples of 32.
    """

    stride = 32
    """Heights and widths must be multiples of this."""
    fixed_size: tuple[int, int] | None = None
    """Any size will do."""
    fusions: tuple[Fusion, ...] = ("group",)
    """It is trained to read all references at once."""
    uses_motion = True
    """`encode` takes what moves in the frames, where that is known."""

    def __init__(self, config: LiteConfig | None = None) -> None:
        super().__init__()
        config = config or LiteConfig()
        self.config = config
        self.encoder = EfficientNetLite()
        c_s4, c_s8, c_s16, c_s32 = EfficientNetLite.channels
        self.motion = MotionBranch((c_s4, c_s8, c_s16), widths=config.motion)
        self.deep = pointwise_conv(c_s32, config.context)
        self.context = SeparableASPP(
            config.context + c_s16, config.context, branch=config.aspp_branch, dilations=config.dilations
        )
        self.still = nn.Conv2d(config.context, 1, 1)
        self.coattention = CoAttention(config.context, affinity="cosine", key_channels=config.keys)
        self.decoder = SkipDecoder(
            2 * config.context + 3,
            skip_channels=(c_s8, c_s4, EfficientNetLite.fine_channels),
            widths=config.widths,
            skips=config.skips,
            detail=config.detail,
        )

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> Features:
        """Encode frames, each by itself.

        Args:
            image_BCHW: See the class.
            motion_B4HW: At a quarter of the frames' size (see `covos.models.lite`), all zero for a frame whose
                motion is not known; None if that holds for all.
        """
        s2, s4, s8, s16, s32 = self.encoder(image_BCHW)
        if motion_B4HW is not None:
            moving = self.motion(motion_B4HW)
            s4, s8, s16 = s4 + moving.s4, s8 + moving.s8, s16 + moving.s16
        deep = upsample_to(self.deep(s32), s16.shape[2:])
        v = self.context(torch.cat([deep, s16], dim=1))
        return Features(v, self.still(v), s8, s4, s16, s2)

    def memorise(self, features: Features, *, extra_BEHW: Tensor | None = None) -> Memory:
        """Turn encoded references into a memory of M = H/16 * W/16 positions each.

        Args:
            features: Of the references.
            extra_BEHW: Channels at stride 16 to carry along; `DecodedSubject.extra_BEHW` holds the readout of them.
        """
        carried = torch.sigmoid(features.still_B1HW.float())
        if extra_BEHW is not None:
            carried = torch.cat([carried, extra_BEHW], dim=1)
        return self.coattention.memorise(features.v_BCHW, carried)

    def decode(self, features: Features, memory: Memory) -> DecodedSubject:
        """Segment encoded queries against a memory of the same batch size."""
        read = self.coattention(features.v_BCHW, memory)
        v = features.v_BCHW
        own = torch.sigmoid(features.still_B1HW.float())
        x = torch.cat([read.summary_BCHW, v, read.match_B1HW, read.extra_BEHW[:, :1], own], dim=1)
        logit = self.decoder(x.to(v.dtype), features.s8_BCHW, features.s4_BCHW, features.s2_BCHW)
        return DecodedSubject(logit, read.extra_BEHW[:, 1:])

    def segment(self, features: Features, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """Segment encoded queries by references.

        Args:
            features: Of B queries.
            memories: Of at least one reference, of batch size 1 each.
            fusion: ``"group"``.

        Returns:
            B x 1 x H/2 x W/2 float32 logits.
        """
        assert fusion in self.fusions
        batch = features.v_BCHW.shape[0]
        shared = Memory(*(part.expand(batch, -1, -1) for part in Memory.join(list(memories))))
        return self.decode(features, shared).logit_B1HW.float()
