"""``covos bench``: speed and memory on the user's own machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from covos.cli import options
from covos.cli.terminal import say
from covos.engines.choices import DEFAULT_QUALITY
from covos.models.registry import DEFAULT_MODEL
from covos.runtimes.choice import ChosenRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.table import Table

    from covos.bench.report import BenchReport


def bench(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Show where the time goes: processor milliseconds a frame by stage (Linux)."),
    ] = False,
    size: Annotated[
        str, typer.Option(metavar="WxH", help="Size of the clip that covos makes and measures.")
    ] = "854x480",
    runtime: Annotated[
        Literal["all", ChosenRuntime],
        typer.Option(help="Measure one runtime alone; auto is the one that a run takes by itself."),
    ] = "all",
    model: options.Model = DEFAULT_MODEL,
    quality: options.Quality = DEFAULT_QUALITY,
    quick: Annotated[
        bool, typer.Option("--quick", help="Take a shorter clip and fewer rounds, for rougher numbers.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure this machine's processors: networks alone, finding and following end to end, memory, by runtime.

    A GPU is not measured.

    The table also shows the upper limit: decoding and encoding without a network. It shows rembg, too, where rembg and
    its models are installed.
    """
    from covos.models.registry import find_model

    find_model(model)
    from covos.bench.report import bench as measure
    from covos.bench.ways import ways
    from covos.core.device import configure_threads
    from covos.core.records import write_record

    threads = configure_threads(pipeline=True)
    sides = options.size_of(size)
    assert sides is not None, "there is a default"
    steps = measure(
        ways(runtime),
        size=sides,
        frames=24 if quick else 120,
        rounds=3 if quick else 15,
        threads=threads,
        model=model,
        quality=quality,
        profile=profile,
    )
    report: BenchReport | None = None
    try:
        for step, so_far in steps:
            report = so_far
            # After each part: whoever stops it, or meets a run that fails, has what was measured until then.
            if json_file is not None:
                write_record(report, json_file)
            if step and not quiet:
                say(f"measuring: {step}", err=True)
    finally:
        if report is not None:
            _show(report)


def _show(report: BenchReport) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    for table in _tables(report):
        console.print(table)
    for row in report.runs:
        if row.why_not:
            console.print(f"rembg {row.work}: not measured, {row.why_not}", highlight=False)


def _tables(report: BenchReport) -> Iterator[Table]:
    from rich.table import Table

    from covos.bench.report import PARTS, stages_of

    releases = ", ".join(f"{name} {release}" for name, release in report.libraries.items())
    height, width = report.encoded
    alone = Table(
        "network, ms (processor ms)", *PARTS, box=None, pad_edge=False, title_justify="left",
        title=f"{report.machine}, {report.cpus} processors; {releases}",
        caption=f"frames of {width}x{height}, threads: {report.threads}", caption_justify="left",
    )  # fmt: skip
    for way in dict.fromkeys((row.runtime, row.precision) for row in report.networks):
        cells = {row.work: row for row in report.networks if (row.runtime, row.precision) == way}
        alone.add_row(" ".join(way), *(f"{cells[name].wall:.1f} ({cells[name].processor:.1f})" for name in PARTS))
    if report.networks:
        yield alone
    height, width = report.size
    of = "".join(f", {name}" for name in (report.model, report.quality) if name not in (DEFAULT_MODEL, DEFAULT_QUALITY))
    runs = Table(
        f"end to end, {width}x{height}{of}", "frames a second", "processor ms a frame", "peak MB", "start s",
        box=None, pad_edge=False,
    )  # fmt: skip
    names = {"limit": "decode and encode alone"}
    for row in report.runs:
        if (found := row.measured) is not None:
            name = " ".join(filter(None, (names.get(row.work, row.work), row.runtime, row.precision)))
            peak = "" if found.peak is None else f"{found.peak / 1e6:.0f}"
            runs.add_row(name, f"{found.rate:.1f}", f"{found.each:.1f}", peak, f"{found.start:.1f}")
    if report.runs:
        yield runs
    columns = stages_of(report)
    if columns:
        stages = Table("processor ms a frame", *columns, box=None, pad_edge=False)
        for stage in next(iter(columns.values())):
            stages.add_row(stage, *(f"{each[stage]:.1f}" for each in columns.values()))
        yield stages
