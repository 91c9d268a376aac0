"""The way through the source: the files that one frame and one click pass through.

    python benchmarks/trace.py [--verb segment] [--frames 48]

Runs the program in this process on a small clip of its own, watches the functions of ``covos`` in all threads, and
lists the files of two ways:

frame  A run without prompts. From where the decoder gives a frame near the middle of the clip, for the last time, to
       where its mask has got its name: the files in which code runs. What is done for its neighbours meanwhile counts.
point  A run with ``--point``. To where the first mask of the frame's size comes back from a function that was given
       the point: the files with a function that holds the point among its arguments or variables, as it was typed, as
       two numbers, or within dataclasses, lists, tuples, dicts and sets, up to four deep. A copy in other units does
       not count.

Only the program and the libraries are known here, nothing inside of ``covos``, so that any two versions compare.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import runpy
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import FrameType
from typing import Any

import av
import numpy as np

SIZE = (96, 128)
X, Y = 43.25, 53.75
"""A place on the square of the clip's first frame; no other value of a run is like these."""
DEPTH, WIDTH = 8, 64
"""Containers are looked into so deep, and of each so many items."""

Watch = Callable[[FrameType, str, object], None]


def write_clip(path: Path, *, frames: int) -> None:
    """A bright square that moves over dark noise."""
    noise = np.random.default_rng(0).integers(0, 60, (*SIZE, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        for index in range(frames):
            image = noise.copy()
            image[40:68, 30 + index : 58 + index] = (230, 200, 40)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def times_of(path: Path) -> list[int | None]:
    """The time of each frame of a clip, as the decoder has it."""
    with av.open(str(path)) as container:
        return [picture.pts for picture in container.decode(video=0)]


def run_covos(arguments: Sequence[str], *, watch: Watch) -> None:
    """Run the program, and watch the functions of ``covos`` in all threads."""

    def look(frame: FrameType, event: str, value: object) -> None:
        if file_of(frame) is not None:
            watch(frame, event, value)

    argv = sys.argv
    sys.argv = ["covos", *arguments]
    threading.setprofile(look)
    sys.setprofile(look)
    try:
        runpy.run_module("covos", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        sys.argv = argv


def file_of(frame: FrameType) -> str | None:
    """The file whose code a frame runs, as of the package; None outside of it."""
    name = frame.f_code.co_filename
    return name.removeprefix(package()) if name.startswith(package()) else None


@cache
def package() -> str:
    """The folder of the package, with a separator at its end."""
    spec = find_spec("covos")
    if spec is None or spec.origin is None:
        raise SystemExit("covos is not there: install it, or put its folder on PYTHONPATH")
    return f"{Path(spec.origin).parent}{os.sep}"


class FrameWay:
    """The files in which code runs while one frame is on its way.

    Args:
        pts: Time of the frame, as the decoder has it.
        mask: Name of the file of its mask.
    """

    def __init__(self, pts: int | None, mask: str) -> None:
        self.files: set[str] = set()
        self.complete = False
        self._pts = pts
        self._mask = mask
        self._picture: object = None
        sys.addaudithook(self._heard)

    def saw(self, frame: FrameType, event: str, value: object) -> None:
        """Something happens in a function of the package."""
        if event == "return" and not self.complete:
            given = value if isinstance(value, list | tuple) else (value,)
            for each in given:
                # Another picture of the same time: it is decoded anew, and the way begins again.
                if isinstance(each, av.VideoFrame) and each.pts == self._pts and each is not self._picture:
                    self._picture = each
                    self.files.clear()
        if self._picture is not None and not self.complete:
            self.files.update(filter(None, map(file_of, filter(None, (frame, frame.f_back)))))

    def _heard(self, event: str, values: tuple[Any, ...]) -> None:
        if event == "os.rename" and Path(os.fsdecode(values[1])).name == self._mask:
            self.complete = True


class PointWay:
    """The files whose functions hold a point, until there is a mask."""

    def __init__(self) -> None:
        self.files: set[str] = set()
        self.complete = False

    def saw(self, frame: FrameType, event: str, value: object) -> None:
        """Something happens in a function of the package."""
        if self.complete or event not in {"call", "return"} or not holds(dict(frame.f_locals), depth=DEPTH + 1):
            return
        self.files.add(str(file_of(frame)))
        if event == "return" and isinstance(value, np.ndarray) and value.dtype == np.bool_ and value.shape == SIZE:
            self.complete = True
            # Those that wait for the mask were looked at when they began: what they hold may have come since.
            waiting = [each for each in callers(frame) if file_of(each) and holds(dict(each.f_locals), depth=DEPTH + 1)]
            self.files.update(str(file_of(each)) for each in waiting)


def callers(frame: FrameType) -> Iterator[FrameType]:
    """The frames that wait for one."""
    while above := frame.f_back:
        yield above
        frame = above


def holds(value: object, *, depth: int) -> bool:
    """Tell if a value is the point, or holds it.

    Args:
        value: Any.
        depth: How many containers may lie round the point.
    """
    if isinstance(value, str):
        return value.partition("@")[0] == f"{X},{Y}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = [field_of(value, field.name) for field in islice(dataclasses.fields(value), WIDTH)]
    elif isinstance(value, dict):
        items = list(islice(value.values(), WIDTH))
    elif hasattr(type(value), "__pydantic_fields__"):
        items = list(islice(vars(value).values(), WIDTH))
    elif isinstance(value, list | tuple | set | frozenset):
        items = list(islice(value, WIDTH))
    else:
        return False
    numbers = [item for item in items if isinstance(item, float)]
    return (X in numbers and Y in numbers) or (depth > 0 and any(holds(item, depth=depth - 1) for item in items))


def field_of(value: object, name: str) -> object:
    """A field of a dataclass; None if the value is being made and has none yet."""
    try:
        return getattr(value, name, None)
    except KeyError:  # a picture that is made when it is looked at
        return None


def tell(name: str, way: FrameWay | PointWay) -> None:
    """Print the files of a way."""
    if not way.complete:
        raise SystemExit(f"the way of the {name} has no end: the mask that ends it was not seen")
    print(f"{name}: {len(way.files)} files", *(f"  {file}" for file in sorted(way.files)), sep="\n")


def main() -> None:
    """Run, watch and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verb", default="segment", help="of the command line, for both runs")
    parser.add_argument("--frames", type=int, default=48, help="of the clip; one near the middle is watched")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        clip, out = Path(place) / "clip.mp4", Path(place) / "out"
        write_clip(clip, frames=arguments.frames)
        watched = arguments.frames // 2 + 3  # the middle itself is a reference, which is encoded before
        line = [arguments.verb, str(clip), "-q", "--device", "cpu", "-f", "palette", "-o"]
        frame = FrameWay(times_of(clip)[watched], f"{watched:05}.png")
        run_covos([*line, f"{out}-found"], watch=frame.saw)
        tell("frame", frame)
        point = PointWay()
        run_covos([*line, f"{out}-shown", "--point", f"{X},{Y}"], watch=point.saw)
        tell("point", point)


if __name__ == "__main__":
    main()
