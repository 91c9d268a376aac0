"""The dilated ResNet of COSNet: features at stride 8 from a network that would end at stride 32.

He et al., *Deep Residual Learning for Image Recognition*, CVPR 2016, as DeepLabV3 dilates it (Chen et al., 2017,
section 3.2). Two details differ from the ResNets of today's libraries, and weights trained with one do not work with
the other: the stride lies on a block's first 1x1 convolution (as in Caffe's ResNet), and the max-pooling rounds sizes
up. So 473 x 473 pixels give 60 x 60 positions.

Shape legend: B batch, C channels, H height, W width.
"""

from __future__ import annotations

from torch import Tensor, nn

EXPANSION = 4
"""Channels out of a block, in multiples of its width."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (dilated), 1x1, each with batch norm, around a shortcut.

    Args:
        c_in: Channels in.
        width: Channels of the 3x3 convolution; `EXPANSION` times as many come out.
        stride: Of the first 1x1 convolution.
        dilation: Of the 3x3 convolution.
        projected: Whether the shortcut is a 1x1 convolution, as it must be where shapes change.
    """

    def __init__(self, c_in: int, width: int, *, stride: int, dilation: int, projected: bool) -> None:
        super().__init__()
        c_out = width * EXPANSION
        self.conv1 = nn.Conv2d(c_in, width, 1, stride=stride, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, bias=False)
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
    """ResNet without its classifier, at output stride 8.

    Args:
        blocks: Number of blocks in each of the four layers: (3, 4, 23, 3) is ResNet-101, (3, 4, 6, 3) ResNet-50.
        width: Of the first layer's blocks; each further layer doubles it, so 32 times as many channels come out.
    """

    def __init__(self, blocks: tuple[int, int, int, int], *, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True)
        self.layer1 = _layer(width, width, blocks=blocks[0], stride=1, dilation=1)
        self.layer2 = _layer(4 * width, 2 * width, blocks=blocks[1], stride=2, dilation=1)
        self.layer3 = _layer(8 * width, 4 * width, blocks=blocks[2], stride=1, dilation=2)
        self.layer4 = _layer(16 * width, 8 * width, blocks=blocks[3], stride=1, dilation=4)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """B x 3 x H x W preprocessed -> B x 32 width x H' x W', at stride 8."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image_BCHW))))
        out: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return out


def _layer(c_in: int, width: int, *, blocks: int, stride: int, dilation: int) -> nn.Sequential:
    # Every layer changes the width, so its first block has a projection, and only that one.
    first = Bottleneck(c_in, width, stride=stride, dilation=dilation, projected=True)
    rest = (
        Bottleneck(width * EXPANSION, width, stride=1, dilation=dilation, projected=False) for _ in range(1, blocks)
    )
    return nn.Sequential(first, *rest)
