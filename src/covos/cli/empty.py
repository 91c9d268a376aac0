"""Refuse empty values on the command line, such as those of a variable that is not set: a path would be the folder."""

from __future__ import annotations

from typing import Any, Final

from covos.core.errors import UsageError

_OWN_WORDS: Final = {"label"}
"""Options that say themselves, and better, what they take."""


def refuse_empty(command: Any) -> None:
    """Let a command, and those below it, refuse empty values of its arguments and options.

    An option that is empty by default keeps this as a value; a label has words of its own.

    Args:
        command: As typer makes it.
    """
    for each in command.params:
        if each.default != "" and each.name not in _OWN_WORDS:
            _check(each)
    for each in getattr(command, "commands", {}).values():
        refuse_empty(each)


def _check(parameter: Any) -> None:
    process = parameter.process_value

    def checked(context: Any, value: Any) -> Any:
        if value == "" or (isinstance(value, (list, tuple)) and "" in value):
            name = max(parameter.opts, key=len) if parameter.param_type_name == "option" else parameter.metavar
            raise UsageError(
                f"{name or parameter.human_readable_name} is empty",
                why="it names nothing; a variable in it may not be set",
                fix="give it a value" if parameter.required else "give it a value, or leave it out",
            )
        return process(context, value)

    parameter.process_value = checked
