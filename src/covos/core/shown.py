"""Short texts of values that hold arrays: their shapes, not their numbers."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import numpy as np


def short_repr(value: Any) -> str:
    """Return the text of a dataclass, as its ``__repr__``: arrays by shape and type, bytes by their number.

    Fields that have their default value are left out.
    """
    said = []
    for field in fields(value):
        given = getattr(value, field.name)
        if field.default is MISSING or given is not field.default:
            said.append(f"{field.name}={_short(given)}")
    return f"{type(value).__name__}({', '.join(said)})"


def _short(given: object) -> str:
    if isinstance(given, np.ndarray):
        return f"<{' x '.join(map(str, given.shape))} {given.dtype}>"
    if isinstance(given, bytes):
        return f"<{len(given):,} bytes>"
    return "<callable>" if callable(given) else repr(given)
