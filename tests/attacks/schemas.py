"""Documents drawn from the schemas of the records that read them: every field, there or not, with any value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from pydantic import BaseModel

from attacks.mutants import NASTY

_NAMES = st.sampled_from(["a.mp4", "00000", "palette", "masks", "ok", "1/25", "1", "", "../x", "\x1b[2J"])
_WRONG = st.sampled_from(NASTY)
_RARE = 12
"""One value in so many is of another kind than its schema says."""


def documents(kind: type[BaseModel]) -> st.SearchStrategy[Any]:
    """Return a strategy for documents of a record."""
    schema = kind.model_json_schema()
    named: dict[str, st.SearchStrategy[Any]] = {}
    for name, each in schema.get("$defs", {}).items():
        named[name] = st.deferred(lambda each=each: _values(each, named))
    return _values(schema, named)


def _values(schema: Any, named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if not isinstance(schema, dict):  # True: anything
        return _WRONG
    if "$ref" in schema:
        return named[schema["$ref"].rsplit("/", 1)[-1]]
    sound = _sound(schema, named)
    return st.one_of(*[sound.map(lambda value: value)] * (_RARE - 1), _WRONG)


def _sound(schema: dict[str, Any], named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    several = next((schema[name] for name in ("anyOf", "oneOf", "allOf") if name in schema), None)
    if several is not None:
        return st.one_of([_values(each, named) for each in several])
    makers: dict[str, Callable[[], st.SearchStrategy[Any]]] = {
        "object": lambda: _objects(schema, named),
        "array": lambda: _lists(schema, named),
        "integer": lambda: st.integers(schema.get("minimum", -9), schema.get("maximum", 1 << 70)) | st.integers(0, 3),
        "number": lambda: st.floats() | st.integers(0, 50),
        "boolean": st.booleans,
        "null": st.none,
        "string": lambda: _NAMES,
    }
    return makers[schema["type"]]() if "type" in schema else _WRONG


def _lists(schema: dict[str, Any], named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*(_values(each, named) for each in schema["prefixItems"])).map(list)
    return st.lists(_values(schema.get("items", True), named), max_size=3)


def _objects(schema: dict[str, Any], named: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Any]:
    fields = {name: _values(each, named) for name, each in schema.get("properties", {}).items()}
    if not fields:
        return st.dictionaries(_NAMES, _values(schema.get("additionalProperties", True), named), max_size=2)
    needed = set(schema.get("required", ()))
    return st.fixed_dictionaries(
        {name: each for name, each in fields.items() if name in needed},
        optional={name: each for name, each in fields.items() if name not in needed},
    )
