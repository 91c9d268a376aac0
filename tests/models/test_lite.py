from __future__ import annotations

import torch

from covos.models.coattention import Memory
from covos.models.lite import CovosLite


def network() -> CovosLite:
    """Random weights, with batch-norm statistics that fit them: without, the signal dies on its way."""
    torch.manual_seed(0)
    net = CovosLite()
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.inference_mode():
        for _ in range(2):
            features = net.train().encode(torch.rand(4, 3, 64, 64))
            net.decode(features, net.memorise(features))
    return net.eval()


def test_shapes() -> None:
    net = network()
    with torch.inference_mode():
        features = net.encode(torch.rand(2, 3, 64, 96))
        memory = net.memorise(features, extra_BEHW=torch.rand(2, 3, 4, 6))
        decoded = net.decode(features, memory)
    assert features.v_BCHW.shape == (2, 128, 4, 6)
    assert features.still_B1HW.shape == (2, 1, 4, 6)
    assert memory.keys_BMK.shape == (2, 24, 64)
    assert decoded.logit_B1HW.shape == (2, 1, 32, 48)
    assert decoded.extra_BEHW.shape == (2, 3, 4, 6)


def test_references_change_the_answer() -> None:
    net = network()
    torch.manual_seed(1)
    with torch.inference_mode():
        query = net.encode(torch.rand(1, 3, 64, 96))
        one, other = (net.memorise(net.encode(torch.rand(1, 3, 64, 96) * bright)) for bright in (1.0, 0.2))
        difference = net.decode(query, one).logit_B1HW - net.decode(query, other).logit_B1HW
    assert difference.abs().max() > 1e-3


def test_a_batch_gives_what_its_frames_give_alone() -> None:
    net = network()
    torch.manual_seed(1)
    frames = torch.rand(3, 3, 64, 64)
    with torch.inference_mode():
        memory = net.memorise(net.encode(torch.rand(1, 3, 64, 64)))
        shared = Memory(*(part.expand(3, -1, -1) for part in memory))
        together = net.decode(net.encode(frames), shared).logit_B1HW
        alone = torch.cat([net.decode(net.encode(frame[None]), memory).logit_B1HW for frame in frames])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
