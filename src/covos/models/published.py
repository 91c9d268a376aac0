"""The names that published COSNet checkpoints give their tensors, and ours for the same tensors.

Three layouts are known:

- ``cosnet``: the paper's release. ``encoder.*``, ``linear_e``, ``gate``, and a head of three parts for each branch.
- ``split``: the same network in parts, ``encoder.*``, ``co_att.*`` and ``seg.*``, with two generations of names.
- ``deeplab``: the DeepLabV3 that both are started from: the encoder alone, with or without the prefix ``encoder.``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

Layout = Literal["cosnet", "split", "deeplab"]

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
}


def recognise(names: Iterable[str]) -> Layout | None:
    """The layout of a checkpoint, by its names without ``module.``; None if it is none of them."""
    known = set(names)
    if any(name.startswith(("co_att.", "seg.")) for name in known):
        return "split"
    if "linear_e.weight" in known:
        return "cosnet"
    encoder = {name.removeprefix("encoder.") for name in known}
    return "deeplab" if {"layer3.0.conv1.weight", "layer5.conv2d_0.weight"} <= encoder else None


def our_name(name: str, *, layout: Layout) -> str | None:
    """Our name of a published tensor; None if our networks have nothing like it."""
    if layout == "deeplab" and not name.startswith("encoder."):
        name = f"encoder.{name}"
    # The order of the table matters: `encoder.layer5.` stands before `encoder.`.
    for theirs, ours in _PREFIXES[layout].items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return None


def layer3_blocks(names: Iterable[str]) -> int:
    """How many blocks the encoder's third layer has: 23 in a ResNet-101, 6 in a ResNet-50."""
    found = (re.fullmatch(r"(?:encoder\.)?layer3\.(\d+)\.conv1\.weight", name) for name in names)
    return max((int(match[1]) + 1 for match in found if match), default=0)
