"""The tool that a user may have instead: rembg, if it and its models are installed. Nothing is downloaded."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal

RIVALS: Final[tuple[Literal["u2netp", "isnet-general-use"], ...]] = ("u2netp", "isnet-general-use")
"""Models of rembg: its quickest, and the one for general use."""


def missing(model: str) -> str:
    """Say what is not installed of rembg and a model of it; empty if both are there."""
    if find_spec("rembg") is None or find_spec("onnxruntime") is None:
        return "rembg is not installed"
    file = models_folder() / f"{model}.onnx"
    return "" if file.is_file() else f"its model is not there: {file}"


def models_folder() -> Path:
    """Return the folder in which rembg keeps its models."""
    home = os.environ.get("U2NET_HOME") or Path(os.environ.get("XDG_DATA_HOME", "~")) / ".u2net"
    return Path(home).expanduser()
