"""The names and shapes of torchvision and timm, at full width: which file becomes which network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from covos.models.cosnet.convert import map_tensors

FULL_DEPTH = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}


def torchvision_shapes(depth: str) -> dict[str, tuple[int, ...]]:
    """Names and full-width shapes of torchvision's ResNets, written out from its documentation; timm's are the same."""
    shapes: dict[str, tuple[int, ...]] = {"conv1.weight": (64, 3, 7, 7), "fc.weight": (1000, 2048), "fc.bias": (1000,)}

    def norm(name: str, channels: int) -> None:
        shapes.update({f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")})
        shapes[f"{name}.num_batches_tracked"] = ()

    norm("bn1", 64)
    c_in = 64
    for layer, (blocks, width) in enumerate(zip(FULL_DEPTH[depth], (64, 128, 256, 512), strict=True), start=1):
        for block in range(blocks):
            name = f"layer{layer}.{block}"
            for number, shape in enumerate(((width, c_in, 1, 1), (width, width, 3, 3), (4 * width, width, 1, 1)), 1):
                shapes[f"{name}.conv{number}.weight"] = shape
                norm(f"{name}.bn{number}", shape[0])
            if block == 0:
                shapes[f"{name}.downsample.0.weight"] = (4 * width, c_in, 1, 1)
                norm(f"{name}.downsample.1", 4 * width)
            c_in = 4 * width
    return shapes


@pytest.mark.parametrize("prefix", ["", "backbone."])
@pytest.mark.parametrize("depth", ["resnet50", "resnet101"])
def test_resnets_of_full_width_fit(depth: str, prefix: str) -> None:
    # Tensors on the device "meta" have shapes and no numbers: nothing of these 100 MB is computed or kept.
    with torch.device("meta"):
        tensors = {f"{prefix}{name}": torch.empty(shape) for name, shape in torchvision_shapes(depth).items()}
        if prefix:
            tensors = {name: tensor for name, tensor in tensors.items() if ".fc." not in name}
            tensors["classifier.0.convs.0.0.weight"] = torch.empty(256, 2048, 1, 1)
            tensors["aux_classifier.4.weight"] = torch.empty(21, 256, 1, 1)
        network, report = map_tensors(tensors, path=Path(f"{depth}.pth"))
    assert (report.layout, report.architecture) == ("resnet", f"cosnet_{depth}")
    blocks = sum(FULL_DEPTH[depth])
    # A convolution and its norm in 1 + 3 of each block + 4 projections: 5 tensors each.
    assert len(report.mapped) == 5 * (1 + 3 * blocks + 4)
    assert len(report.counters) == 1 + 3 * blocks + 4
    assert len(report.unexpected) == 2
    assert {name.split(".")[0] for name in report.missing} >= {"context", "coattention", "head_a", "head_b"}
    assert not any(name.startswith("encoder.") for name in report.missing)
    assert network.encoder.layer4[2].conv3.weight.shape == (2048, 512, 1, 1)
