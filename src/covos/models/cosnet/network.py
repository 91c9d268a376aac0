"""COSNet: a siamese DeepLabV3 whose two frames attend to one another.

    a, b -> dilated ResNet -> context (ASPP) at stride 8 = Va, Vb -> gated co-attention -> a head for each -> masks

Lu et al., *See More, Know More: Unsupervised Video Object Segmentation with Co-Attention Siamese Networks*, CVPR 2019.
Called with a pair, `Cosnet` is the published network, both branches and all. To segment a video it is taken apart:
each frame is encoded once, and only the branch of the query is computed.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import ConfigDict, TypeAdapter
from torch import Tensor, nn

from covos.models.choices import Fusion
from covos.models.coattention import BilinearCoAttention, Memory, flatten_positions, join_memories

_DILATIONS = (6, 12, 18)


class DenseASPP(nn.Module):
    """Atrous spatial pyramid pooling (ASPP) of full convolutions: the global mean, 1x1, and one 3x3 for each dilation.

    As in COSNet (DeepLabV3, Chen et al., 2017, section 3.3). Its convolutions have biases before their batch norms,
    and its output a PReLU with one slope: needless, but part of the published weights, whose names these are.
    """

    def __init__(self, c_in: int, c_out: int, *, branch: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c_in, branch, 1)
        self.bn_x = nn.BatchNorm2d(branch)
        self.conv2d_0 = nn.Conv2d(c_in, branch, 1)
        self.bn_0 = nn.BatchNorm2d(branch)
        self.conv2d_1, self.conv2d_2, self.conv2d_3 = (
            nn.Conv2d(c_in, branch, 3, padding=dilation, dilation=dilation) for dilation in _DILATIONS
        )
        self.bn_1, self.bn_2, self.bn_3 = (nn.BatchNorm2d(branch) for _ in _DILATIONS)
        self.relu = nn.ReLU(inplace=True)
        self.bottleneck = nn.Conv2d(5 * branch, c_out, 3, padding=1)
        self.bn = nn.BatchNorm2d(c_out)
        self.prelu = nn.PReLU()

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x c_in x H x W -> B x c_out x H x W."""
        pooled = self.relu(self.bn_x(self.conv(x_BCHW.mean(dim=(2, 3), keepdim=True))))
        maps = [
            # One value up-sampled bilinearly is that value everywhere.
            pooled.expand(-1, -1, *x_BCHW.shape[2:]),
            self.relu(self.bn_0(self.conv2d_0(x_BCHW))),
            self.relu(self.bn_1(self.conv2d_1(x_BCHW))),
            self.relu(self.bn_2(self.conv2d_2(x_BCHW))),
            self.relu(self.bn_3(self.conv2d_3(x_BCHW))),
        ]
        out: Tensor = self.prelu(self.bn(self.bottleneck(torch.cat(maps, dim=1))))
        return out


_STRICT = ConfigDict(extra="forbid")
"""A file with a setting that is not known here is of a later version, and its network another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """Turns RGB in [0, 1] into a network's input: reorder the channels, scale, subtract the mean, divide.

    Attributes:
        size: (height, width) that frames are resized to.
        order: Order of the channels.
        scale: Value that 1 becomes.
        mean: Mean of each channel in ``order``, after scaling.
        std: Divisor of each channel in ``order``, after that.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    size: tuple[int, int]
    order: Literal["rgb", "bgr"]
    scale: float
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def apply(self, image_BCHW: Tensor) -> Tensor:
        """B x 3 x H x W float RGB in [0, 1] -> the same shape, as the network takes it; sizes are left alone."""
        ordered = image_BCHW.flip(1) if self.order == "bgr" else image_BCHW
        mean, std = (ordered.new_tensor(each)[:, None, None] for each in (self.mean, self.std))
        return (ordered * self.scale - mean) / std


StrideOn = Literal["1x1", "3x3"]
"""Convolution of a block that has its stride."""

PALETTE_LEVEL = 128 / 255
"""The brightest channel of the first seven colours of the DAVIS palette, which the colour networks regress."""
LOGIT_EPS = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class CosnetConfig:
    """Configuration of a COSNet: the differences between the published variants, and those of what they start from.

    Attributes:
        blocks: Blocks of the ResNet's layers, see `DilatedResNet`.
        outputs: 1 for the probability of the subject; 3 for the colours of a palette annotation, in [0, 1].
        align_corners: See `torch.nn.functional.interpolate`, which up-samples the logits.
        still: True if there is a head for single images, which the paper's training on saliency data uses.
        level: Value of an output of three where a channel of the annotation's colour is set: `PALETTE_LEVEL` if the
            network regresses colours, 1 if each channel is a class of its own.
        preprocessing: Preprocessing of the frames.
        width: Width of the ResNet's first layer, from which all others follow; the published networks have 64.
        transposed: True for the co-attention of the variant for TIANCHI, see `covos.models.coattention`.
        stride_on: Convolution that has a block's stride, see `DilatedResNet`.
        pool_up: True if the max-pooling rounds sizes up, see `DilatedResNet`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    blocks: tuple[int, int, int, int]
    outputs: int
    align_corners: bool
    still: bool
    preprocessing: Preprocessing
    level: float = PALETTE_LEVEL
    width: int = 64
    transposed: bool = False
    stride_on: StrideOn = "1x1"
    pool_up: bool = True

    @property
    def channels(self) -> int:
        """Channels of the features V: 256 in the published networks."""
        return 4 * self.width


COSNET_RESNET101 = CosnetConfig(
    blocks=(3, 4, 23, 3),
    outputs=1,
    align_corners=False,
    still=True,
    preprocessing=Preprocessing(
        size=(473, 473), order="bgr", scale=255.0, mean=(104.00698793, 116.66876762, 122.67891434)
    ),
)
"""COSNet as published."""

COSNET_RESNET50 = CosnetConfig(
    blocks=(3, 4, 6, 3),
    outputs=3,
    align_corners=True,
    still=False,
    preprocessing=Preprocessing(size=(180, 320), order="rgb", scale=1.0),
)
"""The smaller one, with the co-attention of the paper, and with the size, the outputs and the up-sampling of COSNet's
variant for TIANCHI, which paints objects in the colours of their annotation. The variant itself differs in two more
things, which its conversion sets: the input is BGR, and the co-attention ``transposed``."""

COSNETS = {"cosnet_resnet101": COSNET_RESNET101, "cosnet_resnet50": COSNET_RESNET50}
"""By name in the registry."""


_CONFIG = TypeAdapter(CosnetConfig)


def settings_from(config: CosnetConfig) -> dict[str, Any]:
    """Return a configuration as JSON can express it; `config_of` turns it back."""
    said: dict[str, Any] = _CONFIG.dump_python(config, mode="json")
    return said


def config_of(settings: Mapping[str, Any]) -> CosnetConfig:
    """Return the configuration of `settings_from`; raises pydantic's ValidationError."""
    return _CONFIG.validate_python(settings)


def as_trained(config: CosnetConfig, *, size: tuple[int, int], classes: bool) -> CosnetConfig:
    """Return the configuration of a network that was trained here on frames of a size (height, width).

    With ``classes`` each output is a class; else three outputs are a colour.
    """
    return replace(
        config, preprocessing=replace(config.preprocessing, size=size), level=1.0 if classes else PALETTE_LEVEL
    )


class CosnetFeatures(NamedTuple):
    """A batch of encoded frames."""

    v_BCHW: Tensor
    """At stride 8, after the context."""


class Head(nn.Module):
    """Decodes a summary, stacked on the features, to logits at stride 8."""

    def __init__(self, channels: int, *, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * channels, channels, 3, padding=1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.classifier = nn.Conv2d(channels, outputs, 1)

    def forward(self, z_BCHW: Tensor, v_BCHW: Tensor) -> Tensor:
        """Decode the gated summary Z and the features V, B x C x H x W each -> B x outputs x H x W."""
        x = torch.cat([z_BCHW, v_BCHW], dim=1)
        logit: Tensor = self.classifier(self.relu(self.bn(self.conv(x))))
        return logit


class Cosnet(nn.Module):
    """The network of `cosnet_resnet101` and `cosnet_resnet50`."""

    stride = 8
    uses_motion = False

    def __init__(self, config: CosnetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.encoder = DilatedResNet(
            config.blocks, width=config.width, stride_on=config.stride_on, pool_up=config.pool_up
        )
        self.context = DenseASPP(32 * config.width, channels, branch=8 * config.width)
        self.still = nn.Conv2d(channels, 1, 1) if config.still else None
        self.coattention = BilinearCoAttention(channels, transposed=config.transposed)
        self.head_a = Head(channels, outputs=config.outputs)
        self.head_b = Head(channels, outputs=config.outputs)

    @property
    def fusions(self) -> tuple[Fusion, ...]:
        """Ways to fuse references; a transposed summary lies on the positions of one reference, so none joins them."""
        return ("summary", "prediction") if self.config.transposed else ("summary", "prediction", "group")

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration, see `settings_from`."""
        return settings_from(self.config)

    @property
    def fixed_size(self) -> tuple[int, int]:
        """(height, width) that frames are resized to."""
        return self.config.preprocessing.size

    def forward(self, a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Run the published network: segment a pair of frames of one video.

        Args:
            a_BCHW: B x 3 x H x W float, preprocessed (see `Preprocessing.apply`), of any size.
            b_BCHW: Its partners, of the same shape.

        Returns:
            The answers of the two branches, for a and for b: B x outputs x H x W in [0, 1] each.
        """
        logit_a, logit_b = self.pair_logits(a_BCHW, b_BCHW)
        return torch.sigmoid(logit_a), torch.sigmoid(logit_b)

    def pair_logits(self, a_BCHW: Tensor, b_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, before the sigmoid: B x outputs x H x W float32 each."""
        a, b = self._features(a_BCHW), self._features(b_BCHW)
        with torch.autocast(a.device.type, enabled=False):
            z_a, z_b = self.coattention.between(a, b)
        size = a_BCHW.shape[2:]
        return self._full(self.head_a(z_a, a), size), self._full(self.head_b(z_b, b), size)

    def still_logits(self, image_BCHW: Tensor) -> Tensor:
        """Return the logits of the still-image head, B x 1 x H x W float32, for preprocessed pictures of any size."""
        if self.still is None:
            raise ValueError("this COSNet has no head for still images")
        return self._full(self.still(self._features(image_BCHW)), image_BCHW.shape[2:])

    def encode(self, image_BCHW: Tensor, motion_B4HW: Tensor | None = None) -> CosnetFeatures:
        """Encode frames, each by itself.

        Args:
            image_BCHW: B x 3 x H x W float RGB in [0, 1], of `fixed_size`.
            motion_B4HW: Not used: what the published network sees is pictures.
        """
        return CosnetFeatures(self._features(self.config.preprocessing.apply(image_BCHW)))

    def memorise(self, features: CosnetFeatures) -> Memory:
        """Turn encoded references into a memory; keys and values are the features themselves."""
        v = flatten_positions(features.v_BCHW)
        return Memory(v, v)

    def segment(self, features: CosnetFeatures, memories: Sequence[Memory], *, fusion: Fusion) -> Tensor:
        """Segment encoded queries by what they have in common with references.

        Args:
            features: Features of B queries.
            memories: Memories of at least one reference, of batch size 1 each.
            fusion: See `Fusion`.

        Returns:
            B x 1 x H x W float32 logits at `fixed_size`: that a pixel belongs to the subject.
        """
        return fused_logit(features.v_BCHW, memories, fusion=fusion, summarise=self.summarise, answer=self.answer)

    def _features(self, x_BCHW: Tensor) -> Tensor:
        # The affinity has no scale, so its softmax turns the rounding of half precision into other matches: after
        # the encoder everything is computed in float32.
        context: Tensor = self.context(self.encoder(x_BCHW))
        return context.float()

    def summarise(self, v_BCHW: Tensor, memory: Memory) -> Tensor:
        """Return the gated summary of queries by a memory of batch size 1: B x C x H/8 x W/8 float32."""
        batch = v_BCHW.shape[0]
        with torch.autocast(v_BCHW.device.type, enabled=False):
            return self.coattention.summarise(v_BCHW, Memory(*(part.expand(batch, -1, -1) for part in memory)))

    def answer(self, z_BCHW: Tensor, v_BCHW: Tensor) -> Tensor:
        """Return the probability of the subject, B x 1 x H x W float32 at `fixed_size`, by a summary and features."""
        probability = torch.sigmoid(self._full(self.head_a(z_BCHW, v_BCHW), self.fixed_size))
        if self.config.outputs == 1:
            return probability
        return (probability.amax(dim=1, keepdim=True) / self.config.level).clamp(max=1)

    def _full(self, logit_BCHW: Tensor, size: Sequence[int]) -> Tensor:
        corners = self.config.align_corners
        return F.interpolate(logit_BCHW.float(), size=list(size), mode="bilinear", align_corners=corners)


def fused_logit(
    v_BCHW: Tensor,
    memories: Sequence[Memory],
    *,
    fusion: Fusion,
    summarise: Callable[[Tensor, Memory], Tensor],
    answer: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Segment queries by references; see `Cosnet.segment`, `Cosnet.summarise` and `Cosnet.answer`."""
    parts = (summarise(v_BCHW, memory) for memory in ([join_memories(memories)] if fusion == "group" else memories))
    each = fusion == "prediction"
    probability = _mean(answer(z, v_BCHW) for z in parts) if each else answer(_mean(parts), v_BCHW)
    return torch.logit(probability, eps=LOGIT_EPS)


def _mean(parts: Iterable[Tensor]) -> Tensor:
    # A running sum: the parts of many references need not live side by side.
    total, count = torch.zeros(()), 0
    for part in parts:
        total, count = part if count == 0 else total + part, count + 1
    return total / count


EXPANSION = 4
"""Channels out of a block, in multiples of its width."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (dilated), 1x1, each with batch norm, around a shortcut; `EXPANSION` times ``width`` channels come out.

    A projected shortcut is a 1x1 convolution, as it must be where shapes change. The stride lies on the first 1x1
    convolution or on the 3x3, and on the projection.
    """

    def __init__(
        self, c_in: int, width: int, *, stride: int, dilation: int, projected: bool, stride_on: StrideOn = "1x1"
    ) -> None:
        super().__init__()
        c_out = width * EXPANSION
        first, second = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1 = nn.Conv2d(c_in, width, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=second, padding=dilation, dilation=dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, c_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(c_out)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = (
            nn.Sequential(nn.Conv2d(c_in, c_out, 1, stride=stride, bias=False), nn.BatchNorm2d(c_out))
            if projected
            else None
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """B x c_in x H x W -> B x 4 width x ceil(H / stride) x ceil(W / stride)."""
        y = self.relu(self.bn1(self.conv1(x_BCHW)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        y += x_BCHW if self.downsample is None else self.downsample(x_BCHW)
        out: Tensor = self.relu(y)
        return out


class DilatedResNet(nn.Module):
    """ResNet without its classifier, at output stride 8: features at stride 8 from a network that would end at 32.

    He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, as DeepLabV3 dilates it (Chen et al., 2017,
    section 3.2). Weights that were trained with one of two forms do not work in the other:

    - COSNet's, as Caffe's ResNet: the stride lies on a block's first 1x1 convolution, the max-pooling rounds sizes up
      (473 x 473 pixels give 60 x 60 positions), and all blocks of a dilated layer dilate alike.
    - The form of today's libraries (torchvision, timm): the stride lies on the 3x3 convolution, and the pooling rounds
      down. There the 3x3 of a layer's first block still sees the finer positions, so it dilates as the layer before.

    In both, a layer whose stride was taken away gives at every second position what the ResNet with the stride gives.

    Args:
        blocks: Number of blocks in each of the four layers: (3, 4, 23, 3) is ResNet-101, (3, 4, 6, 3) ResNet-50.
        width: Width of the first layer's blocks; each further layer doubles it, so 32 times as many channels come out.
        stride_on: Convolution that has a block's stride.
        pool_up: If true, the max-pooling rounds sizes up.
    """

    def __init__(
        self,
        blocks: tuple[int, int, int, int],
        *,
        width: int = 64,
        stride_on: StrideOn = "1x1",
        pool_up: bool = True,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=pool_up)
        layers, c_in, before = [], width, 1
        for number, (count, stride, dilation) in enumerate(zip(blocks, (1, 2, 1, 1), (1, 1, 2, 4), strict=True)):
            inner = width * 2**number
            first = dilation if stride_on == "1x1" else before
            # Every layer changes the width, so its first block has a projection, and only that one.
            layers.append(
                nn.Sequential(
                    Bottleneck(c_in, inner, stride=stride, dilation=first, projected=True, stride_on=stride_on),
                    *(
                        Bottleneck(inner * EXPANSION, inner, stride=1, dilation=dilation, projected=False)
                        for _ in range(1, count)
                    ),
                )
            )
            c_in, before = inner * EXPANSION, dilation
        self.layer1, self.layer2, self.layer3, self.layer4 = layers

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """B x 3 x H x W preprocessed -> B x 32 width x H' x W', at stride 8."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image_BCHW))))
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out
