"""docs/data-reference.md is made of the docstrings of `covos.data`.

After a change of one:  UPDATE_DOCS=1 .venv/bin/pytest tests/test_data_docs.py
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import covos

PAGE = Path(__file__).parents[1] / "docs" / "data-reference.md"
HEAD = """# covos.data, name by name

[data.md](data.md) shows how these are used together. This page is made of their docstrings.
"""
SECTION = re.compile(r"\n(Args|Attributes|Returns|Raises|Yields):\n")
OPERATORS = ("__getitem__", "__call__")


def signature(name: str, thing: object) -> str:
    """The call, without the types, which the descriptions give."""
    try:
        parameters = inspect.signature(thing).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return name
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters if each.name != "self"]
    return f"{name}{inspect.Signature(plain)}"


def prose(docstring: str) -> Iterator[str]:
    """A docstring as Markdown: its text, and each section as a list."""
    text, *sections = SECTION.split("\n" + inspect.cleandoc(docstring) + "\n")
    yield linked(text.strip())
    for title, content in zip(sections[::2], sections[1::2], strict=True):
        listed, _, after = content.partition("\n\n")
        entries = re.split(r"\n(?= {4}\S)", "\n" + listed.rstrip())[1:]
        yield f"\n{title}:\n"
        for entry in entries:
            what, colon, said = re.sub(r"\s+", " ", entry).strip().partition(": ")
            yield f"- `{what}`: {linked(said)}" if colon and title != "Returns" else f"- {linked(what + colon + said)}"
        if after.strip():
            yield "\n" + linked(inspect.cleandoc(after).strip())


def linked(text: str) -> str:
    """Two backquotes are those of reStructuredText; Python's prompts are code."""
    lines = text.replace("``", "`").split("\n")
    return "\n".join(f"    {line.strip()}" if line.lstrip().startswith((">>>", "...")) else line for line in lines)


def entry(name: str) -> Iterator[str]:
    thing = getattr(covos.data, name)
    yield f"\n## {name}\n"
    if get_args(thing) and not inspect.isclass(thing):
        values = ", ".join(f"`{each!r}`" if isinstance(each, str) else f"`{each.__name__}`" for each in get_args(thing))
        yield f"One of {values}." if isinstance(get_args(thing)[0], str) else f"A tuple: {values}, as (height, width)."
        return
    fields = inspect.isclass(thing) and "Attributes:" in (thing.__doc__ or "")
    if not fields:
        yield f"`{signature(name, thing)}`\n"
    yield from prose(thing.__doc__ or "")
    if not inspect.isclass(thing):
        return
    for method, value in vars(thing).items():
        public = not method.startswith("_") or method in OPERATORS
        function = (
            value.fget if isinstance(value, property) else getattr(value, "func", getattr(value, "__func__", value))
        )
        if public and inspect.isfunction(function) and function.__doc__:
            call = method if isinstance(value, property) or hasattr(value, "func") else signature(method, function)
            yield f"\n**`{call}`**\n"
            yield from prose(function.__doc__)


def test_the_page_says_what_the_docstrings_say() -> None:
    names = sorted(covos.data.__all__, key=str.lower)
    page = HEAD + "".join("\n".join(entry(name)) + "\n" for name in names)
    if "UPDATE_DOCS" in os.environ:
        PAGE.write_text(page)
    assert PAGE.read_text() == page
