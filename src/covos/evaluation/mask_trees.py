"""Find the sequences of masks under a path, in whatever way they were laid out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from covos.core.errors import AnnotationError, listed
from covos.evaluation.objects import FrameMasks, LabelMasks, LayerMasks
from covos.formats.mask_pictures import MASKS
from covos.masks import read_binary_mask, read_label_map
from covos.masks.object_ids import ids_of_picture
from covos.media.images import natural_key
from covos.runs.schema import REPORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from covos.core.types import Frame, ImageArray, LabelArray


# The masks of one sequence on disk: a folder of files, a folder an object, or a video.


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMasks:
    """The masks of one frame and where they come from.

    Attributes:
        stem: The frame's name.
        where: The file, for messages.
        masks: The objects.
    """

    stem: str
    where: str
    masks: FrameMasks


class MaskSequence(Protocol):
    """The masks of one sequence, in order."""

    @property
    def name(self) -> str:
        """Name of the sequence."""
        ...

    @property
    def where(self) -> str:
        """Where it lies, for messages."""
        ...

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the frames that have a mask, in order."""
        ...

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one.

        Args:
            stems: Names out of ``self.stems``, in order.

        Raises:
            AnnotationError: A mask cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFolder:
    """One file a frame.

    Attributes:
        name: Name of the sequence.
        folder: Where the files lie.
        files: By frame name, in order.
    """

    name: str
    folder: Path
    files: Mapping[str, Path]

    @property
    def where(self) -> str:
        """The folder, for messages."""
        return str(self.folder)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the frames, in order."""
        return tuple(self.files)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one."""
        for stem in stems:
            path = self.files[stem]
            yield ReadMasks(stem=stem, where=str(path), masks=LabelMasks(read_label_map(path)))


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectFolders:
    """One folder an object, with one binary mask a frame in which the object is there.

    Attributes:
        name: Name of the sequence.
        folder: Where the folders lie.
        files: By object id, then by frame name.
        stems: Names of the frames that any object has, in order.
    """

    name: str
    folder: Path
    files: Mapping[int, Mapping[str, Path]]
    stems: tuple[str, ...]

    @property
    def where(self) -> str:
        """The folder, for messages."""
        return str(self.folder)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one."""
        for stem in stems:
            paths = {number: files[stem] for number, files in self.files.items() if stem in files}
            layers = {number: read_binary_mask(path).view(np.uint8) for number, path in paths.items()}
            sizes = sorted({mask.shape for mask in layers.values()})
            if len(sizes) > 1:
                raise AnnotationError(
                    f"{self.folder}: the objects' masks of frame {stem} differ in size",
                    why=" and ".join(f"{w}x{h}" for h, w in sizes),
                    fix="export all objects at the size of the frames",
                )
            masks = LayerMasks(layers, size=sizes[0])
            yield ReadMasks(stem=stem, where=str(next(iter(paths.values()))), masks=masks)


# Masks stored as a video: white on black, ids as greys, or the colours of the DAVIS palette.

VIDEO_SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})
_LOSSLESS = frozenset({"ffv1", "ffvhuff", "huffyuv", "png", "qtrle", "rawvideo", "utvideo"})
_GREY_IDS = 64  # greys from here up are colours of the palette (object 56), or half white
_COLOURED = 48  # how far the channels of a lossy white on black may be apart


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskVideo:
    """One picture a frame.

    A video whose codec keeps every value is read exactly. Other codecs blur values along contours: of these, only
    white on black is read, and what is at least half white is the object.

    Attributes:
        name: Name of the sequence.
        path: The video.
        stems: Names of its frames, in order; those of the ground truth once it is paired with one.
        positions: For each name, the index of its frame in the video.
        codec: Name of the video codec.
    """

    name: str
    path: Path
    stems: tuple[str, ...]
    positions: tuple[int, ...]
    codec: str

    @classmethod
    def open(cls, path: Path, *, name: str) -> MaskVideo:
        """Look at a video; its frames are named 00000, 00001 and so on.

        Raises:
            SourceError: It cannot be read.
        """
        from covos.media.opening import open_source

        with open_source(path) as source:
            count, codec = source.info.frame_count, source.info.codec
        stems = tuple(f"{index:05d}" for index in range(count))
        return cls(name=name, path=path, stems=stems, positions=tuple(range(count)), codec=codec)

    @property
    def where(self) -> str:
        """The file, for messages."""
        return str(self.path)

    @property
    def is_lossless(self) -> bool:
        """Whether the codec keeps every value."""
        return self.codec in _LOSSLESS

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one.

        Raises:
            AnnotationError: A frame is missing or damaged, or its colours are no masks.
        """
        from covos.media.opening import open_source

        index_of = dict(zip(self.stems, self.positions, strict=True))
        with open_source(self.path) as source:
            frames = source.select([index_of[stem] for stem in stems])
            for stem in stems:
                frame = next(frames, None)
                where = f"{self.path}, frame {index_of[stem]}"
                if frame is None or frame.index != index_of[stem] or frame.status != "ok":
                    raise AnnotationError(
                        f"{where} cannot be scored",
                        why="the frame is missing or damaged",
                        fix="export the masks again, as a folder of PNG files if need be",
                    )
                yield ReadMasks(stem=stem, where=where, masks=LabelMasks(self._labels(frame, where)))

    def _labels(self, frame: Frame, where: str) -> LabelArray:
        image = frame.image
        grey = np.ascontiguousarray(image[..., 0])
        if not self.is_lossless:
            return _thresholded(image, where)
        if not (image == image[..., :1]).all():
            return ids_of_picture(Image.fromarray(image), path=Path(where))
        between = grey[(grey >= _GREY_IDS) & (grey != 255)]
        return ids_of_picture(Image.fromarray(image), path=Path(where)) if between.size else grey


def _thresholded(image: ImageArray, where: str) -> LabelArray:
    spread = image.max(axis=2) - image.min(axis=2)
    if int(spread.max()) > _COLOURED:
        raise AnnotationError(
            f"{where} is coloured, in a video that does not keep colours",
            why="its codec changes values, so that ids cannot be told from its colours",
            fix="export masks of several objects as PNG files, or as a lossless video (FFV1)",
        )
    return np.where(image[..., 1] >= 128, np.uint8(255), np.uint8(0))


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
