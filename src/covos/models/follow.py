"""covos-follow: given masks of some frames, the masks of the others.

    features of covos-lite -> shared by all objects: keys, context, skips, its own answer   (`project`)
    features + an object's mask -> values, a frame of memory                                (`memorise`)
    features + memory + what is believed -> logits of each object, by themselves            (`find`)
    logits of all objects of a frame -> one label map                                       (`object_masks.aggregate`)

The plan is that of STCN (Cheng et al., *Rethinking Space-Time Networks with Improved Memory Coverage*, NeurIPS 2021):
keys belong to frames, are made without any mask and serve queries and memory alike, so an affinity is found once for
all objects. The encoder is that of covos-lite, and stays as it is: a frame is encoded once for both networks.

The memory is read twice. The long-term readout compares a position with all positions of all remembered frames. The
short-term one takes the neighbourhood of the same position in the latest frame alone (AOT, Yang et al., NeurIPS 2021,
section 4.2, has a window there; here it is a Gaussian of learned width, moved along the optical flow). A remembered
position counts as far as its mask is sure, and masks that the user gave count most.

Three more things go into the decoder, each of which may be missing:

- the *latest masks*, moved along the optical flow;
- the *cue*: what covos-lite itself takes for the subject of the video, and how well that agreed with the object where
  the user showed it;
- the score of a linear *target model*, fitted while following (`covos.models.target`).

Shape legend: B frames, P pairs of a frame and one of its objects, C channels, K key channels, h x w cells at stride
16, N = h w positions, M positions of a memory, L positions at stride 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.layers import Residual, conv, pointwise_conv, separable_conv, shrink_to, upsample_to
from covos.models.lite import Features, LiteConfig
from covos.models.object_masks import moved
from covos.models.readout import focused, read, shares
from covos.models.target import TargetModel, TargetMoments, fit_features, moments, score

MASK_STRIDE = 4
"""Stride of the masks that are remembered, of the flow, and of the latest masks."""
OUTPUT_STRIDE = 2
"""Stride of the logits."""
MAX_SCALE = 40.0
"""Largest scale of the affinity: exp(-2 * 40) is still a number in float32, so no position of a memory is ever divided
away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowConfig:
    """Widths of covos-follow, in channels."""

    keys: int = 64
    context: int = 64
    mask: tuple[int, int, int] = (16, 32, 64)
    value: int = 96
    widths: tuple[int, int, int] = (128, 64, 32)
    skips: tuple[int, int] = (32, 16)
    detail: int = 12


class FollowFeatures(NamedTuple):
    """Features that all objects of B frames share."""

    key_BNK: Tensor
    """Keys of length 1, float32; they serve as queries too."""
    context_BChw: Tensor
    s8_BCHW: Tensor
    s4_BCHW: Tensor
    s2_BCHW: Tensor
    fit_BLD: Tensor
    """Inputs of the target model at stride 8, float32 (see `covos.models.target.fit_features`)."""
    still_B1hw: Tensor
    """Probability of the subject by covos-lite's still-image head, at stride 16."""
    cue_B1HW: Tensor
    """Probability of the subject by covos-lite with its references, at stride 2; 0 where it is not known."""
    cue_known_B: Tensor
    """1 where the cue is known, else 0."""
    flow_B2HW: Tensor
    """Optical flow (x, y) to the latest frame, in cells of stride 4, at stride 4; 0 where it is not known."""


class SharedFeatures(NamedTuple):
    """Features of B frames by themselves; see `FollowFeatures`, which has the hints of the video beside them."""

    key_BNK: Tensor
    context_BChw: Tensor
    s8_BCHW: Tensor
    s4_BCHW: Tensor
    fit_BLD: Tensor
    still_B1hw: Tensor


class ObjectMemory(NamedTuple):
    """Keys of a remembered frame, or of several one after the other, and values of each object."""

    key_BMK: Tensor
    value_PMC: Tensor
    """The last two channels are the mask that the values were made of, and how much they count; 0 for not at all."""


class Belief(NamedTuple):
    """Beliefs about P objects before a frame is looked at."""

    latest_P2HW: Tensor
    """Each object's mask in the latest frame and that of all others (see `object_masks.with_others`), at stride 4."""
    target: TargetModel
    agreement_P2: Tensor
    """From `agreement`, where the user showed the object."""


class Recalled(NamedTuple):
    """Knowledge of P objects before their frame is decoded; float32."""

    long_PNC: Tensor
    """The memory as `read` reads it."""
    short_PNC: Tensor
    """The latest frame, likewise."""
    before_P2HW: Tensor
    """The latest masks, moved along the flow, at stride 4."""
    score_P1HW: Tensor
    """Score of the target model at stride 8."""
    shares_BM: Tensor
    """See `covos.models.readout.shares`, of the memory."""

    def maps(self, cells: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return `DecodedObjects.read_P2hw` and `DecodedObjects.match_Phw`, for h x w cells."""
        masks = torch.stack([self.long_PNC[..., -2], self.short_PNC[..., -2]], dim=1)
        return masks.reshape(-1, 2, *cells), self.long_PNC[..., -1].reshape(-1, *cells)


class DecodedObjects(NamedTuple):
    """Readout of P objects, each by itself."""

    logit_P1HW: Tensor
    """At stride 2."""
    present_P: Tensor
    """Logit that any of the object is to be seen."""
    quality_P: Tensor
    """Logit of the Jaccard index that the mask is expected to have."""
    read_P2hw: Tensor
    """The remembered masks as read by the long-term and the short-term affinity, in [0, 1]."""
    match_Phw: Tensor
    """Match of each position with what is remembered, in [-1, 1] (see `covos.models.readout.read`)."""
    shares_BM: Tensor
    """See `covos.models.readout.shares`, of the memory."""
    before_P1HW: Tensor
    """The object's mask in the latest frame, moved along the flow, at stride 4."""
    score_P1HW: Tensor
    """Score of the target model at stride 8."""


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
    """Decodes what was read for an object at stride 16 to its logit at stride 2.

    At each stride the latest masks and the cue come in again, at its resolution: a thin part that is lost at stride 16
    is not lost for good.
    """

    def __init__(self, c_in: int, config: FollowConfig) -> None:
        super().__init__()
        a, b, c = config.widths
        fine = EfficientNetLite.fine_channels
        self.s16 = nn.Sequential(pointwise_conv(c_in, a), Residual(a))
        # Beside the skip: the latest masks of the object and of the others, the cue, the target model's score.
        self.s8 = nn.Sequential(separable_conv(a + config.skips[0] + 4, b), separable_conv(b, b))
        self.s4 = nn.Sequential(separable_conv(b + config.skips[1] + 3, c), separable_conv(c, c))
        self.logit = nn.Conv2d(c, 1, 1)
        self.narrow = pointwise_conv(c, config.detail)
        self.s2 = separable_conv(config.detail + fine + 1, config.detail)
        self.correction = nn.Conv2d(config.detail, 1, 1)
        # A training begins with the interpolated logit.
        nn.init.zeros_(self.correction.weight)
        nn.init.zeros_(self.correction.bias)  # type: ignore[arg-type]
        self.judge = nn.Sequential(nn.Linear(3 * a, 64), nn.ReLU(inplace=True), nn.Linear(64, 2))

    def forward(
        self,
        x_PChw: Tensor,
        skips: tuple[Tensor, Tensor, Tensor],
        latest_P2HW: Tensor,
        cue_P1HW: Tensor,
        score_P1HW: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return P x 1 x H/2 x W/2 logits, and P x 2 logits of presence and quality.

        ``skips`` are at strides 8, 4 and 2, the latest masks at stride 4, the cue at stride 2, the score at stride 8.
        """
        s8, s4, s2 = skips
        wide = self.s16(x_PChw)
        cue4 = F.avg_pool2d(cue_P1HW, 2)
        hints8 = [F.avg_pool2d(latest_P2HW, 2), F.avg_pool2d(cue4, 2), score_P1HW]
        x = self.s8(torch.cat([upsample_to(wide, s8.shape[2:]), s8, *(hint.to(s8.dtype) for hint in hints8)], dim=1))
        hints4 = [latest_P2HW, cue4]
        x = self.s4(torch.cat([upsample_to(x, s4.shape[2:]), s4, *(hint.to(s4.dtype) for hint in hints4)], dim=1))
        coarse = self.logit(x)
        detail = self.s2(torch.cat([upsample_to(self.narrow(x), s2.shape[2:]), s2, cue_P1HW.to(s2.dtype)], dim=1))
        logit = upsample_to(coarse.float(), s2.shape[2:]) + self.correction(detail)
        # Judged is the mask that was found, by what is under it.
        inside = shrink_to(coarse.detach().float().sigmoid(), wide.shape[2:]).to(wide.dtype)
        under = (wide * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1.0)
        judged: Tensor = self.judge(torch.cat([wide.mean(dim=(2, 3)), wide.amax(dim=(2, 3)), under], dim=1))
        return logit, judged


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
        # Readouts of two kinds with their masks and affinities, the context, the latest masks; the cue, if it is known,
        # the still head, the score of the target model and the agreement.
        self.decoder = ObjectDecoder(2 * config.value + 2 + 2 + config.context + 2 + 6, config)
        # exp(2.3) = 10, as in `covos.models.coattention`.
        self.log_scale = nn.Parameter(torch.tensor(2.3))
        # The reach of the short-term readout, in cells of stride 16: e^1.1 = 3 cells, 48 pixels.
        self.log_reach = nn.Parameter(torch.tensor(1.1))
        # The weight of a position that the user showed, beside others: e^0.7 = 2.
        self.log_given = nn.Parameter(torch.tensor(0.7))

    @property
    def scale(self) -> Tensor:
        """Scale of the cosines before the softmax."""
        return self.log_scale.exp().clamp(max=MAX_SCALE)

    def project(self, features: Features, *, cue_B1HW: Tensor | None, flow_B2HW: Tensor | None) -> FollowFeatures:
        """Make what all objects of a frame share; once for each frame.

        Args:
            features: Features of B frames of covos-lite.
            cue_B1HW: Logits of covos-lite with its references, at stride 2; None if they are not known.
            flow_B2HW: See `FollowFeatures`; None if it is not known.
        """
        return with_hints(self.share(features), features, cue_B1HW=cue_B1HW, flow_B2HW=flow_B2HW)

    def share(self, features: Features) -> SharedFeatures:
        """Make what does not depend on cue and flow; see `project`."""
        x = torch.cat([features.v_BCHW, features.s16_BCHW], dim=1)
        # In float32: the norm of a bf16 vector has three digits, and the temperature multiplies its error.
        key = F.normalize(self.key(x).flatten(2).transpose(1, 2).float(), dim=2)
        s8 = features.s8_BCHW
        with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
            fitted = fit_features((features.v_BCHW, features.s16_BCHW, s8), (s8.shape[2], s8.shape[3]))
            still = features.still_B1HW.float().sigmoid()
        return SharedFeatures(key, self.context(x), self.skip8(s8), self.skip4(features.s4_BCHW), fitted, still)

    def memorise(
        self,
        features: FollowFeatures,
        mask_P2HW: Tensor,
        owner_P: Tensor,
        *,
        certainty_P1HW: Tensor,
        given_P: Tensor,
    ) -> ObjectMemory:
        """Turn frames whose objects are known into memory.

        Args:
            features: Features of B frames.
            mask_P2HW: From `object_masks.with_others`: at stride 4, in [0, 1], the share of the cell that the object
                covers, and the same of all other objects of its frame together.
            owner_P: Frame of each object.
            certainty_P1HW: From `object_masks.certainty`: how far the mask is to be believed.
            given_P: Bool: true for masks that the user gave, which are believed, and count more than any other.
        """
        context = features.context_BChw[owner_P]
        mask = mask_P2HW[:, :1]
        value = self.value(mask.to(context.dtype), mask_P2HW[:, 1:].to(context.dtype), context)
        cells = value.shape[2:]
        carried = shrink_to(mask.float(), cells)
        believed = shrink_to(certainty_P1HW.float(), cells)
        counted = torch.where(given_P.view(-1, 1, 1, 1), self.log_given.exp(), believed)
        value_PCM = torch.cat([value.float(), carried, counted], dim=1).flatten(2)
        return ObjectMemory(features.key_BNK, value_PCM.transpose(1, 2))

    def affinity(self, features: FollowFeatures, key_BMK: Tensor) -> Tensor:
        """Return the affinity of each position to each position of a memory: B x N x M float32, in (0, 1].

        Not normalised, so that objects that part of the memory knows nothing of can share it (`readout.read`).
        """
        scale = self.scale
        logit = torch.baddbmm(-scale.view(1, 1, 1), scale * features.key_BNK, key_BMK.transpose(1, 2))
        # In place where nothing is trained: it is by far the largest array.
        return logit.exp() if torch.is_grad_enabled() else logit.exp_()

    def nearby(self, features: FollowFeatures, key_BMK: Tensor) -> Tensor:
        """Return the affinity to the latest frame, N = M, less with the distance from where the flow comes from."""
        height, width = features.context_BChw.shape[2:]
        device = features.key_BNK.device
        y, x = torch.meshgrid(torch.arange(height, device=device), torch.arange(width, device=device), indexing="ij")
        place_N2 = torch.stack([x, y], dim=2).flatten(0, 1).float()
        shift = shrink_to(features.flow_B2HW, (height, width)) * (MASK_STRIDE / 16)
        from_BN2 = place_N2 + shift.flatten(2).transpose(1, 2)
        reach = self.log_reach.exp()
        # A Gaussian of a plane is the product of two, of N x width and N x height.
        across = torch.exp(-((from_BN2[..., :1] - torch.arange(width, device=device)) / reach).square() / 2)
        down = torch.exp(-((from_BN2[..., 1:] - torch.arange(height, device=device)) / reach).square() / 2)
        near = (down.clamp(min=1e-13).unsqueeze(3) * across.clamp(min=1e-13).unsqueeze(2)).flatten(2)
        return self.affinity(features, key_BMK) * near

    def find(
        self, features: FollowFeatures, memory: ObjectMemory, latest: ObjectMemory, belief: Belief, owner_P: Tensor
    ) -> DecodedObjects:
        """Find objects that are remembered.

        Args:
            features: Features of B frames.
            memory: For the long-term readout; M >= 1 positions.
            latest: Memory of the latest frame alone, for the short-term one.
            belief: What is believed of the objects.
            owner_P: Frame of each object.
        """
        recalled = self.recall(features, memory, latest, belief, owner_P)
        return self.decode(features, recalled, belief.agreement_P2, owner_P)

    def recall(
        self, features: FollowFeatures, memory: ObjectMemory, latest: ObjectMemory, belief: Belief, owner_P: Tensor
    ) -> Recalled:
        """Read what is remembered of the objects; see `find`."""
        # Affinities span many powers of ten, so they are float32 whatever the rest is.
        with torch.autocast(features.key_BNK.device.type, enabled=False):
            affinity = self.affinity(features, memory.key_BMK)
            # The whole is trained, and shows how well the position matches; the chosen part of it is read.
            chosen = None if self.training else focused(affinity, features.context_BChw.shape[2:])
            # Only bfloat16, of the short types, has their range: in float16 the weak ones would be 0.
            short_type = features.context_BChw.dtype == torch.bfloat16 and not torch.is_grad_enabled()
            precision = torch.bfloat16 if short_type else torch.float32
            long = read(affinity, memory.value_PMC, owner_P, scale=self.scale, precision=precision, chosen=chosen)
            near = self.nearby(features, latest.key_BMK)
            short = read(near, latest.value_PMC, owner_P, scale=self.scale, precision=precision)
            height, width = features.s8_BCHW.shape[2:]
            scored = score(belief.target, features.fit_BLD, owner_P).view(-1, 1, height, width)
            before = moved(belief.latest_P2HW.float(), features.flow_B2HW[_own(features, owner_P)])
        return Recalled(long, short, before, scored, shares(affinity.detach()))

    def decode(
        self, features: FollowFeatures, recalled: Recalled, agreement_P2: Tensor, owner_P: Tensor
    ) -> DecodedObjects:
        """Decode what was recalled of the objects to their masks; see `find`."""
        own = _own(features, owner_P)
        before, scored = recalled.before_P2HW, recalled.score_P1HW
        context, cue = features.context_BChw[own], features.cue_B1HW[own]
        cells = context.shape[2:]
        pairs = owner_P.shape[0]
        readings = [
            reading.transpose(1, 2).reshape(pairs, -1, *cells) for reading in (recalled.long_PNC, recalled.short_PNC)
        ]
        flat = torch.cat([features.cue_known_B[own].view(-1, 1).expand(pairs, 1), agreement_P2], dim=1)
        small = [shrink_to(part, cells).expand(pairs, -1, -1, -1) for part in (before, cue, scored)]
        still = features.still_B1hw[own].expand(pairs, -1, -1, -1)
        x = torch.cat(
            [
                *readings,
                *small,
                still,
                flat[:, :, None, None].expand(-1, -1, *cells),
                context.float().expand(pairs, -1, -1, -1),
            ],
            dim=1,
        ).to(context.dtype, memory_format=torch.channels_last)
        skips = (features.s8_BCHW[own], features.s4_BCHW[own], features.s2_BCHW[own])
        logit, judged = self.decoder(x, skips, before, cue, scored)
        judged = judged.float()
        masks, match = recalled.maps(cells)
        return DecodedObjects(
            logit.float(), judged[:, 0], judged[:, 1], masks, match, recalled.shares_BM, before[:, :1], scored
        )


def with_hints(
    shared: SharedFeatures, features: Features, *, cue_B1HW: Tensor | None, flow_B2HW: Tensor | None
) -> FollowFeatures:
    """Add the hints of the video to the features of B frames; see `CovosFollow.project`."""
    key, context, s8, s4, fitted, still = shared
    batch, _, height, width = features.s4_BCHW.shape
    with torch.no_grad():
        cue = still.new_zeros(batch, 1, *features.s2_BCHW.shape[2:]) if cue_B1HW is None else cue_B1HW.sigmoid()
        flow = still.new_zeros(batch, 2, height, width) if flow_B2HW is None else flow_B2HW
    known = still.new_full((batch,), float(cue_B1HW is not None))
    return FollowFeatures(key, context, s8, s4, features.s2_BCHW, fitted, still, cue.float(), known, flow)


def _own(features: FollowFeatures, owner_P: Tensor) -> Tensor | slice:
    """Return the index that gives each object the part of its frame; what is one object's already is not copied."""
    return slice(None) if len(owner_P) == len(features.key_BNK) == 1 else owner_P


@torch.no_grad()
def target_moments(
    features: FollowFeatures, mask_P1HW: Tensor, owner_P: Tensor, *, certainty_P1HW: Tensor
) -> TargetMoments:
    """Sum up, for the target model, frames whose objects are known; masks and certainty are at stride 4."""
    size = features.s8_BCHW.shape[2:]
    with torch.autocast(mask_P1HW.device.type, enabled=False):
        mask_PL = shrink_to(mask_P1HW.float(), size).flatten(1)
        doubt_PL = 1 - shrink_to(certainty_P1HW.float(), size).flatten(1)
        # A position is doubted as far as its objects together are in doubt there.
        certain_BL = features.fit_BLD.new_ones(features.fit_BLD.shape[:2])
        weight_BL = certain_BL.index_add(0, owner_P, doubt_PL, alpha=-1).clamp(min=0)
        return moments(features.fit_BLD, mask_PL, weight_BL, owner_P)


def agreement(mask_P2HW: Tensor, features: FollowFeatures, owner_P: Tensor) -> Tensor:
    """Compare shown objects with the cue of their frames: P x 2 float32 in [0, 1].

    The overlap (Jaccard index of soft masks) of the cue with the object, and with all objects of its frame together; 0
    where there is no cue. The masks are from `object_masks.with_others`, at stride 4.
    """
    cue = F.avg_pool2d(features.cue_B1HW, MASK_STRIDE // OUTPUT_STRIDE)[owner_P]
    mask = mask_P2HW.float()
    every = torch.cat([mask[:, :1], mask.sum(dim=1, keepdim=True).clamp(max=1)], dim=1)
    either = torch.maximum(every, cue).sum(dim=(2, 3)).clamp(min=1.0)
    return torch.minimum(every, cue).sum(dim=(2, 3)) / either * features.cue_known_B[owner_P].unsqueeze(1)
