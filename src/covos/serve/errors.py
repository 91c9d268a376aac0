"""The errors of the server, each with an HTTP status (see `covos.serve.guard`), without any path of it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from covos.core.errors import CovosError, SourceError, reworded

_REST = r"[^\s:;,'\"()]*"
"""The rest of a path in a sentence."""
RETRY_AFTER = 30
"""Seconds after which a client that has to wait may come again."""


class BusyError(CovosError):
    """The queue is full."""


class NotThereError(CovosError):
    """There is no such clip, frame or file."""


class NotYetError(CovosError):
    """It cannot be done in this state of the clip."""


class TooLargeError(CovosError):
    """A limit is passed."""


class ExpiredError(CovosError):
    """It was there, and was kept for its time."""


class SilentError(SourceError):
    """Nothing came of a source in time: it may be damaged, or its disk or the machine is slow."""


def without_paths(text: str, places: Iterable[str], *, name: str) -> str:
    """Return a text with a name in place of the server's own paths: clients need not know where their clips lie.

    Args:
        text: The text.
        places: Files and folders of the server; whatever lies in them goes as well.
        name: The client's own name of the clip.
    """
    for place in places:
        if place in text:  # there may be thousands of places
            text = re.sub(re.escape(place) + _REST, lambda _: name, text)
    return text


def in_public(error: CovosError, places: Iterable[str], *, name: str) -> CovosError:
    """Return an error as clients may see it; see `without_paths`."""
    places = tuple(places)
    return reworded(error, lambda text: without_paths(text, places, name=name))
