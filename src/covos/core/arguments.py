"""Arguments of the public functions: one of a kind that a function does not take is refused at the door, in words."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import os
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from numbers import Real
from reprlib import repr as shortened
from typing import Any, Final, Literal, ParamSpec, TypeAlias, TypeVar, get_origin

from covos.core.errors import UsageError

P = ParamSpec("P")
T = TypeVar("T")


Check: TypeAlias = Callable[[object], bool]


def _is(*kinds: type[Any]) -> Check:
    return lambda given: isinstance(given, kinds)


def _are_texts(given: object) -> bool:
    if not isinstance(given, Collection):
        return isinstance(given, Iterable)  # which is read once
    return all(isinstance(each, str) for each in given)


_KINDS: Final[dict[str, tuple[str, Check]]] = {
    "Iterable[str | os.PathLike[str]]": ("a list of paths", _is(Iterable)),
    "None": ("None", _is(type(None))),
    "Path": ("a path", _is(os.PathLike)),
    "Sequence[str]": ("a list of texts", _are_texts),
    "bool": ("True or False", lambda given: isinstance(given, Hashable) and given in {True, False}),
    "float": ("a number", _is(Real)),
    "int": ("a number", _is(Real)),
    "os.PathLike[str]": ("a path", _is(os.PathLike)),
    "str": ("a text", _is(str)),
}
"""Annotations by their text: in words, and if a value is such a one."""


def checked(*left: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function refuse arguments of a kind that its annotations do not name, with a UsageError.

    Args:
        left: Arguments that the function refuses in words of its own. So are those of which an annotation says more
            than is known here.
    """

    def of(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)
        kinds = {
            name: _kinds_of(each, function.__globals__)
            for name, each in signature.parameters.items()
            if name not in left
        }

        @functools.wraps(function)
        def called(*given: P.args, **named: P.kwargs) -> T:
            try:
                bound = signature.bind(*given, **named).arguments
            except TypeError:
                return function(*given, **named)  # Python says it better
            for name, value in bound.items():
                if (known := kinds.get(name)) and not any(holds(value) for holds in known.values()):
                    raise UsageError(
                        f"covos.{function.__name__}: {name} = {shortened(value)}",
                        why=f"it is of the type {type(value).__name__}",
                        fix=f"give {', or '.join(known)}",
                    )
            return function(*given, **named)

        return called

    return of


def _kinds_of(parameter: inspect.Parameter, known: Mapping[str, object]) -> dict[str, Check]:
    """Return the kinds that a parameter takes, each in words with its check; none if they are not all known."""
    if parameter.kind in {parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL} or parameter.annotation == "bool":
        return {}  # whatever is true will do for a switch, as everywhere in Python
    found = [_kind_of(text, known) for text in _parts(ast.parse(str(parameter.annotation), mode="eval").body)]
    return dict(each for each in found if each is not None) if None not in found else {}


def _parts(annotation: ast.expr) -> list[str]:
    """Return what an annotation names, one of which an argument is."""
    if isinstance(annotation, ast.BinOp):
        return [*_parts(annotation.left), *_parts(annotation.right)]
    return [ast.unparse(annotation)]


def _kind_of(text: str, known: Mapping[str, object]) -> tuple[str, Check] | None:
    """Return the kind that a part of an annotation names, by the module that has it; None if it is not known."""
    named = known.get(text, getattr(builtins, text, None))
    generic: Any = get_origin(named)
    if text in _KINDS:
        return _KINDS[text]
    if text.startswith("Callable[") or generic is Callable:
        return "a function", callable
    if generic is Literal:
        return "a name", _is(str)
    if getattr(generic, "__name__", "") == "ndarray":
        return "an array", _is(generic)
    if isinstance(named, type) and (named is range or named.__module__.startswith("covos.")):
        return f"{text}(...)", _is(named)
    return None
