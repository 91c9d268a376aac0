"""``covos convert``: from one format of masks to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from covos.cli import existing, groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say
from covos.core.progress import counted


@grouped
def convert(
    result: Annotated[
        Path,
        typer.Argument(
            metavar="RESULT",
            help="An output folder, a folder of masks or mattes, a coco, ytvis, cvat, labelstudio or npz file, or a "
            "video with alpha or of a matte.",
        ),
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "-f",
            "--format",
            metavar="NAME[=VALUE]",
            help="Format to write; repeatable. By default the name of the output file chooses it.",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Folder, or one file such as x.mov. By default a folder beside the result.",
        ),
    ] = None,
    source: Annotated[
        str | None, typer.Option(help="The video or pictures of the masks, if no report beside them names them.")
    ] = None,
    deinterlace: options.Deinterlace = "auto",
    matte: Annotated[
        bool | None,
        typer.Option(
            "--matte/--no-matte",
            help="Find the opacity of edges by covos-matte, or leave out the matte of a run, which is used otherwise.",
            show_default=False,
            rich_help_panel="Edges",
        ),
    ] = None,
    label: options.Labels = None,
    overwrite: options.Overwrite = False,
    skip_existing: options.SkipExisting = False,
    keep: options.Keep = False,
    allow_errors: options.AllowErrors = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress and no closing line.")] = False,
    *,
    part: groups.Part,
    rims: groups.Rims,
    composing: groups.Composing,
    machine: groups.Machine,
) -> None:
    """Turn masks into other formats: pictures, annotations, videos.

    The soft edges of a run, and its matte, are kept in its folder: formats with alpha are as soft as if the run had
    written them. A cut-out or a matte, as a video or pictures, is as soft as its alpha or its grey. Name its clip by
    --source. For masks that have no matte, --matte finds one, whatever made them. Without the matte of a run, its plain
    alpha is taken: --no-matte. With --start, --end and --every a
    part is written; seconds then count from the first frame of the result. The exit code is 4 if frames of the result
    are missing, damaged or were not computed.
    """
    edges, taken = rims.edges(), part.range()
    composition = composing.composition()
    from covos.cli.doubt import doubt, tinted
    from covos.cli.progress import JobDisplay
    from covos.cli.verdict import refuse_incomplete
    from covos.core.labelling import read_labels
    from covos.results.loading import convert as run
    from covos.results.loading import output_of
    from covos.runs.schema import has_report
    from covos.runs.writing import is_finished

    existing.refuse_both(overwrite=overwrite, skip=skip_existing)
    if skip_existing:
        named = (
            output_of(result, formats=formats or (), output=None, composition=composition).path
            if output is None
            else output
        )
        target = Path(named)
        if target.is_file() or is_finished(target):
            existing.say_skipped(str(result), target, quiet=quiet)
            return
    if matte:
        from covos.core.device import configure_threads

        configure_threads(pipeline=True)
    with JobDisplay(quiet=quiet) as display:
        saved = run(
            result,
            formats=formats or (),
            output=output,
            source=source,
            deinterlace=deinterlace,
            matte=matte,
            device=machine.device,
            precision=machine.precision,
            runtime=machine.runtime,
            edges=edges,
            composition=composition,
            range=taken,
            label=read_labels(label or ()),
            overwrite=overwrite,
            keep=keep,
            listen=display.frames(result.name, before=("matte",) if matte else (), writes=True),
        )
    for warning in saved.warnings:
        say(f"warning: {result}: {warning}", err=True)
    if not quiet:
        written = ", ".join(str(path) for path in saved.paths)
        say(f"{counted(saved.frames, 'frame')}: {written}", err=True)
        for text in saved.notes:
            say(f"note: {text}", err=True)
        if said := tinted(saved, formats=formats, background=composing.background):
            say(f"note: {said}", err=True)
        # Of masks of another tool no confidence is known, and all would be doubtful.
        if has_report(result) and (said := doubt(saved, str(result), edges=edges, run=result)):
            say(f"note: {said}", err=True)
    if not allow_errors:
        refuse_incomplete([(str(result), saved)])
