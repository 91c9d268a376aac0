"""Folders of pictures and single stills, seeded damage to them, and what a plain reader makes of each picture."""

from __future__ import annotations

import io
import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from faults.media_mutants import INPUTS, mutant

COUNT = 8
"""Pictures of a folder."""
SIZE = (48, 64)
_JPEG, _END_OF_JPEG = b"\xff\xd8", b"\xff\xd9"
_FORMATS = ("AVIF", "BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureKind:
    """One kind of picture.

    Attributes:
        suffix: Of its name.
        options: Of Pillow's writer.
        mode: Pillow's mode of its pixels.
        is_checked: True if its format has checksums, so that no pixel changes without a word.
    """

    suffix: str
    options: dict[str, Any] = field(default_factory=dict)
    mode: str = "RGB"
    is_checked: bool = False


KINDS = {
    "png": PictureKind(suffix="png", is_checked=True),
    "png, palette": PictureKind(suffix="png", mode="P", is_checked=True),
    "png, alpha": PictureKind(suffix="png", mode="RGBA", is_checked=True),
    "png, 16 bits": PictureKind(suffix="png", mode="I;16", is_checked=True),
    "jpg": PictureKind(suffix="jpg"),
    "jpg, progressive": PictureKind(suffix="jpg", options={"progressive": True}),
    "webp": PictureKind(suffix="webp"),
    "webp, lossless": PictureKind(suffix="webp", options={"lossless": True}),
    "webp, alpha": PictureKind(suffix="webp", mode="RGBA"),
    "avif": PictureKind(suffix="avif"),
    "tiff": PictureKind(suffix="tiff"),
    "tiff, lzw": PictureKind(suffix="tiff", options={"compression": "tiff_lzw"}),
    "tiff, jpeg": PictureKind(suffix="tiff", options={"compression": "jpeg"}),
    "bmp": PictureKind(suffix="bmp"),
    "ppm": PictureKind(suffix="ppm"),
}
BYTES, GONE, EMPTY, LINK, FOLDER, OTHER_SIZE = (
    "its bytes", "gone", "empty", "a link to nothing", "a folder", "of another size",
)  # fmt: skip
CHANGES = (BYTES, BYTES, BYTES, BYTES, GONE, EMPTY, LINK, FOLDER, OTHER_SIZE)
"""Things that become of a picture in a folder; its bytes change most often."""


def write_picture(path: Path, kind: PictureKind, index: int, *, size: tuple[int, int] = SIZE) -> None:
    """Write an intact picture."""
    pixels = INPUTS.picture(index, size)
    if kind.mode == "I;16":
        image = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
    else:
        image = Image.fromarray(pixels).convert("RGB")
        if kind.mode == "RGBA":
            alpha = np.full(size, 255, np.uint8)
            alpha[: size[0] // 4] = 128
            image.putalpha(Image.fromarray(alpha))
        elif kind.mode == "P":
            image = image.quantize(64)
    image.save(path, **kind.options)


def make_pictures(kind: PictureKind, folder: Path, *, count: int = COUNT) -> list[Path]:
    """Write intact pictures, named by their numbers, into a new folder; return their paths."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    paths = [folder / f"{index:04d}.{kind.suffix}" for index in range(count)]
    for index, path in enumerate(paths):
        write_picture(path, kind, index)
    return paths


def damage_pictures(paths: list[Path], kind: PictureKind, seed: str) -> tuple[str, set[int]]:
    """Damage one to three pictures of a folder; return how, and the numbers of those that are gone."""
    chance = random.Random(seed)
    made, gone = [], set()
    for index in sorted(chance.sample(range(len(paths)), chance.choice((1, 1, 2, 3)))):
        # More than one of another size is another folder.
        left = [each for each in CHANGES if each != OTHER_SIZE or not any(OTHER_SIZE in each for each in made)]
        path, change = paths[index], chance.choice(left)
        content = path.read_bytes()
        path.unlink()
        if change == BYTES:
            change, content = mutant(content, f"{seed}/{index}")
            path.write_bytes(content)
        elif change == GONE:
            gone.add(index)
        elif change == EMPTY:
            path.touch()
        elif change == LINK:
            path.symlink_to("nowhere")
        elif change == FOLDER:
            path.mkdir()
        else:
            write_picture(path, kind, index, size=(SIZE[0] + 6, SIZE[1]))
        made.append(f"{index}: {change}")
    return "; ".join(made), gone


def read_plainly(path: Path, *, completed: bool = False) -> NDArray[np.uint8] | None:
    """Return the pixels that Pillow gives of a picture, H x W x C; None if it gives none.

    ``completed`` gives a JPEG the mark of its end, which it may lack.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return None
    return _decoded(content + _END_OF_JPEG if completed and content[:2] == _JPEG else content)


def _decoded(content: bytes) -> NDArray[np.uint8] | None:
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
                return None
            image.load()
            if image.mode.startswith("I"):
                return np.asarray(image).astype(np.uint16).view(np.uint8).reshape(*image.size[::-1], -1)
            return np.asarray(image.convert("RGBA"))
    except Exception:
        return None
