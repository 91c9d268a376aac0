"""The cost of each output format: time and space for 100 frames at 480p and 1080p, side by side in one run.

    python benchmarks/formats.py [--frames 20] [--rounds 2] [--formats webm prores ...] [--matte]

Takes frames of the example clip with the masks that the default model finds, scales both to each size, and gives the
same results to the writer of every format, one after the other, on the calling thread. Prints, for 100 frames and as
the best of the rounds, milliseconds by the clock, milliseconds of processor time (which a busy machine changes less,
and which encoders spread over their threads), megabytes, and bytes a pixel, from which `covos.formats.table` says
how large a result will be. `sheet` and `preview` sum a clip up in some frames, however long it is: theirs is the cost
of a clip of 48 frames. With ``--matte`` the results have mattes, and what it takes to find these is said first.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch

import covos
from covos.core.device import choose_precision
from covos.core.types import FrameResult, SourceInfo
from covos.engines.ladder import Ladder
from covos.engines.matting import load_matte_engine, matted
from covos.formats.carriers import CARRIERS
from covos.formats.summaries import SampledFormat
from covos.formats.table import FORMATS, make_writer, parse_format
from covos.media.opening import open_source
from covos.runs.folder import OutputFolder
from recorded import keep

EXAMPLE = Path(__file__).parents[1] / "examples" / "car.mp4"
SIZES = {"480p": (480, 854), "1080p": (1080, 1920)}
SUMMED = 48  # frames of the clip that is summed up: all are shown
# The last are the ways to write a picture without alpha, of all but the subject: nearly all of the picture's detail.
FURTHER = (
    "matte=16",
    "matte-video=prores",
    "matte-video=ffv1",
    "rgba=webp",
    *(f"green=invert,{name}" for name in CARRIERS),
)
FIRST = 15  # before it there is not much to see


def scaled(result: FrameResult, size: tuple[int, int]) -> FrameResult:
    """A result at another size."""
    shape = size[1], size[0]
    image = np.asarray(cv2.resize(result.frame.image, shape, interpolation=cv2.INTER_CUBIC), np.uint8)
    probability = np.asarray(cv2.resize(result.probability, shape, interpolation=cv2.INTER_LINEAR), np.float32)
    labels = np.asarray(cv2.resize(result.labels, shape, interpolation=cv2.INTER_NEAREST), np.uint8)
    return replace(result, frame=replace(result.frame, image=image), probability=probability, labels=labels)


def matted_results(results: list[FrameResult]) -> tuple[list[FrameResult], float]:
    """Results with their mattes, and the processor time that it took to find these."""
    device = torch.device("cpu")
    engine = load_matte_engine(ladder=Ladder(device=device, precision=choose_precision(device, "auto")))
    engine.find(results[0].frame.image, results[0].probability, index=-9)  # loaded and warm
    started = time.process_time()
    found = [each for each in matted(iter(results), lambda: engine) if isinstance(each, FrameResult)]
    return found, time.process_time() - started


def repeated(results: list[FrameResult], count: int) -> list[FrameResult]:
    """So many results, the given ones over and over."""
    named = ((index, results[index % len(results)]) for index in range(count))
    return [
        replace(each, frame=replace(each.frame, index=index, stem=f"{index:05d}", pts=index)) for index, each in named
    ]


def cost(name: str, info: SourceInfo, results: list[FrameResult]) -> tuple[float, float, int]:
    """Seconds by the clock, seconds of processor time, and bytes of writing the results in one format."""
    with tempfile.TemporaryDirectory() as place:
        folder = OutputFolder(Path(place) / "out")
        started, worked = time.perf_counter(), time.process_time()
        writer = make_writer(name, folder, info=info, source_path=EXAMPLE)
        for result in results:
            writer.write(result)
        writer.close()
        seconds, work = time.perf_counter() - started, time.process_time() - worked
        return seconds, work, sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--frames", type=int, default=20, help="frames to write")
    parser.add_argument("--rounds", type=int, default=2, help="times to write them; the fastest counts")
    parser.add_argument("--matte", action="store_true", help="write results that have mattes")
    parser.add_argument("--formats", nargs="+", default=[*FORMATS, *FURTHER])
    arguments = parser.parse_args()
    with open_source(EXAMPLE) as source:
        info = replace(source.info, has_audio=False)  # sound is copied: it costs the same everywhere
    found = list(islice(covos.stream(EXAMPLE), FIRST, FIRST + arguments.frames))
    finding = ["to find the matte"] if arguments.matte else []
    spent: dict[str, list[list[float]]] = {name: [] for name in [*finding, *arguments.formats]}
    for label, size in SIZES.items():
        results = [scaled(result, size) for result in found]
        if arguments.matte:
            results, work = matted_results(results)
            spent[finding[0]].append([1000 * work * 100 / len(results), 0.0])
            print(f"{label}: to find the mattes of 100 frames takes {spent[finding[0]][-1][0]:.0f} cpu ms")
        resized = replace(info, height=size[0], width=size[1])
        pixels = len(results) * size[0] * size[1]
        print(f"{label}: for 100 frames of {size[1]}x{size[0]}, from {len(results)}")
        print(f"  {'format':12} {'ms':>7} {'cpu ms':>7} {'MB':>8} {'bytes/pixel':>12}")
        for name in arguments.formats:
            sums_up = issubclass(parse_format(name)[0], SampledFormat)
            written = repeated(results, SUMMED) if sums_up else results
            outcomes = [cost(name, resized, written) for _ in range(arguments.rounds)]
            seconds, work, size_bytes = (min(column) for column in zip(*outcomes, strict=True))
            per_hundred = 1 if sums_up else 100 / len(results)
            spent[name].append([1000 * work * per_hundred, size_bytes * per_hundred / 1e6])
            print(
                f"  {name:12} {1000 * seconds * per_hundred:7.0f} {1000 * work * per_hundred:7.0f} "
                f"{size_bytes * per_hundred / 1e6:8.1f} "
                f"{size_bytes / pixels:12.3f}"
            )
    sizes = [f"{width}x{height}" for height, width in SIZES.values()]
    keep(
        arguments.json,
        "matted" if arguments.matte else "cost",
        columns=["format", *(f"ms of processors, {size}" for size in sizes), *(f"MB, {size}" for size in sizes)],
        rows=[
            [name if name in finding else f"`{name}`", *(each[0] for each in own), *(each[1] for each in own)]
            for name, own in spent.items()
        ],
        digits=[0, 0, 0, 1, 1],
    )


if __name__ == "__main__":
    main()
