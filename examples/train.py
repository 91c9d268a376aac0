"""Train covos-lite further on a folder of your own videos and masks, and segment a clip with the new weights.

python examples/train.py MY_FOLDER runs/mine               # 400 steps: pip install '.[train]'

MY_FOLDER holds a data set as docs/data.md lists them; the simplest is JPEGImages/VIDEO/00000.jpg with masks in
Annotations/VIDEO/00000.png. The same command goes on with a run that was stopped.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import covos
from covos.training import Console

CLIP = Path(__file__).with_name("car.mp4")


def main() -> None:
    """Train, say how good it became, and cut a clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with videos and masks")
    parser.add_argument("run", type=Path, help="folder for checkpoints, scores and weights")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--clip", type=Path, default=CLIP, help="clip to segment with the new weights")
    given = parser.parse_args()

    result = covos.train("lite-finetune", given.data, given.run, steps=given.steps, on_event=Console())
    if result.start is not None and result.best is not None:  # without videos that are held back, nothing is measured
        print(f"J on the videos that were held back: {result.start.j:.3f} before, {result.best.j:.3f} now")
    print(f"weights: {result.weights}")

    covos.segment(given.clip, model=result.weights).save(given.run / "cut", formats=["overlay"], overwrite=True)
    print(f"look at {given.run / 'cut' / 'overlay.mp4'}")


if __name__ == "__main__":  # processes that load the data import this file
    main()
