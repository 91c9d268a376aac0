"""Whole runs, each in a process of its own: from the file to the masks and the overlay, or to masks by rembg."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from covos.core.device import Precision, configure_threads, usable_cpus
from covos.core.errors import CovosError
from covos.core.memory import peak_of_process
from covos.core.records import Count, Record, Seconds
from covos.runtimes.choice import Runtime

if TYPE_CHECKING:
    from covos.plan import Plan

Work = Literal["find", "follow", "limit", "u2netp", "isnet-general-use"]
"""Find the subject; follow what a mask shows; decode and encode alone; or rembg, by the names of its models."""


class RunAsked(Record):
    """A run to be measured.

    Attributes:
        work: See `Work`.
        clip: A video.
        mask: Mask of its first frame, to follow.
        runtime: Of the networks of covos.
        precision: Likewise.
        model: The model that finds, and whose features are followed: a name or a ``.safetensors`` file.
        quality: Of finding and following.
        profile: True to report the stages, too.
    """

    work: Work
    clip: Path
    mask: Path | None = None
    runtime: Runtime = "torch"
    precision: Precision = "fp32"
    model: str = "covos-lite"
    # Spelled out: the rooms that have these names load torch, which decoding and rembg are measured without.
    quality: Literal["draft", "fast", "balanced", "best"] = "balanced"
    profile: bool = False


class RunMeasured(Record):
    """The cost of a run, without its start.

    Attributes:
        frames: Frames of the clip.
        start: Seconds that loading the libraries, the model and the first frames took.
        wall: Seconds of the wall clock.
        processor: Seconds of the processor, of all threads.
        peak: Most bytes of memory that the process held; None if the system does not report it.
        stages: Processor seconds of each stage; empty if they were not asked for.
    """

    frames: Count
    start: Seconds
    wall: Seconds
    processor: Seconds
    peak: Count | None
    stages: dict[str, float] = Field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Frames a second."""
        return self.frames / self.wall

    @property
    def each(self) -> float:
        """Processor milliseconds a frame."""
        return self.processor / self.frames * 1e3


def measure_run(asked: RunAsked) -> RunMeasured:
    """Do a run in a process of its own.

    Raises:
        CovosError: It failed.
    """
    command = [sys.executable, "-m", "covos.bench.runs", asked.model_dump_json()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise CovosError(
            f"{asked.work} with {asked.runtime} {asked.precision} could not be measured",
            why=said[-1],
            fix="run covos doctor; --runtime measures one runtime alone",
        )
    return RunMeasured.model_validate_json(done.stdout.splitlines()[-1])


def _main(asked: RunAsked) -> RunMeasured:
    began = time.perf_counter()
    from contextlib import nullcontext

    import cv2

    cv2.setNumThreads(1)

    from covos.bench.profile import Profile
    from covos.bench.spent import timed

    with tempfile.TemporaryDirectory() as name:
        work = _WORKS.get(asked.work, _by_rembg)(asked, Path(name))
        work(range(8))
        start = time.perf_counter() - began
        frames = 0

        def whole() -> None:
            nonlocal frames
            frames = work(None)

        with Profile() if asked.profile else nullcontext() as profile:
            spent = timed(whole)
    return RunMeasured(
        frames=frames,
        start=start,
        wall=spent.wall,
        processor=spent.processor,
        peak=peak_of_process(),
        stages={} if profile is None else profile.seconds,
    )


Doing = Callable[[range | None], int]
"""Works through a part of a clip, or all of it; returns the number of frames."""


def _by_covos(asked: RunAsked, folder: Path) -> Doing:
    configure_threads(pipeline=True)
    from covos.events import FrameDone
    from covos.job import Job
    from covos.model_loading import load_planned

    plan = _plan(asked)
    model = load_planned(plan)

    def run(part: range | None) -> int:
        chosen, place = (plan, "all") if part is None else (_plan(asked, part=part), "part")
        return sum(isinstance(event, FrameDone) for event in Job(chosen, folder / place, load=lambda _: model))

    return run


def _plan(asked: RunAsked, *, part: range | None = None) -> Plan:
    from covos.media.range import WHOLE, as_range
    from covos.plan import Plan
    from covos.prompts.values import MaskPrompt
    from covos.task import choose_task

    shown: tuple[MaskPrompt, ...] = ()
    if asked.work == "follow":
        assert asked.mask is not None, "there is something to follow"
        shown = (MaskPrompt(file=asked.mask),)
    return Plan(
        source=str(asked.clip),
        task=choose_task(quality=asked.quality, prompts=shown),
        model=asked.model,
        device="cpu",
        runtime=asked.runtime,
        precision=asked.precision,
        range=WHOLE if part is None else as_range(part),
    )


def _at_most(asked: RunAsked, folder: Path) -> Doing:
    """Decode and encode alone: no way to compute networks can be faster."""
    from covos.core.ahead import prefetch
    from covos.media.opening import open_source
    from covos.media.writer import VideoWriter

    def run(part: range | None) -> int:
        target = folder / ("all.mp4" if part is None else "part.mp4")
        with open_source(asked.clip) as source:
            info = source.info
            with VideoWriter(
                target, height=info.height, width=info.width, time_base=info.time_base, frame_rate=info.frame_rate
            ) as writer:
                count = 0
                for frame in prefetch(source if part is None else source.part(part)):
                    writer.write(frame.image, pts=frame.pts, duration=frame.duration)
                    count += 1
        return count

    return run


def _by_rembg(asked: RunAsked, folder: Path) -> Doing:
    import os

    # rembg would fetch a model whose hash is not that of its own list.
    os.environ["MODEL_CHECKSUM_DISABLED"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cpus()))  # which it asks for its threads
    import numpy as np
    from rembg import new_session, remove  # type: ignore[import-not-found,unused-ignore]

    from covos.core.ahead import prefetch
    from covos.masks import write_label_map
    from covos.media.opening import open_source

    session = new_session(asked.work, providers=["CPUExecutionProvider"])

    def run(part: range | None) -> int:
        place = folder / ("all" if part is None else "part")
        place.mkdir()
        count = 0
        with open_source(asked.clip) as source:
            for frame in prefetch(source if part is None else source.part(part)):
                found = np.asarray(remove(frame.image, session=session, only_mask=True))
                write_label_map(place / f"{frame.stem}.png", (found > 127).astype(np.uint8))
                count += 1
        return count

    return run


_WORKS: dict[str, Callable[[RunAsked, Path], Doing]] = {"find": _by_covos, "follow": _by_covos, "limit": _at_most}


if __name__ == "__main__":
    try:
        measured = _main(RunAsked.model_validate_json(sys.argv[1]))
    except CovosError as error:
        sys.exit(f"{error.what}: {error.why}")
    sys.stdout.write(measured.model_dump_json() + "\n")
