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
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return f'"{"".join(map(_character, value))}"'
    return json.dumps(value)  # true and 3 are the same in both


def _character(character: str) -> str:
    """Escape all but printable ASCII: a redirected output may have another encoding than UTF-8, which TOML has."""
    if character in '"\\':
        return f"\\{character}"
    if character.isascii() and character.isprintable():
        return character
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
