from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from covos.models.cosnet.convert import map_tensors
from covos.models.cosnet.network import (
    COSNET_RESNET50,
    COSNET_RESNET101,
    COSNETS,
    PALETTE_LEVEL,
    Cosnet,
    DilatedResNet,
    Preprocessing,
)

PUBLISHED = {
    # published tensors, align_corners: what the two originals are
    "resnet101": ({"outputs": 1, "still": True, "contrast": 60}, False),
    "resnet50": ({"outputs": 3, "still": False, "contrast": 0.3}, True),
}
Pair = tuple[str, dict[str, Tensor], Cosnet, bool]


@pytest.fixture(scope="module", params=PUBLISHED)
def both(request: pytest.FixtureRequest, literal: ModuleType) -> Pair:
    """The published tensors, our network filled with them, and how logits are up-sampled."""
    settings, align_corners = PUBLISHED[request.param]
    state = literal.random_state(request.param, **settings)
    network, _ = map_tensors(dict(state), path=Path("random"))
    return request.param, state, network, align_corners


def pictures(count: int, size: tuple[int, int], *, network: Cosnet) -> Tensor:
    """Preprocessed random pictures that have something in common: a smooth ground."""
    torch.manual_seed(1)
    coarse = torch.rand(count, 3, 4, 4)
    coarse[1:] = 0.5 * coarse[1:] + 0.5 * coarse[:1]
    image = torch.nn.functional.interpolate(coarse, size=size, mode="bicubic").clamp(0, 1)
    return network.config.preprocessing.apply(image)


EVENER = pytest.mark.thorough
"""For sizes that are easier than one whose sides are uneven, and one of them odd."""


@pytest.mark.parametrize("size", [pytest.param((73, 73), marks=EVENER), pytest.param((64, 96), marks=EVENER), (90, 41)])
def test_equals_the_literal_network(literal: ModuleType, both: Pair, size: tuple[int, int]) -> None:
    _, state, network, align_corners = both
    a, b = pictures(4, size, network=network).split(2)
    with torch.inference_mode():
        got = network(a, b)
        want = literal.pair(state, a, b, align_corners=align_corners)
    for ours, theirs in zip(got, want, strict=True):
        assert ours.shape == (2, network.config.outputs, *size)
        assert theirs.std() > 0.01  # a network that says the same everywhere would prove nothing
        assert (ours - theirs).abs().max() < 1e-4


@pytest.mark.parametrize("factor", [1, 40])
@pytest.mark.parametrize("older", [False, True])
def test_the_variant_equals_its_literal_arithmetic(literal: ModuleType, factor: float, older: bool) -> None:
    """Both generations of its names; with a W that is 40 times as large each softmax is nearly a choice."""
    state = literal.random_state("resnet50", outputs=3, still=False, contrast=0.3, base=16)
    state["linear_e.weight"] = factor * state["linear_e.weight"] / 40  # so that 1 is soft
    named = {"linear_e": "co_att.linear_e" if older else "co_att.linear", "gate": "co_att.gate"}
    published = {
        (
            name
            if name.startswith("encoder.")
            else named[part] + name.removeprefix(part)
            if (part := name.split(".")[0]) in named
            else f"seg.{name if older else name.removeprefix('main_')}"
        ): tensor
        for name, tensor in state.items()
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COSNETS, "cosnet_resnet50", replace(COSNET_RESNET50, width=16))
        network, report = map_tensors(published, path=Path("variant"))
    assert report.layout == "split"
    assert network.config.transposed
    assert network.config.align_corners
    a, b = pictures(4, (58, 74), network=network).split(2)
    with torch.inference_mode():
        got = network(a, b)
        want = literal.pair(state, a, b, align_corners=True, transposed=True)
        paper = literal.pair(state, a, b, align_corners=True)
    for ours, theirs, other in zip(got, want, paper, strict=True):
        assert (theirs - other).abs().max() > 5e-4, "the two contractions are to be told apart"
        assert (ours - theirs).abs().max() < 1e-4


def test_the_variant_segments_as_its_first_branch(literal: ModuleType) -> None:
    """One reference: the published pair. Several: the mean of the summaries, or of the predictions."""
    state = literal.random_state("resnet50", outputs=1, still=False, contrast=0.3, base=16)
    size = (57, 73)
    config = replace(COSNET_RESNET50, width=16, outputs=1, transposed=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(COSNETS, "cosnet_resnet50", config)
        filled, _ = map_tensors(state, path=Path("variant"))
    network = Cosnet(replace(filled.config, preprocessing=replace(filled.config.preprocessing, size=size)))
    network.load_state_dict(filled.state_dict())
    network.eval()
    assert network.fusions == ("summary", "prediction")
    images = pictures(3, size, network=network)
    with torch.inference_mode():
        queries = network.encode(images[:1])
        memories = [network.memorise(network.encode(images[k : k + 1])) for k in (1, 2)]
        v = [literal.encode(state, images[k : k + 1]) for k in range(3)]
        z = [literal.summaries(state, v[0], v[k], transposed=True)[0] for k in (1, 2)]
        heads = [
            literal.head(state, "1", each, v[0], size=size, align_corners=True) for each in (*z, (z[0] + z[1]) / 2)
        ]
        alone = network.segment(queries, memories[:1], fusion="summary").sigmoid()
        both = network.segment(queries, memories, fusion="summary").sigmoid()
        mean = network.segment(queries, memories, fusion="prediction").sigmoid()
    assert (alone - heads[0]).abs().max() < 1e-4
    assert (both - heads[2]).abs().max() < 1e-4
    assert (mean - (heads[0] + heads[1]) / 2).abs().max() < 1e-4


def strided(encoder: DilatedResNet, image: Tensor, *, stride_on: str) -> Tensor:
    """The ResNet with a stride in each layer from the second on, and no dilation, from the tensors of a dilated one."""
    x = encoder.maxpool(encoder.bn1(encoder.conv1(image)).relu())
    for number, layer in enumerate((encoder.layer1, encoder.layer2, encoder.layer3, encoder.layer4)):
        for index, block in enumerate(layer):
            stride = 2 if number and not index else 1
            first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
            y = block.bn1(F.conv2d(x, block.conv1.weight, stride=first)).relu()
            y = block.bn2(F.conv2d(y, block.conv2.weight, stride=second, padding=1)).relu()
            y = block.bn3(F.conv2d(y, block.conv3.weight))
            if block.downsample is not None:
                x = block.downsample[1](F.conv2d(x, block.downsample[0].weight, stride=stride))
            x = (x + y).relu()
    return x


@pytest.mark.parametrize("stride_on", ["1x1", "3x3"])
@pytest.mark.parametrize("pool_up", [False, True])
@pytest.mark.parametrize("size", [(96, 128), (90, 121)])
def test_dilated_it_gives_what_the_resnet_gives_at_every_fourth_position(
    stride_on: Literal["1x1", "3x3"], pool_up: bool, size: tuple[int, int]
) -> None:
    torch.manual_seed(0)
    encoder = DilatedResNet((2, 2, 3, 2), width=8, stride_on=stride_on, pool_up=pool_up).eval()
    image = torch.randn(1, 3, *size)
    with torch.inference_mode():
        dense, coarse = encoder(image), strided(encoder, image, stride_on=stride_on)
    torch.testing.assert_close(dense[:, :, ::4, ::4], coarse, rtol=1e-4, atol=1e-5)


def test_the_branches_differ_and_each_sees_the_other(both: Pair) -> None:
    _, _, network, _ = both
    a, b, c = pictures(3, (64, 64), network=network).split(1)
    with torch.inference_mode():
        a_with_b, b_with_a = network(a, b)
        a_with_c, _ = network(a, c)
    assert (a_with_b - a_with_c).abs().max() > 1e-3
    assert (a_with_b - b_with_a).abs().max() > 1e-3


def test_batched_pairs_give_what_they_give_alone(both: Pair) -> None:
    _, _, network, _ = both
    a, b = pictures(4, (56, 72), network=network).split(2)
    with torch.inference_mode():
        together = network(a, b)[0]
        alone = torch.cat([network(a[k : k + 1], b[k : k + 1])[0] for k in range(2)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)


def test_the_published_size() -> None:
    with torch.device("meta"):
        network = Cosnet(COSNET_RESNET101)
        smaller = Cosnet(COSNET_RESNET50)
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(81.24, abs=0.005)
    layers = network.encoder.layer3[6:]
    fewer = sum(parameter.numel() for parameter in layers.parameters())
    heads = 257 - 2 * 2 * 257  # one still-image head less, two outputs more on two branches
    counts = [sum(parameter.numel() for parameter in net.parameters()) for net in (network, smaller)]
    assert counts[0] - counts[1] == fewer + heads


def test_473_pixels_are_60_positions() -> None:
    with torch.device("meta"):
        network = Cosnet(COSNET_RESNET101).eval()
        features = network.encode(torch.zeros(1, 3, 473, 473))
    assert features.v_BCHW.shape == (1, 256, 60, 60)


def test_preprocessing_of_the_two() -> None:
    white_and_red = torch.tensor([[1.0, 1, 1], [1, 0, 0]])[:, :, None, None]
    bgr = COSNET_RESNET101.preprocessing.apply(white_and_red)[..., 0, 0]
    mean = torch.tensor([104.00698793, 116.66876762, 122.67891434])
    torch.testing.assert_close(bgr, torch.tensor([[255.0, 255, 255], [0, 0, 255]]) - mean)
    torch.testing.assert_close(COSNET_RESNET50.preprocessing.apply(white_and_red), white_and_red)
    imagenet = Preprocessing(size=(8, 8), order="rgb", scale=1.0, mean=(0.5, 0.4, 0.3), std=(0.1, 0.2, 0.4))
    wanted = torch.tensor([[5.0, 3, 1.75], [5, -2, -0.75]])
    torch.testing.assert_close(imagenet.apply(white_and_red)[..., 0, 0], wanted)
    assert COSNET_RESNET101.preprocessing.size == (473, 473)
    assert COSNET_RESNET50.preprocessing.size == (180, 320)


def test_fusions_equal_their_definitions(literal: ModuleType, both: Pair) -> None:
    """Each fusion of two references against the literal attention, in a picture of the network's own size."""
    _, state, full, align_corners = both
    size = (57, 73)
    network = Cosnet(replace(full.config, preprocessing=replace(full.config.preprocessing, size=size)))
    network.load_state_dict(full.state_dict())
    network.eval()
    torch.manual_seed(2)
    images = torch.rand(3, 3, 5, 5)
    images = torch.nn.functional.interpolate(images, size=size, mode="bilinear")
    prepared = network.config.preprocessing.apply(images)

    def subject(probability: Tensor) -> Tensor:
        if network.config.outputs == 1:
            return probability
        return (probability.amax(1, keepdim=True) / PALETTE_LEVEL).clamp(max=1)

    with torch.inference_mode():
        encoded = [network.encode(images[k : k + 1]) for k in range(3)]
        memories = [network.memorise(each) for each in encoded[1:]]
        got = {f: network.segment(encoded[0], memories, fusion=f).sigmoid() for f in network.fusions}
        v = [literal.encode(state, prepared[k : k + 1]) for k in range(3)]
        how = {"size": size, "align_corners": align_corners}
        z = [literal.summaries(state, v[0], v[k])[0] for k in (1, 2)]
        flat = torch.cat([v[1].flatten(2), v[2].flatten(2)], 2)
        attention = ((state["linear_e.weight"] @ v[0].flatten(2)).transpose(1, 2) @ flat).softmax(2)
        both_at_once = (flat @ attention.transpose(1, 2)).reshape(v[0].shape)
        gate = torch.sigmoid(torch.nn.functional.conv2d(both_at_once, state["gate.weight"]))
        want = {
            "summary": subject(literal.head(state, "1", (z[0] + z[1]) / 2, v[0], **how)),
            "prediction": sum(subject(literal.head(state, "1", each, v[0], **how)) for each in z) / 2,
            "group": subject(literal.head(state, "1", both_at_once * gate, v[0], **how)),
        }
    assert set(got) == set(want)
    for fusion, probability in want.items():
        assert (got[fusion] - probability).abs().max() < 1e-4, fusion
    assert (want["summary"] - want["prediction"]).abs().max() > 1e-4
    assert (want["summary"] - want["group"]).abs().max() > 1e-4
