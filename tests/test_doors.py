"""Messages name either the options of the command line or the arguments of Python, never both in one text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src" / "covos"

_VALUE = re.compile(r"""(?<![\w-])-(?:-[a-z-]+|[a-z]) ['"]?[\w{}]+=""")
"""An option whose value has an equals sign: ``--limit frames=5``."""
OPTION = re.compile(r"(?<![\w-])-(?:-[a-z{]|[a-z]\b)")
ARGUMENT = re.compile(r"(?<![\w<&?./-])(?:[a-z_]+|\{\})=|\bin Python\b|\bcovos\.[a-z_]+[.(]|\b[a-z_]+\([^)]*=")


PROGRAM = re.compile(r"\b(?:covos [a-z]+|df|ffmpeg|torchrun|ulimit|unzip) ")
"""A whole command, which a user of Python can give as well."""
COMMAND_LINE = ("bench", "cli", "serve", "media/live_")
"""Beginnings of files that speak to the command line alone: its verbs, and what starts a server or a pipe."""
READ = ("core/labelling.py", "core/limits.py", "fleet/parts.py", "models/registry.py", "training/registry.py")
"""Files that read the value of an option, as well, and begin what they say of it with that option, or a part of a
command."""


def named(text: str) -> tuple[bool, bool]:
    """Tell if a text names options, and if it names arguments."""
    return bool(OPTION.search(text)), bool(ARGUMENT.search(_VALUE.sub("", text)))


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the words of each text below a node of the syntax, but for docstrings."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if (words := written(node)) is not None:
        yield getattr(node, "lineno", 0), words
    inner = ast.iter_child_nodes(node) if words is None else (each for each in ast.walk(node) if is_words(each))
    for each in inner:
        yield from (
            texts(each)
            if words is None
            else (found for part in (*each.args, *(word.value for word in each.keywords)) for found in texts(part))
        )


def written(node: ast.AST) -> str | None:
    """Return the words of an expression that makes a text, each computed part as ``{}``; None of any other."""
    match node:
        case ast.Constant(value=str(value)):
            return value
        case ast.JoinedStr(values=values):
            return "".join(written(each) or "{}" for each in values)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            before, after = written(left), written(right)
            return None if before is after is None else f"{before or '{}'}{after or '{}'}"
        case ast.BinOp(left=left, op=ast.Mult()):
            return written(left)
        case ast.IfExp(body=body, orelse=orelse):
            return " / ".join(filter(None, (written(body), written(orelse)))) or None
    return None


def is_words(node: ast.AST) -> bool:
    """Tell if a node makes words by the door."""
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Words"


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Yield each file of the package, by its name below it."""
    for file in sorted(SOURCES.rglob("*.py")):
        yield str(file.relative_to(SOURCES)), ast.parse(file.read_text(encoding="utf-8"))


def test_no_text_names_both_doors() -> None:
    both = [
        f"{file}:{line}: {text}"
        for file, tree in trees()
        for line, text in texts(tree)
        if " " in text and all(named(text))
    ]
    assert not both, "\n".join(both)


def test_no_text_for_both_doors_names_an_option_alone() -> None:
    alone = []
    for file, tree in trees():
        for node in filter(is_words, ast.walk(tree)):
            vars(node).update(args=[], keywords=[])  # its texts are of one door
        alone += [
            f"{file}:{line}: {text}"
            for line, text in texts(tree)
            if " " in text and named(text)[0] and not file.startswith(COMMAND_LINE) and not PROGRAM.search(text)
            if file not in READ or not text.startswith(("--", " --", "write --", "give each object"))
        ]
    assert not alone, "\n".join(alone)


def test_words_are_those_of_their_door() -> None:
    wrong = []
    for file, tree in trees():
        for call in filter(is_words, ast.walk(tree)):
            assert isinstance(call, ast.Call)
            by_name = {each.arg: each.value for each in call.keywords}
            command, python = call.args[0], by_name.get("python", call.args[-1])
            if named(written(command) or "")[1] or named(written(python) or "")[0]:
                wrong.append(f"{file}:{call.lineno}: {ast.unparse(call)}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "code",
    [
        """fix="start anew with -y (overwrite=True)\"""",
        """fix="raise it: " + f"--limit {name}={value}, in Python covos.set_limits({name}={value})\"""",
        """fix=f"use --{other} {less}, in Python {other}={less!r}\"""",
        """fix="choose another" + ", or give -y (overwrite=True)" * ours""",
        """fix="leave it out" + ("; --set start= (start='')" if own else "")""",
        """why="name it: --source VIDEO, or load_result(path, source=...)\"""",
    ],
)
def test_such_texts_are_found(code: str) -> None:
    assert any(all(named(text)) for _, text in texts(ast.parse(f"raise UsageError('it', {code})")))


@pytest.mark.parametrize(
    "code",
    [
        """fix="raise it: --limit frames=9\"""",
        """fix="write covos.Range(start=4)\"""",
        """fix="use " + Words("--grow 3", python="grow='3'")""",
    ],
)
def test_others_are_not(code: str) -> None:
    assert not any(all(named(text)) for _, text in texts(ast.parse(f"raise UsageError('it', {code})")))
