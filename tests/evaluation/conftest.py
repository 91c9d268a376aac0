"""Small sets of masks on disk, and masks in memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from covos.evaluation.mask_trees import ReadMasks
from covos.evaluation.objects import LabelMasks
from covos.masks import davis_palette, write_label_map


class InMemory:
    """A mask sequence that was never on disk."""

    def __init__(self, frames: Sequence[np.ndarray], *, name: str = "memory") -> None:
        self.name = self.where = name
        self._frames = {f"{index:05d}": labels for index, labels in enumerate(frames)}
        self.stems = tuple(self._frames)

    def read(self, stems: Sequence[str]) -> Iterator[ReadMasks]:
        for stem in stems:
            yield ReadMasks(stem=stem, where=f"{self.name}/{stem}", masks=LabelMasks(self._frames[stem]))


class Masks:
    """Draws rectangles into label maps and writes them in one of the forms that people have."""

    size = (48, 64)

    def frame(self, objects: Mapping[int, tuple[int, int, int, int]]) -> np.ndarray:
        """Label map with these rectangles (y0, y1, x0, x1), by id."""
        labels = np.zeros(self.size, np.uint8)
        for number, (y0, y1, x0, x1) in objects.items():
            labels[y0:y1, x0:x1] = number
        return labels

    def moving(self, count: int = 6, *, speed: int = 2, ids: Sequence[int] = (1, 2)) -> list[np.ndarray]:
        """One object that moves to the right and one that stays."""
        return [
            self.frame({ids[0]: (4, 20, 4 + speed * t, 20 + speed * t), ids[1]: (28, 44, 30, 50)}) for t in range(count)
        ]

    def write(self, folder: Path, frames: Sequence[np.ndarray], *, form: str = "palette", start: int = 0) -> Path:
        """Write frames into a folder, named 00000 and so on."""
        folder.mkdir(parents=True, exist_ok=True)
        for index, labels in enumerate(frames, start=start):
            stem = f"{index:05d}"
            if form == "palette":
                write_label_map(folder / f"{stem}.png", labels)
            elif form == "grey":
                Image.fromarray(labels).save(folder / f"{stem}.png")
            elif form == "0/255":
                Image.fromarray(np.where(labels, 255, 0).astype(np.uint8)).save(folder / f"{stem}.png")
            elif form == "colours":
                Image.fromarray(davis_palette()[labels]).save(folder / f"{stem}.png")
            elif form == "objects":
                for number in np.unique(labels[labels > 0]):
                    (folder / f"{number:03d}").mkdir(exist_ok=True)
                    layer = np.where(labels == number, 255, 0).astype(np.uint8)
                    Image.fromarray(layer).save(folder / f"{number:03d}" / f"{stem}.png")
            else:
                raise ValueError(form)
        return folder


@pytest.fixture
def masks() -> Masks:
    return Masks()


@pytest.fixture
def in_memory() -> type[InMemory]:
    return InMemory
