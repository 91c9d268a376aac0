"""The card beside a weights file: where the weights come from and what they are worth."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from covos.errors import CheckpointError


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Where weights come from and what they are worth.

    Attributes:
        name: Of the model, such as ``covos-lite``.
        architecture: Name of the network in the registry.
        version: Of the covos that trained it.
        commit: Of the covos that trained it; empty outside a repository.
        recipe: The training's settings.
        data: One entry a data set: name, number of videos or pictures, licence.
        scores: Measurements, with the command or protocol that made them.
        licence: Of the weights, and what restricts their use.
        parameters: Number of weights.
        sha256: Of the safetensors file.
        calibration: Of a network that follows: what turns its judgement into an expected J (see
            `covos.engines.calibration`); empty if that was not measured.
    """

    name: str
    architecture: str
    version: str
    commit: str
    recipe: dict[str, Any]
    data: tuple[dict[str, Any], ...]
    scores: dict[str, Any]
    licence: str
    parameters: int = 0
    sha256: str = ""
    calibration: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> str:
        """As the file beside the weights."""
        return json.dumps(asdict(self), indent=2) + "\n"


def card_path(weights: Path) -> Path:
    """The card's file of a weights file."""
    return weights.with_suffix(".json")


def sha256_of(path: Path) -> str:
    """Hex digest of a file."""
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def read_card(weights: Path) -> Card | None:
    """The card beside a weights file; None if there is none.

    Raises:
        CheckpointError: There is one, but it cannot be read.
    """
    path = card_path(weights)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text())
        content["data"] = tuple(content["data"])
        return Card(**content)
    except (ValueError, TypeError, KeyError) as error:
        raise CheckpointError(f"{path} is not a model card", why=str(error), fix="remove or restore it") from error
