"""Score two results against the same masks, and say if one is better by more than chance.

python examples/evaluate.py                               # two qualities of covos, into out/evaluate

No masks of the example clip were painted by hand. Those of ``quality="best"`` stand for them here, so the numbers show
how to read scores, not how good anything is.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import covos
from covos.evaluation import comparison_table

CLIP = Path(__file__).with_name("car.mp4")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--clip", type=Path, default=CLIP)
parser.add_argument("--output", type=Path, default=Path("out/evaluate"))
parser.add_argument("--start", type=int, default=0, help="the first frame")
parser.add_argument("--end", type=int, default=60, help="the frame that ends the part")
given = parser.parse_args()

half = (given.start + given.end) // 2
parts = {"part1": range(given.start, half), "part2": range(half, given.end)}
for quality in ("best", "fast", "draft"):
    for name, part in parts.items():  # each part is a sequence: a folder with a mask for each frame
        result = covos.segment(given.clip, range=part, quality=quality)
        result.save(given.output / quality / name, formats=["palette"], overwrite=True)

scores = {
    name: covos.evaluate(given.output / name, given.output / "best", protocol="davis2016-all")
    for name in ("fast", "draft")
}
print(comparison_table(list(scores.values()), names=list(scores)))
(given.output / "scores.md").write_text(scores["draft"].table("markdown"), encoding="utf-8")
