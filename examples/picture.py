"""Make the README's picture: frames of an overlay side by side.

    covos segment examples/car.mp4 -o out/demo
    python examples/picture.py out/demo/overlay.mp4 docs/pictures/demo.jpg --frames 18 24 30 36

The frames are numbered from 0.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from covos.masks import contact_sheet
from covos.media.opening import open_source


def main() -> None:
    """Read the frames, lay them out, write the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--frames", type=int, nargs="+", required=True)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--width", type=int, default=300, help="of one frame, in pixels")
    arguments = parser.parse_args()
    with open_source(arguments.video) as source:
        cells = [frame.image for frame in source.select(sorted(arguments.frames))]
    sheet = contact_sheet(cells, columns=arguments.columns, cell_width=arguments.width)
    arguments.picture.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(arguments.picture, quality=88)


if __name__ == "__main__":
    main()
