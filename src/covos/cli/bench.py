"""``covos bench``: speed and memory on the user's own machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from covos.cli import options
from covos.cli.terminal import say
from covos.core.errors import UsageError, one_of
from covos.engines.choices import DEFAULT_QUALITY, Quality
from covos.models.registry import DEFAULT_MODEL
from covos.runtimes.choice import ChosenRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.table import Table

    from covos.bench.report import BenchReport, RunRow


def bench(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all numbers to this file, too.")] = None,
    profile: Annotated[
        bool,
        typer.Option("--profile", help="Show where the time goes: processor milliseconds a frame by stage (Linux)."),
    ] = False,
    size: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WxH", help="Size of the clip that covos makes and measures, 854x480 by default; repeatable."
        ),
    ] = None,
    runtime: Annotated[
        Literal["all", ChosenRuntime],
        typer.Option(help="Measure one runtime alone; auto is the one that a run takes by itself."),
    ] = "all",
    model: Annotated[
        list[str] | None,
        typer.Option(
            "-m",
            "--model",
            help=f"A name from covos models list, or a .safetensors file, {DEFAULT_MODEL} by default; repeatable.",
        ),
    ] = None,
    quality: Annotated[
        list[str] | None,
        typer.Option(
            metavar="|".join(get_args(Quality)),
            help=f"Care in finding and following, {DEFAULT_QUALITY} by default; repeatable.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Take a shorter clip and fewer rounds, for rougher numbers.")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure this machine's processors: networks alone, finding and following end to end, memory, by runtime.

    A GPU is not measured. Each model is measured at each quality, on a clip of each size.

    The table also shows the upper limit: decoding and encoding without a network. It shows rembg, too, where rembg and
    its models are installed.
    """
    from covos.models.registry import find_model

    qualities = list(dict.fromkeys(map(_quality, quality or [DEFAULT_QUALITY])))
    models = list(dict.fromkeys(model or [DEFAULT_MODEL]))
    for each in models:
        find_model(each)
    from covos.bench.report import bench as measure
    from covos.bench.ways import ways
    from covos.core.device import configure_threads
    from covos.core.records import write_record

    threads = configure_threads(pipeline=True)
    sizes = [sides for each in size or ["854x480"] if (sides := options.size_of(each)) is not None]
    steps = measure(
        ways(runtime),
        sizes=list(dict.fromkeys(sizes)),
        frames=24 if quick else 120,
        rounds=3 if quick else 15,
        threads=threads,
        models=models,
        qualities=qualities,
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


def _quality(text: str) -> Quality:
    for each in get_args(Quality):
        if each == text:
            return cast("Quality", each)
    raise UsageError(
        f"--quality cannot be {text}", why="it is none of the choices", fix=one_of(text, get_args(Quality))
    )


def _show(report: BenchReport) -> None:
    from rich.console import Console

    console = Console(soft_wrap=True)
    for table in _tables(report):
        console.print(table)
    lacking = dict.fromkeys((row.work, row.why_not) for row in report.runs if row.why_not)
    for work, why_not in lacking:
        console.print(f"rembg {work}: not measured, {why_not}", highlight=False)


def _tables(report: BenchReport) -> Iterator[Table]:
    from rich.table import Column, Table

    from covos.bench.report import PARTS, stages_of, told_apart, words_of

    releases = ", ".join(f"{name} {release}" for name, release in report.libraries.items())
    sizes = dict.fromkeys(f"{row.size[1]}x{row.size[0]}" for row in report.networks)
    alone = Table(
        Column("network, ms (processor ms)", no_wrap=True), *PARTS, box=None, pad_edge=False, title_justify="left",
        title=f"{report.machine}, {report.cpus} processors; {releases}",
        caption=f"frames of {', '.join(sizes)}, threads: {report.threads}", caption_justify="left",
    )  # fmt: skip
    told, parts = told_apart(report.networks), dict[str, dict[str, str]]()
    for network in report.networks:
        name = words_of(network, told=told, work="")
        parts.setdefault(name, {})[network.work] = f"{network.wall:.1f} ({network.processor:.1f})"
    for name, cells in parts.items():
        alone.add_row(name, *(cells[part] for part in PARTS))
    if report.networks:
        yield alone
    runs = Table(
        Column(_titled(report.runs), no_wrap=True),
        "frames a second",
        "processor ms a frame",
        "peak MB",
        "start s",
        box=None,
        pad_edge=False,
    )
    names, told = {"limit": "decode and encode alone"}, told_apart(report.runs)
    for row in report.runs:
        if (found := row.measured) is not None:
            peak = "" if found.peak is None else f"{found.peak / 1e6:.0f}"
            name = words_of(row, told=told, work=names.get(row.work))
            runs.add_row(name, f"{found.rate:.1f}", f"{found.each:.1f}", peak, f"{found.start:.1f}")
    if report.runs:
        yield runs
    columns = stages_of(report)
    if columns:
        stages = Table("processor ms a frame", *columns, box=None, pad_edge=False)
        for stage in next(iter(columns.values())):
            stages.add_row(stage, *(f"{each[stage]:.1f}" for each in columns.values()))
        yield stages


def _titled(rows: Sequence[RunRow]) -> str:
    """Say what all rows are of; the model and the quality if they are not the usual ones."""
    each = [dict.fromkeys(f"{row.size[1]}x{row.size[0]}" for row in rows)]
    each += [dict.fromkeys(filter(None, (getattr(row, name) for row in rows))) for name in ("model", "quality")]
    shared = [next(iter(values)) for values in each if len(values) == 1]
    return ", ".join(["end to end", *(name for name in shared if name not in (DEFAULT_MODEL, DEFAULT_QUALITY))])
