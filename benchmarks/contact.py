"""Draw a result for people to judge: hard edge beside matte, over a checkerboard, white and black, at a few frames.

    python benchmarks/contact.py CLIP -o sheet.png [--start 2 --end 4] [--point 320,200] [--frames 3]

Finds the subject of a clip, or follows what a point shows, with its matte. Draws a row for each of a few evenly spaced
frames, cropped to the subject: the picture, the mask with its hard edge over checks, and the matte over checks, white
and black, with the colours that formats with alpha write.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

import covos
from covos.core.types import ImageArray, ProbabilityArray
from covos.masks import contact_sheet
from covos.masks.foreground import foreground_colours
from covos.masks.frame_mask import FrameMask
from covos.media.opening import open_source
from covos.results.segmentation import Segmentation

GROUNDS = ("checks", "white", "black")
MARGIN = 24
LEAST = 160
"""Pixels of the shorter side of what is shown: an edge is judged by its pixels."""


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("-o", "--output", type=Path, required=True, help="a picture to write")
    parser.add_argument("--start", help="as of covos segment")
    parser.add_argument("--end", help="likewise")
    parser.add_argument("--point", help="X,Y of the first frame that is taken: follow what is there")
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("--width", type=int, default=320, help="of each picture")
    options = parser.parse_args()
    points = None if options.point is None else [tuple(map(float, options.point.split(",")))]
    part = covos.Range(start=options.start, end=options.end)
    result = covos.segment(options.clip, range=part, points=points, matte=True)
    write(options.output, sheet(result, options.clip, frames=options.frames, width=options.width))


def sheet(result: Segmentation, clip: str, *, frames: int, width: int) -> ImageArray:
    """Return the sheet of a clip's result that has a matte: H x W x 3 uint8 RGB."""
    seen = [mask for mask in result if mask.objects]
    if not seen:
        raise SystemExit("no frame has an object")
    chosen = [seen[round(place)] for place in np.linspace(0, len(seen) - 1, min(frames, len(seen)))]
    with open_source(clip) as source:
        pictures = [frame.image for frame in source.select([mask.number for mask in chosen])]
    cells: list[ImageArray] = []
    captions: list[str] = []
    for mask, picture in zip(chosen, pictures, strict=True):
        box, matte = _box(mask), mask.matte
        assert matte is not None, "it was asked for"
        hard = mask.mask.astype(np.float32)
        drawn = [picture, over(picture, hard, "checks"), *(over(picture, matte, ground) for ground in GROUNDS)]
        cells += [each[box] for each in drawn]
        captions += [f"frame {mask.number}", "hard edge", *(f"matte, {ground}" for ground in GROUNDS)]
    return contact_sheet(cells, columns=2 + len(GROUNDS), cell_width=width, captions=captions)


def _box(mask: FrameMask) -> tuple[slice, slice]:
    """Return the rows and columns of the subject, with some of what is around it."""
    rows, columns = (np.flatnonzero(mask.mask.any(axis)) for axis in (1, 0))
    spans = []
    for places, side in zip((rows, columns), mask.size, strict=True):
        middle, length = (places[0] + places[-1]) // 2, max(places[-1] - places[0] + 2 * MARGIN, LEAST)
        first = int(np.clip(middle - length // 2, 0, max(0, side - length)))
        spans.append(slice(first, min(side, first + int(length))))
    return spans[0], spans[1]


def over(image: ImageArray, opacity: ProbabilityArray, ground: str) -> ImageArray:
    """Lay the subject of a picture over a ground, with its own colours where it is mixed: H x W x 3 uint8 RGB."""
    rows, columns = np.indices(opacity.shape) // 12
    checks = np.where((rows + columns) % 2, 200.0, 120.0)
    behind = {"checks": checks, "white": np.full(opacity.shape, 255.0), "black": np.zeros(opacity.shape)}[ground]
    mixed = opacity[..., None] * foreground_colours(image, opacity) + (1 - opacity[..., None]) * behind[..., None]
    return np.asarray(np.rint(mixed), np.uint8)


def write(file: Path, picture: ImageArray) -> None:
    """Write a picture in the format that its name says; WebP with a loss that nobody sees."""
    quality = [cv2.IMWRITE_WEBP_QUALITY, 82] if file.suffix == ".webp" else []
    cv2.imwrite(str(file), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), quality)


if __name__ == "__main__":
    main()
