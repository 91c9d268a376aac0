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

from covos.models.choices import Fusion
from covos.models.coattention import CosineCoAttention, Memory, join_memories
from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.layers import SeparableASPP, conv, pointwise_conv, separable_conv, upsample_to

MOTION_CHANNELS = 4
"""Motion along x and y, its length, how strong it is in the frame at all."""
MOTION_STRIDE = 4
"""The motion is given at a quarter of the frame's size."""


class MotionBranch(nn.Module):
    """Turns what moves into residuals of what is seen, by a small convolutional pyramid.

    Motion is an optional input: it enters the encoder's features at strides 4, 8 and 16, and a frame whose motion is
    not known adds nothing. So one network serves videos and single pictures (compare MATNet, Zhou et al., AAAI 2020,
    whose second stream is a whole network).
    """

    def __init__(self, channels: tuple[int, int, int], *, widths: tuple[int, int, int]) -> None:
        super().__init__()
        self.s4 = nn.Sequential(conv(MOTION_CHANNELS, widths[0]), conv(widths[0], widths[0]))
        self.s8 = nn.Sequential(conv(widths[0], widths[1], stride=2), conv(widths[1], widths[1]))
        self.s16 = nn.Sequential(conv(widths[1], widths[2], stride=2), conv(widths[2], widths[2]))
        self.join = nn.ModuleList(nn.Conv2d(width, c, 1, bias=False) for width, c in zip(widths, channels, strict=True))
        for join in self.join:
            # A training starts from what the network makes of pictures alone.
            assert isinstance(join, nn.Conv2d)
            nn.init.zeros_(join.weight)

    def forward(self, motion_B4HW: Tensor) -> tuple[Tensor, ...]:
        """B x 4 x H/4 x W/4 motion -> residuals at strides 4, 8 and 16; zero for frames whose motion is all zero."""
        known = (motion_B4HW != 0).any(dim=3).any(dim=2).any(dim=1).view(-1, 1, 1, 1)
        s4 = self.s4(motion_B4HW)
        s8 = self.s8(s4)
        s16 = self.s16(s8)
        joined = (join(x) for join, x in zip(self.join, (s4, s8, s16), strict=True))
        return tuple(torch.where(known, x, torch.zeros((), dtype=x.dtype, device=x.device)) for x in joined)


class SkipDecoder(nn.Module):
    """Decodes features at stride 16 to one logit at stride 2, with skips from the encoder.

    The plan of DeepLabV3+ (Chen et al., ECCV 2018, section 3.2) with steps more: two separable convolutions at each of
    the strides 16, 8 and 4, and at stride 2 a narrow branch that corrects the up-sampled logit. Contours lie there: at
    stride 4 of a 256 x 448 frame a cell is eight pixels of a 480p frame, as wide as an arm.

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
        """Return B x 1 x H/2 x W/2 logits."""
        x = self.s16(x_BCHW)
        skip8 = self.skip8(s8_BCHW)
        x = self.s8(torch.cat([upsample_to(x, skip8.shape[2:]), skip8], dim=1))
        skip4 = self.skip4(s4_BCHW)
        x = self.s4(torch.cat([upsample_to(x, skip4.shape[2:]), skip4], dim=1))
        fine = s2_BCHW.shape[2:]
        detail = self.s2(torch.cat([upsample_to(self.narrow(x), fine), s2_BCHW], dim=1))
        logit: Tensor = upsample_to(self.logit(x), fine) + self.correction(detail)
        return logit


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
    """Readout, at stride 16, of the extra channels given to `CovosLite.memorise`."""


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
        self.coattention = CosineCoAttention(config.context, key_channels=config.keys)
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
            s4, s8, s16 = (x + moving for x, moving in zip((s4, s8, s16), self.motion(motion_B4HW), strict=True))
        deep = upsample_to(self.deep(s32), s16.shape[2:])
        v = self.context(torch.cat([deep, s16], dim=1))
        return Features(v, self.still(v), s8, s4, s16, s2)

    def memorise(self, features: Features, *, extra_BEHW: Tensor | None = None) -> Memory:
        """Turn encoded references into a memory of M = H/16 * W/16 positions each.

        Extra channels at stride 16 are carried along; `DecodedSubject.extra_BEHW` holds the readout of them.
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
            features: Features of B queries.
            memories: Memories of at least one reference, of batch size 1 each.
            fusion: ``"group"``.

        Returns:
            B x 1 x H/2 x W/2 float32 logits.
        """
        assert fusion in self.fusions
        batch = features.v_BCHW.shape[0]
        shared = Memory(*(part.expand(batch, -1, -1) for part in join_memories(memories)))
        return self.decode(features, shared).logit_B1HW.float()
