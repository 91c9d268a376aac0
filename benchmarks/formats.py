"""The cost of each output format: time and space for 100 frames at 480p and 1080p, side by side in one run.

    python benchmarks/formats.py [--frames 20] [--rounds 2] [--formats webm prores ...] [--matte]

Takes frames of the example clip with the masks that the default model finds, scales both to each size, and gives the
same results to the writer of every format, one after the other, on the calling thread. Prints, for 100 frames and as
the best of the rounds, milliseconds by the clock, milliseconds of processor time (which a busy machine changes less,
and which encoders spread over their threads), megabytes, and bytes a pixel, from which `covos.formats.table` says
how large a result will be. `sheet` and `preview` sum a clip up in some frames, however long it is: theirs is the cost
of a clip of 48 frames. With ``--matte`` each soft format is written twice in turn, of the same results without mattes
and with them, and the time to find these is said first.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping, Sequence
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
FINDING = "to find the matte"
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


def costs(
    names: Sequence[str], info: SourceInfo, kinds: Mapping[str, list[FrameResult]], *, rounds: int
) -> dict[str, list[list[float]]]:
    """For 100 frames, milliseconds of processor time and megabytes of each format, for each kind of results; printed.

    The kinds take turns, so that a machine that is busy for a while slows all of them.
    """
    spent: dict[str, list[list[float]]] = {}
    count = len(next(iter(kinds.values())))
    print(f"for 100 frames of {info.width}x{info.height}, from {count}")
    print(f"  {'format':28} {'ms':>7} {'cpu ms':>7} {'MB':>8} {'bytes/pixel':>12}")
    for name in names:
        sums_up = issubclass(parse_format(name)[0], SampledFormat)
        written = {kind: repeated(each, SUMMED) if sums_up else each for kind, each in kinds.items()}
        outcomes: dict[str, list[tuple[float, float, int]]] = {kind: [] for kind in kinds}
        for number in range(rounds):
            # The first of a turn finds less in the caches.
            for kind in list(kinds)[:: -1 if number % 2 else 1]:
                outcomes[kind].append(cost(name, info, written[kind]))
        per_hundred, pixels = 1 if sums_up else 100 / count, count * info.height * info.width
        spent[name] = []
        for kind, found in outcomes.items():
            seconds, work, size_bytes = (min(column) for column in zip(*found, strict=True))
            print(
                f"  {name + kind:28} {1000 * seconds * per_hundred:7.0f} {1000 * work * per_hundred:7.0f} "
                f"{size_bytes * per_hundred / 1e6:8.1f} {size_bytes / pixels:12.3f}"
            )
            spent[name].append([1000 * work * per_hundred, size_bytes * per_hundred / 1e6])
    return spent


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    parser.add_argument("--frames", type=int, default=20, help="frames to write")
    parser.add_argument("--rounds", type=int, default=2, help="times to write them; the fastest counts")
    parser.add_argument("--matte", action="store_true", help="write soft formats without mattes and with them")
    parser.add_argument("--formats", nargs="+", help="by default all, with --matte those that are soft")
    arguments = parser.parse_args()
    every = [*FORMATS, *FURTHER]
    soft = [name for name in FORMATS if not parse_format(name)[0].labels_only]
    names = arguments.formats or (soft if arguments.matte else every)
    with open_source(EXAMPLE) as source:
        info = replace(source.info, has_audio=False)  # sound is copied: it costs the same everywhere
    found = list(islice(covos.stream(EXAMPLE), FIRST, FIRST + arguments.frames))
    named = ([FINDING] if arguments.matte else []) + names
    times: dict[str, list[str | float]] = {name: [] for name in named}
    sizes: dict[str, list[str | float]] = {name: [] for name in named}
    for size in SIZES.values():
        kinds = {"": [scaled(result, size) for result in found]}
        said = f"{size[1]}x{size[0]}"
        if arguments.matte:
            mattes, work = matted_results(kinds[""])
            kinds = {", plain": kinds[""], ", matte": mattes}
            times[FINDING] += ["", 1000 * work * 100 / len(mattes)]
            sizes[FINDING] += ["", ""]
            print(f"{said}: to find the mattes of 100 frames takes {1000 * work * 100 / len(mattes):.0f} cpu ms")
        spent = costs(names, replace(info, height=size[0], width=size[1]), kinds, rounds=arguments.rounds)
        for name, own in spent.items():
            times[name] += [each[0] for each in own]
            sizes[name] += [each[1] for each in own]
    kinds_of = [", plain", ", matte"] if arguments.matte else [""]
    shapes = [f"{width}x{height}{kind}" for height, width in SIZES.values() for kind in kinds_of]
    keep(
        arguments.json,
        "matted" if arguments.matte else "cost",
        columns=["format", *(f"ms of processors, {shape}" for shape in shapes), *(f"MB, {shape}" for shape in shapes)],
        rows=[[name if name == FINDING else f"`{name}`", *times[name], *sizes[name]] for name in named],
        digits=[0] * (1 + len(shapes)) + [1] * len(shapes),
    )


if __name__ == "__main__":
    main()
