"""Load a module from its file: of what is no package, such as the benchmarks and tests of other rooms."""

from __future__ import annotations

import sys
from importlib import util
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def load_module(path: Path) -> Any:
    """Return the module; its classes pickle, for it is known by the name of its file."""
    spec = util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    found = util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    return found


def damage_inputs() -> Any:
    """Return ``benchmarks/damage_inputs.py``, which makes clips of every container."""
    return load_module(ROOT / "benchmarks" / "damage_inputs.py")
