"""The errors of the server, each of which has an HTTP status (see `covos.serve.guard`)."""

from __future__ import annotations

from covos.core.errors import CovosError


class BusyError(CovosError):
    """The queue is full."""


class NotThereError(CovosError):
    """There is no such clip, frame or file."""


class NotYetError(CovosError):
    """It cannot be done in this state of the clip."""


class TooLargeError(CovosError):
    """A limit is passed."""
