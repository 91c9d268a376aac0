"""Weights as safetensors: written whole with a card beside them, read only if everything fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from covos.errors import CheckpointError
from covos.models.card import Card, card_path, sha256_of
from covos.runtime.atomic import atomic_path

MAX_BYTES = 2**31
"""Larger files are refused unread: no model of covos has that many weights."""


def _stored(tensor: Tensor, precision: torch.dtype) -> Tensor:
    # Vectors (norms, biases, running variances) stay float32: they are few, and a small variance would underflow.
    if tensor.is_floating_point():
        return tensor.detach().cpu().to(precision if tensor.ndim > 1 else torch.float32).contiguous()
    return tensor.detach().cpu().contiguous()


def save_weights(path: Path, network: nn.Module, *, card: Card, precision: torch.dtype = torch.float16) -> Card:
    """Write weights and card.

    Args:
        path: The ``.safetensors`` file.
        network: Whose weights.
        card: To be completed and written beside it.
        precision: Of matrices. Half by default: 11 bits are more than a trained weight means.

    Returns:
        The card, with the file's hash and the number of parameters.
    """
    tensors = {
        name: _stored(tensor, precision)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    with atomic_path(path) as temporary:
        # Not `save_file`: it leaves a file that only its owner may read.
        temporary.write_bytes(save(tensors, metadata={"architecture": card.architecture, "name": card.name}))
    complete = replace(
        card, sha256=sha256_of(path), parameters=sum(parameter.numel() for parameter in network.parameters())
    )
    with atomic_path(card_path(path)) as temporary:
        temporary.write_text(complete.to_json())
    return complete


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors in a weights file, without reading them.

    Raises:
        CheckpointError: Not a safetensors file, or damaged.
    """
    try:
        with safe_open(str(path), framework="pt") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} cannot be read as weights",
        why=str(error).splitlines()[0],
        fix="use a .safetensors file; `covos models convert` makes one of a published .pth file",
    )


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill a network with weights; names and shapes must fit exactly, and every number must be finite.

    Raises:
        CheckpointError: Not a safetensors file, damaged, of another architecture, or with NaN or infinity.
    """
    wanted = {name: tensor for name, tensor in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    try:
        if path.stat().st_size > MAX_BYTES:
            raise CheckpointError(f"{path} is too large", why="it exceeds 2 GiB", fix="check the file")
        with safe_open(str(path), framework="pt") as opened:
            names = set(opened.keys())
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in names}
            differences = [
                *(f"{name} is missing" for name in sorted(set(wanted) - names)),
                *(f"{name} is unexpected" for name in sorted(names - set(wanted))),
                *(
                    f"{name} is {shapes[name]} instead of {tuple(wanted[name].shape)}"
                    for name in sorted(names & set(wanted))
                    if shapes[name] != tuple(wanted[name].shape)
                ),
            ]
            if differences:
                raise CheckpointError(
                    f"{path} does not fit {type(network).__name__}",
                    why=f"{'; '.join(differences[:3])} ({len(differences)} differences)",
                    fix="use a file that was made for this model",
                )
            tensors = {name: opened.get_tensor(name).to(wanted[name].dtype) for name in names}
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error
    broken = sorted(name for name, tensor in tensors.items() if not torch.isfinite(tensor).all())
    if broken:
        raise CheckpointError(
            f"{path} holds numbers that are none", why=f"NaN or infinity in {broken[0]}", fix="retrain"
        )
    network.load_state_dict(tensors, strict=False)
