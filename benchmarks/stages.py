"""The time of `covos segment` by stage, in this tree and in an older one in turn: processor ms a frame.

    python benchmarks/stages.py [--root OLDER] [--frames 150] [--runs 3] [--runtime openvino] [--quality fast] [CLIP]
    python benchmarks/stages.py --follow    # follows the disc in the clip of covos bench, in place of finding

Each run is a process of its own, which loads the model and does eight frames before it is measured. Without a clip, one
of 854 x 480 is made out of the example. The numbers are the least of all runs: other work on a machine adds to the time
of a processor, too, by its caches, and never takes from it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from covos.bench.clips import make_clip as make_disc
from recorded import keep

HERE = Path(__file__).parents[1]

RUN = """
import importlib.util, json, os, sys, tempfile
import cv2, torch
import covos
from covos.job import Job
from covos.model_loading import load_planned
from covos.plan import Plan
from covos.task import Find, Follow
found = importlib.util.spec_from_file_location("stages", sys.argv[3])
stages = importlib.util.module_from_spec(found)
found.loader.exec_module(stages)
stages._PACKAGE = os.path.dirname(covos.__file__) + os.sep
torch.set_num_threads(1)
cv2.setNumThreads(1)
quality, mask = sys.argv[4:]
task = Follow(prompts=[{"file": mask}], quality=quality) if mask else Find(quality=quality)
given = dict(source=sys.argv[1], runtime=sys.argv[2], task=task, device="cpu")
model = load_planned(Plan(**given))
with tempfile.TemporaryDirectory() as folder:
    Job(Plan(range=range(8), **given), folder + "/warm", load=lambda plan: model).run()
    with stages.Profile() as profile:
        saved = Job(Plan(**given), folder + "/out", load=lambda plan: model).run()
each = {name: seconds / saved.frames * 1e3 for name, seconds in profile.seconds.items()}
print(json.dumps({"all, without the profile": sum(each.values()), **each}))
"""


def measured(root: Path, clip: Path, *, runtime: str, quality: str, mask: Path | None) -> dict[str, float]:
    """Processor milliseconds a frame of each stage, by the code of a tree; a mask's object is followed."""
    profile = HERE / "src" / "covos" / "bench" / "profile.py"
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(clip), runtime, str(profile), quality, str(mask or "")],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip", nargs="?", type=Path)
    parser.add_argument("--root", type=Path, action="append", default=[], help="older tree; repeatable")
    parser.add_argument("--frames", type=int, default=150, help="of the clip that is made")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--quality", default="balanced")
    parser.add_argument("--follow", action="store_true", help="follow an object, in a clip of its own")
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    options = parser.parse_args()
    roots = [*options.root, HERE]
    runs: dict[Path, list[dict[str, float]]] = {root: [] for root in roots}
    with tempfile.TemporaryDirectory() as folder:
        clip, mask = options.clip, None
        if options.follow:
            clip = Path(folder) / "disc.mp4"
            mask = make_disc(clip, frames=options.frames, size=(854, 480))
        elif clip is None:
            from segment import make_clip

            clip = Path(folder) / "clip.mp4"
            make_clip(clip, options.frames)
        for _ in range(options.runs):
            for root in roots:
                own = measured(root, clip.resolve(), runtime=options.runtime, quality=options.quality, mask=mask)
                runs[root].append(own)
    print(f"{'processor ms a frame':32}" + "".join(f"{root.resolve().name[:14]:>15}" for root in roots))
    stages = dict.fromkeys(stage for root in roots for run in runs[root] for stage in run)
    rows: list[list[str | float]] = []
    for stage in stages:
        least = [min(run.get(stage, 0.0) for run in runs[root]) for root in roots]
        rows.append([stage, *least])
        print(f"{stage:32}" + "".join(f"{number:15.1f}" for number in least))
    columns = ["processor ms a frame", *(root.resolve().name for root in options.root), "now"]
    name = f"follow_{options.quality}" if options.follow else options.quality
    keep(options.json, name, columns=columns, rows=rows, digits=[0, *[1] * len(roots)])


if __name__ == "__main__":
    main()
