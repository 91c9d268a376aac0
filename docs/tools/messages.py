"""The errors that covos raises on purpose, read from its code: what each says, why, and how to fix it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from covos.core.words import OVERWRITE

KINDS = {
    "UsageError": "The call is wrong (exit code 2)",
    "InputError": "An input cannot be read (exit code 3)",
    "SourceError": "A video, a folder of frames or a picture cannot be read (exit code 3)",
    "AnnotationError": "A mask or an annotation does not fit (exit code 3)",
    "CheckpointError": "A file of weights does not fit (exit code 3)",
    "IncompleteError": "A part is missing, the rest is done (exit code 4)",
    "EnvironmentProblem": "The machine lacks something (exit code 5)",
}


class Message(NamedTuple):
    """The words of an error; ``...`` stands for the parts that depend on the case."""

    kind: str
    what: str
    why: str
    fix: str


def messages(package: Path) -> Iterator[Message]:
    """Yield every error of the package whose words stand in the code, in the order of its files."""
    for file in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS and node.args:
                named = {each.arg: each.value for each in node.keywords}
                if {"why", "fix"} <= set(named):
                    parts = (_words(each) for each in (node.args[0], named["why"], named["fix"]))
                    yield Message(node.func.id, *parts)


def tables(package: Path) -> str:
    """Return a table for each kind of error, in alphabetical order, each message once."""
    every = {each for each in messages(package) if re.search(r"[a-z]{3}", each.what.replace("...", ""))}
    parts = []
    for kind, title in KINDS.items():
        own = sorted((each for each in every if each.kind == kind), key=lambda each: each.what.strip(". :").lower())
        if own:
            rows = (f"| {_cell(each.what)} | {_cell(each.why)} | {_cell(each.fix)} |" for each in own)
            parts.append(f"### {title}\n\n| message | why | fix |\n|---|---|---|\n" + "\n".join(rows))
    return "\n\n".join(parts)


def _words(node: ast.expr) -> str:
    """Return the words of an expression that makes a text; what is computed becomes three dots."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(part) for part in node.values)
    if (doors := _doors(node)) is not None:
        return doors
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _words(node.left) + _words(node.right)
    if isinstance(node, ast.IfExp):
        return " / ".join(dict.fromkeys((_words(node.body), _words(node.orelse))))
    return "..."


def _doors(node: ast.expr) -> str | None:
    """Return the words of `covos.core.words`: those of the command line, and after them those of Python."""
    if isinstance(node, ast.Name) and node.id == "OVERWRITE":
        return f"{OVERWRITE.command} ({OVERWRITE.python})"
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Words" and node.args):
        return None
    named = {each.arg: _words(each.value) for each in node.keywords}
    return " ".join(filter(None, (_words(node.args[0]), named["python"] and f"({named['python']})")))


def _cell(text: str) -> str:
    text = re.sub(r"(\.\.\.[ /]*){2,}", "... ", text).strip()
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*").replace("[", "\\[").replace("`", "")
