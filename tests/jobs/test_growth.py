"""Memory stays flat, however long a clip is: what Python and numpy hold grows by less than 5 KB a frame.

Libraries hold memory that Python does not count, such as decoded pictures. So a whole process is measured, too; and
``benchmarks/memory_long.py`` does so over 10,000 frames.
"""

from __future__ import annotations

import gc
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import covos
import remembered
from clips import write_clip
from covos.core.types import FrameResult
from covos.engines.discover import DiscoveredObject, DiscoveryPass
from covos.engines.find import FindEngine
from covos.events import FrameDone
from covos.job import Job
from covos.media.opening import open_source
from covos.model import Model
from covos.plan import Plan
from covos.runs.folder import OutputFolder
from covos.runs.report import Origin
from covos.runs.schema import load_report
from covos.runs.writing import RunWriter, Writing
from covos.task import Discover
from stub_model import bright_model

LIMIT = 5000
"""Bytes a frame: 50 MB in 10,000."""
GATHER = ("coco", "cvat", "labelstudio", "npz", "palette", "ytvis")
"""Formats that gather something of each frame, and one that does not."""


LAST = 40
"""Frames at the end that are not looked at: no more come after them, and fewer wait."""


def grown(frames: Iterator[int], *, count: int, first: int = 40, every: int = 10) -> float:
    """Return by how many bytes a frame what is held grows from the frame of an index on, in a clip of so many."""
    held: list[tuple[int, int]] = []
    try:
        for index in frames:
            if index == first:
                tracemalloc.start()
            if first < index < count - LAST and index % every == 0:
                held.append((index, settled()))
    finally:
        tracemalloc.stop()
    slope, _ = np.polyfit(*np.array(held, float).T, 1)
    return float(slope)


def settled(*, alike: int = 5, most: int = 200) -> int:
    """Return the bytes that are held once each thread has filled its queue, and waits for this one.

    How many frames wait at a moment depends on what else the machine does, and they are more than what is looked for.
    """
    before, same = -1, 0
    for _ in range(most):
        now = tracemalloc.get_traced_memory()[0]
        same = same + 1 if now == before else 0
        if same == alike:
            break
        before = now
        time.sleep(0.02)
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def frames_of(job: Job) -> Iterator[int]:
    return (event.index for event in job if isinstance(event, FrameDone))


@pytest.fixture(autouse=True)
def _computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that the tests keep would grow."""
    monkeypatch.setattr(remembered, "MOST", 0)


def test_formats_that_gather_and_the_report(make_clip: Callable[..., Path], tmp_path: Path) -> None:
    source = open_source(str(make_clip(frames=130)))

    def written() -> Iterator[int]:
        writing = Writing(
            info=source.info,
            health=lambda: source.health,
            folder=OutputFolder(tmp_path / "out", overwrite=False),
            formats=GATHER,
            origin=Origin(model="bright", sha256="", device="cpu", settings={}),
        )
        with RunWriter(writing) as writer:
            for frame in source:
                labels = (frame.image[..., 0] > 150).astype(np.uint8)
                probability = np.asarray(frame.image[..., 0] / 255, np.float32)
                writer.add(FrameResult(frame=frame, probability=probability, labels=labels, confidence=0.9))
                yield frame.index
            writer.finish()

    assert grown(written(), count=130) < LIMIT


def small() -> Model:
    """covos-lite as it is, looking at small frames."""
    model = covos.load_model(device="cpu", precision="fp32")
    return replace(model, engine=FindEngine(model.engine.encoder.scaled(0.01)))


def logit(top: int, left: int) -> torch.Tensor:
    """A box of 16 x 16 pixels of a frame, at half its size."""
    values = torch.full((24, 32), -12.0)
    values[top // 2 : top // 2 + 8, left // 2 : left // 2 + 8] = 9.0
    return values


FOUND = (
    DiscoveredObject(masks={0: logit(12, 0), 10: logit(12, 20)}, first=0, size=0.1),
    DiscoveredObject(masks={10: logit(28, 40)}, first=10, size=0.1),
)
"""So small a clip has no objects for the networks: these are found in their stead, one of them later."""


def test_following_what_is_found_both_ways_with_its_journal(
    make_clip: Callable[..., Path], tmp_path: Path, random_follower: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DiscoveryPass, "run", lambda _, frames: (each.frame.index for each in frames))
    monkeypatch.setattr(DiscoveryPass, "found", lambda _: FOUND)
    task = Discover(most=2, follower=str(random_follower))
    plan = Plan(source=str(make_clip(frames=100)), task=task, formats=("palette",), device="cpu")
    model = small()
    job = Job(plan, tmp_path / "out", load=lambda _: model)
    assert grown(frames_of(job), first=20, count=100) < LIMIT
    rows = load_report(tmp_path / "out").frames
    assert {1, 2} == {identity for row in rows[20:] for identity in row.objects}, "both are followed"


def test_a_stream_and_masks_that_are_kept(make_clip: Callable[..., Path]) -> None:
    clip, model = make_clip(frames=240), bright_model()
    streamed = (result.frame.index for result in covos.stream(clip, model=model))
    assert grown(streamed, count=240) < 300
    kept = frames_of(Job(Plan(source=str(clip), device="cpu"), load=lambda _: model))
    assert 300 < grown(kept, count=240) < LIMIT  # it holds the masks


PROCESS = """
import gc
import os
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import covos
from covos.events import FrameDone
from covos.job import Job
from covos.plan import Plan
from stub_model import bright_model

def resident():
    rows = Path("/proc/self/status").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("VmRSS")).split()[1]) / 1024

def streamed():
    return (result.frame.index for result in covos.stream(clip, model=model))

def written():
    job = Job(Plan(source=clip, formats=("palette", "overlay"), device="cpu"), folder, load=lambda _: model)
    return (event.index for event in job if isinstance(event, FrameDone))

clip, folder, _ = sys.argv[1:]
model = bright_model()
gc.disable()
for way in (streamed, written):
    if pid := os.fork():
        assert os.waitpid(pid, 0)[1] == 0
        continue
    start = most = 0.0
    for index in way():
        if index == 60:
            start = resident()
        elif index > 60:
            most = max(most, resident())
    print(most - start, flush=True)
    os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell it in this way")
def test_the_process(tmp_path: Path) -> None:
    """Each frame has 0.5 MB of samples: 140 of them would be 70 MB.

    In a large program the collector of cycles comes by once in a thousand frames. Here it does not come at all. The
    frames that a program goes through, and those that it writes, are each counted in a fork: both load no library.
    """
    picture = np.random.default_rng(0).integers(0, 60, (480, 720, 3), dtype=np.uint8)
    picture[120:136, :16] = (230, 200, 40)
    pictures = (np.roll(picture, 2 * index, axis=1) for index in range(201))
    clip = write_clip(tmp_path / "clip.mp4", pictures, preset="ultrafast", crf="30")
    command = [sys.executable, "-c", PROCESS, str(clip), str(tmp_path / "out"), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    streamed, written = map(float, done.stdout.split())
    assert streamed < 35
    assert written < 35
