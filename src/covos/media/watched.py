"""A source that asks before each frame if it may go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from covos.core.types import Frame
from covos.media.source import Health, Source


class WatchedSource(Source):
    """A source that asks, before each frame, whether to go on: so every pass over it can be stopped."""

    def __init__(self, source: Source, check: Callable[[], None]) -> None:
        self._source, self._check = source, check
        self.info, self.files = source.info, source.files

    @property
    def health(self) -> Health:
        """See `Source`, here and below."""
        return self._source.health

    def content(self) -> tuple[int, str]:
        """Return size and fingerprint."""
        return self._source.content()

    def content_of_files(self) -> tuple[tuple[str, str], ...]:
        """Return name and fingerprint of each file."""
        return self._source.content_of_files()

    def _read_all(self) -> Iterator[Frame]:
        return self._checked(iter(self._source))

    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        return self._checked(self._source.select(indices))

    def _checked(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        for frame in frames:
            self._check()
            yield frame
