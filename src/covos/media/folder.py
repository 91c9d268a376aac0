"""Image files as a source of frames: those of a folder or a pattern, or one alone."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

from covos.core.errors import SourceError, listed
from covos.core.progress import counted
from covos.core.types import Frame, SourceInfo, Tags
from covos.media.depth import depth_of
from covos.media.images import (
    UnreadableImageError,
    deep_colours,
    deep_image,
    hdr_colours,
    hdr_of_image,
    image_header,
    is_painted_over,
    read_picture,
)
from covos.media.joined import second_picture
from covos.media.picture import ALPHA_NOTE
from covos.media.source import Health, Source, fingerprint_each
from covos.media.tones import tones_note, transfer_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from covos.core.types import FrameStatus
    from covos.media.depth import Deep
    from covos.media.picture import Picture

DEFAULT_FRAME_RATE = Fraction(25)
_MOST_NAMED = 4
_MOST_ODD = 4
"""One in so many pictures may have another size than the others; where more do, they are no frames of one video."""
_LOOKED_AT = 8
"""Pictures of 16 bits of which the largest sample is looked at, to find their depth."""


class FramesSource(Source):
    """Image files in a given order, of a folder, a pattern or one alone, without a frame rate; see ``open_source``.

    An image that cannot be read is a frame all the same, with the status ``"unreadable"``. The picture before it stands
    in its place, or at the beginning the first that can be read. If none can be read, the source is refused. One of
    another size than nearly all others is not read either. A JPEG whose damage its decoder has painted over is
    ``"concealed"``. Samples of 16 bits have one depth in all of them: a dark frame stays dark.

    Args:
        paths: The files.
        name: As the user gave it.
        frame_rate: Frames a second; None of a picture alone.
        notes: Warnings of whoever has listed the files.
    """

    def __init__(
        self, paths: Sequence[Path], *, name: str, frame_rate: Fraction | None, notes: Sequence[str] = ()
    ) -> None:
        self.files = tuple(paths)
        self._notes = tuple(notes)
        self._concealed: dict[int, bool] = {}  # by index, as they are looked into
        self._seconds: dict[int, int | None] = {}  # where another picture begins behind one, likewise
        self._decoded = 0
        self._damaged: dict[int, str] = {}  # what is wrong, by index; found out as the files are read
        self._met: set[int] = set()  # those of the latest full pass
        self._passed: set[int] = set()  # all of it
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
        self._refuse_sizes(headers)
        self._first, first = self._first_readable()
        self._bits = self._depth()
        self._stated = hdr_of_image(self.files[self._first])
        self._has_alpha = first.alpha is not None
        # In a folder, the others decide about a picture that shows nothing.
        self._uses_alpha: bool | None = True if self._has_alpha else None
        self._size = height, width = first.size
        codec = next(header[2] for header in headers[self._first :] if header is not None)
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
            tags=Tags(bits=self._bits or 8, hdr=self._stated if (self._bits or 8) > 8 else None),
        )

    @property
    def health(self) -> Health:
        """See ``Source.health``; warnings name the images that cannot be read, and why."""
        named = [f"{self.files[index].name}: {self._damaged[index]}" for index in sorted(self._met)]
        more = len(named) - _MOST_NAMED
        said = "; ".join(named[:_MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")
        warnings = [*self._notes, *([f"{counted(len(named), 'picture')} cannot be read: {said}"] if named else [])]
        concealed = tuple(sorted(index for index in self._passed if self._concealed.get(index)))
        if concealed:
            shown = listed([self.files[index].name for index in concealed], shown=_MOST_NAMED)
            warnings.append(f"{counted(len(concealed), 'picture')} damaged and painted over: {shown}")
        joined = {index: at for index in sorted(self._passed) if (at := self._seconds.get(index)) is not None}
        if joined:
            shown = listed(
                [f"{self.files[index].name}, at byte {at}" for index, at in joined.items()], shown=_MOST_NAMED
            )
            warnings.append(f"another picture begins in {shown}, which is not read: split it there")
        if self._bits is not None and self._bits < 16:
            warnings.append(f"samples of 16 bits hold values of {self._bits}: white is {(1 << self._bits) - 1}")
        # Of pictures whose tones can be kept, whoever writes says which formats do.
        if self._stated is not None and self.info.tags.hdr is None:
            tones = transfer_of(transfer=self._stated.transfer, primaries=self._stated.primaries)
            assert tones is not None, "it is HDR or BT.2020"
            warnings.append(tones_note(tones[0], pictures=True))
        if self._has_alpha:
            warnings.append(ALPHA_NOTE)
        return Health(
            decoded=self._decoded,
            expected=len(self.files),
            concealed=concealed,
            unreadable=tuple(sorted(self._met)),
            at_least=bool(joined),
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
        self._passed.clear()
        for frame in self._read_some(wanted[: len(range(wanted.start, len(self.files), wanted.step))]):
            self._decoded += 1
            self._passed.add(frame.index)
            if frame.status != "unreadable" and frame.index not in self._seconds:
                self._seconds[frame.index] = second_picture(self.files[frame.index])
            if frame.status == "unreadable":
                self._met.add(frame.index)
            yield frame

    def _read_some(self, indices: Iterable[int]) -> Iterator[Frame]:
        latest: tuple[int, int, Picture] | None = None
        for index in indices:
            path = self.files[index]
            picture, shown = self._read(index), index
            status: FrameStatus = "concealed" if picture is not None and self._is_concealed(index) else "ok"
            if picture is None:
                status = "unreadable"
                before = latest if latest is not None and latest[0] == index - 1 else None
                shown, picture = self._stand_in(index) if before is None else before[1:]
            latest = index, shown, picture
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
                deep=self._again(deep_colours, shown, picture) if status != "unreadable" else None,
                # One that stands in is tone-mapped, too, and would be of other tones than those around it.
                hdr=self._again(hdr_colours, shown, picture) if self.info.tags.hdr is not None else None,
            )

    def _again(
        self, read: Callable[..., NDArray[np.uint16]], index: int, picture: Picture
    ) -> Callable[[], NDArray[np.uint16]] | None:
        """Tell how the further bits of a picture are read: again from its file, by the formats that keep them alone."""
        if self._bits is None or self._bits <= 8:
            return None
        image = picture.image if picture.bare is None else picture.bare
        return partial(read, self.files[index], bits=self._bits, image=image)

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
            if index in self._odd:
                continue
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
                continue  # it is met again, and reported, when it is read
            if deep is None and not found:
                return None
            if deep is not None:
                found.append(deep)
                if deep.stated is not None:
                    return deep.stated
        return depth_of(max(deep.peak for deep in found))

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
        if picture.size != self._size:  # a PNG that is turned shows it when it is decoded
            self._damaged[index] = _other_size(picture.size, self._size)
            return None
        return picture

    def _is_concealed(self, index: int) -> bool:
        if index not in self._concealed:
            self._concealed[index] = is_painted_over(self.files[index])
        return self._concealed[index]

    def _stand_in(self, index: int) -> tuple[int, Picture]:
        for before in range(index - 1, self._first, -1):
            picture = self._read(before)
            if picture is not None:
                return before, picture
        return self._first, read_picture(self.files[self._first], bits=self._bits, uses_alpha=self._uses_alpha)

    def _refuse_sizes(self, headers: Sequence[tuple[int, int, str] | None]) -> None:
        """Count pictures of an odd size among the damaged; refuse the source if they are many."""
        sizes = {index: header[:2] for index, header in enumerate(headers) if header is not None}
        (usual, often), *others = Counter(sizes.values()).most_common() or [((0, 0), 0)]
        odd = [index for index, size in sizes.items() if size != usual]
        if _MOST_ODD * len(odd) > len(sizes) or (others and others[0][1] == often):
            first = min(sizes)
            other = next(index for index, size in sizes.items() if size != sizes[first])
            (height, width), size = sizes[first], sizes[other]
            raise SourceError(
                f"{self.files[other]}: it is {size[1]}x{size[0]}, but {self.files[first].name} is {width}x{height}",
                why="the images of one source are the frames of one video and share a size",
                fix="move the odd one out, or bring all to one size",
            )
        self._odd = frozenset(odd)
        for index in odd:
            self._damaged[index] = _other_size(sizes[index], usual)


def _other_size(size: tuple[int, ...], usual: tuple[int, ...]) -> str:
    return f"it is {size[1]}x{size[0]}, the others are {usual[1]}x{usual[0]}"
