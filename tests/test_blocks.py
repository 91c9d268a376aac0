"""The names and arguments in all Python blocks of the documents are there; `test_blocks_run.py` runs the blocks."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import covos
from loaded import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
KINDS = {"result": "Segmentation", "shown": "Segmentation", "run": "Segmentation", "session": "Session"}
"""Names that stand for the same kind of thing in every block."""


def blocks(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


WITH_BLOCKS = [page for page in PAGES if blocks(page)]


def dotted(node: ast.expr) -> str:
    """`covos.data.pack` of the nodes that say so; empty for anything else."""
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def attribute(value: Any, name: str) -> Any:
    """A name that something promises: a package also has the modules in it, but only once one of them was imported."""
    if name not in dir(value):
        raise AttributeError(f"{value} promises no {name}")
    return getattr(value, name)


def reached(name: str) -> Any:
    value: Any = covos
    for part in name.split(".")[1:]:
        value = attribute(value, part)
    return value


def accepts(function: Any, call: ast.Call, *, bound: bool = False) -> None:
    """Raise a TypeError if a function does not take the arguments of a call."""
    if any(isinstance(each, ast.Starred) for each in call.args) or any(each.arg is None for each in call.keywords):
        return
    given = [None] * (len(call.args) + bound)
    inspect.signature(function).bind(*given, **{str(each.arg): None for each in call.keywords})


def named(block: str) -> Iterator[tuple[str, Any, ast.Call | None, bool]]:
    """The names of covos in a block, with what they lead to, and the calls of them."""
    tree = ast.parse(block)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("covos"):
            module = import_module(node.module or "")
            for each in node.names:
                yield each.name, attribute(module, each.name), None, False
        elif isinstance(node, ast.Attribute) and dotted(node).startswith("covos."):
            yield dotted(node), reached(dotted(node)), None, False
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name = dotted(node.func)
            if name.startswith("covos."):
                yield name, reached(name), node, False
            elif name.partition(".")[0] in KINDS and name.count(".") == 1:
                kind = getattr(covos, KINDS[name.partition(".")[0]])
                yield name, getattr(kind, node.func.attr), node, True


@pytest.mark.parametrize("page", WITH_BLOCKS, ids=lambda page: page.name)
def test_names_and_arguments_of_the_blocks_are_there(page: Path) -> None:
    for block in blocks(page):
        for name, thing, call, bound in named(block):
            assert thing is not None, name
            if call is not None:
                try:
                    accepts(thing, call, bound=bound)
                except TypeError as error:
                    pytest.fail(f"{page.name}: {ast.unparse(call)}: {error}")


def test_a_wrong_name_or_argument_is_noticed() -> None:
    with pytest.raises(AttributeError):
        list(named("covos.segmnet('clip.mp4')"))
    with pytest.raises(AttributeError):
        list(named("session.add_point(0)"))
    ((_, thing, call, bound),) = [each for each in named("result.save('out', format=['palette'])") if each[2]]
    assert call is not None
    with pytest.raises(TypeError, match="format"):
        accepts(thing, call, bound=bound)
