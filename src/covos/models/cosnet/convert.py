"""Turn a published checkpoint into a safetensors file with a card: of COSNet, or of what its training starts from.

The numbers are kept as they are, in float32, and the file says how they are used: so a converted COSNet computes what
the original computed. Four layouts of published checkpoints are known:

- ``cosnet``: the paper's release. ``encoder.*``, ``linear_e``, ``gate``, and a head of three parts for each branch.
- ``split``: its variant for TIANCHI in parts, ``encoder.*``, ``co_att.*`` and ``seg.*``, with two generations of names.
  It takes BGR in [0, 1], and its co-attention is transposed (see `covos.models.coattention`).
- ``deeplab``: the DeepLabV3 that COSNet's training starts from: the encoder alone, with or without the prefix
  ``encoder.``. It takes what COSNet takes.
- ``resnet``: a ResNet-50 or ResNet-101 by its names in torchvision and timm, trained on ImageNet, or the backbone of
  torchvision's DeepLabV3 (``backbone.*``), whose own context and classifier have other shapes and are left out. It
  takes RGB with ImageNet's mean and deviation, and has its strides on the 3x3 convolutions.

The last two are starts for a training.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from covos._version import __version__
from covos.core.errors import CheckpointError, UsageError, one_of
from covos.core.progress import counted
from covos.models.cards import Card, sha256_of
from covos.models.checkpoints import check_output, read_tensors, save_weights
from covos.models.cosnet.network import (
    COSNET_RESNET50,
    COSNET_RESNET101,
    COSNETS,
    Cosnet,
    CosnetConfig,
    Preprocessing,
)

Layout = Literal["cosnet", "split", "deeplab", "resnet"]

_ENCODER = {"encoder.layer5.": "context.", "encoder.main_classifier.": "still.", "encoder.": "encoder."}


def _heads(prefix: str, *classifiers: str) -> dict[str, str]:
    return {
        f"{prefix}{theirs}{branch}.": f"head_{letter}.{ours}."
        for branch, letter in ((1, "a"), (2, "b"))
        for theirs, ours in (("conv", "conv"), ("bn", "bn"), *((name, "classifier") for name in classifiers))
    }


_PREFIXES: dict[Layout, dict[str, str]] = {
    "cosnet": {
        **_ENCODER,
        "linear_e.": "coattention.weight.",
        "gate.": "coattention.gate.",
        **_heads("", "main_classifier"),
    },
    "split": {
        **_ENCODER,
        "co_att.linear.": "coattention.weight.",
        "co_att.linear_e.": "coattention.weight.",
        "co_att.gate.": "coattention.gate.",
        **_heads("seg.", "classifier", "main_classifier"),
    },
    "deeplab": _ENCODER,
    "resnet": {"encoder.": "encoder."},
}


def recognise(names: Iterable[str]) -> Layout | None:
    """Return the layout of a checkpoint, by its names without ``module.``; None if it is none of them."""
    known = set(names)
    if any(name.startswith(("co_att.", "seg.")) for name in known):
        return "split"
    if "linear_e.weight" in known:
        return "cosnet"
    encoder = {name.removeprefix("encoder.") for name in known}
    if {"layer3.0.conv1.weight", "layer5.conv2d_0.weight"} <= encoder:
        return "deeplab"
    bare = {name.removeprefix("backbone.") for name in known}
    return "resnet" if {"layer3.0.conv1.weight", "layer4.0.conv3.weight"} <= bare else None


def our_name(name: str, *, layout: Layout) -> str | None:
    """Return our name of a published tensor; None if our networks have nothing like it."""
    if layout in STARTS and not name.startswith("encoder."):
        name = f"encoder.{name.removeprefix('backbone.')}"
    # The order of the table matters: `encoder.layer5.` stands before `encoder.`.
    for theirs, ours in _PREFIXES[layout].items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return None


def their_name(name: str, *, layout: Layout, names: Iterable[str]) -> str:
    """Return the name that one of our tensors has in a checkpoint with these names: `our_name` turned round."""
    known = tuple(names)
    fitting = [theirs + name.removeprefix(ours) for theirs, ours in _PREFIXES[layout].items() if name.startswith(ours)]
    # Two generations of a layout have two names; the one whose part the file has is meant.
    found = next((each for each in fitting if any(other.startswith(_part(each)) for other in known)), fitting[0])
    if layout in STARTS and not any(other.startswith("encoder.") for other in known):
        bare = found.removeprefix("encoder.")
        return f"backbone.{bare}" if any(other.startswith("backbone.") for other in known) else bare
    return found


def _part(name: str) -> str:
    return name.rpartition(".")[0] + "."


def layer3_blocks(names: Iterable[str]) -> int:
    """Count the blocks of the encoder's third layer: 23 in a ResNet-101, 6 in a ResNet-50."""
    found = (re.fullmatch(r"(?:encoder\.|backbone\.)?layer3\.(\d+)\.conv1\.weight", name) for name in names)
    return max((int(match[1]) + 1 for match in found if match), default=0)


HEADS = ("still.", "coattention.", "head_a.", "head_b.")
"""Parts that a DeepLabV3 file lacks, and training begins at random."""
STARTS: dict[Layout, tuple[str, ...]] = {"deeplab": HEADS, "resnet": ("context.", *HEADS)}
"""Layouts that training starts from, and the parts that each lacks."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""The normalisation of red, green and blue in [0, 1] that torchvision and timm train by."""
SEED = 0
"""Seed of the parts that a checkpoint lacks."""
COUNTER = "num_batches_tracked"
"""Batch norm's counter of training steps, which no computation uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """Account of each tensor of a checkpoint.

    ``mapped`` has (their name, our name) of each that was taken; ``missing`` our names of those that the checkpoint
    lacks, which are random, from a fixed seed; ``unexpected`` their names of those that the network has no place for;
    ``counters`` those of batch norm's step counters, which are not kept.
    """

    layout: Layout
    architecture: str
    mapped: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    counters: tuple[str, ...]


def map_tensors(
    tensors: dict[str, Tensor], *, path: Path, architecture: str | None = None
) -> tuple[Cosnet, ConversionReport]:
    """Fill a network with the tensors of a published checkpoint, by their published names.

    Without ``architecture`` it is the one with as many blocks as the checkpoint. A start of more blocks may start a
    smaller network: what is too much is reported as unexpected. ``path`` is for errors.
    """
    layout = recognise(tensors)
    if layout is None:
        raise CheckpointError(
            f"{path} is no checkpoint of COSNet",
            why=f"names such as {', '.join(sorted(tensors)[:2])} belong to no layout that is known",
            fix="known are COSNet's release, its variant in parts (co_att, seg), its DeepLabV3 (layer5), and ResNet-50 "
            "and -101 of torchvision or timm (layer4.0.conv3), also in torchvision's DeepLabV3 (backbone)",
        )
    chosen = _choose(tensors, layout=layout, architecture=architecture, path=path)
    random = STARTS.get(layout, ())
    ours: dict[str, Tensor] = {}
    mapped, unexpected = [], []
    config = _config(tensors, layout=layout, base=COSNETS[chosen], path=path)
    with torch.random.fork_rng(devices=[]):
        # Not `torch.manual_seed`, which would seed the generators of all devices.
        torch.default_generator.manual_seed(SEED)
        network = Cosnet(config)
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith(COUNTER)}
    counters = tuple(sorted(name for name in tensors if name.endswith(COUNTER)))
    wrong = []
    for theirs in sorted(set(tensors) - set(counters)):
        name = our_name(theirs, layout=layout)
        if name not in wanted:
            unexpected.append(theirs)
            if layout == "resnet" and name is not None and _belongs_to_a_block(name, wanted):
                wrong.append(f"{theirs} is of another kind of block")
        elif name in ours:
            wrong.append(f"{theirs} and another tensor are both {name}")
        elif tensors[theirs].shape == wanted[name].shape:
            ours[name] = tensors[theirs].to(torch.float32)
            mapped.append((theirs, name))
        elif name.startswith(random):
            unexpected.append(theirs)
        else:
            wrong.append(f"{theirs} is {tuple(tensors[theirs].shape)} instead of {tuple(wanted[name].shape)}")
    missing = tuple(sorted(set(wanted) - set(ours)))
    wrong += [
        f"{their_name(name, layout=layout, names=tensors)} is missing"
        for name in missing
        if not name.startswith(random)
    ]
    if wrong:
        raise CheckpointError(
            f"{path} does not fit {chosen}",
            why=f"{'; '.join(wrong[:3])} ({counted(len(wrong), 'difference')})",
            fix="use a complete checkpoint of this network",
        )
    network.load_state_dict(ours, strict=False)
    report = ConversionReport(
        layout=layout,
        architecture=chosen,
        mapped=tuple(mapped),
        missing=missing,
        unexpected=tuple(unexpected),
        counters=counters,
    )
    return network.eval(), report


def convert(
    source: str | os.PathLike[str],
    *,
    output: str | os.PathLike[str],
    architecture: str | None = None,
    overwrite: bool = False,
) -> ConversionReport:
    """Convert a published checkpoint to a ``.safetensors`` file of covos; its card is written beside it.

    Args:
        source: A ``.pth`` file, or a ``.safetensors`` file such as timm's; docs/from-cosnet.md lists the layouts.
        output: The ``.safetensors`` file.
        architecture: ``"cosnet_resnet101"`` or ``"cosnet_resnet50"``; None finds it in the checkpoint.
        overwrite: Replace an existing file.

    Returns:
        What became of each tensor.

    Raises:
        UsageError: ``output`` exists, or has another suffix; an unknown ``architecture``.
        CheckpointError: ``source`` cannot be converted; nothing is written.
        EnvironmentProblem: The disk is full or not writable.
    """
    source, output = Path(source), Path(output)
    _check(output, architecture=architecture, overwrite=overwrite)
    network, report = map_tensors(read_tensors(source), path=source, architecture=architecture)
    origin = {
        "file": source.name,
        "sha256": sha256_of(source),
        "layout": report.layout,
        "random": sorted({name.split(".")[0] for name in report.missing}),
    }
    card = Card(
        name=output.stem,
        architecture=report.architecture,
        version=__version__,
        commit="",
        recipe={"converted_from": origin},
        data=(),
        scores={},
        licence="that of the checkpoint it was converted from",
    )
    save_weights(output, network, card=card, precision=torch.float32)
    return report


def _check(output: Path, *, architecture: str | None, overwrite: bool) -> None:
    if architecture is not None and architecture not in COSNETS:
        raise UsageError(
            f"unknown network {architecture!r}",
            why="checkpoints can be converted for COSNet only",
            fix=one_of(architecture, COSNETS),
        )
    check_output(output, overwrite=overwrite)


def _choose(tensors: dict[str, Tensor], *, layout: Layout, architecture: str | None, path: Path) -> str:
    found = layer3_blocks(tensors)
    fitting = [name for name, config in COSNETS.items() if config.blocks[2] == found]
    if not fitting:
        raise CheckpointError(
            f"{path} is of another network",
            why=f"its third layer has {found} blocks; those of a ResNet-101 and a ResNet-50 have 23 and 6",
            fix=f"known are: {', '.join(COSNETS)}",
        )
    if architecture is None or architecture == fitting[0]:
        return fitting[0]
    if layout not in STARTS or COSNETS[architecture].blocks[2] > found:
        raise CheckpointError(
            f"{path} does not fit {architecture}",
            why=f"its third layer has {found} blocks, as {fitting[0]} has",
            fix="leave the network out",
        )
    return architecture


def _belongs_to_a_block(name: str, wanted: Iterable[str]) -> bool:
    """Tell if a tensor stands in a block that the network has too: then the block computes something else."""
    block = re.match(r"encoder\.layer\d\.\d+\.", name)
    return block is not None and any(each.startswith(block[0]) for each in wanted)


def of_layout(base: CosnetConfig, layout: Layout) -> CosnetConfig:
    """Return the configuration of a network with the weights of a layout: how they are used, and what they are fed."""
    published = COSNET_RESNET101.preprocessing
    if layout == "deeplab":
        # The input that the encoder was trained on, whatever the size of the network that it starts.
        seen = replace(base.preprocessing, order=published.order, scale=published.scale, mean=published.mean)
        return replace(base, preprocessing=seen)
    if layout == "resnet":
        seen = Preprocessing(size=base.preprocessing.size, order="rgb", scale=1.0, mean=IMAGENET_MEAN, std=IMAGENET_STD)
        return replace(base, preprocessing=seen, stride_on="3x3", pool_up=False)
    if layout == "split":
        seen = replace(COSNET_RESNET50.preprocessing, size=base.preprocessing.size, order="bgr")
        return replace(base, preprocessing=seen, align_corners=True, transposed=True)
    return base


def _config(tensors: dict[str, Tensor], *, layout: Layout, base: CosnetConfig, path: Path) -> CosnetConfig:
    """Return the variant that a checkpoint holds: how it computes, and which heads it has."""
    config = of_layout(base, layout)
    if layout in STARTS:
        return config
    shapes = {our_name(name, layout=layout): tuple(tensor.shape) for name, tensor in tensors.items()}
    outputs = shapes.get("head_a.classifier.weight", (base.outputs,))[0]
    if outputs not in (1, 3):
        raise CheckpointError(
            f"{path} is of another network", why=f"it has {outputs} outputs instead of 1 or 3", fix="use another file"
        )
    return replace(config, outputs=outputs, still="still.weight" in shapes)
