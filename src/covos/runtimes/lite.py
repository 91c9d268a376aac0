"""covos-lite as stages: encode frames, turn references into memory, segment frames by it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from covos.models.choices import Fusion
from covos.models.coattention import Memory, join_memories
from covos.models.efficientnet_lite import EfficientNetLite
from covos.models.lite import MOTION_CHANNELS, MOTION_STRIDE, CovosLite, Features, LiteConfig
from covos.runtimes.stages import Port, Programs, Stage, share, unit


def feature_ports(config: LiteConfig) -> tuple[Port, ...]:
    """Return the ports of `covos.models.lite.Features`, in its order."""
    s4, s8, s16, _ = EfficientNetLite.channels
    return (
        Port("v", f"B {config.context} H/16 W/16", "context"),
        Port("still", "B 1 H/16 W/16", "logit of the subject by the frame alone", is_logit=True),
        Port("s8", f"B {s8} H/8 W/8", "features at stride 8"),
        Port("s4", f"B {s4} H/4 W/4", "features at stride 4"),
        Port("s16", f"B {s16} H/16 W/16", "features at stride 16"),
        Port("s2", f"B {EfficientNetLite.fine_channels} H/2 W/2", "features at stride 2"),
    )


def lite_stages(network: CovosLite) -> tuple[Stage, ...]:
    """Return the stages of a covos-lite."""
    config = network.config
    v, still, s8, s4, _, s2 = features = feature_ports(config)
    return (
        Stage(
            name="encode",
            inputs=(
                Port("image", "B 3 H W", "frames, RGB in [0, 1]; H and W are multiples of 32", share),
                Port(
                    "motion",
                    f"B {MOTION_CHANNELS} H/{MOTION_STRIDE} W/{MOTION_STRIDE}",
                    "what moves (x, y, length, strength), as covos.engines.motion finds it; all 0 where it is unknown",
                ),
            ),
            outputs=features,
            call=lambda network, image, motion: tuple(network.encode(image, motion)),
        ),
        Stage(
            name="memorise",
            inputs=(v, still),
            outputs=(
                Port("keys", f"B N {config.keys}", "keys of a reference, of length 1"),
                Port("values", f"B N {config.context + 1}", "its values, and its own answer"),
            ),
            call=lambda network, v, still: tuple(network.memorise(Features(v, still, v, v, v, v))),
            exact=True,
        ),
        Stage(
            name="segment",
            inputs=(
                *(v, still, s8, s4, s2),
                Port("keys", f"1 M {config.keys}", "keys of the references, one after the other", unit(2)),
                Port("values", f"1 M {config.context + 1}", "values of the references, likewise"),
            ),
            outputs=(Port("logit", "B 1 H/2 W/2", "logit of the subject", is_logit=True),),
            call=lambda network, v, still, s8, s4, s2, keys, values: (
                network.decode(Features(v, still, s8, s4, v, s2), Memory(keys, values)).logit_B1HW.float(),
            ),
        ),
    )


class LiteProgram:
    """A covos-lite whose stages are programs; a `covos.engines.encoding.VideoNetwork`."""

    stride = CovosLite.stride
    fixed_size = CovosLite.fixed_size
    fusions = CovosLite.fusions
    uses_motion = CovosLite.uses_motion

    def __init__(self, network: CovosLite, programs: Programs) -> None:
        self._programs = programs

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> Features:
        """See `CovosLite.encode`."""
        if motion_B4HW is None:
            batch, _, height, width = image_BCHW.shape
            motion_B4HW = torch.zeros(batch, MOTION_CHANNELS, height // MOTION_STRIDE, width // MOTION_STRIDE)
        return Features(*self._programs["encode"](image_BCHW, motion_B4HW))

    def memorise(self, features: Features) -> Memory:
        """See `CovosLite.memorise`."""
        return Memory(*self._programs["memorise"](features.v_BCHW, features.still_B1HW))

    def segment(self, features: Features, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """See `CovosLite.segment`."""
        assert fusion in self.fusions
        v, still, s8, s4, _, s2 = features
        (logit,) = self._programs["segment"](v, still, s8, s4, s2, *join_memories(memories))
        return logit
