"""Read the tensors of a PyTorch checkpoint without running anything in it."""

from __future__ import annotations

import pickle
import re
import textwrap
import warnings
import zipfile
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

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""How checkpoints begin: since 2020, and before."""

_NUMBERS = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
}  # fmt: skip
"""What batch norms count with, too."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The named tensors of a ``.pth`` file.

    Args:
        path: A state dict saved by ``torch.save``, or a dictionary that holds one under one of `WRAPPERS`.

    Returns:
        By name, on the CPU, without the prefix ``module.`` that training on several GPUs leaves; everything else in
        the file is ignored.

    Raises:
        CheckpointError: Not such a file, cut short, with code in it, without tensors, with tensors that are no plain
            numbers, with NaN or infinity, or far larger in memory than on the disk.
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
    _check(tensors, path)
    bare = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    if len(bare) < len(tensors):
        twice = next(name for name in tensors if f"module.{name}" in tensors)
        raise CheckpointError(
            f"{path} holds two tensors of one name",
            why=f"{twice} and module.{twice} are the same name",
            fix="use a checkpoint of one training",
        )
    return bare


def _check(tensors: Mapping[str, Tensor], path: Path) -> None:
    if odd := [name for name, tensor in tensors.items() if not _is_plain(tensor)]:
        raise CheckpointError(
            f"{path} holds tensors that are no weights",
            why=f"{odd[0]} is {_kind(tensors[odd[0]])} ({len(odd)} of {len(tensors)} tensors)",
            fix="save them as ordinary tensors of real numbers",
        )
    # A few bytes can be stretched to any shape.
    if sum(tensor.numel() * tensor.element_size() for tensor in tensors.values()) > MAX_BYTES:
        raise _too_large(path, "its tensors exceed 2 GiB in memory")
    if broken := sorted(name for name, tensor in tensors.items() if not torch.isfinite(tensor.float()).all()):
        raise CheckpointError(
            f"{path} holds numbers that are none",
            why=f"NaN or infinity in {broken[0]} ({len(broken)} of {len(tensors)} tensors)",
            fix="use a checkpoint from before the training diverged",
        )


def _is_plain(tensor: Tensor) -> bool:
    on_cpu = tensor.device.type == "cpu"  # a "meta" tensor has a shape and no numbers
    return on_cpu and tensor.layout == torch.strided and not tensor.is_nested and tensor.dtype in _NUMBERS


def _kind(tensor: Tensor) -> str:
    kind = "nested" if tensor.is_nested else str(tensor.layout).removeprefix("torch.")
    return f"{kind}, {str(tensor.dtype).removeprefix('torch.')}, on {tensor.device.type}"


def _load(path: Path) -> object:
    try:
        with path.open("rb") as handle:
            size = handle.seek(0, 2)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read", why=error.strerror or str(error), fix="check the path"
        ) from error
    if size > MAX_BYTES:
        raise _too_large(path, "it exceeds 2 GiB")
    if _unpacked_size(path) > MAX_BYTES:
        raise _too_large(path, "it exceeds 2 GiB when it is unpacked")
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
    except Exception as error:
        if "TorchScript" in str(error):
            raise CheckpointError(
                f"{path} holds code",
                why="it is a TorchScript program, not only its tensors; nothing was run",
                fix="save its state dict instead, if you trust it",
            ) from error
        # A damaged pickle or zip file raises whatever it likes.
        raise _damaged(path, error) from error


def _unpacked_size(path: Path) -> int:
    """Of the parts of a zip file, as checkpoints are since 2020, in bytes; 0 for other files."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(part.file_size for part in archive.infolist())
    except Exception:  # no zip file, or a damaged one: whoever reads it will say so
        return 0


def _too_large(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{path} is too large", why=why, fix="check the file: no network of covos has that many weights"
    )


def _damaged(path: Path, error: Exception) -> CheckpointError:
    with path.open("rb") as handle:
        start = handle.read(16)
    if start and not start.startswith((_ZIP, _PICKLE)):
        return CheckpointError(
            f"{path} is no PyTorch checkpoint",
            why=f"it begins with {start!r}, neither a zip file nor a pickle",
            fix="give a file that torch.save wrote, usually a .pth",
        )
    if not start:
        why = "the file is empty"
    elif start.startswith(_ZIP) and not zipfile.is_zipfile(path):
        why = "it ends before its table of contents: it was cut short"
    else:
        lines = (line.strip() for line in str(error).splitlines())
        telling = next((line for line in lines if line and not line.startswith(_ADVICE)), type(error).__name__)
        why = textwrap.shorten(telling, 200, placeholder=" ...")
    return CheckpointError(
        f"{path} is no PyTorch checkpoint, or is damaged", why=why, fix="download or copy the file again"
    )
