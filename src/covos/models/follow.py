"""covos-follow: given masks of some frames, the masks of the others.

    features of covos-lite -> shared by all objects: keys, context, skips      (`project`)
    features + an object's mask -> values, a frame of memory                   (`memorise`)
    features + memory + latest frame -> logits of each object, by themselves   (`find`)
    logits of all objects of a frame -> one label map                          (`aggregate`)

The plan is that of STCN (Cheng et al., *Rethinking Space-Time Networks with Improved Memory Coverage*, NeurIPS 2021):
keys belong to frames, are made without any mask and serve queries and memory alike, so an affinity is found once for
all objects. The encoder is that of covos-lite, and stays as it is: a frame is encoded once for both networks.

The memory is read twice. The long-term readout compares a position with all positions of all remembered frames; the
short-term one with the neighbourhood of the same position in the latest frame alone (AOT, Yang et al., NeurIPS 2021,
section 4.2, has a window there; here it is a Gaussian of learned width).

Shape legend: B frames, P pairs of a frame and one of its objects, C channels, K key channels, h x w cells at stride
16, N = h w positions, M positions of a memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.layers import Residual, conv, pointwise_conv, separable_conv, upsample_to
from covos.models.lite import Features, LiteConfig

MAX_SCALE = 40.0
"""Largest scale of the affinity: exp(-2 * 40) is still a number in float32, so no position of a memory is ever divided
away."""
EPS = 1e-6
TINY = 1e-30


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowConfig:
    """Widths of covos-follow, in channels."""

    keys: int = 64
    context: int = 64
    mask: tuple[int, int, int] = (16, 32, 64)
    value: int = 96
    widths: tuple[int, int, int] = (128, 64, 32)
    skips: tuple[int, int] = (32, 16)


class FollowFeatures(NamedTuple):
    """Features that all objects of B frames share."""

    key_BNK: Tensor
    """Keys of length 1, float32; they serve as queries too."""
    context_BChw: Tensor
    s8_BCHW: Tensor
    s4_BCHW: Tensor


class ObjectMemory(NamedTuple):
    """Keys of a remembered frame, or of several one after the other, and values of each object."""

    key_BMK: Tensor
    value_PMC: Tensor
    """The last two channels are the mask that the values were made of, and 1 where they are to be believed."""


class DecodedObjects(NamedTuple):
    """Readout of P objects, each by itself."""

    logit_P1HW: Tensor
    """At stride 4."""
    present_P: Tensor
    """Logit that any of the object is to be seen."""
    quality_P: Tensor
    """Logit of the Jaccard index that the mask is expected to have."""
    read_P2hw: Tensor
    """The remembered masks as read by the long-term and the short-term affinity, in [0, 1]."""
    match_Phw: Tensor
    """Match of each position with what is remembered, in [-1, 1] (see `read`)."""
    affinity_BNM: Tensor
    """See `CovosFollow.affinity`."""


class MaskEncoder(nn.Module):
    """Makes values of an object: where it is, where the others are, and what is there."""

    def __init__(self, config: FollowConfig) -> None:
        super().__init__()
        a, b, c = config.mask
        self.mask = nn.Sequential(conv(2, a), conv(a, b, stride=2), conv(b, c, stride=2))
        self.join = pointwise_conv(c + config.context, config.value)
        self.body = Residual(config.value)
        self.out = nn.Conv2d(config.value, config.value, 1)

    def forward(self, mask_P1HW: Tensor, others_P1HW: Tensor, context_PChw: Tensor) -> Tensor:
        """Masks at stride 4 and context at stride 16 -> P x value x h x w."""
        seen = self.mask(torch.cat([mask_P1HW, others_P1HW], dim=1))
        value: Tensor = self.out(self.body(self.join(torch.cat([seen, context_PChw], dim=1))))
        return value


class ObjectDecoder(nn.Module):
    """Decodes what was read for an object at stride 16 to its logit at stride 4."""

    def __init__(self, c_in: int, config: FollowConfig) -> None:
        super().__init__()
        a, b, c = config.widths
        self.s16 = nn.Sequential(pointwise_conv(c_in, a), Residual(a))
        self.s8 = nn.Sequential(separable_conv(a + config.skips[0], b), separable_conv(b, b))
        self.s4 = nn.Sequential(separable_conv(b + config.skips[1], c), separable_conv(c, c))
        self.logit = nn.Conv2d(c, 1, 1)
        self.judge = nn.Sequential(nn.Linear(2 * a, 64), nn.ReLU(inplace=True), nn.Linear(64, 2))

    def forward(self, x_PChw: Tensor, s8_PCHW: Tensor, s4_PCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Return P x 1 x H/4 x W/4 logits, and P x 2 logits of presence and quality."""
        x = self.s16(x_PChw)
        judged: Tensor = self.judge(torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1))
        x = self.s8(torch.cat([upsample_to(x, s8_PCHW.shape[2:]), s8_PCHW], dim=1))
        x = self.s4(torch.cat([upsample_to(x, s4_PCHW.shape[2:]), s4_PCHW], dim=1))
        return self.logit(x), judged


class CovosFollow(nn.Module):
    """The network of `covos-follow`. It takes features of covos-lite, and has no encoder of frames of its own.

    Objects are pairs: ``owner_P`` says for each object which of the B frames it belongs to.
    """

    def __init__(self, config: FollowConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FollowConfig()
        c_s4, c_s8, c_s16, _ = EfficientNetLite.channels
        width = LiteConfig().context + c_s16
        self.key = nn.Sequential(pointwise_conv(width, 128), nn.Conv2d(128, config.keys, 3, padding=1))
        self.context = pointwise_conv(width, config.context)
        self.skip8 = pointwise_conv(c_s8, config.skips[0])
        self.skip4 = pointwise_conv(c_s4, config.skips[1])
        self.value = MaskEncoder(config)
        # Readouts of two kinds with their masks and affinities, the context, the latest mask and the others'.
        self.decoder = ObjectDecoder(2 * config.value + 2 + 2 + config.context + 2, config)
        # exp(2.3) = 10, as in `covos.models.coattention`.
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        # The reach of the short-term readout, in cells of stride 16: e^1.1 = 3 cells, 48 pixels.
        self.log_reach = nn.Parameter(torch.tensor(1.1))

    @property
    def scale(self) -> Tensor:
        """Scale of the cosines before the softmax."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def project(self, features: Features) -> FollowFeatures:
        """Make what all objects of a frame share; once for each frame."""
        x = torch.cat([features.v_BCHW, features.s16_BCHW], dim=1)
        # In float32: the norm of a bf16 vector has three digits, and the temperature multiplies its error.
        key = F.normalize(self.key(x).flatten(2).transpose(1, 2).float(), dim=2)
        return FollowFeatures(key, self.context(x), self.skip8(features.s8_BCHW), self.skip4(features.s4_BCHW))

    def memorise(
        self, features: FollowFeatures, mask_P1HW: Tensor, others_P1HW: Tensor, owner_P: Tensor
    ) -> ObjectMemory:
        """Turn frames whose objects are known into memory.

        Args:
            features: Features of B frames.
            mask_P1HW: At stride 4, in [0, 1]: the share of the cell that the object covers.
            others_P1HW: The same of all other objects of its frame together.
            owner_P: Frame of each object.
        """
        context = features.context_BChw[owner_P]
        value = self.value(mask_P1HW.to(context.dtype), others_P1HW.to(context.dtype), context)
        carried = F.interpolate(mask_P1HW.float(), size=value.shape[2:], mode="area")
        value_PCM = torch.cat([value.float(), carried, torch.ones_like(carried)], dim=1).flatten(2)
        return ObjectMemory(features.key_BNK, value_PCM.transpose(1, 2))

    def affinity(self, features: FollowFeatures, key_BMK: Tensor) -> Tensor:
        """Return the affinity of each position to each position of a memory: B x N x M float32, in (0, 1].

        Not normalised, so that objects that part of the memory knows nothing of can share it (see `read`).
        """
        cosine = features.key_BNK @ key_BMK.transpose(1, 2)
        return torch.exp(self.scale * (cosine - 1))

    def nearby(self, features: FollowFeatures, key_BMK: Tensor) -> Tensor:
        """Return the affinity to the latest frame, N = M, less with distance."""
        height, width = features.context_BChw.shape[2:]
        device = features.key_BNK.device
        y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
        place = torch.stack([y, x], dim=2).flatten(0, 1).float()
        distance = torch.cdist(place, place) / self.log_reach.exp()
        return self.affinity(features, key_BMK) * torch.exp(-distance.square().clamp(max=60) / 2)

    def find(
        self, features: FollowFeatures, memory: ObjectMemory, latest: ObjectMemory, latest_P2HW: Tensor, owner_P: Tensor
    ) -> DecodedObjects:
        """Find objects that are remembered.

        Args:
            features: Features of B frames.
            memory: For the long-term readout; M >= 1 positions.
            latest: Memory of the latest frame alone, for the short-term one.
            latest_P2HW: Each object's mask in the latest frame and that of all others (see `with_others`), at
                stride 4.
            owner_P: Frame of each object.
        """
        # Affinities span many powers of ten, so they are float32 whatever the rest is.
        with torch.autocast(features.key_BNK.device.type, enabled=False):
            affinity = self.affinity(features, memory.key_BMK)
            long = read(affinity, memory.value_PMC, owner_P, scale=self.scale)
            short = read(self.nearby(features, latest.key_BMK), latest.value_PMC, owner_P, scale=self.scale)
        context = features.context_BChw[owner_P]
        cells = context.shape[2:]
        readings = [reading.transpose(1, 2).reshape(len(reading), -1, *cells) for reading in (long, short)]
        before = F.interpolate(latest_P2HW.float(), size=cells, mode="area")
        x = torch.cat([*readings, before, context.float()], dim=1).to(context.dtype)
        logit, judged = self.decoder(x, features.s8_BCHW[owner_P], features.s4_BCHW[owner_P])
        judged = judged.float()
        masks = torch.cat([reading[:, -2:-1] for reading in readings], dim=1)
        return DecodedObjects(logit.float(), judged[:, 0], judged[:, 1], masks, readings[0][:, -1], affinity)


def with_others(mask_P1HW: Tensor, owner_P: Tensor) -> Tensor:
    """Stack each object's mask, and that of all other objects of its frame together: P x 2 x H x W in [0, 1]."""
    frames = int(owner_P.max()) + 1
    total = mask_P1HW.new_zeros(frames, *mask_P1HW.shape[1:]).index_add(0, owner_P, mask_P1HW)
    return torch.cat([mask_P1HW, (total[owner_P] - mask_P1HW).clamp(0, 1)], dim=1)


def read(affinity_BNM: Tensor, value_PMC: Tensor, owner_P: Tensor, *, scale: Tensor) -> Tensor:
    """Read the memory at each position.

    Args:
        affinity_BNM: From `CovosFollow.affinity` or `CovosFollow.nearby`.
        value_PMC: See `ObjectMemory`; where the last channel is 0, the object is not looked for.
        owner_P: Frame of each object.
        scale: Scale of the affinity.

    Returns:
        P x N x C: the mean of the values under the affinity, and in the last channel, in place of the knowledge, the
        match in [-1, 1]: the log of the mean affinity over the scale, as a cosine.
    """
    value, known = value_PMC[..., :-1], value_PMC[..., -1:]
    summed = affinity_BNM[owner_P] @ torch.cat([value * known, known], dim=2)
    total = summed[..., -1:]
    count = known.sum(dim=1, keepdim=True).clamp(min=1)
    # The tiny constant lets an object of which nothing is known read zeros.
    match = 1 + torch.log(total / count + TINY) / scale
    return torch.cat([summed[..., :-1] / (total + TINY), match.clamp(min=-1)], dim=2)


def aggregate(logit_P1HW: Tensor, owner_P: Tensor, *, frames: int) -> Tensor:
    """Aggregate softly: what several objects say of themselves becomes one distribution.

    Oh et al., *Video Object Segmentation using Space-Time Memory Networks*, ICCV 2019, section 3.4: the background's
    probability is the product of 1 - p_i, and the odds p / (1 - p) of all, background too, are normalised.

    Args:
        logit_P1HW: Logit of each object by itself.
        owner_P: Frame of each object; objects of a frame are neighbours.
        frames: Number of frames B.

    Returns:
        B x (1 + O) x H x W float32 log-probabilities of the background and the O objects of the frame with the most;
        of objects that a frame does not have, minus a lot.
    """
    owners = owner_P.tolist()
    places = [sum(owner == other for other in owners[:index]) for index, owner in enumerate(owners)]
    most = max(places, default=-1) + 1
    height, width = logit_P1HW.shape[2:]
    logit = logit_P1HW[:, 0].float().clamp(-15, 15)
    log_absent = F.logsigmoid(-logit)
    background = logit.new_zeros(frames, height, width).index_add(0, owner_P, log_absent).clamp(min=-30, max=-EPS)
    odds = logit.new_full((frames, 1 + most, height, width), -60.0)
    odds[:, 0] = background - torch.log(-torch.expm1(background))
    odds[owner_P, torch.tensor(places, device=logit.device, dtype=torch.long) + 1] = logit
    return F.log_softmax(odds, dim=1)
