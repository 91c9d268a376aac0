"""Turn whatever ends a command early into an exit code and, on stderr, what / why / fix."""

from __future__ import annotations

import os
import re
import sys
import traceback

import typer

from covos.core.errors import explained, one_of, printable
from covos.core.signals import SIGINT_EXIT, SIGTERM_EXIT

BUG_EXIT = 1
USAGE_EXIT = 2
SIGPIPE_EXIT = 141
"""As a shell reports a program that SIGPIPE ended."""

_NO_CHOICE = re.compile(
    r"Invalid value for (?P<quote>['\"]?)(?P<option>[^:]+?)(?P=quote): (Value error, )?'(?P<value>.*)' is not one of "
    r"(?P<choices>.+)"
)
"""Message of typer that an option takes certain words only."""
_NO_VERB = re.compile(r"No such command ")
_NO_OPTION = re.compile(r"Missing option '(--[\w-]+)'")
_NO_PART = re.compile(r"No such option:? '?(?P<option>--(start|end|every|times))\b")
_WHOLE = {
    "predict": ("a challenge scores all frames of a video", "leave it out; covos segment takes parts of videos"),
    "reproduce": ("a benchmark scores all frames of a video", "leave it out; covos segment takes parts of videos"),
    "evaluate": (
        "truth and masks are paired frame by frame",
        "cut both beforehand: covos convert MASKS --start PLACE --end PLACE -f palette",
    ),
}
"""Why a verb takes no parts of videos, and what does."""


def report(error: BaseException, *, debug: bool) -> int:
    """Say on stderr why a command ended.

    Args:
        error: What ended it.
        debug: Show the traceback first.

    Returns:
        The exit code.
    """
    if _is_broken_pipe(error):
        _leave_stdout()
        return SIGPIPE_EXIT
    if type(error).__name__ == "NoArgsIsHelpError":  # the help has been printed
        return USAGE_EXIT
    if debug:
        for line in "".join(traceback.format_exception(error)).splitlines():
            print(printable(line), file=sys.stderr)
    match error:
        case SystemExit():
            return _after_exit(error)
        case KeyboardInterrupt() | typer.Abort():
            print("interrupted", file=sys.stderr)
            return SIGINT_EXIT
    return show(error)


def show(error: BaseException) -> int:
    """Say what / why / fix of an error on stderr, a line each, and return its exit code."""
    code, lines = _explain(error)
    labels = ("error: ", "  why: ", "  fix: ")
    print(*(label + printable(line) for label, line in zip(labels, lines, strict=True)), sep="\n", file=sys.stderr)
    return code


def _after_exit(error: SystemExit) -> int:
    if error.code == SIGTERM_EXIT:
        print("terminated", file=sys.stderr)
    return error.code if isinstance(error.code, int) else BUG_EXIT


def _explain(error: BaseException) -> tuple[int, tuple[str, str, str]]:
    """Exit code, and what / why / fix."""
    if _is_usage(error):
        return USAGE_EXIT, _usage_lines(error)
    known = explained(error)
    return known.exit_code, (known.what, known.why, known.remedy.command)


def _is_broken_pipe(error: BaseException) -> bool:
    # The libraries that print turn a reader's end into a SystemExit, so the cause counts too.
    return isinstance(error, BrokenPipeError) or (
        isinstance(error, SystemExit) and isinstance(error.__context__, BrokenPipeError)
    )


def _leave_stdout() -> None:
    # Python flushes stdout once more when it ends, and would complain again.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_usage(error: BaseException) -> bool:
    # Typer keeps these classes private, and in another place in each version.
    return getattr(error, "exit_code", None) == USAGE_EXIT and hasattr(error, "format_message")


def _usage_lines(error: BaseException) -> tuple[str, str, str]:
    message = " ".join(getattr(error, "format_message")().split())  # noqa: B009 - see `_is_usage`
    if refused := _NO_CHOICE.match(message):
        # Each name of an option with two names is in quotes.
        option = refused["option"].replace(refused["quote"], "")
        choices = refused["choices"].replace("'", "").rstrip(".").split(", ")
        return f"{option} cannot be {refused['value']}", "it is none of the choices", one_of(refused["value"], choices)
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is None:
        return message, "covos does not understand the command line", "see covos --help"
    if (part := _NO_PART.match(message)) and (why := _WHOLE.get(context.info_name or "")):
        return f"{part['option']} of covos {context.info_name}", *why
    usage = " ".join(context.get_usage().split()).removeprefix("Usage: ")
    fix = f"see {context.command_path} --help"
    if (known := _verbs(context)) and _NO_VERB.match(message):
        fix = f"use one of: {', '.join(known)}; {fix}"
    elif told := getattr(getattr(error, "param", None), "help", None):
        missing = _NO_OPTION.match(message)
        fix = f"{f'add {missing[1]}' if missing else 'its help says'}: {str(told).rstrip('.')}; {fix}"
    return message.rstrip("."), f"the usage is: {usage}", fix


def _verbs(context: typer.Context) -> list[str]:
    """Return the names below a group of commands; none below a verb."""
    return list(getattr(context.command, "commands", ()))
