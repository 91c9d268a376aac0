"""The speed of reading a data set from shards, beside the loose files; and the time to open the shards of a large one.

    python benchmarks/shards.py --data ROOT [--frames 600] [--rounds 3] [--files 400000] [--json FILE]

The data set is packed into a temporary folder, and annotated frames of it are read in one random order from both, in
turns: their bytes alone, and as pictures with masks, as a training reads them. Processor seconds are those of this
process; opened files are counted by Python's own audit events. Both forms lie in the memory of the system after the
first round: a disk, and above all a network disk, adds its time for each file that is opened.

An index of ``--files`` pictures and masks is made up, and opened (Linux reports the memory).
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from covos.core.guarded import read_guarded
from covos.core.places import Place
from covos.core.records import write_record
from covos.core.shards import INDEX, Shard, ShardIndex, as_place
from covos.data import Dataset, FrameRecord, Video, open_dataset, pack, read_image, read_labels
from memory_long import resident
from recorded import keep

Frames = list[tuple[Video, FrameRecord]]
_opened = [0]


def count_opens() -> None:
    """Count the files that this process opens from now on."""

    def hook(event: str, _: object) -> None:
        _opened[0] += event == "open"

    sys.addaudithook(hook)


def places(frames: Frames) -> list[Place]:
    """The files of frames."""
    return [place for _, frame in frames for place in (frame.image, frame.annotation) if place is not None]


def read_bytes(frames: Frames) -> None:
    """Read the files, and decode nothing."""
    for place in places(frames):
        read_guarded(place, what=str(place), fix="")


def read_frames(frames: Frames) -> None:
    """Read pictures and masks, as a training does."""
    for video, frame in frames:
        read_image(frame)
        read_labels(video, frame)


def timed(work: Callable[[Frames], None], frames: Frames) -> tuple[float, int]:
    """Processor seconds, and the files that were opened."""
    before, began = _opened[0], time.process_time()
    work(frames)
    return time.process_time() - began, _opened[0] - before


def chosen(dataset: Dataset, count: int) -> Frames:
    """Annotated frames in random order, the same ones in the same order for both forms."""
    every = [(video, frame) for video in dataset for frame in video.annotated]
    return random.Random(0).sample(every, min(count, len(every)))


def large_index(folder: Path, files: int) -> None:
    """Write the index of a large data set, and shards of its length that hold nothing."""
    per, size = 2000, 131_072
    shards = -(-files // per)
    entries = {}
    for number in range(files):
        video, frame = divmod(number // 2, 30)
        kind, suffix = (("JPEGImages", "jpg"), ("Annotations", "png"))[number % 2]
        entries[f"{kind}/{video:06}/{frame:05}.{suffix}"] = (number // per, number % per * size, size, number)
    for shard in range(shards):
        with (folder / f"shard-{shard:05}.tar").open("wb") as file:
            file.truncate(per * size)
    told = tuple(Shard(file=f"shard-{shard:05}.tar", bytes=per * size) for shard in range(shards))
    write_record(ShardIndex(name="large", shards=told, files=entries), folder / INDEX)


def open_large(folder: Path) -> None:
    """Open the shards and the data set in them; print processor seconds and the growth of memory in MB."""
    before, began = resident(), time.process_time()
    as_place(folder)
    one = time.process_time() - began
    dataset = open_dataset(folder, encoding="ids")
    both, grown = time.process_time() - began, resident() - before
    print(f"{one:.1f} {both:.1f} {grown:.0f} {sum(len(video) for video in dataset)}")


def main(arguments: list[str]) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="root of a data set")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=int, default=400_000, help="files of the index that is made up; 0: none")
    parser.add_argument("--large", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, help="keep the table in this file: see recorded.py")
    asked = parser.parse_args(arguments)
    if asked.large:
        open_large(asked.large)
        return
    with tempfile.TemporaryDirectory() as folder:
        if asked.data:
            measure(asked, Path(folder) / "shards")
        if asked.files:
            large = Path(folder) / "large"
            large.mkdir()
            large_index(large, asked.files)
            words = [sys.executable, __file__, "--large", str(large)]
            one, both, grown, frames = subprocess.check_output(words, text=True).split()
            print(
                f"an index of {asked.files:,} files ({(large / INDEX).stat().st_size / 1e6:.0f} MB) opens in {one} s; "
                f"with the data set in it, {int(frames):,} frames, {both} s and {grown} MB of memory"
            )


def measure(asked: argparse.Namespace, folder: Path) -> None:
    """Pack, and read both forms in turns."""
    began = time.process_time()
    done = pack(asked.data, folder)
    seconds = time.process_time() - began
    size = done.bytes / 1e6
    print(f"packed {done.files:,} files, {size:.0f} MB, in {seconds:.1f} s: {size / seconds:.0f} MB/s")
    count_opens()
    forms = {"loose files": asked.data, "shards": folder}
    frames = {name: chosen(open_dataset(root), asked.frames) for name, root in forms.items()}
    found: dict[tuple[str, str], list[tuple[float, int]]] = {}
    for _ in range(asked.rounds):
        for work in (read_bytes, read_frames):
            for name in forms:
                found.setdefault((name, work.__name__), []).append(timed(work, frames[name]))
    rows = []
    for name, chosen_frames in frames.items():
        alone, whole = (found[name, work] for work in ("read_bytes", "read_frames"))
        files, pictures = len(places(chosen_frames)), len(chosen_frames)
        rows.append(
            (
                name,
                round(1e6 * statistics.median(each for each, _ in alone) / files),
                round(pictures / statistics.median(each for each, _ in whole), 1),
                round(statistics.median(opens for _, opens in whole) / pictures, 2),
            )
        )
    columns = ("form", "one file's bytes, us", "pictures with masks a second", "files opened a picture")
    print("  ".join(columns))
    for row in rows:
        print("  ".join(str(cell) for cell in row))
    if asked.json:
        keep(asked.json, "reading", columns=columns, rows=rows)


if __name__ == "__main__":
    main(sys.argv[1:])
