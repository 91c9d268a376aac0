"""Make the moving picture of the README from the example clip: the source, what is found, and a new background.

    python docs/tools/film.py                  # docs/pictures/demo.webp

The background is drawn here, so everything but the clip is our own. The clip is by the Intel IoT Developer Kit
(`examples/ATTRIBUTION.md`).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

import covos
from covos.core.types import ImageArray
from covos.masks import draw_overlay
from covos.media.opening import open_source

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "car.mp4"
PART = range(8, 52)
"""The frames that show a car."""
WIDTH, GAP, QUALITY = 400, 4, 72


def main() -> None:
    """Write the film."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs" / "pictures" / "demo.webp")
    asked = parser.parse_args()
    result = covos.segment(EXAMPLE, range=PART, quality="best", matte=True)
    with open_source(EXAMPLE) as source:
        pictures = [frame.image for frame in source.select(list(PART))]
    behind = composed(result, pictures[0].shape[:2])
    rows = [
        np.hstack([_small(each) for each in (picture, draw_overlay(picture, mask.labels), new)])[:, :-GAP]
        for picture, mask, new in zip(pictures, result, behind, strict=True)
    ]
    first, *others = (Image.fromarray(row) for row in rows)
    first.save(asked.output, save_all=True, append_images=others, duration=80, loop=0, quality=QUALITY, method=6)
    print(f"{asked.output}: {len(rows)} frames, {asked.output.stat().st_size / 1e6:.2f} MB")


def composed(result: covos.Segmentation, size: tuple[int, int]) -> list[ImageArray]:
    """Return the subject before the new background, as the format ``background`` writes it."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "background.png"
        Image.fromarray(dusk(size)).save(drawn)
        composition = covos.Composition(background=str(drawn), light_wrap="0.5%")
        result.save(Path(folder) / "new.mp4", composition=composition)
        with open_source(Path(folder) / "new.mp4") as source:
            return [frame.image for frame in source]


def dusk(size: tuple[int, int]) -> ImageArray:
    """Draw a street at dusk, seen from above: a sky of one colour into another, and the light of lamps."""
    height, width = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    share = (y / height)[..., None]
    sky = (1 - share) * np.array([58, 32, 104], np.float32) + share * np.array([226, 120, 84], np.float32)
    for place in (0.12, 0.5, 0.88):
        light = np.exp(-(((x / width - place) / 0.10) ** 2 + ((y / height - 0.3) / 0.22) ** 2))
        sky += 70 * light[..., None] * np.array([1.0, 0.85, 0.5], np.float32)
    stripes = (np.abs(x / width - 0.62 + 0.12 * y / height) < 0.006) & ((y // 36).astype(int) % 2 == 0)
    sky[stripes] += 60
    return np.clip(sky, 0, 255).astype(np.uint8)


def _small(image: ImageArray) -> ImageArray:
    """Return a picture at the width of a column, with a gap on its right."""
    height = round(image.shape[0] * WIDTH / image.shape[1])
    small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 0, 0, 0, GAP, cv2.BORDER_CONSTANT, value=(24, 24, 24))


if __name__ == "__main__":
    main()
