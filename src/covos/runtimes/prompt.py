"""covos-prompt as stages: project a frame, find what is meant on it."""

from __future__ import annotations

import torch
from torch import Tensor

from covos.models.lite import Features, LiteConfig
from covos.models.prompt import CovosPrompt, PromptFeatures, PromptTensors
from covos.runtimes.lite import feature_ports
from covos.runtimes.stages import Port, Programs, Stage, share, unit


def _points(shape: tuple[int, ...]) -> Tensor:
    placed = torch.rand(shape)
    return torch.cat([placed[..., :2], placed[..., 2:].round() * 2 - 1], dim=-1)


def _boxes(shape: tuple[int, ...]) -> Tensor:
    placed = torch.rand(shape)
    return torch.cat([placed[..., :2] / 2, 0.5 + placed[..., 2:4] / 2, torch.ones_like(placed[..., 4:])], dim=-1)


def prompt_stages(network: CovosPrompt) -> tuple[Stage, ...]:
    """Return the stages of a covos-prompt."""
    config = network.config
    v, _, s8, s4, s16, s2 = feature_ports(LiteConfig())
    k16, k8, k4 = config.keys
    c8, c4, c2 = config.skips
    features = (
        Port("context", f"B {config.context} H/16 W/16", "context"),
        Port("key16", f"B {k16} H/16 W/16", "keys at stride 16, of length 1", unit(1)),
        Port("key8", f"B {k8} H/8 W/8", "keys at stride 8", unit(1)),
        Port("key4", f"B {k4} H/4 W/4", "keys at stride 4", unit(1)),
        Port("skip8", f"B {c8} H/8 W/8", "features at stride 8"),
        Port("skip4", f"B {c4} H/4 W/4", "features at stride 4"),
        Port("skip2", f"B {c2} H/2 W/2", "features at stride 2"),
    )
    return (
        Stage(
            name="project",
            inputs=(v, s8, s4, s16, s2),
            outputs=features,
            call=lambda network, v, s8, s4, s16, s2: tuple(network.project(Features(v, v, s8, s4, s16, s2))),
        ),
        Stage(
            name="find",
            inputs=(
                *features,
                Port("point", "B K 3", "x, y in [0, 1]; 1 on the object, -1 beside it, 0 for none", _points),
                Port("box", "B 5", "left, top, right, bottom in [0, 1], and 1; all 0 for none", _boxes),
                Port("previous", "B 1 H/2 W/2", "the mask to be corrected, in [0, 1]; all 0 for none", share),
            ),
            outputs=(Port("logit", "B 1 H/2 W/2", "logit of the object", is_logit=True),),
            call=lambda network, *inputs: (network.find(PromptFeatures(*inputs[:-3]), PromptTensors(*inputs[-3:])),),
            # Places of clicks: bfloat16 cannot tell neighbouring cells apart.
            exact=True,
        ),
    )


class PromptProgram:
    """A covos-prompt whose stages are programs; a `covos.engines.prompt.PromptNetwork`."""

    def __init__(self, network: CovosPrompt, programs: Programs) -> None:
        self._programs = programs

    def project(self, features: Features) -> PromptFeatures:
        """See `CovosPrompt.project`."""
        v, _, s8, s4, s16, s2 = features
        return PromptFeatures(*self._programs["project"](v, s8, s4, s16, s2))

    def find(self, features: PromptFeatures, prompt: PromptTensors) -> Tensor:
        """See `CovosPrompt.find`."""
        (logit,) = self._programs["find"](*features, *prompt)
        return logit
