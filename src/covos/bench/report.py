"""All that ``covos bench`` measures, in one value."""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Collection, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from itertools import product
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
        model: The model.
        size: (height, width) of the frames that it sees: some 256 x 448.
        wall: Milliseconds of the wall clock.
        processor: Milliseconds of the processor, of all threads.
    """

    work: str
    runtime: str
    precision: str
    model: str
    size: tuple[int, int]
    wall: float
    processor: float


class RunRow(Record):
    """A run end to end.

    Attributes:
        work: See `covos.bench.runs.Work`.
        size: (height, width) of the clip.
        runtime: Library; empty where no network of covos is computed.
        precision: Of the arithmetic; likewise.
        model: The model; likewise.
        quality: Of finding and following; likewise.
        measured: The cost; None if it was not measured.
        why_not: What was missing.
    """

    work: Work
    size: tuple[int, int]
    runtime: str = ""
    precision: str = ""
    model: str = ""
    quality: str = ""
    measured: RunMeasured | None = None
    why_not: str = ""


class BenchReport(Record):
    """A machine's table.

    Attributes:
        machine: Processor and system, in words.
        cpus: Processors that may be used.
        threads: Threads of one call of a network.
        libraries: Releases, by name; those that are there.
        networks: Networks alone.
        runs: End to end.
    """

    machine: str
    cpus: Count
    threads: Count
    libraries: dict[str, str]
    networks: tuple[NetworkRow, ...] = ()
    runs: tuple[RunRow, ...] = ()


def bench(
    ways: Sequence[Way],
    *,
    sizes: Sequence[tuple[int, int]],
    frames: int,
    rounds: int,
    threads: int,
    models: Sequence[str] = (DEFAULT_MODEL,),
    qualities: Sequence[Quality] = (DEFAULT_QUALITY,),
    profile: bool = False,
) -> Iterator[tuple[str, BenchReport]]:
    """Measure this machine; yield what is measured next, in words, with all that is known so far.

    Args:
        ways: Ways to compute the networks.
        sizes: (height, width) of each clip.
        frames: Length of the clips.
        rounds: Rounds of the networks alone.
        threads: Threads of one call of a network; those of this process are set already.
        models: Names or ``.safetensors`` files. One of another architecture than covos-lite's only finds, end to end;
            by torch alone if it is not exported.
        qualities: Of the runs, each with each model and clip; the networks alone see frames of some 256 x 448.
        profile: True to report the stages of each run, too.

    Raises:
        CovosError: There is no such model, or a run failed.
    """
    architectures = {model: find_model(model).card.architecture for model in models}
    following = {model for model, architecture in architectures.items() if architecture == "lite"}
    able = {
        model: ways if architecture in KINDS else [way for way in ways if way.runtime == "torch"] or [TORCH]
        for model, architecture in architectures.items()
    }
    report = BenchReport(
        machine=f"{_processor()}, {platform.system()}",
        cpus=usable_cpus(),
        threads=threads,
        libraries=dict(_releases()),
    )
    encoded = dict.fromkeys(working_size(size, area=DEFAULT_AREA, stride=CovosLite.stride) for size in sizes)
    for model, size in product(filter(following.__contains__, models), encoded):
        yield "the networks alone", report
        alone = measure_networks(able[model], size=size, rounds=rounds, model=model)
        rows = tuple(
            NetworkRow(
                work=name,
                runtime=way.runtime,
                precision=way.precision,
                model=model,
                size=size,
                wall=spent.wall * 1e3,
                processor=spent.processor * 1e3,
            )
            for (way, name), spent in alone.items()
        )
        report = report.model_copy(update={"networks": (*report.networks, *rows)})
    told = [name for name, each in zip(TOLD, (sizes, models, qualities), strict=True) if len(each) > 1]
    with tempfile.TemporaryDirectory(prefix="covos-bench-") as folder:
        for size in sizes:
            clip = Path(folder) / f"{size[1]}x{size[0]}.mp4"
            mask = make_clip(clip, frames=frames, size=size)
            plain = RunAsked(work="limit", clip=clip, profile=profile)
            runs = [plain]
            for model, quality in product(models, qualities):
                for way in able[model]:
                    of = {"runtime": way.runtime, "precision": way.precision, "model": model, "quality": quality}
                    runs.append(plain.model_copy(update={**of, "work": "find"}))
                    if model in following:
                        runs.append(plain.model_copy(update={**of, "work": "follow", "mask": mask}))
            runs += [plain.model_copy(update={"work": rival}) for rival in RIVALS]
            for run in runs:
                row = _row(run, size=size)
                work = f"{run.work} rembg" if run.work in RIVALS else None
                yield words_of(row, told=told, work=work), report
                report = report.model_copy(update={"runs": (*report.runs, _measured(row, run))})
    yield "", report


TOLD: Final = ("size", "model", "quality")
"""What a row is of, beside its work and the way in which it is computed."""


def told_apart(rows: Sequence[NetworkRow | RunRow]) -> list[str]:
    """Return those of `TOLD` in which rows differ; a row that has none of it differs from no other."""
    return [name for name in TOLD if len({getattr(row, name) for row in rows if getattr(row, name, "")}) > 1]


def words_of(row: NetworkRow | RunRow, *, told: Collection[str], work: str | None = None) -> str:
    """Return the name of a row: its work, or ``work``, the way in which it is computed, and what of `TOLD` is told."""
    height, width = row.size
    each = {"size": f"{width}x{height}", "model": row.model, "quality": getattr(row, "quality", "")}
    way = " ".join(filter(None, (row.work if work is None else work, row.runtime, row.precision)))
    return ", ".join(filter(None, (way, *(each[name] for name in TOLD if name in told))))


def _row(run: RunAsked, *, size: tuple[int, int]) -> RunRow:
    if run.work not in ("find", "follow"):
        return RunRow(work=run.work, size=size)
    return RunRow(
        work=run.work,
        size=size,
        runtime=run.runtime,
        precision=run.precision,
        model=run.model,
        quality=run.quality,
    )


def _measured(row: RunRow, run: RunAsked) -> RunRow:
    lacks = missing(run.work) if run.work in RIVALS else ""
    return row.model_copy(update={"why_not": lacks, "measured": None if lacks else measure_run(run)})


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
    told = told_apart(report.runs)
    for row in report.runs:
        if row.measured is not None and row.measured.stages:
            columns[words_of(row, told=told)] = {
                stage: seconds / row.measured.frames * 1e3 for stage, seconds in row.measured.stages.items()
            }
    order = sorted(
        {stage for stages in columns.values() for stage in stages},
        key=lambda stage: -sum(stages.get(stage, 0.0) for stages in columns.values()),
    )
    return {name: {stage: stages.get(stage, 0.0) for stage in order} for name, stages in columns.items()}


__all__ = ["PARTS", "BenchReport", "NetworkRow", "RunRow", "bench", "stages_of", "told_apart", "words_of"]
