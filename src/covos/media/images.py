"""Read image files: one as the RGB array that a viewer would see, many as a source of frames."""

from __future__ import annotations

import re
import struct
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageOps

from covos.core.errors import SourceError
from covos.core.guarded import open_guarded
from covos.core.limits import limits
from covos.core.progress import counted
from covos.core.types import Frame, SourceInfo
from covos.media import source
from covos.media.source import Health, Source, fingerprint_each

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from covos.core.types import FrameStatus, ImageArray

DEFAULT_FRAME_RATE = Fraction(25)
IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
_FORMATS = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")  # JPEG brings multi-picture files (MPO) along
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, EOFError, IndexError, struct.error)
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)
_MOST_NAMED = 4
_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap height and width


def natural_key(name: str) -> tuple[tuple[int, int | str], ...]:
    """Return a sort key under which ``frame2`` comes before ``frame10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((0, int(part)) if part.isdecimal() else (1, part) for part in parts if part)


def is_image(path: Path) -> bool:
    """Return True if the content, not the suffix, is of an image format; GIFs and animated PNGs count as videos."""
    try:
        with Image.open(path, formats=_FORMATS) as image:
            return image.format != "PNG" or not getattr(image, "is_animated", False)
    except _TOO_LARGE:
        return True
    except _DAMAGE:
        return False


def image_header(path: Path) -> tuple[int, int, str]:
    """Return (height, width, format) as displayed, without decoding the pixels."""
    with _opened(path) as image:
        width, height = image.size
        kind = (image.format or "").lower()
        if kind in {"webp", "tiff"} and getattr(image, "n_frames", 1) > 1:
            raise SourceError(
                f"{path}: it holds several pictures",
                why=f"animated or multi-page {image.format} files are not read",
                fix="convert it to mp4, or to a folder of PNG files",
            )
        # Pillow turns the size of a TIFF by itself; for a PNG it would have to decode the pixels first.
        if kind not in {"png", "tiff"} and image.getexif().get(_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        return height, width, kind


def read_image(path: Path) -> ImageArray:
    """Read an image as H x W x 3 uint8 RGB, with its EXIF orientation applied.

    Palettes and greys become RGB, 16 bits are reduced to 8, alpha is dropped and the colour under it kept.
    """
    with _opened(path) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode == "F":
            raise SourceError(
                f"{path}: its pixels are floating-point numbers",
                why="they have no agreed range to bring to 0..255",
                fix="save it with 8 or 16 bits a channel",
            )
        if image.mode.startswith("I"):
            # Pillow clips 16-bit greys when it converts them; their high byte is what is meant.
            grey = (np.asarray(image).clip(0, 65535) >> 8).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.array(image.convert("RGB"))


class UnreadableImageError(SourceError):
    """An image is damaged, or may not be read."""


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image of a size that can be read; say why one cannot be read, also if that shows inside the block."""
    what, fix = f"{path}: the image cannot be read", "open it in a viewer; write it again, or remove it"
    try:
        with (
            open_guarded(path, what=what, fix=fix, error=SourceError) as file,
            Image.open(file, formats=_FORMATS) as image,
        ):
            source.check_pixels(str(path), height=image.height, width=image.width)
            yield image
    except _TOO_LARGE as error:
        raise SourceError(
            f"{path}: the image is too large",
            why=str(error),
            fix=f"scale it down to at most {limits().pixels} pixels",
        ) from error
    except _DAMAGE as error:
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UnreadableImageError(what, why=why, fix=fix) from error


class FramesSource(Source):
    """Image files in a given order, of a folder, a pattern or one alone, without a frame rate; see ``open_source``.

    An image that cannot be read is a frame all the same, with the status ``"unreadable"``: the picture before it stands
    in its place, at the beginning the first that can be read. If none can be read, the source is refused.
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
        self._first = self._first_readable()
        self._size = height, width = read_image(self.files[self._first]).shape[:2]
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
        warnings = (f"{counted(len(named), 'picture')} cannot be read: {said}",) if named else ()
        return Health(
            decoded=self._decoded, expected=len(self.files), unreadable=tuple(sorted(self._met)), warnings=warnings
        )

    def content_of_files(self) -> tuple[tuple[str, str], ...]:
        """See ``Source.content_of_files``."""
        return fingerprint_each(self.files) if len(self.files) > 1 else ()

    def _read_all(self) -> Iterator[Frame]:
        self._decoded = 0
        self._met.clear()
        for frame in self._read_some(range(len(self.files))):
            self._decoded += 1
            if frame.status == "unreadable":
                self._met.add(frame.index)
            yield frame

    def _read_some(self, indices: Iterable[int]) -> Iterator[Frame]:
        latest: tuple[int, ImageArray] | None = None
        for index in indices:
            path = self.files[index]
            image = self._read(index)
            status: FrameStatus = "ok"
            if image is None:
                status = "unreadable"
                before = latest if latest is not None and latest[0] == index - 1 else None
                image = self._stand_in(index) if before is None else before[1]
            latest = index, image
            yield Frame(
                index=index,
                stem=path.stem,
                image=image,
                pts=index,
                time_base=self._time_base,
                status=status,
                file=path.name,
            )

    def _header(self, index: int) -> tuple[int, int, str] | None:
        try:
            return image_header(self.files[index])
        except UnreadableImageError as error:
            self._damaged[index] = error.why
            if len(self.files) == 1:
                raise
            return None

    def _first_readable(self) -> int:
        error: UnreadableImageError | None = None
        for index, path in enumerate(self.files):
            try:
                read_image(path)
            except UnreadableImageError as met:
                error = error or met
                self._damaged[index] = met.why
                continue
            return index
        assert error is not None, "there are files"
        raise error

    def _read(self, index: int) -> ImageArray | None:
        """Read an image; None if it cannot be read."""
        if index in self._damaged:
            return None
        path = self.files[index]
        try:
            image = read_image(path)
        except UnreadableImageError as error:
            self._damaged[index] = error.why
            return None
        self._refuse_other_size(path, image.shape[:2])
        return image

    def _stand_in(self, index: int) -> ImageArray:
        for before in range(index - 1, self._first, -1):
            image = self._read(before)
            if image is not None:
                return image
        return read_image(self.files[self._first])

    def _refuse_other_size(self, path: Path, size: tuple[int, ...]) -> None:
        if size != self._size:
            first = self.files[self._first]
            raise SourceError(
                f"{path}: it is {size[1]}x{size[0]}, but {first.name} is {self._size[1]}x{self._size[0]}",
                why="the images of one source are the frames of one video and share a size",
                fix="move the odd one out, or bring all to one size",
            )
