"""Image files as a source of frames: those of a folder or a pattern, or one alone."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from covos.core.errors import SourceError
from covos.core.progress import counted
from covos.core.types import Frame, SourceInfo
from covos.media.depth import depth_of
from covos.media.images import UnreadableImageError, deep_image, image_header, read_picture
from covos.media.picture import ALPHA_NOTE
from covos.media.source import Health, Source, fingerprint_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from covos.core.types import FrameStatus
    from covos.media.depth import Deep
    from covos.media.picture import Picture

DEFAULT_FRAME_RATE = Fraction(25)
_MOST_NAMED = 4
_LOOKED_AT = 8
"""Pictures of 16 bits of which the largest sample is looked at, to tell their depth."""


class FramesSource(Source):
    """Image files in a given order, of a folder, a pattern or one alone, without a frame rate; see ``open_source``.

    An image that cannot be read is a frame all the same, with the status ``"unreadable"``: the picture before it stands
    in its place, at the beginning the first that can be read. If none can be read, the source is refused. Samples of 16
    bits have one depth in all of them: a dark frame stays dark.
    """

    def __init__(self, paths: Sequence[Path], *, name: str, frame_rate: Fraction | None) -> None:
        self.files = tuple(paths)
        self._decoded = 0
        self._damaged: dict[int, str] = {}  # what is wrong, by index; found out as the files are read
        self._met: set[int] = set()  # those of the latest full pass
        self._time_base = 1 / (frame_rate or DEFAULT_FRAME_RATE)
        seen: dict[str, Path] = {}
        for path in self.files:
            other = seen.setdefault(path.stem, path)
            if other is not path:
                raise SourceError(
                    f"{name}: {other.name} and {path.name} share the name {path.stem!r}",
                    why="outputs are named after their frame, so one would overwrite the other",
                    fix="keep one of them, or rename them",
                )
        headers = [self._header(index) for index in range(len(self.files))]
        self._first, first = self._first_readable()
        self._bits = self._depth()
        self._has_alpha = first.alpha is not None
        # In a folder, a picture of which nothing is to be seen is what the others tell that it is.
        self._uses_alpha: bool | None = True if self._has_alpha else None
        self._size = height, width = first.size
        for index, (path, header) in enumerate(zip(self.files, headers, strict=True)):
            if header is not None and index != self._first:
                self._refuse_other_size(path, header[:2])
        codec = next(header[2] for header in headers if header is not None)
        self.info = SourceInfo(
            path=name,
            kind="image" if frame_rate is None else "frames",
            height=height,
            width=width,
            frame_count=len(self.files),
            frame_rate=frame_rate,
            duration=None if frame_rate is None else float(len(self.files) / frame_rate),
            time_base=self._time_base,
            codec=codec,
        )

    @property
    def health(self) -> Health:
        """See ``Source.health``; warnings name the images that cannot be read, and why."""
        named = [f"{self.files[index].name}: {self._damaged[index]}" for index in sorted(self._met)]
        more = len(named) - _MOST_NAMED
        said = "; ".join(named[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        warnings = [f"{counted(len(named), 'picture')} cannot be read: {said}"] if named else []
        if self._bits is not None and self._bits < 16:
            warnings.append(f"samples of 16 bits hold values of {self._bits}: white is {(1 << self._bits) - 1}")
        if self._has_alpha:
            warnings.append(ALPHA_NOTE)
        return Health(
            decoded=self._decoded,
            expected=len(self.files),
            unreadable=tuple(sorted(self._met)),
            warnings=tuple(warnings),
        )

    def content_of_files(self) -> tuple[tuple[str, str], ...]:
        """See ``Source.content_of_files``."""
        return fingerprint_each(self.files) if len(self.files) > 1 else ()

    def _read_all(self) -> Iterator[Frame]:
        return self._read_part(range(len(self.files)))

    def _read_part(self, wanted: range) -> Iterator[Frame]:
        self._decoded = 0
        self._met.clear()
        for frame in self._read_some(wanted[: len(range(wanted.start, len(self.files), wanted.step))]):
            self._decoded += 1
            if frame.status == "unreadable":
                self._met.add(frame.index)
            yield frame

    def _read_some(self, indices: Iterable[int]) -> Iterator[Frame]:
        latest: tuple[int, Picture] | None = None
        for index in indices:
            path = self.files[index]
            picture = self._read(index)
            status: FrameStatus = "ok"
            if picture is None:
                status = "unreadable"
                before = latest if latest is not None and latest[0] == index - 1 else None
                picture = self._stand_in(index) if before is None else before[1]
            latest = index, picture
            yield Frame(
                index=index,
                stem=path.stem,
                image=picture.image,
                pts=index,
                time_base=self._time_base,
                status=status,
                file=path.name,
                alpha=picture.alpha,
                bare=picture.bare,
            )

    def _header(self, index: int) -> tuple[int, int, str] | None:
        try:
            return image_header(self.files[index])
        except UnreadableImageError as error:
            self._damaged[index] = error.why
            if len(self.files) == 1:
                raise
            return None

    def _first_readable(self) -> tuple[int, Picture]:
        """Find the first image that can be read; return its index, and the picture."""
        error: UnreadableImageError | None = None
        for index, path in enumerate(self.files):
            try:
                return index, read_picture(path)
            except UnreadableImageError as met:
                error = error or met
                self._damaged[index] = met.why
        assert error is not None, "there are files"
        raise error

    def _depth(self) -> int | None:
        """Tell the depth of 16-bit samples by some of the pictures; None if they have none."""
        step = max(1, len(self.files) // _LOOKED_AT)
        found: list[Deep] = []
        for index in sorted({self._first, *range(0, len(self.files), step)}):
            try:
                deep = None if index in self._damaged else deep_image(self.files[index])
            except SourceError:
                continue  # it is met again, and told, when it is read
            if deep is None and not found:
                return None
            if deep is not None:
                found.append(deep)
        stated = {deep.stated for deep in found}
        return found[0].stated if stated != {None} else depth_of(max(deep.peak for deep in found))

    def _read(self, index: int) -> Picture | None:
        """Read an image; None if it cannot be read."""
        if index in self._damaged:
            return None
        path = self.files[index]
        try:
            picture = read_picture(path, bits=self._bits, uses_alpha=self._uses_alpha)
        except UnreadableImageError as error:
            self._damaged[index] = error.why
            return None
        self._refuse_other_size(path, picture.size)
        return picture

    def _stand_in(self, index: int) -> Picture:
        for before in range(index - 1, self._first, -1):
            picture = self._read(before)
            if picture is not None:
                return picture
        return read_picture(self.files[self._first], bits=self._bits, uses_alpha=self._uses_alpha)

    def _refuse_other_size(self, path: Path, size: tuple[int, ...]) -> None:
        if size != self._size:
            first = self.files[self._first]
            raise SourceError(
                f"{path}: it is {size[1]}x{size[0]}, but {first.name} is {self._size[1]}x{self._size[0]}",
                why="the images of one source are the frames of one video and share a size",
                fix="move the odd one out, or bring all to one size",
            )
