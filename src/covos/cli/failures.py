"""Turn whatever ends a command early into an exit code and, on stderr, what / why / fix."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback

import typer

from covos.core.errors import CovosError, printable
from covos.core.signals import SIGINT_EXIT, SIGTERM_EXIT

BUG_EXIT = 1
USAGE_EXIT = 2
ENVIRONMENT_EXIT = 5
SIGPIPE_EXIT = 141
"""As a shell reports a program that SIGPIPE ended."""

_NO_CHOICE = re.compile(
    r"Invalid value for (?P<quote>['\"]?)(?P<option>[^:]+?)(?P=quote): (Value error, )?'(?P<value>.*)' is not one of "
    r"(?P<choices>.+)"
)
"""Message of typer that an option takes certain words only."""

_MACHINE = {
    errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC,
    errno.EPERM, errno.EROFS,
}  # fmt: skip
"""Errors of the operating system that are no bug of ours, wherever they come up."""

_NAMES = {errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR}
"""Errors of names that no file can have."""
_SHOWN = 120


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
    if isinstance(error, CovosError):
        return error.exit_code, (error.what, error.why, error.fix)
    if _is_usage(error):
        return USAGE_EXIT, _usage_lines(error)
    if _is_out_of_memory(error):
        return ENVIRONMENT_EXIT, (
            "out of memory",
            str(error) or "the machine refused more",
            "close other programs, or use a smaller input; --debug shows where it happened",
        )
    if isinstance(error, OSError) and error.errno in _NAMES:
        name = f"{error.filename or 'a name'}"
        return USAGE_EXIT, (
            f"{name if len(name) < _SHOWN else name[:_SHOWN] + '...'} cannot be used",
            error.strerror or type(error).__name__,
            "check the name of the file",
        )
    if isinstance(error, OSError) and error.errno in _MACHINE:
        return ENVIRONMENT_EXIT, (
            f"the system refused: {error.filename or 'an operation'}",
            error.strerror or type(error).__name__,
            "check free space and permissions; --debug shows where it happened",
        )
    return BUG_EXIT, (
        f"{type(error).__name__}: {error}",
        "this is a bug of ours, not yours",
        "run the command again with --debug, and report what it prints",
    )


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
    message: str = getattr(error, "format_message")()  # noqa: B009 - see `_is_usage`
    if refused := _NO_CHOICE.match(message):
        listed = refused["choices"].replace("'", "").rstrip(".")
        return f"{refused['option']} {refused['value']}", "it is none of the choices", f"use one of: {listed}"
    context: typer.Context | None = getattr(error, "ctx", None)
    if context is None:
        return message, "covos does not understand the command line", "see covos --help"
    usage = " ".join(context.get_usage().split()).removeprefix("Usage: ")
    return message.rstrip("."), f"the usage is: {usage}", f"see {context.command_path} --help"


def _is_out_of_memory(error: BaseException) -> bool:
    # torch is not imported to ask it: CUDA has a class of its own, the CPU's allocator says it in words.
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
