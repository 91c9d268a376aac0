"""Masks from an opacity: a video or pictures with alpha, or a grey matte, whatever program wrote them.

An opacity is a soft answer. More than half opaque is the one object, and the opacity itself is kept as its matte. A
grey matte may look like a label map, and like a film in black and white: pictures are mattes only where they are no
label maps, and grey ones only where they are mostly black and white.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from covos.core.errors import AnnotationError
from covos.core.types import AlphaArray, Frame, ProbabilityArray
from covos.formats.mask_tree import places_of
from covos.formats.reading import DamagedError, MasksRead, ReadFrame, check_frame_count, numbered
from covos.masks import encode, read_soft_mask
from covos.masks.matte import is_plain_picture, read_alpha
from covos.masks.soft import SoftMask
from covos.media.animation import AnimatedSource
from covos.media.images import LOSSY_SUFFIXES, kind_of
from covos.media.source import Source
from covos.media.video import VideoSource

_FORMAT = "alpha"
_OBJECT = 1
_TINT = 8 / 255
"""Share of white by which the channels of a grey picture may differ: encoders round them."""
_ENDS = 8 / 255
"""An opacity this near to 0 or 1 is black or white."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """The place of a frame, as of `covos.formats.reading.ReadFrame`."""

    index: int
    stem: str | None = None
    pts: int | None = None

    def read(self, opacity: ProbabilityArray) -> ReadFrame:
        """Return the frame's mask and matte; levels that 8 bits do not hold have 16."""
        levels, mask = opacity * np.float32(255), opacity > 0.5
        deep = bool((np.abs(levels - np.rint(levels)) > 0.01).any())
        soft = SoftMask.of(opacity, mask, bits=16 if deep else 8)
        read = ReadFrame(index=self.index, size=soft.size, stem=self.stem, pts=self.pts, soft=soft, matte=soft)
        read.add(_OBJECT, encode(mask))
        return read


def read_matte_video(path: Path) -> MasksRead | None:
    """Read the alpha of a video, in 8 bits; the grey levels of one that has none, or whose alpha is not used.

    Args:
        path: A video, or an animation.

    Returns:
        The masks; None if it has neither alpha nor the levels of a matte.

    Raises:
        DamagedError: Frames are missing or damaged, or nothing is opaque.
        SourceError: It cannot be read.
    """
    source: Source
    if kind_of(path) == "animated":
        source, has_alpha = AnimatedSource(path, name=str(path)), True
    else:
        # Alpha counts in any case: where the subject is not there yet, the first frame is all transparent.
        source = video = VideoSource(path, name=str(path), uses_alpha=True)
        has_alpha = video.has_alpha
    with source:
        check_frame_count(source.info.frame_count)
        read = (_by_alpha(_alphas_of(source)) if has_alpha else ()) or _by_levels(_levels_of(source))
        if not read:
            return None
        if not (health := source.health).complete:
            raise DamagedError(f"frames of it are damaged or missing: {'; '.join(health.warnings)}")
    return MasksRead(
        format=_FORMAT, path=path, frames=numbered(read), time_base=source.info.time_base, is_sequence=True
    )


def read_matte_pictures(
    path: Path, files: Mapping[str, Path], *, doubted: Path | None = None, by_levels: bool = True
) -> MasksRead | None:
    """Read the alpha of pictures, or the levels of grey ones; None if they are no mattes.

    Args:
        path: Their folder, or the one picture.
        files: Pictures that are no label maps, by the names of their frames, in order.
        doubted: The one of which it is known that it is no label map. If it has colours and no alpha channel, it is a
            plain picture, and the others are not looked into.
        by_levels: False if only alpha makes a matte.

    Raises:
        DamagedError: There are too many, or nothing is opaque.
    """
    check_frame_count(len(files))
    paths = [*files.values()]
    if any(each.suffix.lower() in LOSSY_SUFFIXES for each in paths):
        return None
    places = [_Place(index=index, stem=stem) for index, stem in zip(places_of([*files]), files, strict=True)]
    try:
        if doubted is not None and is_plain_picture(doubted):
            return None
        read = _by_alpha(zip(places, map(read_alpha, paths), strict=True))
        if by_levels and not read:
            read = _by_levels(zip(places, map(read_soft_mask, paths), strict=True))
    except AnnotationError:
        return None
    return MasksRead(format=_FORMAT, path=path, frames=numbered(read)) if read else None


def _by_alpha(given: Iterable[tuple[_Place, AlphaArray]]) -> tuple[ReadFrame, ...]:
    """Read frames by their alpha; none if all of it is opaque."""
    read, most = list[ReadFrame](), 0
    opaque = list[tuple[_Place, tuple[int, ...]]]()  # packed only if others are not
    for place, alpha in given:
        most = max(most, int(alpha.max()))
        if not read and alpha.min() == 255:
            opaque.append((place, alpha.shape))
            continue
        if not read:
            read += [before.read(np.ones(size, np.float32)) for before, size in opaque]
        read.append(place.read(alpha * np.float32(1 / 255)))
    if most == 0:
        raise DamagedError("it has alpha, and nothing in it is opaque", fix="name another file, or a clip to segment")
    return tuple(read)


def _by_levels(given: Iterable[tuple[_Place, ProbabilityArray | None]]) -> tuple[ReadFrame, ...]:
    """Read frames by their grey levels; none if one has colours, most are neither black nor white, or none is white.

    Ids of objects lie near black: a label map with some ids that cannot be is no matte.
    """
    read, ends, pixels, most = [], 0, 0, 0.0
    for place, levels in given:
        if levels is None:
            return ()
        ends += int(np.count_nonzero((levels <= _ENDS) | (levels >= 1 - _ENDS)))
        pixels += levels.size
        most = max(most, float(levels.max()))
        read.append(place.read(levels))
    return tuple(read) if 2 * ends >= pixels and most >= 1 - _ENDS else ()


def _alphas_of(source: Source) -> Iterator[tuple[_Place, AlphaArray]]:
    for frame in _frames_of(source):
        alpha = np.full(frame.size, 255, np.uint8) if frame.alpha is None else frame.alpha
        yield _Place(index=frame.index, pts=frame.pts), alpha


def _levels_of(source: Source) -> Iterator[tuple[_Place, ProbabilityArray | None]]:
    """Give the grey levels of each frame; None of one that has colours."""
    for frame in _frames_of(source):
        samples, white = (frame.colours, 255) if frame.deep is None else (frame.deep(), 65535)
        has_colours = np.ptp(samples, axis=2).max() > white * _TINT
        levels = None if has_colours else samples[..., 1] * np.float32(1 / white)
        yield _Place(index=frame.index, pts=frame.pts), levels


def _frames_of(source: Source) -> Iterator[Frame]:
    """Read all frames; the file is closed, too, where an error ends the pass."""
    with closing(cast("Generator[Frame]", iter(source))) as frames:
        yield from frames
