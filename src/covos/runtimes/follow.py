"""covos-follow as stages: project a frame, remember it, recall what is remembered, decode it to masks."""

from __future__ import annotations

import torch
from torch import Tensor

from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.follow import (
    Belief,
    CovosFollow,
    DecodedObjects,
    FollowFeatures,
    ObjectMemory,
    Recalled,
    SharedFeatures,
    with_hints,
)
from covos.models.lite import Features, LiteConfig
from covos.models.target import TargetModel
from covos.runtimes.lite import feature_ports
from covos.runtimes.stages import Port, Programs, Stage, flag, share, unit


def follow_stages(network: CovosFollow) -> tuple[Stage, ...]:
    """Return the stages of a covos-follow. Frames are projected together, and followed one at a time."""
    config = network.config
    lite = LiteConfig()
    v, still, s8, s4, s16, _ = feature_ports(lite)
    fine = EfficientNetLite.fine_channels
    fitted = lite.context + EfficientNetLite.channels[2] + EfficientNetLite.channels[1] + 1
    values = config.value + 2

    def shared(frames: str) -> tuple[Port, ...]:
        return (
            Port("key", f"{frames} N {config.keys}", "keys, of length 1", unit(2)),
            Port("context", f"{frames} {config.context} H/16 W/16", "context"),
            Port("skip8", f"{frames} {config.skips[0]} H/8 W/8", "features at stride 8"),
            Port("skip4", f"{frames} {config.skips[1]} H/4 W/4", "features at stride 4"),
            Port("fit", f"{frames} L {fitted}", "inputs of the linear model of each object", share),
            Port("still_probability", f"{frames} 1 H/16 W/16", "subject by the frame alone, in [0, 1]", share),
        )

    key, context, skip8, skip4, fit, known_still = shared("1")
    readings = (
        Port("long", f"P N {values}", "what the memory holds at each position", share),
        Port("short", f"P N {values}", "what the latest frame holds there", share),
        Port("before", "P 2 H/4 W/4", "latest masks, moved along the flow", share),
        Port("score", "P 1 H/8 W/8", "score of the linear model"),
    )
    return (
        Stage(
            name="project",
            inputs=(v, still, s8, s4, s16),
            outputs=shared("B"),
            call=lambda network, v, still, s8, s4, s16: tuple(network.share(Features(v, still, s8, s4, s16, v))),
        ),
        Stage(
            name="memorise",
            inputs=(
                context,
                Port("mask", "P 2 H/4 W/4", "share of each cell that the object covers, and that all others do", share),
                Port("certainty", "P 1 H/4 W/4", "how far the mask is to be believed, in [0, 1]", share),
                Port("given", "P", "1 for masks that the user gave, else 0", flag),
            ),
            outputs=(Port("value", f"P N {values}", "values of the objects in a frame of the memory"),),
            call=_memorise,
        ),
        Stage(
            name="recall",
            inputs=(
                *(key, context, skip8, fit),
                Port("flow", "1 2 H/4 W/4", "optical flow to the latest frame, in cells of stride 4; 0 if unknown"),
                Port("memory_key", f"1 M {config.keys}", "keys of the remembered frames, one after the other", unit(2)),
                Port("memory_value", f"P M {values}", "values of each object in these", share),
                Port("latest_key", f"1 N {config.keys}", "keys of the latest frame", unit(2)),
                Port("latest_value", f"P N {values}", "values in the latest frame", share),
                Port(
                    "latest_mask", "P 2 H/4 W/4", "masks of the latest frame: of the object, and of all others", share
                ),
                Port("target", f"P {fitted}", "linear model of each object"),
            ),
            outputs=(*readings, Port("shares", "1 M", "share of each position of the memory in what is read", share)),
            call=_recall,
            exact=True,
        ),
        Stage(
            name="decode",
            inputs=(
                *(context, skip8, skip4),
                Port("s2", f"1 {fine} H/2 W/2", "features of covos-lite at stride 2"),
                known_still,
                Port("cue", "1 1 H/2 W/2", "probability of the subject by covos-lite; 0 if unknown", share),
                Port("cue_known", "1", "1 if the cue is known, else 0", flag),
                *readings,
                Port("agreement", "P 2", "agreement of the cue with the object where it was shown, in [0, 1]", share),
            ),
            outputs=(
                Port("logit", "P 1 H/2 W/2", "logit of each object by itself", is_logit=True),
                Port("present", "P", "logit that any of it is to be seen", is_logit=True),
                Port("quality", "P", "logit of the Jaccard index that the mask is expected to have", is_logit=True),
            ),
            call=_decode,
        ),
    )


def _one_frame(objects: Tensor) -> Tensor:
    """Return the owner of each object, where there is one frame."""
    return torch.zeros_like(objects.flatten(1)[:, 0], dtype=torch.long)


def _features(frame: dict[str, Tensor]) -> FollowFeatures:
    """Return features of which a stage needs some; the others are never looked at."""
    any_one = next(iter(frame.values()))
    return FollowFeatures(*(frame.get(name, any_one) for name in FollowFeatures._fields))


def _memorise(
    network: CovosFollow, context: Tensor, mask: Tensor, certainty: Tensor, given: Tensor
) -> tuple[Tensor, ...]:
    features = _features({"context_BChw": context})
    made = network.memorise(features, mask, _one_frame(mask), certainty_P1HW=certainty, given_P=given > 0.5)
    return (made.value_PMC,)


def _recall(network: CovosFollow, *inputs: Tensor) -> tuple[Tensor, ...]:
    key, context, skip8, fit, flow, memory_key, memory_value, latest_key, latest_value, latest_mask, target = inputs
    features = _features({"key_BNK": key, "context_BChw": context, "s8_BCHW": skip8, "fit_BLD": fit, "flow_B2HW": flow})
    memory, latest = ObjectMemory(memory_key, memory_value), ObjectMemory(latest_key, latest_value)
    # Nothing here depends on the agreement.
    belief = Belief(latest_mask, TargetModel(target), target)
    return tuple(network.recall(features, memory, latest, belief, _one_frame(latest_mask)))


def _decode(network: CovosFollow, *inputs: Tensor) -> tuple[Tensor, ...]:
    context, skip8, skip4, s2, still, cue, cue_known, long, short, before, score, agreement = inputs
    features = _features(
        {
            "key_BNK": context,
            "context_BChw": context,
            "s8_BCHW": skip8,
            "s4_BCHW": skip4,
            "s2_BCHW": s2,
            "still_B1hw": still,
            "cue_B1HW": cue,
            "cue_known_B": cue_known,
        }
    )
    found = network.decode(features, Recalled(long, short, before, score, long), agreement, _one_frame(before))
    return found.logit_P1HW, found.present_P, found.quality_P


class FollowProgram:
    """A covos-follow whose stages are programs; a `covos.engines.follow_pass.FollowNetwork`."""

    def __init__(self, network: CovosFollow, programs: Programs) -> None:
        self._programs = programs

    def project(self, features: Features, *, cue_B1HW: Tensor | None, flow_B2HW: Tensor | None) -> FollowFeatures:
        """See `CovosFollow.project`."""
        v, still, s8, s4, s16, _ = features
        shared = SharedFeatures(*self._programs["project"](v, still, s8, s4, s16))
        return with_hints(shared, features, cue_B1HW=cue_B1HW, flow_B2HW=flow_B2HW)

    def memorise(
        self,
        features: FollowFeatures,
        mask_P2HW: Tensor,
        owner_P: Tensor,
        *,
        certainty_P1HW: Tensor,
        given_P: Tensor,
    ) -> ObjectMemory:
        """See `CovosFollow.memorise`; the objects are those of one frame."""
        (value,) = self._programs["memorise"](features.context_BChw, mask_P2HW, certainty_P1HW, given_P)
        return ObjectMemory(features.key_BNK, value)

    def find(
        self, features: FollowFeatures, memory: ObjectMemory, latest: ObjectMemory, belief: Belief, owner_P: Tensor
    ) -> DecodedObjects:
        """See `CovosFollow.find`; the objects are those of one frame."""
        key, context, s8, s4, s2, fit, still, cue, cue_known, flow = features
        recalled = Recalled(
            *self._programs["recall"](
                *(key, context, s8, fit, flow, *memory, *latest, belief.latest_P2HW, belief.target.weight_PD)
            )
        )
        long, short, before, score, shares = recalled
        logit, present, quality = self._programs["decode"](
            *(context, s8, s4, s2, still, cue, cue_known, long, short, before, score, belief.agreement_P2)
        )
        masks, match = recalled.maps(context.shape[2:])
        return DecodedObjects(logit, present, quality, masks, match, shares, before[:, :1], score)
