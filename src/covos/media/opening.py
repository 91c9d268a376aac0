"""Open a path by the content that lies there; check if an input is still the same as before."""

from __future__ import annotations

import os
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from covos.core.errors import SourceError, UsageError
from covos.core.guarded import is_there
from covos.core.numbered import is_pattern, matches_of
from covos.core.types import Deinterlace
from covos.media.animation import AnimatedSource
from covos.media.container import FILM_SUFFIXES, KEEPING_FILM
from covos.media.first_look import refuse_missing
from covos.media.folder import DEFAULT_FRAME_RATE, FramesSource
from covos.media.images import kind_of
from covos.media.listing import Listing, list_pictures
from covos.media.rates import checked_rate
from covos.media.source import check_duration, check_frames
from covos.media.video import VideoSource

if TYPE_CHECKING:
    from covos.media.source import Source


def open_source(
    path: str | os.PathLike[str], *, frame_rate: Fraction | float | None = None, deinterlace: Deinterlace = "auto"
) -> Source:
    """Open a video, a folder of frames, a glob pattern or a single image.

    The content of a file decides its kind, not its suffix. Images of a folder or pattern come in natural order of their
    names (``2`` before ``10``); hidden files are ignored. The first frame is decoded here, and every image's header
    read, so that an unusable input is refused before any output is made.

    Videos are read as displayed, see `covos.media.displayed.PictureReader`; ``health.warnings`` says what was not as it
    should be. Stills, and each picture of a folder, are read by `covos.media.images.read_picture`.

    Args:
        path: A path, or a pattern such as ``"shots/*.jpg"`` (quoted, so that the shell leaves it alone).
        frame_rate: Frames a second of a folder or pattern, 25 if not given. Videos carry their own times.
        deinterlace: Frames of a video that are made whole pictures: ``"auto"`` takes those that are flagged as
            interlaced, ``"on"`` all, ``"off"`` none.

    Returns:
        The source; close it, or use it in a ``with`` block.

    Raises:
        SourceError: It is missing, empty, not a medium, damaged, too large, or holds no pictures.
        UsageError: ``frame_rate`` is not positive, or is given for a video or a single image.
    """
    name = os.fspath(path)
    target = Path(name)
    rate = checked_rate(frame_rate)
    there = is_there(target)
    if there and target.is_dir():
        return _pictures(_folder_images(target), name=name, frame_rate=rate)
    if not there and is_pattern(name):
        return _pictures(_pattern_images(name), name=name, frame_rate=rate)
    refuse_missing(name)
    return open_file(target, name=name, frame_rate=rate, deinterlace=deinterlace)


def open_file(
    target: Path, *, name: str, frame_rate: Fraction | float | None = None, deinterlace: Deinterlace = "auto"
) -> Source:
    """Open a file as `open_source` does, under a name for messages and reports."""
    if frame_rate is not None:
        raise UsageError(
            f"{name}: a frame rate cannot be given for it",
            why="only a folder or pattern of images lacks times of its own",
            fix="leave the frame rate out",
        )
    kind = kind_of(target)
    if kind == "still":
        return FramesSource([target], name=name, frame_rate=None)
    video = (
        AnimatedSource(target, name=name)
        if kind == "animated"
        else VideoSource(target, name=name, deinterlace=deinterlace)
    )
    # By its frames and their rate: a gap between two recordings costs nothing.
    rate = video.info.frame_rate
    check_duration(name, 0.0 if not rate else float(video.info.frame_count / rate))
    return video


def _pictures(listing: Listing, *, name: str, frame_rate: Fraction | None) -> FramesSource:
    check_frames(name, len(listing.files))
    return FramesSource(listing.files, name=name, frame_rate=frame_rate or DEFAULT_FRAME_RATE, notes=listing.notes)


def check_place(name: str) -> None:
    """Refuse a path that leads to no file or folder, and a pattern that matches no picture; nothing is opened.

    Raises:
        SourceError: It cannot be a source.
    """
    refuse_missing(name)
    if is_pattern(name) and not is_there(Path(name)):
        _pattern_images(name)


def _folder_images(folder: Path) -> Listing:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except PermissionError as error:
        raise SourceError(
            f"{folder}: the folder may not be read", why="permission denied", fix="change its permissions"
        ) from error
    listing = list_pictures(entries)
    if listing.files:
        return listing
    within = sorted(e.name for e in entries if e.is_dir() and _has_pictures(e))
    fix = "give a folder with jpg, png, webp, avif, heic, tif, exr, bmp or pgm files, or a video"
    if any(each.suffix.lower() in FILM_SUFFIXES for each in entries):
        fix = KEEPING_FILM
    if within:
        fix = f"give one of its folders that have images, such as {folder / within[0]}"
    raise SourceError(f"{folder}: the folder has no images", why=f"it holds {_contents(entries)}", fix=fix)


def _pattern_images(pattern: str) -> Listing:
    matches = matches_of(pattern)
    if not matches:
        raise SourceError(
            f"{pattern}: the pattern matches nothing",
            why="no file has such a name",
            fix="check the folder and the suffix; write the pattern in quotes",
        )
    listing = list_pictures(matches)
    if not listing.files:
        is_film = any(each.suffix.lower() in FILM_SUFFIXES for each in matches)
        others = "match jpg, png, webp, avif, heic, tif, exr, bmp or pgm files; give videos one at a time"
        raise SourceError(
            f"{pattern}: the pattern matches no images",
            why=f"it matches {_contents(matches)}",
            fix=KEEPING_FILM if is_film else others,
        )
    return listing


def _has_pictures(folder: Path) -> bool:
    try:
        return bool(list_pictures(folder.iterdir()).files)
    except OSError:
        return False


def _contents(entries: list[Path]) -> str:
    """Describe what is there, such as "2 .txt, 1 folder"."""
    kinds = Counter("folder" if e.is_dir() else e.suffix.lower() or "file without suffix" for e in entries)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(5)) or "nothing"
