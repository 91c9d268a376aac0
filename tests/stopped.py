"""A command line in a fork of the tests' process, which is stopped by a signal in the midst of its frames."""

from __future__ import annotations

import contextlib
import io
import os
import signal

from children import Child, in_child
from covos import cli
from covos.runs.journal import Journal


def stopped(*words: object, record: int, number: int) -> Child:
    """Run a command line in a fork that sends itself a signal before it keeps this record of a frame, from 1.

    The child answers its exit code and what it said on stderr.
    """
    return in_child(lambda: _run([str(word) for word in words], record, number), seconds=120)


def _run(words: list[str], record: int, number: int) -> tuple[int, str]:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a program that was just started
    append, count = Journal.append, 0

    def signalled(journal: Journal, entry: object) -> None:
        nonlocal count
        count += 1
        if count == record:
            os.kill(os.getpid(), number)
        append(journal, entry)  # type: ignore[arg-type]

    Journal.append = signalled  # type: ignore[method-assign]
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = cli.main(words)
    return code, said.getvalue()
