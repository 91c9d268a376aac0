"""All that ``covos bench`` measures, in one value."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from covos.bench.clips import make_clip
from covos.bench.networks import PARTS, measure_networks
from covos.bench.rivals import RIVALS, missing
from covos.bench.runs import RunAsked, RunMeasured, Work, measure_run
from covos.bench.ways import TORCH, Way
from covos.core.device import usable_cpus
from covos.core.records import Count, Record
from covos.engines.choices import DEFAULT_AREA, DEFAULT_QUALITY, Quality
from covos.engines.encoding import working_size
from covos.models.lite import CovosLite
from covos.models.registry import DEFAULT_MODEL, find_model
from covos.runtimes.graphs import KINDS

LIBRARIES: Final = ("torch", "openvino", "onnxruntime", "onnx", "av", "opencv-python-headless", "rembg")


class NetworkRow(Record):
    """A network alone: milliseconds of the wall clock and of the processor, in the median.

    Attributes:
        work: See `covos.bench.networks.works`.
        runtime: Library.
        precision: Of the arithmetic.
        wall: Milliseconds of the wall clock.
        processor: Milliseconds of the processor, of all threads.
    """

    work: str
    runtime: str
    precision: str
    wall: float
    processor: float


class RunRow(Record):
    """A run end to end.

    Attributes:
        work: See `covos.bench.runs.Work`.
        runtime: Library; empty where no network of covos is computed.
        precision: Of the arithmetic; likewise.
        measured: The cost; None if it was not measured.
        why_not: What was missing.
    """

    work: Work
    runtime: str = ""
    precision: str = ""
    measured: RunMeasured | None = None
    why_not: str = ""


class BenchReport(Record):
    """A machine's table.

    Attributes:
        machine: Processor and system, in words.
        cpus: Processors that may be used.
        threads: Threads of one call of a network.
        libraries: Releases, by name; those that are there.
        size: (height, width) of the clip.
        encoded: (height, width) of the frames that the networks alone see: some 256 x 448.
        model: The model of the runs.
        quality: Of the runs.
        networks: Networks alone.
        runs: End to end.
    """

    machine: str
    cpus: Count
    threads: Count
    libraries: dict[str, str]
    size: tuple[int, int]
    encoded: tuple[int, int]
    model: str = DEFAULT_MODEL
    quality: Quality = DEFAULT_QUALITY
    networks: tuple[NetworkRow, ...] = ()
    runs: tuple[RunRow, ...] = ()


def bench(
    ways: Sequence[Way],
    *,
    size: tuple[int, int],
    frames: int,
    rounds: int,
    threads: int,
    model: str = DEFAULT_MODEL,
    quality: Quality = DEFAULT_QUALITY,
    profile: bool = False,
) -> Iterator[tuple[str, BenchReport]]:
    """Measure this machine; yield what is measured next, in words, with all that is known so far.

    Args:
        ways: Ways to compute the networks.
        size: (height, width) of the clip.
        frames: Length of the clip.
        rounds: Rounds of the networks alone.
        threads: Threads of one call of a network; those of this process are set already.
        model: A name or a ``.safetensors`` file. One of another architecture than covos-lite's only finds, end to end;
            by torch alone if it is not exported.
        quality: Of the runs; the networks alone see frames of some 256 x 448.
        profile: True to report the stages of each run, too.

    Raises:
        CovosError: There is no such model, or a run failed.
    """
    architecture = find_model(model).card.architecture
    follows = architecture == "lite"
    if architecture not in KINDS:
        ways = [way for way in ways if way.runtime == "torch"] or [TORCH]
    encoded = working_size(size, area=DEFAULT_AREA, stride=CovosLite.stride)
    report = BenchReport(
        machine=f"{_processor()}, {platform.system()}",
        cpus=usable_cpus(),
        threads=threads,
        libraries=dict(_releases()),
        size=size,
        encoded=encoded,
        model=model,
        quality=quality,
    )
    if follows:
        yield "the networks alone", report
    alone = measure_networks(ways, size=encoded, rounds=rounds, model=model) if follows else {}
    rows = tuple(
        NetworkRow(
            work=name,
            runtime=way.runtime,
            precision=way.precision,
            wall=spent.wall * 1e3,
            processor=spent.processor * 1e3,
        )
        for (way, name), spent in alone.items()
    )
    report = report.model_copy(update={"networks": rows})
    with tempfile.TemporaryDirectory(prefix="covos-bench-") as folder:
        clip = Path(folder) / "clip.mp4"
        mask = make_clip(clip, frames=frames, size=size)
        asked = RunAsked(work="limit", clip=clip, model=model, quality=quality, profile=profile)
        runs = [(asked, "")]
        for way in ways:
            by = {"runtime": way.runtime, "precision": way.precision}
            runs.append((asked.model_copy(update={**by, "work": "find"}), way.name))
            if follows:
                runs.append((asked.model_copy(update={**by, "work": "follow", "mask": mask}), way.name))
        runs += [(asked.model_copy(update={"work": rival}), "rembg") for rival in RIVALS]
        for run, name in runs:
            yield " ".join(filter(None, (run.work, name))), report
            row = _row(run)
            report = report.model_copy(update={"runs": (*report.runs, row)})
    yield "", report


def _row(run: RunAsked) -> RunRow:
    if run.work in RIVALS:
        lacks = missing(run.work)
        return RunRow(work=run.work, why_not=lacks, measured=None if lacks else measure_run(run))
    by = {} if run.work == "limit" else {"runtime": run.runtime, "precision": run.precision}
    return RunRow(work=run.work, measured=measure_run(run), **by)


def _processor() -> str:
    """Return the processor's name, if the system states it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine()) + f", {os.cpu_count()} processors"


def _releases() -> Iterator[tuple[str, str]]:
    for name in LIBRARIES:
        try:
            yield name, version(name)
        except PackageNotFoundError:
            continue


def stages_of(report: BenchReport) -> dict[str, dict[str, float]]:
    """Return the processor milliseconds a frame of each stage, by the run's name; the stages of most of them first."""
    columns = {}
    for row in report.runs:
        if row.measured is not None and row.measured.stages:
            name = " ".join(filter(None, (row.work, row.runtime, row.precision)))
            columns[name] = {
                stage: seconds / row.measured.frames * 1e3 for stage, seconds in row.measured.stages.items()
            }
    order = sorted(
        {stage for stages in columns.values() for stage in stages},
        key=lambda stage: -sum(stages.get(stage, 0.0) for stages in columns.values()),
    )
    return {name: {stage: stages.get(stage, 0.0) for stage in order} for name, stages in columns.items()}


__all__ = ["PARTS", "BenchReport", "NetworkRow", "RunRow", "bench", "stages_of"]
