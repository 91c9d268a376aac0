"""Put the subject of a clip before another background: a picture, a video or a colour.

python examples/composite.py                              # the cars over a blue wall, into out/composite
python examples/composite.py --background YOUR.mp4       # or over a video, a picture, "#204060"
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

import covos

CLIP = Path(__file__).with_name("car.mp4")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--clip", type=Path, default=CLIP)
parser.add_argument("--background", help="a picture, a video or a colour; without it, a picture is made")
parser.add_argument("--output", type=Path, default=Path("out/composite"))
parser.add_argument("--start", type=int, default=0, help="the first frame")
parser.add_argument("--end", type=int, default=60, help="the frame that ends the part")
given = parser.parse_args()

background = given.background
if background is None:
    given.output.mkdir(parents=True, exist_ok=True)
    background = str(given.output / "wall.png")
    shade = np.linspace(40, 220, 432, dtype=np.uint8)[:, None].repeat(768, axis=1)
    Image.fromarray(np.dstack([shade // 3, shade // 2, shade])).save(background)

result = covos.segment(given.clip, range=range(given.start, given.end))
composed = covos.Composition(background=background, light_wrap="1%")
saved = result.save(given.output / "result", formats=["background", "overlay"], composition=composed, overwrite=True)
print("\n".join(str(path) for path in saved.outputs))
