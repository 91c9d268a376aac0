"""A recipe as the text of a TOML file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from covos.training.recipe import Recipe


def recipe_text(recipe: Recipe) -> str:
    """Return a recipe as TOML, a line for each of its fields; `covos.training.registry.load_recipe` reads it back."""
    return "".join(f"{name} = {_value(value)}\n" for name, value in dict(recipe).items())


def _value(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float) and not isinstance(value, bool):
        return repr(value)
    return json.dumps(value)  # true, 3 and "text" are the same in both
