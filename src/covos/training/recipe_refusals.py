"""Say why a recipe is refused, and name what would do."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from covos.core.errors import UsageError
from covos.training.setting import setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError
    from pydantic.fields import FieldInfo

    from covos.training.recipe import Recipe

_NEAR = 3
_WIDE = 10**6
"""A higher bound than this is no help to name, unless it was broken."""
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def refusal(
    fault: ValidationError, kind: type[Recipe], values: Mapping[str, Any], *, origin: str, usual: Mapping[str, Any]
) -> UsageError:
    """Return the error of a recipe that does not fit: all fields that are unknown or missing, or one wrong value.

    Args:
        fault: All that is wrong with it.
        kind: The kind of recipe.
        values: Its fields, as they were given.
        origin: Its name in messages.
        usual: The fields before any was replaced: examples of values.
    """
    faults = fault.errors(include_url=False)
    unknown = sorted(str(each["loc"][0]) for each in faults if each["type"] == "extra_forbidden")
    missing = sorted(str(each["loc"][0]) for each in faults if each["type"] == "missing" and len(each["loc"]) == 1)
    if unknown or missing:
        base = 'take them from a recipe: base = "lite-finetune" in the file, say; or add them'
        return UsageError(
            f"recipe {origin} does not fit",
            why=f"unknown fields: {', '.join(unknown) or 'none'}; missing: {', '.join(missing) or 'none'}",
            fix=nearest(unknown[0], kind) if unknown else base,
        )
    fault_at, context = faults[0]["loc"], faults[0].get("ctx", {})
    if not fault_at:  # a validator of the whole recipe, such as that of a kind of one's own
        return UsageError(
            f"recipe {origin} does not fit",
            why=str(context.get("why") or context.get("error") or faults[0]["msg"]),
            fix=context.get("fix")
            or "change the fields in question: " + setting("field", "value") + ", or in the file",
        )
    name = str(fault_at[0])
    allowed = _allowed(kind.model_fields[name], above=faults[0]["type"] == "less_than_equal")
    example = "" if usual.get(name, values[name]) == values[name] else f", such as {name}={usual[name]}"
    return UsageError(
        f"recipe {origin}: {name} = {values[name]!r}",
        why=context.get("why") or f"it should be {allowed}",
        fix=context.get("fix") or f"set {name} to {allowed}{example}",
    )


def nearest(name: str, kind: type[Recipe]) -> str:
    """Return the remedy for a field that a kind of recipe lacks: the field for the same thing, or those alike."""
    size = kind.divided[1]
    meant = {
        "epochs": "steps", "epoch": "steps", "batch": size, "batch_size": size, "frames_per_step": size,
        "clips_per_step": size, "lr": "learning_rate", "rate": "learning_rate",
    }  # fmt: skip
    near = difflib.get_close_matches(name, kind.model_fields, n=_NEAR)
    if name in meant and meant[name] in kind.model_fields:
        near = [meant[name], *(each for each in near if each != meant[name])][:1]
    said = f"did you mean {' or '.join(near)}? " if near else ""
    return f"{said}docs/recipes.md lists all fields"


def _allowed(field: FieldInfo, *, above: bool) -> str:
    """Return the values that a field may have, in words: ``"a whole number, 1 or more"``.

    A wide upper bound is left out, unless the value is ``above`` it.
    """
    said = _WORDS.get(field.annotation) if isinstance(field.annotation, type) else None
    said = said or str(field.annotation).replace("typing.", "")
    least = next((each.ge for each in field.metadata if hasattr(each, "ge")), None)
    most = next((each.le for each in field.metadata if hasattr(each, "le")), None)
    if least is None:
        return said
    if most is None or (most > _WIDE and not above):
        return f"{said}, {least} or more"
    return f"{said} between {least} and {most}"
