"""Small trees of each layout, made of plain frames."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from covos.masks.label_files import write_label_map

HEIGHT, WIDTH = 12, 16
TIANCHI = Path(__file__).parents[1] / "fixtures" / "tianchi"


class Tree:
    """Writes files below a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, path: str, *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
        target = self._new(path)
        Image.fromarray(np.full((*size, 3), 90, np.uint8)).save(target)
        return target

    def labels(self, path: str, ids: Iterable[int] = (1,), *, size: tuple[int, int] = (HEIGHT, WIDTH)) -> Path:
        """A palette PNG: a column of its own for each id."""
        target = self._new(path)
        labels = np.zeros(size, np.uint8)
        for column, number in enumerate(ids):
            labels[2:8, 1 + 3 * column : 4 + 3 * column] = number
        write_label_map(target, labels)
        return target

    def grey(self, path: str, values: NDArray[np.uint8]) -> Path:
        target = self._new(path)
        Image.fromarray(values).save(target)
        return target

    def binary(self, path: str) -> Path:
        values = np.zeros((HEIGHT, WIDTH), np.uint8)
        values[3:9, 4:10] = 255
        return self.grey(path, values)

    def soft(self, path: str) -> Path:
        values = np.zeros((HEIGHT, WIDTH), np.uint8)
        values[3:9] = np.linspace(0, 255, WIDTH).astype(np.uint8) // 17 * 17
        return self.grey(path, values)

    def text(self, path: str, content: str | bytes) -> Path:
        target = self._new(path)
        target.write_bytes(content.encode() if isinstance(content, str) else content)
        return target

    def video(self, images: str, annotations: str, *, frames: int = 4, annotated: Iterable[int] | None = None) -> None:
        for number in range(frames):
            self.image(f"{images}/{number:05}.jpg")
        for number in range(frames) if annotated is None else annotated:
            self.labels(f"{annotations}/{number:05}.png", (1, 2))

    def davis(self, *names: str, year: str = "2017", resolution: str = "480p") -> None:
        for name in names:
            self.video(f"JPEGImages/{resolution}/{name}", f"Annotations/{resolution}/{name}")
        self.text(f"ImageSets/{year}/train.txt", "\n".join(names) + "\n")

    def youtube(self, subset: str, name: str, *, late: str = "00010") -> None:
        for number in range(0, 20, 5):
            self.image(f"{subset}/JPEGImages/{name}/{number:05}.jpg")
        self.labels(f"{subset}/Annotations/{name}/00000.png", (1,))
        self.labels(f"{subset}/Annotations/{name}/{late}.png", (1, 2))
        meta = self.root / subset / "meta.json"
        videos = json.loads(meta.read_text())["videos"] if meta.exists() else {}
        objects = {
            "1": {"category": "person", "frames": ["00000", late]},
            "2": {"category": "dog", "frames": [late]},
        }
        self.text(f"{subset}/meta.json", json.dumps({"videos": videos | {name: {"objects": objects}}}))

    def pictures(self, *names: str, images: str = "images", masks: str = "masks") -> None:
        for name in names:
            self.image(f"{images}/{name}.jpg")
            self.binary(f"{masks}/{name}.png")

    def _new(self, path: str) -> Path:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        return target


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "set")


@pytest.fixture
def tianchi() -> Path:
    return TIANCHI
