"""Let a verb take groups of options, as values of a class, where the command line has each option by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints


def grouped(verb: Callable[..., int | None]) -> Callable[..., int | None]:
    """Return a verb with each field of its groups as an option.

    Args:
        verb: Takes arguments and options as typer declares them. A parameter whose annotation is a dataclass is a
            group: each field is an option, annotated and with a default as a parameter would be.

    Returns:
        A function with a flat signature, which typer reads; it makes the groups and calls the verb.

    Raises:
        TypeError: Two options have the same name.
    """
    kinds = get_type_hints(verb, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in kinds.items() if name != "return" and is_dataclass(kind)}
    flat: list[Parameter] = []
    for each in signature(verb).parameters.values():
        if each.name in groups:
            flat += _options_of(groups[each.name])
        else:
            flat.append(each.replace(kind=Parameter.KEYWORD_ONLY, annotation=kinds[each.name]))
    if len({each.name for each in flat}) < len(flat):
        raise TypeError(f"two options of {verb.__name__} have the same name")

    @wraps(verb)
    def called(**given: Any) -> int | None:
        made = {
            name: kind(**{field.name: given.pop(field.name) for field in fields(kind)}) for name, kind in groups.items()
        }
        return verb(**given, **made)

    called.__signature__ = Signature(flat)  # type: ignore[attr-defined]
    called.__annotations__ = {each.name: each.annotation for each in flat}
    return called


def _options_of(kind: Any) -> list[Parameter]:
    told = get_type_hints(kind, include_extras=True)
    return [
        Parameter(
            field.name,
            Parameter.KEYWORD_ONLY,
            default=Parameter.empty if field.default is MISSING else field.default,
            annotation=told[field.name],
        )
        for field in fields(kind)
    ]
