"""Image files as a source of frames: a folder, a glob pattern, or one image."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from covos.errors import SourceError
from covos.media.images import image_header, read_image
from covos.media.source import Health, Source, check_indices, check_open
from covos.types import Frame, SourceInfo

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

DEFAULT_FRAME_RATE = Fraction(25)


class FramesSource(Source):
    """Image files in a given order; see ``open_source``.

    Opening reads every file's header and the first file's pixels.

    Args:
        paths: At least one image file.
        name: What the user gave, for messages.
        frame_rate: Frames a second; None for a single image.
    """

    def __init__(self, paths: Sequence[Path], *, name: str, frame_rate: Fraction | None) -> None:
        self._paths = tuple(paths)
        self._name = name
        self._closed = False
        self._decoded = 0
        self._time_base = 1 / (frame_rate or DEFAULT_FRAME_RATE)
        self._refuse_equal_stems()
        _, _, codec = image_header(self._paths[0])
        height, width = read_image(self._paths[0]).shape[:2]
        self._size = height, width
        for path in self._paths[1:]:
            self._refuse_other_size(path, image_header(path)[:2])
        self.info = SourceInfo(
            path=name,
            kind="image" if frame_rate is None else "frames",
            height=height,
            width=width,
            frame_count=len(self._paths),
            frame_rate=frame_rate,
            duration=None if frame_rate is None else float(len(self._paths) / frame_rate),
            time_base=self._time_base,
            codec=codec,
        )

    @property
    def health(self) -> Health:
        """See ``Source.health``; a damaged image raises instead of being left out."""
        return Health(decoded=self._decoded, expected=len(self._paths))

    @property
    def files(self) -> tuple[Path, ...]:
        """See ``Source.files``."""
        return self._paths

    def __iter__(self) -> Iterator[Frame]:
        check_open(self._closed, name=self._name)
        return self._full_pass()

    def select(self, indices: Sequence[int]) -> Iterator[Frame]:
        """See ``Source.select``."""
        check_open(self._closed, name=self._name)
        return self._frames(check_indices(indices, count=len(self._paths)))

    def close(self) -> None:
        """See ``Source.close``."""
        self._closed = True

    def _full_pass(self) -> Iterator[Frame]:
        self._decoded = 0
        for frame in self._frames(range(len(self._paths))):
            self._decoded += 1
            yield frame

    def _frames(self, indices: Iterable[int]) -> Iterator[Frame]:
        for index in indices:
            path = self._paths[index]
            image = read_image(path)
            height, width = image.shape[:2]
            self._refuse_other_size(path, (height, width))
            yield Frame(index=index, stem=path.stem, image=image, pts=index, time_base=self._time_base)

    def _refuse_other_size(self, path: Path, size: tuple[int, int]) -> None:
        if size != self._size:
            first = self._paths[0]
            raise SourceError(
                f"{path}: it is {size[1]}x{size[0]}, but {first.name} is {self._size[1]}x{self._size[0]}",
                why="the images of one source are the frames of one video and share a size",
                fix="move the odd one out, or bring all to one size",
            )

    def _refuse_equal_stems(self) -> None:
        seen: dict[str, Path] = {}
        for path in self._paths:
            other = seen.setdefault(path.stem, path)
            if other is not path:
                raise SourceError(
                    f"{self._name}: {other.name} and {path.name} share the name {path.stem!r}",
                    why="outputs are named after their frame, so one would overwrite the other",
                    fix="keep one of them, or rename them",
                )
