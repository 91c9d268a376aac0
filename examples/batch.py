"""Work through several clips that a table lists, by several processes or by the machines of a Ray cluster.

python examples/batch.py                                  # two parts of the example clip, into out/batch
python examples/batch.py --ray local                      # the same, on Ray: pip install '.[ray]'
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import covos

CLIP = Path(__file__).with_name("car.mp4")

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--clip", type=Path, default=CLIP)
parser.add_argument("--output", type=Path, default=Path("out/batch"))
parser.add_argument("--start", type=int, default=0, help="the first frame")
parser.add_argument("--end", type=int, default=60, help="the frame that ends the part")
parser.add_argument("--ray", help="address of a Ray cluster, or local")
given = parser.parse_args()

given.output.mkdir(parents=True, exist_ok=True)
half = (given.start + given.end) // 2
with (given.output / "clips.csv").open("w", newline="", encoding="utf-8") as file:
    table = csv.writer(file)
    table.writerow(["input", "name", "start", "end"])
    table.writerow([given.clip.resolve(), "first", f"f{given.start}", f"f{half}"])
    table.writerow([given.clip.resolve(), "second", f"f{half}", f"f{given.end}"])

batch = covos.Batch(given.output / "clips.csv", given.output, workers=2, ray=given.ray, formats=("overlay",))
done = batch.run(listen=lambda row: print(f"{row.name}: {row.status}, {row.frames} frames", flush=True))
print(done.summary)
