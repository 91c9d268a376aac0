"""Average checkpoints: the uniform mean of the weights of several files of one network.

Weights that were trained from the same start lie in one basin, where the mean is often better than any of them
(Izmailov et al., *Averaging Weights Leads to Wider Optima*, UAI 2018; Wortsman et al., *Model Soups*, ICML 2022). The
mean of runs from different random weights is worth nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

import covos
from covos.core.errors import CheckpointError, UsageError
from covos.models.cards import Card, stored_shapes
from covos.models.checkpoints import check_output, save_weights
from covos.models.registry import ModelEntry, empty_network, find_model, verify

TRAINING_ONLY = frozenset({
    "name", "steps", "epochs", "step", "learning_rate", "encoder_learning_rate", "weight_decay", "warmup", "power",
    "gradient_norm", "accumulate", "ema", "validate_every", "checkpoint_every", "keep_best", "ratio", "videos",
    "overfit", "seed", "split_seed", "start",
})  # fmt: skip
"""Settings of a training that say nothing of the network."""


def average(
    files: Sequence[str | os.PathLike[str]], *, output: str | os.PathLike[str], overwrite: bool = False
) -> Card:
    """Write the uniform mean of the weights of several files, and its card; return the card.

    All tensors are averaged, the statistics of batch norms too. Nobody knows the worth of the result: its card has no
    scores, but names the files with theirs.

    Args:
        files: Two weights files or more, or names of models, of one network with the same settings.
        output: The .safetensors file.
        overwrite: Replace an existing file, and its card.

    Raises:
        UsageError: There are fewer than two files, one of them twice, or ``output`` or its card exists.
        CheckpointError: A file cannot be read or is damaged, or the files are of different networks.
    """
    output = Path(output)
    check_output(output, overwrite=overwrite)
    entries = [find_model(os.fspath(each)) for each in files]
    _check(entries)
    mean = _mean([entry.path for entry in entries])
    network = empty_network(entries[0])
    network.load_state_dict(mean, strict=False)
    halved = any(tensor.dtype == torch.float16 for tensor in load_file(entries[0].path).values())
    return save_weights(
        output, network, card=_card(entries, name=output.stem), precision=torch.float16 if halved else torch.float32
    )


def _check(entries: Sequence[ModelEntry]) -> None:
    if len(entries) < 2:
        raise UsageError(
            f"{len(entries)} file cannot be averaged", why="a mean is of several", fix="give two files or more"
        )
    first = entries[0]
    shapes = stored_shapes(first.path)
    seen: dict[str, ModelEntry] = {}
    for entry in entries:
        verify(entry)
        if entry.card.architecture != first.card.architecture:
            raise CheckpointError(
                f"{entry.path} and {first.path} cannot be averaged",
                why=f"they are of two networks: {entry.card.architecture} and {first.card.architecture}",
                fix="average files of one network",
            )
        other = stored_shapes(entry.path)
        if other != shapes:
            name = sorted(shapes.items() ^ other.items())[0][0]
            raise CheckpointError(
                f"{entry.path} and {first.path} cannot be averaged",
                why=f"{name} is {other.get(name, 'missing')} in one and {shapes.get(name, 'missing')} in the other",
                fix="average files of trainings with the same outputs",
            )
        way = _way(entry)
        for setting, there in _way(first).items():
            if (here := way.get(setting)) != there:
                raise CheckpointError(
                    f"{entry.path} and {first.path} cannot be averaged",
                    why=f"they are run in two ways: {setting} = {here!r} and {there!r}",
                    fix="average files of trainings with the same settings",
                )
        if entry.card.sha256 in seen:
            raise UsageError(
                f"{entry.path} holds the same weights as {seen[entry.card.sha256].path}",
                why="it would count twice",
                fix="give each file once",
            )
        seen[entry.card.sha256] = entry


def _way(entry: ModelEntry) -> dict[str, Any]:
    """Return what says how a network is run: its configuration, and the encoder that it works on."""
    config = getattr(empty_network(entry), "config", None)
    settings: dict[str, Any] = {}
    for name, value in (asdict(config) if is_dataclass(config) and not isinstance(config, type) else {}).items():
        settings |= {f"{name}.{key}": each for key, each in value.items()} if isinstance(value, dict) else {name: value}
    return {**settings, "encoder_sha256": entry.card.recipe.get("encoder_sha256")}


def _mean(paths: Sequence[Path]) -> dict[str, Tensor]:
    # One file in memory beside the sum, which double precision keeps exact enough for any number of files.
    total: dict[str, Tensor] = {}
    for path in paths:
        for name, tensor in load_file(path).items():
            if not torch.isfinite(tensor).all():
                raise CheckpointError(
                    f"{path} holds numbers that are none", why=f"NaN or infinity in {name}", fix="retrain"
                )
            total[name] = total[name] + tensor.double() if name in total else tensor.double()
    return {name: (tensor / len(paths)).float() for name, tensor in total.items()}


def _card(entries: Sequence[ModelEntry], *, name: str) -> Card:
    cards = [entry.card for entry in entries]
    first = cards[0]
    shared = {
        name: value
        for name, value in first.recipe.items()
        if name not in TRAINING_ONLY and all(card.recipe.get(name) == value for card in cards)
    }
    parents: list[dict[str, Any]] = [
        {
            "file": entry.path.name,
            "sha256": entry.card.sha256,
            **({"step": entry.card.recipe["step"]} if "step" in entry.card.recipe else {}),
            "scores": entry.card.scores,
        }
        for entry in entries
    ]
    data: list[dict[str, Any]] = []
    for card in cards:
        data += [each for each in card.data if each not in data]
    return Card(
        name=name,
        architecture=first.architecture,
        version=covos.__version__,
        commit="",
        recipe={**shared, "averaged": parents},
        data=tuple(data),
        scores={},
        licence="; ".join(dict.fromkeys(card.licence for card in cards)),
    )
