"""The file names by which annotations refer to pictures."""

from __future__ import annotations

import glob
from functools import cached_property
from pathlib import Path

from covos.media.images import IMAGE_SUFFIXES, natural_key
from covos.types import SourceInfo


class PictureNames:
    """Names of the frames' picture files, without folders.

    Those of a folder, a pattern or an image are the files' own. The frames of a video have none yet: they are called
    ``00000.jpg`` and so on, as DAVIS and YouTube-VIS call theirs.
    """

    def __init__(self, info: SourceInfo) -> None:
        self._info = info

    def of(self, stem: str) -> str:
        """The name of the picture of a frame."""
        return self._files.get(stem, f"{stem}.jpg")

    def stems(self) -> list[str]:
        """The frames' names in the order of the source, as reading it gives them."""
        return list(self._files) or [f"{index:05d}" for index in range(self._info.frame_count)]

    @cached_property
    def _files(self) -> dict[str, str]:
        if self._info.kind not in {"frames", "image"}:
            return {}
        path = Path(self._info.path)
        if path.is_dir():
            files = list(path.iterdir())
        elif path.exists():
            files = [path]
        else:
            # Path.glob takes no absolute patterns.
            files = [Path(match) for match in glob.glob(self._info.path, recursive=True)]  # noqa: PTH207
        images = [file for file in files if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")]
        return {file.stem: file.name for file in sorted(images, key=lambda file: (natural_key(str(file)), str(file)))}
