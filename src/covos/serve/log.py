"""The log of the server: a line for each request and each piece of work, for whoever runs it as a service."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import WatchedFileHandler
from typing import Final, NamedTuple

from covos.core.errors import CovosError, EnvironmentProblem
from covos.serve.places import printable

STDOUT: Final = "-"
"""Stands for standard output."""
LOG: Final = logging.getLogger("covos.serve")
LOG.addHandler(logging.NullHandler())  # without a log, nothing is printed
_SERVER: Final = "uvicorn"
"""The logger of the library that answers; it has the tracebacks of bugs."""
_PLAIN: Final = re.compile(r"[\w./:+*@-]+", re.ASCII)


class Answered(NamedTuple):
    """A request that was answered.

    Attributes:
        method: Such as ``GET``.
        route: The address as the API's description has it; ``other`` if it has none.
        path: The address that was asked for, without what stands behind ``?``.
        client: Where it came from: the proxy, if there is one.
        status: Of the answer.
        seconds: Until the last byte of the answer.
    """

    method: str
    route: str
    path: str
    client: str
    status: int
    seconds: float


class _Lines(logging.Formatter):
    """Lines that every file takes: a name that is not UTF-8 must not cost the line that tells of it."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def logging_to(place: str | None) -> Iterator[None]:
    """Write the log to a file, or to standard output (``"-"``), for the time of a block; None writes none.

    Lines are added to a file that is there. One that was moved away, as logrotate does, is begun anew.

    Raises:
        EnvironmentProblem: The file cannot be written.
    """
    if place is None:
        yield
        return
    try:
        handler = logging.StreamHandler(sys.stdout) if place == STDOUT else WatchedFileHandler(place, encoding="utf-8")
    except OSError as error:
        raise EnvironmentProblem(
            f"the log {place} cannot be written", why=error.strerror or str(error), fix="give another file with --log"
        ) from error
    lines = _Lines("%(asctime)s.%(msecs)03dZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    lines.converter = time.gmtime
    handler.setFormatter(lines)
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger in (LOG, logging.getLogger(_SERVER)):
            logger.removeHandler(handler)
        handler.close()


def log_library() -> None:
    """Let the warnings and errors of the library that answers go to the log, too, once it has set up its own."""
    for handler in LOG.handlers:
        if not isinstance(handler, logging.NullHandler):
            logging.getLogger(_SERVER).addHandler(handler)


def log_request(answered: Answered) -> None:
    """Write the line of a request."""
    LOG.info(
        "request %s",
        _words(
            method=answered.method,
            path=answered.path,
            status=answered.status,
            seconds=answered.seconds,
            client=answered.client,
        ),
    )


def log_error(error: BaseException) -> None:
    """Write an error that is no fault of a client, with its traceback."""
    LOG.error("error %s", _words(error=_said(error)), exc_info=error)


@contextmanager
def going_on() -> Iterator[None]:
    """Log an error that ends a block, and go on behind the block: for threads that have to live as long as the server.

    A full disk, for example, lets no record be written. The threads are to work again once there is room.
    """
    try:
        yield
    except Exception as error:
        log_error(error)


def log_work(
    *, job: str, stage: str, status: str, seconds: float, format: str = "", error: BaseException | None = None
) -> None:
    """Write the line of a piece of work that is over; a failure has its traceback.

    Args:
        job: Id of the clip.
        stage: The kind of work, such as ``finding``.
        status: ``done``, ``cancelled`` or ``failed``.
        seconds: The time that it took.
        format: Name of the format that was written, if one was.
        error: What ended it.
    """
    said = {} if error is None else {"error": _said(error)}
    kind = {"format": format} if format else {}
    words = _words(job=job, stage=stage, **kind, status=status, seconds=seconds, **said)
    if status == "failed":
        LOG.error("job %s", words, exc_info=error)
    else:
        LOG.info("job %s", words)


def _said(error: BaseException) -> str:
    return f"{error.what}: {error.why}" if isinstance(error, CovosError) else f"{type(error).__name__}: {error}"


def _words(**values: str | float) -> str:
    """Return ``name=value`` for each; a value with spaces, quotes or codes stands in quotes, as in JSON."""
    return " ".join(f"{name}={_word(value)}" for name, value in values.items())


def _word(value: str | float) -> str:
    text = f"{value:.3f}" if isinstance(value, float) else str(value)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
