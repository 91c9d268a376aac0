"""Files of weights: safetensors with a card beside them, and the PyTorch checkpoints of others."""

from __future__ import annotations

import pickle
import re
import textwrap
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Protocol, runtime_checkable

import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from covos.core.errors import CheckpointError, UsageError
from covos.core.files import atomic_path
from covos.core.guarded import check_zip, open_guarded
from covos.core.limits import limits, raising
from covos.core.records import write_record
from covos.core.words import OVERWRITE
from covos.models.cards import METADATA, Card, StoredNetwork, card_path, sha256_of, stored_shapes


@runtime_checkable
class HasSettings(Protocol):
    """A network of several variants, which says which of them it is."""

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that change what the network computes, as JSON can express them."""


def settings_of(network: nn.Module) -> dict[str, Any]:
    """Return the settings of a network; empty if there is one variant only."""
    return network.settings if isinstance(network, HasSettings) else {}


def _stored(tensor: Tensor, precision: torch.dtype) -> Tensor:
    if tensor.is_floating_point():
        # Vectors (norms, biases, running variances) stay float32: they are few, and a small variance would underflow.
        # So does a matrix with numbers that would become infinite, such as the -1e9 of a mask of attention.
        types = (precision if tensor.ndim > 1 else torch.float32, torch.float32, tensor.dtype)
        tensor = next(short for short in map(tensor.to, types) if torch.equal(short.isfinite(), tensor.isfinite()))
    return tensor.cpu().contiguous()


def save_weights(path: Path, network: nn.Module, *, card: Card, precision: torch.dtype = torch.float16) -> Card:
    """Write weights and card; return the card with the file's hash and the number of parameters.

    Matrices are in half precision by default: 11 bits are more than a trained weight means. One with numbers beyond
    the range of that (65504) is in float32. The bytes of the file depend on the tensors and the settings of the network
    alone: names, dates and scores stand in the card. The folder is made if it is not there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: _stored(tensor, precision)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    stored = StoredNetwork(architecture=card.architecture, settings=settings_of(network))
    with atomic_path(path) as temporary:
        # Not `save_file`: it leaves a file that only its owner may read.
        temporary.write_bytes(save(tensors, metadata={METADATA: stored.text}))
    complete = card.model_copy(
        update={"sha256": sha256_of(path), "parameters": sum(each.numel() for each in network.parameters())}
    )
    write_record(complete, card_path(path))
    return complete


def check_output(path: Path, *, overwrite: bool) -> None:
    """Refuse a name for weights of which the file, or the card that `save_weights` writes beside it, is there.

    Raises:
        UsageError: It is, and is not to be replaced; or the name is not that of a ``.safetensors`` file.
    """
    if path.suffix != ".safetensors":
        raise UsageError(
            f"{path} is no name for weights", why="only safetensors are written", fix="end it with .safetensors"
        )
    for each in (path, card_path(path)):
        if each.exists() and not overwrite:
            raise UsageError(
                f"{each} exists",
                why="nothing is overwritten unless asked",
                fix="give another name, or replace it: " + OVERWRITE,
            )


def load_weights(path: Path, network: nn.Module) -> None:
    """Fill a network with weights; names and shapes must fit exactly, and every number must be finite.

    A buffer may have the infinities that the network has there as it is made: a causal mask holds -inf.
    """
    wanted = {
        name: tuple(tensor.shape)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    shapes = stored_shapes(path)
    differences = [
        *(f"{name} is missing" for name in sorted(wanted.keys() - shapes.keys())),
        *(f"{name} is unexpected" for name in sorted(shapes.keys() - wanted.keys())),
        *(
            f"{name} is {shapes[name]} instead of {wanted[name]}"
            for name in sorted(shapes.keys() & wanted.keys())
            if shapes[name] != wanted[name]
        ),
    ]
    if differences:
        raise CheckpointError(
            f"{path} does not fit {type(network).__name__}",
            why=f"{'; '.join(differences[:3])} ({len(differences)} differences)",
            fix="use a file that was made for this model",
        )
    tensors = load_file(path)
    made = dict(network.named_buffers(remove_duplicate=False))
    broken = sorted(name for name, tensor in tensors.items() if _is_broken(tensor, made.get(name)))
    if broken:
        raise CheckpointError(
            f"{path} holds numbers that are none", why=f"NaN or infinity in {broken[0]}", fix="retrain"
        )
    network.load_state_dict(tensors, strict=False)


def _is_broken(tensor: Tensor, made: Tensor | None) -> bool:
    """Tell if a tensor holds infinities or NaN other than those of the buffer ``made``."""
    lost = ~torch.isfinite(tensor)
    if made is None or not lost.any():
        return bool(lost.any())
    return not torch.equal(tensor[lost].float(), made.cpu()[lost].float())


WRAPPERS = ("model", "state_dict")
"""Keys under which checkpoints keep their state dict, beside epochs and optimisers."""

_CODE = re.compile(r"(?:Unsupported global: GLOBAL|unsupported GLOBAL|Unsupported class) ([\w.]+)")
"""Matches torch's words for what a pickle wants to call."""
_ADVICE = ("Weights only load failed", "Please", "Check the documentation")
"""Beginnings of lines that advise to run the code."""

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
"""First bytes of checkpoints: since 2020, and before."""

_NUMBERS = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
}  # fmt: skip
"""Types of plain numbers; batch norms count in integers."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the named tensors of a ``.pth`` file: a state dict, or a dictionary with one under one of `WRAPPERS`.

    A ``.safetensors`` file holds nothing else. The names come without the prefix ``module.`` that training on several
    GPUs leaves.
    """
    tensors: dict[str, Tensor] = {}
    content: object
    if path.suffix == ".safetensors":
        stored_shapes(path)  # refuses what is none, with the reason
        content = tensors = load_file(path)
    elif isinstance(content := _load(path), Mapping):
        content = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), content)
        named = ((name, value) for name, value in content.items() if isinstance(name, str))
        tensors = {name: value.detach() for name, value in named if torch.is_tensor(value)}
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
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    if needed > limits().weights:
        raise _too_large(path, f"its tensors take {needed} bytes in memory", needed)
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
    with open_guarded(
        path, what=f"{path} cannot be read", fix="check the path", error=CheckpointError, limit="weights"
    ) as file:
        return _loaded(file, path)


def _loaded(file: BinaryIO, path: Path) -> object:
    try:
        check_zip(file)
    except ValueError as error:
        raise CheckpointError(
            f"{path} is no PyTorch checkpoint", why=str(error), fix="download or copy the file again"
        ) from error
    unpacked = _unpacked_size(file)
    if unpacked > limits().weights:
        raise _too_large(path, f"it takes {unpacked} bytes when it is unpacked", unpacked)
    try:
        with warnings.catch_warnings():
            # It warns of old formats; that does not concern the numbers.
            warnings.simplefilter("ignore")
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
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


def _unpacked_size(file: BinaryIO) -> int:
    """Return the bytes of a zip file's parts, as checkpoints are since 2020; 0 for other files."""
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(part.file_size for part in archive.infolist())
    except Exception:  # no zip file, or a damaged one: whoever reads it will say so
        return 0


def _too_large(path: Path, why: str, needed: int) -> CheckpointError:
    return CheckpointError(
        f"{path} is too large", why=f"{why}; {limits().weights} are read", fix=raising("weights", needed)
    )


def _shown(start: bytes) -> str:
    """Say the first bytes: as text if they are some, else by their numbers."""
    text = start.decode("latin-1")
    return repr(text) if text.isascii() and all(c.isprintable() or c.isspace() for c in text) else start[:8].hex(" ")


def _damaged(path: Path, error: Exception) -> CheckpointError:
    with path.open("rb") as handle:
        start = handle.read(16)
    if start and not start.startswith((_ZIP, _PICKLE)):
        return CheckpointError(
            f"{path} is no PyTorch checkpoint",
            why=f"it begins with {_shown(start)}, neither a zip file nor a pickle",
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
