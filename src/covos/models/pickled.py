"""Read the tensors of a PyTorch checkpoint without running anything in it."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from covos.errors import CheckpointError
from covos.models.weights_file import MAX_BYTES

WRAPPERS = ("model", "state_dict")
"""Keys under which checkpoints keep their state dict, beside epochs and optimisers."""

_CODE = re.compile(r"(?:Unsupported global: GLOBAL|unsupported GLOBAL|Unsupported class) ([\w.]+)")
"""Torch's words for what a pickle wants to call."""
_ADVICE = ("Weights only load failed", "Please", "Check the documentation")
"""How lines begin that advise to run the code."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a ``.pth`` file.

    Args:
        path: A state dict saved by ``torch.save``, or a dictionary that holds one under one of `WRAPPERS`.

    Returns:
        By name, on the CPU, without the prefix ``module.`` that training on several GPUs leaves; everything else in
        the file is ignored.

    Raises:
        CheckpointError: Not such a file, cut short, with code in it, without tensors, or with NaN or infinity.
    """
    content = _load(path)
    for key in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = (
        {name: value.detach() for name, value in content.items() if isinstance(name, str) and torch.is_tensor(value)}
        if isinstance(content, Mapping)
        else {}
    )
    if not tensors:
        raise CheckpointError(
            f"{path} holds no weights",
            why=f"it is a {type(content).__name__} without named tensors",
            fix="use a state dict, or a dictionary with one under 'model'",
        )
    if broken := sorted(name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()):
        raise CheckpointError(
            f"{path} holds numbers that are none",
            why=f"NaN or infinity in {broken[0]} ({len(broken)} of {len(tensors)} tensors)",
            fix="use a checkpoint from before the training diverged",
        )
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _load(path: Path) -> object:
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read", why=error.strerror or str(error), fix="check the path"
        ) from error
    if size > MAX_BYTES:
        raise CheckpointError(f"{path} is too large", why="it exceeds 2 GiB", fix="check the file")
    try:
        with warnings.catch_warnings():
            # Of old formats; what they warn of does not touch the numbers.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        code = _CODE.search(str(error))
        if code is None:
            raise _damaged(path, error) from error
        raise CheckpointError(
            f"{path} holds code",
            why=f"it asks for {code[1]}, which tensors do not need; nothing was run",
            fix="use a file of tensors only, from someone you trust",
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle or zip file raises whatever it likes
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    lines = (line.strip() for line in str(error).splitlines())
    telling = next((line for line in lines if line and not line.startswith(_ADVICE)), type(error).__name__)
    return CheckpointError(
        f"{path} is no PyTorch checkpoint, or is damaged",
        why=telling[:200],
        fix="download or copy the file again",
    )
