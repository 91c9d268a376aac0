"""Cards of weights, and what their files say of themselves: read without torch, and without the weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from safetensors import SafetensorError, safe_open

from covos.core.errors import CheckpointError
from covos.core.guarded import open_guarded, refuse_irregular
from covos.core.records import Count, Finite, Record, faults, read_record


class Card(Record):
    """Card beside a weights file: where the weights come from and what they are worth."""

    name: str
    """Name of the model, such as ``covos-lite``."""
    architecture: str
    """Name of the network in the registry."""
    version: str
    """Version of the covos that trained it."""
    commit: str
    """Commit of the covos that trained it; empty outside a repository."""
    recipe: dict[str, Any]
    """Settings of the training."""
    data: tuple[dict[str, Any], ...]
    """One entry a data set: name, number of videos or pictures, licence."""
    scores: dict[str, dict[str, Any]]
    """Measurements, with the command or protocol that made them."""
    licence: str
    """Licence of the weights, and what restricts their use."""
    parameters: Count = 0
    """Number of weights."""
    sha256: str = ""
    """Hash of the safetensors file, which is the identity of the model: a function of its tensors and settings."""
    earlier_sha256: tuple[str, ...] = ()
    """Hashes of earlier files with the same tensors and settings, written in other ways."""
    calibration: dict[str, tuple[Finite, ...]] = Field(default_factory=dict)
    """For a network that follows: what turns its judgement into an expected J (see `covos.engines.calibration`); empty
    if that was not measured."""

    @property
    def hashes(self) -> frozenset[str]:
        """Every hash that these weights are known by."""
        return frozenset((self.sha256, *self.earlier_sha256))

    @field_validator("recipe")
    @classmethod
    def _origin(cls, recipe: dict[str, Any]) -> dict[str, Any]:
        origin = recipe.get("converted_from", {})
        if not isinstance(origin, dict) or not isinstance(origin.get("random", []), list):
            raise PydanticCustomError("origin", "converted_from should say the layout, the file and what is random")
        return recipe

    @field_validator("data")
    @classmethod
    def _named(cls, data: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        if any("name" not in each for each in data):
            raise PydanticCustomError("data", "each data set should have a name")
        return data


def card_path(weights: Path) -> Path:
    """Return the card's file of a weights file."""
    return weights.with_suffix(".json")


def sha256_of(path: Path) -> str:
    """Return the hex digest of a weights file."""
    with open_guarded(
        path, what=f"{path} cannot be read", fix="check the path", error=CheckpointError, limit="weights"
    ) as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_card(weights: Path) -> Card | None:
    """Read the card beside a weights file; None if there is none."""
    path = card_path(weights)
    if not path.exists():
        return None
    return read_record(
        Card, path, what=f"{path} is not a model card", fix="remove or restore it", error=CheckpointError
    )


class StoredNetwork(Record, extra="forbid"):
    """A weights file's account of its network, under the one key `METADATA`: all that is needed to build it again."""

    architecture: str
    """Name of the network in the registry."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """Settings that change what the network computes; empty if it has none."""

    @property
    def text(self) -> str:
        """The one way to write it: keys sorted, no spaces."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))


METADATA = "covos"
"""Key of the metadata of a weights file. There is one only: several are written in an order that varies."""


def stored_network(path: Path) -> StoredNetwork | None:
    """Return what a weights file says of its network; None if an older covos or another program wrote it."""
    text = _header(path)[1].get(METADATA)
    if text is None:
        return None
    try:
        return StoredNetwork.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointError(
            f"{path} does not say which network it is for",
            why=faults(error),
            fix="update covos if a newer one wrote it; else restore the file",
        ) from error


def stored_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the tensors in a weights file, without reading them."""
    return _header(path)[0]


def _header(path: Path) -> tuple[dict[str, tuple[int, ...]], dict[str, str]]:
    """Return the shapes of a weights file by name, and its metadata."""
    what = f"{path} cannot be read as weights"
    fix = "use a .safetensors file; `covos models convert` makes one of a published .pth file"
    refuse_irregular(path, what=what, fix=fix, error=CheckpointError, limit="weights")
    try:
        with safe_open(str(path), framework="numpy") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 - no mapping
            return shapes, opened.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(what, why=str(error).splitlines()[0], fix=fix) from error
