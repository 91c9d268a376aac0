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
    file = model_file(model)
    return "" if file.is_file() else f"its model is not there: {file}"


def model_file(model: str) -> Path:
    """Return the file of a model: of later releases in a folder of its own, else in the one that all releases read."""
    given, shared = os.environ.get("U2NET_HOME"), os.environ.get("XDG_DATA_HOME")
    ours = given or os.environ.get("REMBG_HOME") or (Path(shared) / "rembg" if shared else "~/.rembg")
    name = f"{model}.onnx"
    later = Path(ours).expanduser() / "models" / model / name
    return later if later.is_file() else Path(given or Path(shared or "~") / ".u2net").expanduser() / name
