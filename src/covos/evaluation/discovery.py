"""Find the sequences of masks under a path, in whatever way they were laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.errors import AnnotationError
from covos.evaluation.mask_sequence import MaskFolder, ObjectFolders
from covos.evaluation.mask_video import VIDEO_SUFFIXES, MaskVideo
from covos.evaluation.refusals import listed
from covos.media.images import natural_key
from covos.outputs.palette import MASKS
from covos.outputs.report import REPORT

if TYPE_CHECKING:
    from pathlib import Path

    from covos.evaluation.mask_sequence import MaskSequence

_LOSSLESS_SUFFIXES = frozenset({".bmp", ".png", ".tif", ".tiff", ".webp"})
_LOSSY_SUFFIXES = frozenset({".jpeg", ".jpg"})
_WRAPPERS = ("Annotations", "annotations", "masks", "480p", "1080p", "Full-Resolution")


def find_sequences(root: Path) -> dict[str, MaskSequence]:
    """All sequences of masks under a path, by name, in natural order.

    The path is one of: a video of masks; a folder with one mask file a frame; a folder whose entries are sequences,
    each a folder of files, a folder with one numbered folder an object, or a video. Folders called ``Annotations``,
    ``masks`` or after a resolution may lie in between.

    Raises:
        AnnotationError: There is nothing at the path, or no masks under it.
        SourceError: A video cannot be read.
    """
    if root.is_file():
        return {root.stem: MaskVideo.open(root, name=root.stem)}
    if not root.is_dir():
        raise AnnotationError(f"{root} does not exist", why="there is no such file or folder", fix="check the path")
    home = unwrapped(root)
    if (files := mask_files(home)) is not None:
        return {root.name: MaskFolder(name=root.name, folder=home, files=files)}
    found: dict[str, MaskSequence] = {}
    for entry in sorted(home.iterdir(), key=lambda entry: natural_key(entry.name)):
        if entry.name.startswith("."):
            continue
        sequence = _sequence(entry)
        if sequence is None:
            continue
        if sequence.name in found:
            raise AnnotationError(
                f"{home} holds two sequences called {sequence.name}",
                why=f"both {found[sequence.name].where} and {sequence.where} give masks for it",
                fix="keep one of them there",
            )
        found[sequence.name] = sequence
    if not found:
        raise AnnotationError(
            f"{root} holds no masks",
            why="there are no mask files (png, bmp, tif, webp) in it, one folder down or one folder an object",
            fix="give the folder that holds the masks, or one folder of masks a sequence",
        )
    return found


def object_folders(folder: Path, *, name: str) -> ObjectFolders | None:
    """A folder whose entries are one numbered folder an object, as one sequence; None if it is not that."""
    files = {
        int(entry.name): masks
        for entry in sorted(folder.iterdir(), key=lambda entry: natural_key(entry.name))
        if entry.name.isdecimal() and entry.is_dir() and (masks := mask_files(entry)) is not None
    }
    if not files:
        return None
    stems = {stem for masks in files.values() for stem in masks}
    return ObjectFolders(name=name, folder=folder, files=files, stems=tuple(sorted(stems, key=natural_key)))


def mask_files(folder: Path) -> dict[str, Path] | None:
    """The mask files right in a folder, by frame name, in natural order; None if there are none.

    JPEG files count only where there is nothing else: beside masks they are the pictures.

    Raises:
        AnnotationError: Two files are masks of one frame.
    """
    entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_file()]
    masks = [entry for entry in entries if entry.suffix.lower() in _LOSSLESS_SUFFIXES]
    masks = masks or [entry for entry in entries if entry.suffix.lower() in _LOSSY_SUFFIXES]
    files: dict[str, Path] = {}
    for path in sorted(masks, key=lambda path: (natural_key(path.stem), path.name)):
        if path.stem in files:
            raise AnnotationError(
                f"{folder} holds two masks of frame {path.stem}",
                why=f"{files[path.stem].name} and {path.name}",
                fix="keep one of them there",
            )
        files[path.stem] = path
    return files or None


def unwrapped(folder: Path) -> Path:
    """The folder in which the sequences or files lie, below folders that only say what is in them.

    Raises:
        AnnotationError: There are several of these, such as two resolutions.
    """
    while mask_files(folder) is None or _is_result(folder):
        wrappers = [folder / name for name in _WRAPPERS if (folder / name).is_dir()]
        if len(wrappers) > 1:
            raise AnnotationError(
                f"{folder} holds several sets of masks",
                why=listed(wrapper.name for wrapper in wrappers),
                fix="give one of these folders",
            )
        if not wrappers:
            break
        folder = wrappers[0]
    return folder


def _is_result(folder: Path) -> bool:
    """Whether covos wrote it: pictures beside the masks, such as a contact sheet, are none then."""
    return (folder / REPORT).is_file() and (folder / MASKS).is_dir()


def _sequence(entry: Path) -> MaskSequence | None:
    if entry.is_file():
        is_video = entry.suffix.lower() in VIDEO_SUFFIXES
        return MaskVideo.open(entry, name=entry.stem) if is_video else None
    within = (entry / MASKS).is_dir() and (mask_files(entry) is None or _is_result(entry))
    home = entry / MASKS if within else entry
    if (files := mask_files(home)) is not None:
        return MaskFolder(name=entry.name, folder=home, files=files)
    return object_folders(home, name=entry.name)
