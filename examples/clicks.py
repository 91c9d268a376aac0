"""Follow the object under a click, correct it by a second click, and save both.

python examples/clicks.py                                 # the silver car of the example clip, into out/clicks
"""

from __future__ import annotations

import argparse
from pathlib import Path

import covos

CLIP = Path(__file__).with_name("car.mp4")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--clip", type=Path, default=CLIP)
parser.add_argument("--output", type=Path, default=Path("out/clicks"))
parser.add_argument("--start", type=int, default=0, help="the first frame")
parser.add_argument("--end", type=int, default=60, help="the frame that ends the part")
parser.add_argument("--frame", type=int, default=20, help="the frame that is clicked on")
parser.add_argument("--click", type=int, nargs=2, default=(190, 120), metavar=("X", "Y"))
parser.add_argument("--away", type=int, nargs=2, default=(300, 60), metavar=("X", "Y"), help="a pixel beside it")
given = parser.parse_args()
if not given.start <= given.frame < given.end - 2:
    parser.error("click on a frame of the part: --frame, and two more before --end")

with covos.load_model().session(given.clip, range=range(given.start, given.end)) as session:
    car = session.add_points(given.frame, points=[given.click]).object
    first = session.propagate("both")
    session.add_points(given.frame + 2, car, points=[given.away], labels=[0])  # two frames on, this pixel is not it
    corrected = session.propagate("both")

for name, result in (("first", first), ("corrected", corrected)):
    result.save(given.output / name, formats=["palette", "overlay"], overwrite=True)
    print(f"{given.output / name}: {sum(int(frame.mask.sum()) for frame in result)} pixels of object {car}")
