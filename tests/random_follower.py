"""A follower of random weights, for small frames."""

from __future__ import annotations

import torch

from covos.engines.encoding import FrameEncoder
from covos.engines.follow import FollowEngine
from covos.models.follow import CovosFollow, FollowConfig
from covos.models.lite import CovosLite


def random_engine(size: tuple[int, int], *, loud: float = 1.0) -> FollowEngine:
    """Return an engine whose logits are as many times those of random weights: loud ones hear what moves."""
    torch.manual_seed(0)
    encoder = FrameEncoder(
        CovosLite().eval(), device=torch.device("cpu"), precision=torch.float32, area=size[0] * size[1], batch=3
    )
    network = CovosFollow(FollowConfig(mask=(4, 4, 4), value=8, widths=(8, 8, 8), context=8)).eval()
    # Random weights judge at random; these always see the object.
    torch.nn.init.constant_(network.decoder.judge[2].bias, 5.0)
    with torch.no_grad():
        network.decoder.logit.weight.mul_(loud)
    return FollowEngine(encoder, network)
