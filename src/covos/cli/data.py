"""``covos data``: look at data sets before training on them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from covos.cli import existing, options
from covos.cli.terminal import say, say_notes
from covos.core.errors import printable
from covos.core.progress import counted

if TYPE_CHECKING:
    from covos.data import Dataset, Inspection, VideoReport

app = typer.Typer(help="Data sets: what is in them, and whether it fits together.", no_args_is_help=True)

UNUSABLE_EXIT = 3
ROWS = 60
"""A data set of more videos than this is listed by its first few."""
FEW = 10

Layouts: TypeAlias = Literal["auto", "davis", "youtube-vos", "tianchi", "image-mask"]
Encodings: TypeAlias = Literal["auto", "ids", "binary", "soft"]

Root = Annotated[str, typer.Argument(help="A data set, a folder of data sets, or shards of one: a folder or a URL.")]
LayoutOption = Annotated[Layouts, typer.Option(help="Layout of the tree.")]
SubsetOption = Annotated[str | None, typer.Option(metavar="VIDEOS", help="List or folder of videos, such as train.")]
EncodingOption = Annotated[Encodings, typer.Option(help="Meaning of the annotations' values.")]


@app.command()
def inspect(
    root: Root,
    layout: LayoutOption = "auto",
    subset: SubsetOption = None,
    ratio: options.Ratio = None,
    split_seed: options.SplitSeed = None,
    encoding: EncodingOption = "auto",
    decode_images: Annotated[
        bool,
        typer.Option(
            "--decode-images/--headers",
            help="Decode the images. --headers reads their headers alone: faster, but it misses images that are cut.",
        ),
    ] = True,
    every_video: Annotated[bool, typer.Option("--all", help="List every video of a large data set, too.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all that is found to this file.")] = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.NoProgress = False,
) -> None:
    """Read every picture and annotation of a data set; list what is there and what does not fit.

    The exit code is 0 if you can train on it, warnings or not, and 3 if files cannot be read or do not fit.
    """
    from covos.core.progress import Progress
    from covos.data import inspect as look_through

    files = [] if json_file is None else [json_file]
    if existing.skips(files, overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    existing.refuse_existing(files, overwrite=overwrite)
    found = []
    for dataset in _open(root, layout=layout, subset=subset, ratio=ratio, seed=split_seed, encoding=encoding):
        total = sum(len(video.frames) for video in dataset)
        with Progress(f"inspect {dataset.name}", total=total, quiet=quiet) as progress:
            found.append(look_through(dataset, decode_images=decode_images, on_frames=progress.advance))
    for inspection in found:
        _show(inspection, every_video=every_video)
    if json_file is not None:
        _write_json(json_file, [inspection.to_dict() for inspection in found])
    if not all(inspection.usable for inspection in found):
        raise typer.Exit(UNUSABLE_EXIT)


@app.command()
def statistics(
    root: Root,
    layout: LayoutOption = "auto",
    subset: SubsetOption = None,
    ratio: options.Ratio = None,
    split_seed: options.SplitSeed = None,
    encoding: EncodingOption = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the numbers to this file, too.")] = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.NoProgress = False,
) -> None:
    """Measure the masks of a data set: lengths, sizes and counts of objects, where the subject is and moves.

    Masks that cannot be read are left out; inspect names them.
    """
    from covos.core.progress import Progress
    from covos.data import statistics as measure

    files = [] if json_file is None else [json_file]
    if existing.skips(files, overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    existing.refuse_existing(files, overwrite=overwrite)
    found = []
    datasets = _open(root, layout=layout, subset=subset, ratio=ratio, seed=split_seed, encoding=encoding)
    say_notes(datasets, quiet=quiet)
    for dataset in datasets:
        total = sum(len(video) for video in dataset)
        with Progress(f"measure {dataset.name}", total=total, quiet=quiet) as progress:
            found.append(measure(dataset, on_frames=progress.advance))
    typer.echo("\n\n".join(map(str, found)))
    if json_file is not None:
        _write_json(json_file, [each.to_dict() for each in found])


@app.command()
def preview(
    root: Root,
    output: Annotated[Path, typer.Option("-o", "--output", help="The sheet to write, a .png file.")],
    videos: Annotated[
        int, typer.Option(min=1, metavar="N", help="Draw at most N videos or pictures of a data set, at random.")
    ] = 6,
    frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Draw at most N frames of a video, evenly spread.")
    ] = 8,
    seed: Annotated[
        int, typer.Option(metavar="SEED", help="Seed of the random choice; another seed, other videos.")
    ] = 0,
    layout: LayoutOption = "auto",
    subset: SubsetOption = None,
    ratio: options.Ratio = None,
    split_seed: options.SplitSeed = None,
    encoding: EncodingOption = "auto",
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
) -> None:
    """Draw frames beside their annotations, on one sheet for each data set.

    Several data sets give several files: sheet.png becomes sheet-NAME.png.
    """
    from covos.core.errors import UsageError

    existing.refuse_both(overwrite=overwrite, skip=skip_existing)
    if output.suffix.lower() != ".png":
        raise UsageError(
            f"the sheet {output}",
            why=f"a sheet is a PNG picture, not {output.suffix or 'without a suffix'}",
            fix=f"name it {output.stem or 'sheet'}.png",
        )
    from covos.core.files import atomic_path
    from covos.data import preview as draw

    datasets = _open(root, layout=layout, subset=subset, ratio=ratio, seed=split_seed, encoding=encoding)
    paths = [output if len(datasets) == 1 else output.with_stem(f"{output.stem}-{data.name}") for data in datasets]
    existing.refuse_existing([] if skip_existing else paths, overwrite=overwrite)
    say_notes(datasets)
    for path, dataset in zip(paths, datasets, strict=True):
        if existing.skips([path], overwrite=overwrite, skip=skip_existing):
            continue
        sheet = draw(dataset.random(min(videos, len(dataset)), seed=seed), frames=frames)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            sheet.save(temporary, format="PNG")
        say(str(path))


@app.command()
def pack(
    root: Annotated[Path, typer.Argument(metavar="ROOT", help="A data set, or a folder of data sets.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="New folder of the shards.")],
    size: Annotated[str, typer.Option(metavar="BYTES", help="Size of a shard, such as 256MB or 1GB.")] = "256MB",
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    quiet: options.NoProgress = False,
) -> None:
    """Pack a data set into shards: large tar files that training and all else read as they read the folder.

    Millions of small files are slow on a network disk, and object storage has no folders.
    """
    from covos.core.progress import Progress
    from covos.core.shards import INDEX
    from covos.data import pack as write

    if existing.skips([output / INDEX], overwrite=overwrite, skip=skip_existing, quiet=quiet):
        return
    with Progress("pack", quiet=quiet, unit="files") as progress:
        done = write(root, output, size=_bytes(size), overwrite=overwrite, on_files=progress.advance)
    if not quiet:
        shards = counted(done.shards, "shard")
        say(f"{counted(done.files, 'file')} in {shards}, {done.bytes / 1e6:,.1f} MB", err=True)
    say(str(done.folder))


def _bytes(text: str) -> int:
    """Read a size such as 256MB: decimal units."""
    from covos.core.errors import UsageError

    found = re.fullmatch(r"(\d{1,12})\s*([kMGT]?)B?", text.strip(), re.ASCII)
    if not found:
        raise UsageError(f"--size {text}", why="it is no number of bytes", fix="write 256MB, 1GB or 500000000")
    return int(found[1]) * int(1000 ** " kMGT".index(found[2] or " "))


def _open(
    root: str, *, layout: Layouts, subset: str | None, ratio: float | None, seed: int | None, encoding: Encodings
) -> tuple[Dataset, ...]:
    from covos.data import open_collection, open_dataset

    told = None if encoding == "auto" else encoding
    if layout != "auto":
        return (open_dataset(root, layout=layout, subset=subset, ratio=ratio, seed=seed, encoding=told),)
    collection = open_collection(root, subset=subset, ratio=ratio, seed=seed, encoding=told)
    for name, reason in collection.skipped.items():
        say(f"skipped {root.rstrip('/')}/{name}: {reason}", err=True)
    return collection.datasets


def _write_json(path: Path, datasets: list[dict[str, Any]]) -> None:
    from covos.core.records import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    write_json({"datasets": datasets}, path)


def _show(inspection: Inspection, *, every_video: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    stdout = Console(highlight=False)
    if not stdout.is_terminal:
        stdout.width = 200  # a pipe has no width; rich would cut the lines at 80
    # Most trees of this layout are no copy of TIANCHI.
    layout = "a folder a video, layout tianchi" if inspection.layout == "tianchi" else inspection.layout
    stdout.print(f"[bold]{_plain(inspection.name)}[/] ({layout}, {_plain(inspection.root)})", soft_wrap=True)
    table = Table("video", "subset", box=None, pad_edge=False)
    for title in ("frames", "annotated", "objects", "empty"):
        table.add_column(title, justify="right")
    table.add_column("width x height")
    table.add_column("values")
    videos = inspection.videos
    shown = videos if every_video or len(videos) <= ROWS else videos[:FEW]
    for video in shown:
        table.add_row(*(_plain(cell) for cell in _row(video)))
    stdout.print(table)
    if len(shown) < len(videos):
        stdout.print(f"... and {len(videos) - len(shown)} more (--all)")
    stdout.print(
        f"total: {len(videos)} videos or pictures, {counted(inspection.frames, 'frame')}, "
        f"{inspection.annotated} annotated, {counted(inspection.objects, 'object')}, "
        f"{counted(inspection.empty, 'empty annotation')}",
        soft_wrap=True,
    )
    for problem in inspection.problems:
        cases = f": {', '.join(problem.examples)}" if problem.examples else ""
        stdout.print(f"{problem.severity}: {_plain(problem.what + cases)}", soft_wrap=True)
    stdout.print()


def _plain(text: str) -> str:
    """Return a text of which nothing is markup, and no code reaches the terminal."""
    from rich.markup import escape

    return escape(printable(text))


def _row(video: VideoReport) -> tuple[str, ...]:
    sizes = ", ".join(f"{width} x {height}" for height, width in video.sizes[:2])
    return (
        video.name,
        video.subset or "",
        str(video.frames),
        str(video.annotated),
        str(video.objects),
        str(len(video.empty) or ""),
        sizes + (" ..." if len(video.sizes) > 2 else ""),
        video.encoding,
    )
