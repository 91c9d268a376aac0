"""Read the tensors of a PyTorch checkpoint without running anything in it."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from covos.errors import CheckpointError
from covos.models.weights_file import MAX_BYTES

WRAPPERS = ("model", "state_dict")
"""Keys under which checkpoints keep their state dict, beside epochs and optimisers."""


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
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is too large", why="it exceeds 2 GiB", fix="check the file")
        with warnings.catch_warnings():
            # Of old formats; what they warn of does not touch the numbers.
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except CheckpointError:
        raise
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read", why=error.strerror or str(error), fix="check the path"
        ) from error
    except pickle.UnpicklingError as error:
        if "Unsupported global" not in str(error) and "Unsupported class" not in str(error):
            raise _damaged(path, error) from error
        raise CheckpointError(
            f"{path} holds code", why=_reason(error), fix="nothing was run; use a file of tensors only"
        ) from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged pickle or zip file raises whatever it likes
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is no PyTorch checkpoint, or is damaged", why=_reason(error), fix="download or copy the file again"
    )


def _reason(error: Exception) -> str:
    """The line of torch's explanation that says what was met; the others advise to run the code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = next((line for line in lines if "WeightsUnpickler error" in line or "Unsupported" in line), None)
    return (telling or (lines[0] if lines else type(error).__name__))[:300]
