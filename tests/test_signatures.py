"""The signatures that programs rely on change only on purpose: names, kinds and defaults of what may be passed.

After a change that is meant:  UPDATE_SURFACE=1 .venv/bin/pytest tests/test_signatures.py
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import covos

SURFACE = Path(__file__).with_name("signatures.txt")


def signature_of(function: Any) -> str:
    """Names, kinds and defaults of what a function takes; types are mypy's, and change with the spelling alone."""
    told = inspect.signature(function)
    bare = [each.replace(annotation=inspect.Parameter.empty) for each in told.parameters.values()]
    text = str(told.replace(parameters=bare, return_annotation=inspect.Signature.empty))
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def lines_of_class(kind: type, name: str) -> Iterator[str]:
    """The class with what makes it, then what it adds to the classes that it is made of."""
    if issubclass(kind, Enum):
        yield f"{name}: " + ", ".join(f"{each.name}={each.value!r}" for each in kind)
        return
    try:
        made = signature_of(kind)
    except ValueError:  # an exception with the arguments of all exceptions
        made = "(...)"
    yield f"{name}{made}"
    for key, value in sorted(vars(kind).items()):
        if key.startswith("_"):
            continue
        inner = inspect.unwrap(getattr(value, "__func__", value))
        if inspect.isfunction(inner):
            yield f"{name}.{key}{signature_of(inner)}"
        elif isinstance(value, property) or (hasattr(type(value), "__get__") and not inspect.isclass(value)):
            yield f"{name}.{key}"


def lines(value: Any, name: str) -> Iterator[str]:
    """One line a thing that a program may name below this one."""
    if isinstance(value, ModuleType):
        own = [key for key, each in vars(value).items() if getattr(each, "__module__", "") == value.__name__]
        for key in sorted(getattr(value, "__all__", own)):
            if not key.startswith("_"):
                yield from lines(getattr(value, key), f"{name}.{key}")
    elif inspect.isclass(value):
        yield from lines_of_class(value, name)
    elif inspect.isfunction(value):
        yield f"{name}{signature_of(value)}"
    else:
        yield name


def test_the_signatures_are_those_of_the_golden_file() -> None:
    now = "".join(f"{line}\n" for line in lines(covos, "covos"))
    if "UPDATE_SURFACE" in os.environ:
        SURFACE.write_text(now)
    assert now == SURFACE.read_text()


class Given:
    """A thing of a caller's."""

    def __init__(self, size: int, *, name: str = "it") -> None:
        self.size, self.name = size, name

    def doubled(self, times: int = 2) -> int:
        """A method."""
        return self.size * times

    @property
    def long(self) -> bool:
        """A property."""
        return self.size > 3


def test_a_line_tells_names_kinds_and_defaults() -> None:
    assert list(lines(Given, "Given")) == ["Given(size, *, name='it')", "Given.doubled(self, times=2)", "Given.long"]
