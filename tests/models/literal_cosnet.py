"""COSNet written out from its published tensors, with nothing of covos: the referee of `covos.models.cosnet.network`.

Everything is explicit and slow: the affinity is an N x N matrix, both of its softmaxes are taken, one pair at a time.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

State = dict[str, Tensor]

BLOCKS = {"resnet101": (3, 4, 23, 3), "resnet50": (3, 4, 6, 3)}
STRIDES = (1, 2, 1, 1)
DILATIONS = (1, 1, 2, 4)


def random_state(depth: str, *, outputs: int, still: bool, contrast: float, base: int = 64) -> State:
    """Random weights under the published names; ``base`` is the width of the first layer, 64 as published.

    The statistics of the encoder's batch norms are those of random pictures with values of ``contrast``: without, the
    signal dies on its way, or drowns everything else.
    """
    generator = torch.Generator().manual_seed(0)
    state: State = {}

    def conv(name: str, c_in: int, c_out: int, kernel: int, *, bias: bool = False, gain: float = 1.0) -> None:
        scale = gain * (2 / (c_in * kernel * kernel)) ** 0.5
        state[f"{name}.weight"] = torch.randn(c_out, c_in, kernel, kernel, generator=generator) * scale
        if bias:
            state[f"{name}.bias"] = torch.randn(c_out, generator=generator) * 0.1

    def norm(name: str, channels: int, *, gain: float = 1.0) -> None:
        state[f"{name}.weight"] = gain * (1 + 0.1 * torch.randn(channels, generator=generator))
        state[f"{name}.bias"] = 0.1 * torch.randn(channels, generator=generator)
        state[f"{name}.running_mean"] = 0.1 * torch.randn(channels, generator=generator)
        state[f"{name}.running_var"] = 0.5 + torch.rand(channels, generator=generator)

    conv("encoder.conv1", 3, base, 7)
    norm("encoder.bn1", base)
    c_in = base
    for layer, blocks in enumerate(BLOCKS[depth], start=1):
        width = base * 2 ** (layer - 1)
        for block in range(blocks):
            name = f"encoder.layer{layer}.{block}"
            conv(f"{name}.conv1", c_in, width, 1)
            norm(f"{name}.bn1", width)
            conv(f"{name}.conv2", width, width, 3)
            norm(f"{name}.bn2", width)
            conv(f"{name}.conv3", width, 4 * width, 1)
            # Small, or the sum over 23 residual blocks grows without bound.
            norm(f"{name}.bn3", 4 * width, gain=0.3)
            if block == 0:
                conv(f"{name}.downsample.0", c_in, 4 * width, 1)
                norm(f"{name}.downsample.1", 4 * width)
            c_in = 4 * width
    conv("encoder.layer5.conv", 32 * base, 8 * base, 1, bias=True)
    norm("encoder.layer5.bn_x", 8 * base)
    for branch, kernel in enumerate((1, 3, 3, 3)):
        conv(f"encoder.layer5.conv2d_{branch}", 32 * base, 8 * base, kernel, bias=True)
        norm(f"encoder.layer5.bn_{branch}", 8 * base)
    conv("encoder.layer5.bottleneck", 40 * base, 4 * base, 3, bias=True)
    norm("encoder.layer5.bn", 4 * base)
    state["encoder.layer5.prelu.weight"] = torch.tensor([0.25])
    if still:
        conv("encoder.main_classifier", 4 * base, 1, 1, bias=True)
    # Affinities of a few units: their softmax is neither flat nor a maximum.
    state["linear_e.weight"] = torch.randn(4 * base, 4 * base, generator=generator) / base
    conv("gate", 4 * base, 1, 1)
    for branch in ("1", "2"):
        conv(f"conv{branch}", 8 * base, 4 * base, 3)
        norm(f"bn{branch}", 4 * base)
        # Logits of a few units: a sigmoid that is 0 or 1 everywhere would hide differences.
        conv(f"main_classifier{branch}", 4 * base, outputs, 1, bias=True, gain=0.4)
    coarse = torch.randn(2, 3, 8, 8, generator=generator) * contrast
    encode(state, F.interpolate(coarse, size=(64, 64), mode="bilinear"), calibrate=True)
    return state


def encode(state: State, x: Tensor, *, calibrate: bool = False) -> Tensor:
    """Features V of preprocessed frames; ``calibrate`` first sets the statistics of each norm to those of its input."""

    def conv(name: str, y: Tensor, **how: int) -> Tensor:
        return F.conv2d(y, state[f"encoder.{name}.weight"], state.get(f"encoder.{name}.bias"), **how)

    def norm(name: str, y: Tensor) -> Tensor:
        if calibrate and y.shape[2] > 1:
            state[f"encoder.{name}.running_mean"] = y.mean(dim=(0, 2, 3))
            state[f"encoder.{name}.running_var"] = y.var(dim=(0, 2, 3))
        mean, variance, weight, bias = (
            state[f"encoder.{name}.{part}"][:, None, None] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (y - mean) / torch.sqrt(variance + 1e-5) * weight + bias

    x = norm("bn1", conv("conv1", x, stride=2, padding=3)).relu()
    x = F.max_pool2d(x, 3, stride=2, padding=1, ceil_mode=True)
    for layer in range(1, 5):
        block = 0
        while f"encoder.layer{layer}.{block}.conv1.weight" in state:
            name = f"layer{layer}.{block}"
            stride, dilation = (STRIDES[layer - 1] if block == 0 else 1), DILATIONS[layer - 1]
            y = norm(f"{name}.bn1", conv(f"{name}.conv1", x, stride=stride)).relu()
            y = norm(f"{name}.bn2", conv(f"{name}.conv2", y, padding=dilation, dilation=dilation)).relu()
            y = norm(f"{name}.bn3", conv(f"{name}.conv3", y))
            if block == 0:
                x = norm(f"{name}.downsample.1", conv(f"{name}.downsample.0", x, stride=stride))
            x = (x + y).relu()
            block += 1
    pooled = norm("layer5.bn_x", conv("layer5.conv", F.adaptive_avg_pool2d(x, 1))).relu()
    maps = [F.interpolate(pooled, size=x.shape[2:], mode="bilinear", align_corners=True)]
    maps.append(norm("layer5.bn_0", conv("layer5.conv2d_0", x)).relu())
    for branch, dilation in ((1, 6), (2, 12), (3, 18)):
        y = conv(f"layer5.conv2d_{branch}", x, padding=dilation, dilation=dilation)
        maps.append(norm(f"layer5.bn_{branch}", y).relu())
    y = norm("layer5.bn", conv("layer5.bottleneck", torch.cat(maps, 1), padding=1))
    return torch.where(y > 0, y, y * state["encoder.layer5.prelu.weight"])


def summaries(state: State, a: Tensor, b: Tensor, *, transposed: bool = False) -> tuple[Tensor, Tensor]:
    """Gated summaries of both frames, B x 256 x H x W each.

    Of the paper: Za = Vb softmax(S'), Zb = Va softmax(S), each softmax over the first index of its matrix. Transposed,
    as the variant for TIANCHI has it: Za = Vb softmax(S), Zb = Va softmax(S').
    """
    batch, channels, height, width = a.shape
    va, vb = a.reshape(batch, channels, -1), b.reshape(batch, channels, -1)
    wa = state["linear_e.weight"] @ va
    affinity = wa.transpose(1, 2) @ vb
    columns, rows = torch.softmax(affinity, dim=1), torch.softmax(affinity.transpose(1, 2), dim=1)
    for_b = va @ (rows if transposed else columns)
    for_a = vb @ (columns if transposed else rows)
    gate = state["gate.weight"]
    gated = []
    for z in (for_a, for_b):
        z_map = z.reshape(batch, channels, height, width)
        gated.append(z_map * torch.sigmoid(F.conv2d(z_map, gate)))
    return gated[0], gated[1]


def head(state: State, branch: str, z: Tensor, v: Tensor, *, size: tuple[int, int], align_corners: bool) -> Tensor:
    """Probabilities of one branch."""
    x = F.conv2d(torch.cat([z, v], 1), state[f"conv{branch}.weight"], padding=1)
    x = F.batch_norm(x, *(state[f"bn{branch}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")))
    x = F.conv2d(x.relu(), state[f"main_classifier{branch}.weight"], state[f"main_classifier{branch}.bias"])
    return torch.sigmoid(F.interpolate(x, size=size, mode="bilinear", align_corners=align_corners))


def pair(state: State, a: Tensor, b: Tensor, *, align_corners: bool, transposed: bool = False) -> tuple[Tensor, Tensor]:
    """Probabilities of both branches, for preprocessed frames."""
    va, vb = encode(state, a), encode(state, b)
    za, zb = summaries(state, va, vb, transposed=transposed)
    size = (a.shape[2], a.shape[3])
    first = head(state, "1", za, va, size=size, align_corners=align_corners)
    return first, head(state, "2", zb, vb, size=size, align_corners=align_corners)
