"""What the three video layouts share: a folder of images a video, and a folder of annotations of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from covos.data.base import Encoding, ObjectInfo, Video
from covos.data.encoding import detect_encoding
from covos.data.scan import pair, pictures, subfolders

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def present(images: Path, annotations: Path) -> set[str]:
    """Names of the videos that have a folder of images or, in a tree of annotations alone, of annotations."""
    return set(subfolders(images)) or set(subfolders(annotations))


def read_sequences(
    subsets: Mapping[str, str | None],
    *,
    images: Path,
    annotations: Path,
    encoding: Encoding | None,
    objects: Mapping[str, Mapping[int, ObjectInfo]] | None = None,
) -> tuple[Video, ...]:
    """Pair the frames and annotations of videos.

    Args:
        subsets: Name of each video, in order, to its subset.
        images: Folder with one folder a video.
        annotations: Likewise; a video may lack one.
        encoding: Of the annotations; None looks at some of them.
        objects: Video name to what is known of its objects.

    Raises:
        SourceError: Two files of a folder share a stem.
        AnnotationError: The annotations are of different kinds.
    """
    paired = {name: pair(pictures(images / name), pictures(annotations / name)) for name in subsets}
    if encoding is None:
        masks = [frame.annotation for frames, _ in paired.values() for frame in frames if frame.annotation]
        encoding = detect_encoding(masks, root=annotations)
    return tuple(
        Video(
            name=name,
            frames=frames,
            encoding=encoding,
            objects=(objects or {}).get(name, {}),
            subset=subsets[name],
            extra=extra,
        )
        for name, (frames, extra) in paired.items()
    )
