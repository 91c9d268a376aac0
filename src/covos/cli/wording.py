"""Word the help: what a value is called there (FILE, N, auto|off), and paragraphs that break where the terminal ends.

Typer shows types of Python by itself, also for a flag, which takes no value, and arguments as functions spell them.
"""

from __future__ import annotations

from inspect import cleandoc
from typing import Any, Final

from covos.cli.options import PANELS

_NUMBERS: Final = {"int": "N", "int range": "N", "float": "NUMBER", "float range": "NUMBER", "path": "FILE"}
"""The word for a value, by typer's name of its type."""


def word(command: Any) -> None:
    """Word the help of a command, and of those below it.

    Args:
        command: As typer makes it.
    """
    if command.help:
        command.help = "\n\n".join(" ".join(part.split()) for part in cleandoc(command.help).split("\n\n"))
    command.params.sort(key=_group)  # a group comes where its first option does
    listed = command.get_params

    def get_params(context: Any) -> list[Any]:
        parameters: list[Any] = listed(context)  # with the option --help, which is made here
        for each in parameters:
            _name(each, context)
        return parameters

    command.get_params = get_params
    for each in getattr(command, "commands", {}).values():
        word(each)


def _group(parameter: Any) -> int:
    panel = getattr(parameter, "rich_help_panel", None)
    return PANELS.index(panel) if panel in PANELS else -1


def _name(parameter: Any, context: Any) -> None:
    """Give a parameter the word for its value, unless its verb has given one."""
    if getattr(parameter, "is_flag", False):
        parameter.metavar = ""
        return
    if not hasattr(parameter, "display_type"):
        return  # older releases of typer show words of click: TEXT, and the choices
    if parameter.param_type_name == "argument":
        parameter.display_type_rich = _nothing  # its word is its name, which stands beside it
    if parameter.metavar is None:
        shown = parameter.display_type(context).strip("<>")
        name = max(parameter.opts, key=len).lstrip("-").upper()
        parameter.metavar = shown if "|" in shown else _NUMBERS.get(shown, name)


def _nothing(**_context: Any) -> None:
    """Return no type."""
