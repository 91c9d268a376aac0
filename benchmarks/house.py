"""The shape of the source: how many files and lines, and who imports whom.

    python benchmarks/house.py [--root TREE] [--list]

Prints, for ``src/covos`` of a tree: its files and their lines; the circles of modules that import one another, by what
is imported when a module is loaded, with what functions import, and with what type checkers alone see; the imports that
go up against the layers of the tree's ``pyproject.toml``; and the docstrings that begin with a question word. A circle
is inside a room if all its modules lie in one folder below ``covos``. ``from package import name`` counts for the
module ``package.name`` if there is one, else for the package. Nothing of the tree is run.
"""

from __future__ import annotations

import argparse
import ast
import re
import signal
import tomllib
from collections.abc import Iterable, Iterator
from importlib.util import resolve_name
from pathlib import Path
from statistics import median
from typing import Literal, TypeAlias

import numpy as np
from scipy.sparse.csgraph import connected_components

Kind: TypeAlias = Literal["load", "function", "types"]
Edge: TypeAlias = tuple[str, str]

KINDS: dict[str, Kind] = {"when loaded": "load", "with functions": "function", "with types": "types"}
SMALL, LARGE = 60, 500
QUESTION = re.compile(r"(What|Of|Whether|That|Where|How|Which)\b")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def modules_of(source: Path) -> dict[str, Path]:
    """The file of each module, by its dotted name."""
    names = {path: path.relative_to(source.parent).with_suffix("").parts for path in sorted(source.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in names.items()}


def imports_of(nodes: Iterable[ast.AST], kind: Kind = "load") -> Iterator[tuple[ast.Import | ast.ImportFrom, Kind]]:
    """The import statements in and below some nodes, each with when it is run."""
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, kind
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from imports_of(node.body, "types")
            yield from imports_of(node.orelse, kind)
        else:
            inner: Kind = "function" if isinstance(node, FUNCTIONS) and kind == "load" else kind
            yield from imports_of(ast.iter_child_nodes(node), inner)


def edges_of(modules: dict[str, Path], trees: dict[str, ast.Module]) -> dict[Edge, set[Kind]]:
    """Each import of one module of the package by another, with when it is run."""
    edges: dict[Edge, set[Kind]] = {}
    for name, tree in trees.items():
        package = name if modules[name].stem == "__init__" else name.rpartition(".")[0]
        for statement, kind in imports_of(tree.body):
            wanted = [alias.name for alias in statement.names]
            if isinstance(statement, ast.ImportFrom):
                base = resolve_name("." * statement.level + (statement.module or ""), package)
                wanted = [each if (each := f"{base}.{name}") in modules else base for name in wanted]
            for each in (each for each in wanted if each in modules and each != name):
                edges.setdefault((name, each), set()).add(kind)
    return edges


def room(name: str) -> str:
    """The folder or file below the package that a module lies in."""
    return f"{name}.".split(".")[1]


def circles(edges: list[Edge]) -> list[list[str]]:
    """The strongly connected components of more than one module, the largest first."""
    names = sorted({name for edge in edges for name in edge})
    graph = np.zeros((len(names), len(names)), np.bool_)
    for one, other in edges:
        graph[names.index(one), names.index(other)] = True
    count, part = connected_components(graph, directed=True, connection="strong")
    parts = [[name for name, own in zip(names, part, strict=True) if own == index] for index in range(count)]
    return sorted((each for each in parts if len(each) > 1), key=lambda each: (-len(each), each))


def upward(edges: list[Edge], root: Path) -> list[Edge]:
    """The imports that the contracts of layers do not allow."""
    linter = tomllib.loads((root / "pyproject.toml").read_text()).get("tool", {}).get("importlinter", {})
    found = set()
    for contract in (each for each in linter.get("contracts", []) if each["type"] == "layers"):
        rows = [re.split(r"\s*([|:])\s*", layer) for layer in contract["layers"]]
        # The name of each layer, with its place and what parts it from its neighbours; in brackets if it may be absent.
        places = {name.strip("()"): (at, row[1:2]) for at, row in enumerate(rows) for name in row[::2]}
        allowed = {tuple(text.split(" -> ")) for text in contract.get("ignore_imports", [])}
        for container in contract.get("containers", [""]):
            prefix = f"{container}." if container else ""
            for edge in (each for each in edges if each not in allowed and all(n.startswith(prefix) for n in each)):
                tails = [f"{name.removeprefix(prefix)}." for name in edge]
                lower, higher = (next((p for p in places if tail.startswith(f"{p}.")), None) for tail in tails)
                if lower and higher and lower != higher:
                    (own, mark), (other, _) = places[lower], places[higher]
                    found |= {edge} if other < own or (other == own and mark == ["|"]) else set()
    return sorted(found)


def fragments(tree: ast.Module) -> Iterator[tuple[int, str, bool]]:
    """The docstrings that begin with a question word: line, first line, and if they are below a constant or a field."""
    for node in (node for node in ast.walk(tree) if isinstance(node, (ast.Module, ast.ClassDef, *FUNCTIONS))):
        for before, child in zip([None, *node.body], node.body, strict=False):
            below = isinstance(before, ast.Assign | ast.AnnAssign)
            if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant) and (before is None or below):
                text = str(child.value.value).strip()
                if QUESTION.match(text):
                    yield child.lineno, text.splitlines()[0], below


def main() -> None:
    """Measure and print."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # a reader such as head may stop early
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path(__file__).parents[1], help="of the tree to measure")
    parser.add_argument("--list", action="store_true", help="list the docstrings that begin with a question word")
    arguments = parser.parse_args()
    modules = modules_of(arguments.root / "src" / "covos")
    texts = {name: path.read_text(encoding="utf-8") for name, path in modules.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    lines = [len(text.splitlines()) for text in texts.values()]
    print(f"{len(lines)} files, {sum(lines)} lines, median {median(lines):g}")
    print(f"{sum(n < SMALL for n in lines)} files below {SMALL} lines, {sum(n > LARGE for n in lines)} above {LARGE}")
    edges = edges_of(modules, trees)
    kinds: set[Kind] = set()
    for level, kind in KINDS.items():
        kinds.add(kind)  # each level has those before it
        chosen = [edge for edge, own in edges.items() if own & kinds]
        inside = circles([(one, other) for one, other in chosen if room(one) == room(other)])
        across = [each for each in circles(chosen) if len({room(name) for name in each}) > 1]
        print(f"circles, {level}: {len(inside)} inside rooms, {len(across)} across rooms")
        for each in (*inside, *across):
            print(f"  {'inside' if each in inside else 'across'}, {len(each)} modules: {', '.join(each)}")
    up = [f"  {one} -> {other}" for one, other in upward(list(edges), arguments.root)]
    print(f"upward imports: {len(up)}", *up, sep="\n")
    begun = [(modules[name], *each) for name, tree in trees.items() for each in fragments(tree)]
    below = sum(each[-1] for each in begun)
    print(f"docstrings that begin with a question word: {len(begun) - below}, and {below} below a constant or a field")
    if arguments.list:
        print(*(f"  {path}:{line}: {text}" for path, line, text, _ in begun), sep="\n")


if __name__ == "__main__":
    main()
