"""What each part of covos-lite's inference is worth: J and F with a part changed at a time, on annotated videos.

    python benchmarks/accuracy.py --data DAVIS_ROOT [--subset val_open] [--model covos-lite] [--every 5]

For each row: J and F (means over the frames of a sequence, then over sequences; every so many frames) and the
milliseconds a frame in the engine, without decoding and scoring. The first row is what `covos segment` does. Other
rows change the number of references, leave the motion out, or change the area at which frames are encoded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from covos.data import Dataset, open_dataset
from covos.engines import UnsupervisedEngine
from covos.engines.defaults import DEFAULT_AREA, DEFAULT_REFERENCES
from covos.models.lite import CovosLite, Features
from covos.models.registry import build_network, find_model
from covos.runtime.device import resolve_device
from covos.runtime.precision import choose_precision
from covos.runtime.threads import configure_threads
from covos.training.validate import frames_of, measure
from covos.types import Frame

AREAS = (192 * 320, 320 * 576, 384 * 672)
SPEED_FRAMES = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting."""

    name: str
    references: int = DEFAULT_REFERENCES
    motion: bool = True
    area: int = DEFAULT_AREA


def rows() -> Iterator[Row]:
    """The default, and what differs from it in one thing."""
    yield Row(name="as shipped")
    for references in (0, 1, 2, 10):
        yield Row(name=f"references {references}", references=references)
    yield Row(name="without motion", motion=False)
    yield Row(name="without motion, references 0", motion=False, references=0)
    for area in AREAS:
        yield Row(name=f"area {area // 1000}k pixels", area=area)


def milliseconds(engine: UnsupervisedEngine[Features], dataset: Dataset, references: int) -> float:
    """Of one frame, over a few frames of the first video, decoded beforehand."""
    frames: list[Frame] = list(frames_of(dataset.videos[0].frames[:SPEED_FRAMES]))
    known = engine.remember(engine.observe(frames[: references + 1], wanted=range(references)))
    best = float("inf")
    for _ in range(2):
        began = time.perf_counter()
        for _ in engine.stream(engine.observe(frames), known):
            pass
        best = min(best, time.perf_counter() - began)
    return 1000 * best / len(frames)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--subset", default="val_open")
    parser.add_argument("--model", default="covos-lite")
    parser.add_argument("--every", type=int, default=5)
    parser.add_argument("--rows", type=int, default=100, help="only the first so many")
    options = parser.parse_args()

    configure_threads()
    device = resolve_device("auto")
    precision = choose_precision(device, "auto")
    network = build_network(find_model(options.model))
    if not isinstance(network, CovosLite):
        raise SystemExit(f"{options.model} is not a covos-lite")
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    dataset = open_dataset(options.data, subset=options.subset)
    print(f"{options.model}, {device}, {precision}, {options.subset}, every {options.every}th frame")
    print(f"{'':30} {'J':>6} {'F':>6} {'ms':>6}  J by sequence")
    for row in list(rows())[: options.rows]:
        network.uses_motion = row.motion
        engine = UnsupervisedEngine(network, device=device, precision=precision, area=row.area, batch=4)
        score = measure(engine, dataset, references=row.references, every=options.every)
        speed = milliseconds(engine, dataset, row.references)
        each = "  ".join(f"{name} {j:.3f}" for name, (j, _) in score.sequences.items())
        print(f"{row.name:30} {score.j:6.3f} {score.f:6.3f} {speed:6.1f}  {each}", flush=True)


if __name__ == "__main__":
    main()
