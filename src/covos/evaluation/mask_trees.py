"""Find the sequences of masks under a path, in whatever way they were laid out."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from covos.core.errors import AnnotationError
from covos.core.places import Place
from covos.core.types import Frame, LabelArray
from covos.evaluation.objects import FrameMasks, LabelMasks, LayerMasks
from covos.formats.mask_tree import MASKS, frames_of, is_run, mask_files, masks_home, object_files, read_objects_of
from covos.formats.table import FORMATS, load_format
from covos.masks import read_label_map
from covos.masks.object_ids import ids_of_picture
from covos.media.images import natural_key
from covos.media.listing import VIDEO_SUFFIXES
from covos.runs.folder import PROJECT

_SCORED_VIDEOS = ("matte-video",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadMasks:
    """Masks of one frame and where they come from."""

    stem: str
    where: str
    """The file, for messages."""
    masks: FrameMasks


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFolder:
    """A folder with one file a frame."""

    name: str
    where: Place
    files: Mapping[str, Place]
    """By frame name, in order."""

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
    """A folder with one folder an object, with one binary mask a frame in which the object is there."""

    name: str
    where: Path
    files: Mapping[int, Mapping[str, Path]]
    """By object id, then by frame name."""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the frames that any object has, in order."""
        return frames_of(self.files)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one."""
        for stem in stems:
            layers = {number: mask.view(np.uint8) for number, mask in read_objects_of(self.files, stem).items()}
            size = next(iter(layers.values())).shape
            where = next(str(files[stem]) for files in self.files.values() if stem in files)
            yield ReadMasks(stem=stem, where=where, masks=LayerMasks(layers, size=size))


_LOSSLESS = frozenset({"ffv1", "ffvhuff", "huffyuv", "png", "qtrle", "rawvideo", "utvideo"})
_GREY_IDS = 64  # greys from here up are colours of the palette (object 56), or half white
MASK_VIDEO_SUFFIXES = VIDEO_SUFFIXES - {".gif"}
"""Suffixes of videos of masks among others; a GIF beside masks is a preview of them."""
_COLOURED = 48  # how far the channels of a lossy white on black may be apart


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskVideo:
    """A video with one picture a frame: white on black, ids as greys, or the colours of the DAVIS palette.

    A video whose codec keeps every value is read exactly. Other codecs blur values along contours: of these, only
    white on black is read, and what is at least half white is the object.
    """

    name: str
    where: Path
    positions: Mapping[str, int]
    """Index in the video of each frame by its name, in order; the ground truth's names once it is paired with one."""
    codec: str

    @classmethod
    def open(cls, path: Path, *, name: str) -> MaskVideo:
        """Look at a video; its frames are named 00000, 00001 and so on."""
        from covos.media.opening import open_source

        with open_source(path) as source:
            count, codec = source.info.frame_count, source.info.codec
        return cls(name=name, where=path, positions={f"{index:05d}": index for index in range(count)}, codec=codec)

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the frames, in order."""
        return tuple(self.positions)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        """Read the masks of these frames one by one."""
        from covos.media.opening import open_source

        with open_source(self.where) as source:
            frames = source.select([self.positions[stem] for stem in stems])
            for stem in stems:
                frame = next(frames, None)
                where = f"{self.where}, frame {self.positions[stem]}"
                if frame is None or frame.index != self.positions[stem] or frame.status != "ok":
                    raise AnnotationError(
                        f"{where} cannot be scored",
                        why="the frame is missing or damaged",
                        fix="export the masks again, as a folder of PNG files if need be",
                    )
                yield ReadMasks(stem=stem, where=where, masks=LabelMasks(self._labels(frame, where)))

    def _labels(self, frame: Frame, where: str) -> LabelArray:
        image = frame.image
        if self.codec in _LOSSLESS:
            grey = np.ascontiguousarray(image[..., 0])
            are_ids = (grey < _GREY_IDS) | (grey == 255)
            if (image == image[..., :1]).all() and are_ids.all():
                return grey
            return ids_of_picture(Image.fromarray(image), path=Path(where))
        spread = image.max(axis=2) - image.min(axis=2)
        if int(spread.max()) > _COLOURED:
            raise AnnotationError(
                f"{where} is coloured, in a video that does not keep colours",
                why="its codec changes values, so its colours do not show the ids",
                fix="export masks of several objects as PNG files, or as a lossless video (FFV1)",
            )
        return np.where(image[..., 1] >= 128, np.uint8(255), np.uint8(0))


MaskSequence: TypeAlias = MaskFolder | ObjectFolders | MaskVideo
"""Masks of one sequence, in order. ``read`` takes names out of ``stems``, in order, and reads a frame at a time.

``where`` is the folder or file that they lie in.
"""


def find_sequences(root: Path) -> dict[str, MaskSequence]:
    """Return all sequences of masks under a path, by name, in natural order.

    The path is one of: a video of masks; a folder with one mask file a frame; a folder whose entries are sequences,
    each a folder of files, a folder with one numbered folder an object, or a video. `covos.formats.mask_tree` says
    what counts as a mask.
    """
    if root.is_file() and zipfile.is_zipfile(root):
        raise AnnotationError(
            f"{root} is an archive",
            why="masks are read from folders and videos",
            fix=f"unpack it: unzip {root.name} -d masks; or give the folder that covos predict packed it of",
        )
    if root.is_file():
        return {root.stem: MaskVideo.open(root, name=root.stem)}
    if not root.is_dir():
        if root.exists():
            raise AnnotationError(
                f"{root} holds no masks", why="it is a device or a pipe, no folder", fix="give a folder of masks"
            )
        raise AnnotationError(f"{root} does not exist", why="there is no such file or folder", fix="check the path")
    home = masks_home(root)
    if files := mask_files(home):
        return {root.name: MaskFolder(name=root.name, where=home, files=files)}
    # Those videos of a run that are not of masks, such as its overlay, are no sequences.
    run = (root / PROJECT).is_file()
    passed_over = set[str]()
    for name in (each for each in FORMATS if run and each not in _SCORED_VIDEOS):
        kind = load_format(name)
        passed_over |= {kind.output, *(f"{name}{suffix}" for suffix in kind.suffixes().values())}
    found: dict[str, MaskSequence] = {}
    for entry in sorted(home.iterdir(), key=lambda entry: natural_key(entry.name)):
        other = entry.name.startswith(".") or (entry.is_file() and entry.name in passed_over)
        sequence = None if other else _sequence(entry)
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
        if run:
            raise AnnotationError(
                f"{root} holds no masks",
                why="it is a run that wrote other formats",
                fix=f"make them of it, without the network: covos convert {root} -f palette; and score what that wrote",
            )
        raise AnnotationError(
            f"{root} holds no masks",
            why="there are no mask files (png, bmp, tif, webp) in it, one folder down or one folder an object",
            fix="give the folder that holds the masks, or one folder of masks a sequence",
        )
    return found


def single_sequence(root: Path, *, name: str) -> MaskSequence | None:
    """Return the masks right in a path as one sequence; None if they are of several, or none are there."""
    if root.is_file():
        return MaskVideo.open(root, name=name)
    return _in_folder(masks_home(root), name=name) if root.is_dir() else None


def _sequence(entry: Path) -> MaskSequence | None:
    if entry.is_file():
        is_video = entry.suffix.lower() in MASK_VIDEO_SUFFIXES
        return MaskVideo.open(entry, name=entry.stem) if is_video else None
    within = (entry / MASKS).is_dir() and (is_run(entry) or not mask_files(entry))
    return _in_folder(entry / MASKS if within else entry, name=entry.name)


def _in_folder(folder: Path, *, name: str) -> MaskSequence | None:
    if files := mask_files(folder):
        return MaskFolder(name=name, where=folder, files=files)
    objects = object_files(folder)
    return ObjectFolders(name=name, where=folder, files=objects) if objects else None
