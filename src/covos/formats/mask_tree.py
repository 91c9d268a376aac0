"""Folders of mask pictures: what counts as a mask, which frame and object it belongs to, and where the masks lie.

Conversion and evaluation find masks by these rules:

- A mask is a BMP, PGM, PNG, TIFF or WebP file that is not hidden. JPEG, AVIF and HEIC files count only where there is
  nothing else: beside masks they are the pictures. (Reading one as a mask is refused, because these change values.)
- The name of a file without its suffix is the name of its frame; frames are in the natural order of these names.
- A number in the names that counts the frames is their place in time: masks of 00300, 00301 and 00310 alone leave eight
  frames out.
- The masks of a frame are one file, or a file in each of several folders that are named by the numbers of objects.
- Folders called ``Annotations``, ``masks`` or after a resolution may lie above them.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from PIL import Image

from covos.core.errors import AnnotationError
from covos.core.limits import limits
from covos.core.types import MaskArray
from covos.masks import read_binary_mask
from covos.media.images import IMAGE_SUFFIXES, LOSSY_SUFFIXES, MASK_SUFFIXES, natural_key

MASKS = "masks"
"""Folder of the masks that a run writes."""

_REPORT = "report.json"  # covos.runs.schema.REPORT: the room of runs lies above this one
_NUMBER = re.compile(r"(?P<before>.*?)(?P<number>\d{1,18})(?P<after>\D*)", re.DOTALL | re.ASCII)
_VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".mts", ".mxf", ".webm", ".wmv"})
_WRAPPERS = ("Annotations", "annotations", MASKS, "480p", "1080p", "Full-Resolution")


def mask_files(folder: Path) -> dict[str, Path]:
    """Return the mask files right in a folder, by frame name, in order; refuse two of one frame."""
    # One that is no file has its name, too, and is refused with its reason when it is read.
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and not entry.is_dir()]
    masks = [entry for entry in entries if entry.suffix.lower() in MASK_SUFFIXES]
    masks = masks or [entry for entry in entries if entry.suffix.lower() in LOSSY_SUFFIXES]
    files: dict[str, Path] = {}
    for path in sorted(masks, key=lambda path: (natural_key(path.stem), path.name)):
        if path.stem in files:
            raise _twice(folder, f"two masks of frame {path.stem}", files[path.stem], path)
        files[path.stem] = path
    return files


def object_files(folder: Path) -> dict[int, dict[str, Path]]:
    """Return the mask files in a folder with a numbered folder an object: object id to frame name to file, in order.

    Folders such as ``1`` and ``01`` are of one object, and refused.
    """
    folders: dict[int, Path] = {}
    for entry in sorted(folder.iterdir(), key=lambda entry: natural_key(entry.name)):
        if entry.name.isdecimal() and entry.is_dir() and mask_files(entry):
            number = int(entry.name)
            if number in folders:
                raise _twice(folder, f"two folders of object {number}", folders[number], entry)
            folders[number] = entry
    return {number: mask_files(entry) for number, entry in folders.items()}


def frames_of(objects: Mapping[int, Mapping[str, Path]]) -> tuple[str, ...]:
    """Return the names of the frames that any object has a file for, in order."""
    return tuple(sorted({stem for files in objects.values() for stem in files}, key=natural_key))


def places_of(stems: Sequence[str]) -> list[int]:
    """Return the place in time of each frame, from 0 for the first.

    It goes by the last number in the names, if all else in them is the same, and else by their order.

    Args:
        stems: Names of the frames, in order.
    """
    found = [match for stem in stems if (match := _NUMBER.fullmatch(stem))]
    numbers = [int(match["number"]) for match in found]
    is_count = len(found) == len(stems) and len({(match["before"], match["after"]) for match in found}) == 1
    if not is_count or any(one >= other for one, other in pairwise(numbers)):
        return list(range(len(stems)))
    places = [number - numbers[0] for number in numbers]
    return places if places[-1] < limits().frames else list(range(len(stems)))  # a clock's time is no frame's number


def pictures_near(masks: Path) -> str | None:
    """Return the pictures that a folder of masks seems to be of, as a source; None if there are none, or several.

    These are the JPEG files beside the masks, or the pictures in colour of a folder beside theirs, if all the masks'
    names are there; else the one video that lies beside the folder.
    """
    masks = masks if masks.name not in {"", ".."} else masks.resolve()
    stems = set(mask_files(masks))
    objects = {} if stems else object_files(masks)
    stems |= set(frames_of(objects))
    named: dict[str, set[str]] = {}
    for entry in _entries(masks):
        if entry.suffix.lower() in LOSSY_SUFFIXES:
            named.setdefault(f"{glob.escape(str(masks))}/*{entry.suffix}", set()).add(entry.stem)
    places = [Path(*("JPEGImages" if part == "Annotations" else part for part in masks.parts))]
    beside = _entries(masks.absolute().parent)
    places += [masks.parent / entry.name for entry in beside if entry.is_dir()]
    for place in dict.fromkeys(places):
        pictures = [each for each in _entries(place) if each.suffix.lower() in IMAGE_SUFFIXES]
        if place != masks and pictures and not _is_mask(pictures[0]):
            named[str(place)] = {each.stem for each in pictures}
    fitting = [place for place, names in named.items() if stems and stems <= names]
    videos = [str(masks.parent / entry.name) for entry in beside if entry.suffix.lower() in _VIDEOS]
    found = fitting or videos
    return found[0] if len(found) == 1 else None


def _is_mask(path: Path) -> bool:
    """Tell if a picture has no colours of its own, as masks have none."""
    try:
        with Image.open(path) as image:
            return image.mode in {"1", "L", "P", "I", "I;16"}
    except OSError:
        return False


def _entries(folder: Path) -> list[Path]:
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []


def read_objects_of(objects: Mapping[int, Mapping[str, Path]], stem: str) -> dict[int, MaskArray]:
    """Read the masks of a frame from `object_files`, by object id; refuse those of different sizes."""
    paths = {number: files[stem] for number, files in objects.items() if stem in files}
    masks = {number: read_binary_mask(path) for number, path in paths.items()}
    sizes = sorted({mask.shape for mask in masks.values()})
    if len(sizes) > 1:
        folder = next(iter(paths.values())).parents[1]
        raise AnnotationError(
            f"{folder}: the objects' masks of frame {stem} differ in size",
            why=" and ".join(f"{width}x{height}" for height, width in sizes),
            fix="export all objects at the size of the frames",
        )
    return masks


def masks_home(folder: Path) -> Path:
    """Return the folder in which masks or sequences lie, below folders that only say what is in them."""
    while is_run(folder) or not mask_files(folder):
        wrappers = [folder / name for name in _WRAPPERS if (folder / name).is_dir()]
        if len(wrappers) > 1:
            raise AnnotationError(
                f"{folder} holds several sets of masks",
                why=", ".join(wrapper.name for wrapper in wrappers),
                fix="give one of these folders",
            )
        if not wrappers:
            break
        folder = wrappers[0]
    return folder


def is_run(folder: Path) -> bool:
    """Return True if covos wrote the folder: pictures beside its masks, such as a contact sheet, are no masks."""
    return (folder / _REPORT).is_file() and (folder / MASKS).is_dir()


def _twice(folder: Path, what: str, first: Path, second: Path) -> AnnotationError:
    return AnnotationError(
        f"{folder} holds {what}", why=f"{first.name} and {second.name}", fix="keep one of them there"
    )
