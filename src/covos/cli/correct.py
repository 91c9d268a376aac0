"""``covos correct``: mend the masks of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from covos.cli import groups, options
from covos.cli.grouping import grouped
from covos.cli.terminal import say
from covos.core.progress import counted
from covos.engines import choices
from covos.models.registry import DEFAULT_MODEL

Output: TypeAlias = Annotated[
    str,  # a path would lose the slash that says that it is a folder
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="Folder of the corrected run. Or one file, such as x.mov, whose name chooses the format: then nothing "
        "else is left.",
    ),
]
Points: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="X,Y[@FRAME][:OBJECT]",
        rich_help_panel=options.CORRECTIONS,
        help="The object lacks the thing at this pixel (column, row) of frame FRAME, or of the first one; repeatable.",
    ),
]
NotPoints: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--not-point",
        metavar="X,Y[@FRAME][:OBJECT]",
        rich_help_panel=options.CORRECTIONS,
        help="The thing at this pixel is no part of the object; repeatable.",
    ),
]
Boxes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X0,Y0,X1,Y1[@FRAME][:OBJECT]",
        rich_help_panel=options.CORRECTIONS,
        help="The object lies in this box: left, top, right, bottom; repeatable.",
    ),
]
Masks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="FILE[@FRAME][:OBJECT]",
        rich_help_panel=options.CORRECTIONS,
        help="This is the whole mask on that frame. Its values are the ids; a 0/255 mask is of OBJECT; repeatable.",
    ),
]
PromptFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--prompts",
        metavar="FILE",
        rich_help_panel=options.CORRECTIONS,
        help="Corrections in a JSON or TOML file: masks, points and boxes.",
    ),
]


@grouped
def correct(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="Output folder of a run, or other masks as of covos convert; it stays as it is."
        ),
    ],
    output: Output,
    point: Points = None,
    not_point: NotPoints = None,
    box: Boxes = None,
    mask: Masks = None,
    prompts: PromptFile = None,
    source: Annotated[
        str | None, typer.Option(help="The video or pictures of the masks, if the report does not name them.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--format", metavar="NAME[=VALUE]", help="Format to write; repeatable. By default those of RUN."
        ),
    ] = None,
    model: options.Model = DEFAULT_MODEL,
    quality: Annotated[
        choices.Quality | None,
        typer.Option(help="Care in following.", show_default="that of RUN", rich_help_panel="The model"),
    ] = None,
    overwrite: options.Overwrite = False,
    keep: options.Keep = False,
    allow_errors: options.AllowErrors = False,
    quiet: options.Quiet = False,
    *,
    following: groups.FollowOptions,
    machine: groups.Machine,
) -> None:
    """Correct the masks of a run, and write all of them to a new folder.

    Each correction changes only the object it names. Name the frame and the object, as in --point 320,200@40:2; a run
    of one object needs no number. The correction spreads in time as far as the mistake does; all other masks stay. RUN
    itself is not touched.
    """
    from covos.core.memory import refuse_small_address_space

    refuse_small_address_space()  # before anything large is imported
    from covos.cli import prompting
    from covos.cli.doubt import doubt
    from covos.cli.progress import JobDisplay
    from covos.cli.verdict import refuse_incomplete
    from covos.core.device import configure_threads
    from covos.correction import correct as mend

    configure_threads(pipeline=True)
    shown = prompting.shown_by(mask or (), point or (), not_point or (), box or ())
    with JobDisplay(quiet=quiet) as display:
        made = mend(
            run,
            output,
            prompts=shown if prompts is None else [*shown, prompts],
            trust_prompts=prompting.trusted(following, prompts),
            source=source,
            formats=formats,
            direction=following.direction,
            resize_masks=following.resize_masks,
            model=model,
            quality=quality,
            memory=following.memory,
            follower=following.follower,
            prompter=following.prompter,
            device=machine.device,
            precision=machine.precision,
            runtime=machine.runtime,
            overwrite=overwrite,
            keep=keep,
            listen=display.frames(run.name),
            expect=display.expect,
        )
    for warning in made.saved.warnings:
        say(f"warning: {run}: {warning}", err=True)
    if not quiet:
        changed = "".join(f", object {each} in {count}" for each, count in made.changed.items())
        written = ", ".join(str(path) for path in made.saved.paths)
        say(f"{made.frames} of {counted(made.saved.frames, 'frame')} changed{changed}: {written}", err=True)
        for text in (*made.notes, *made.saved.notes):
            say(f"note: {text}", err=True)
        if not made.followed:
            say("note: nothing has changed, so nothing was followed", err=True)
        for frame, identity in made.agreed:
            say(f"note: object {identity} on frame {frame} is as it was: it agrees with what you have shown", err=True)
        for frame, identity, share in made.partly:
            say(
                f"note: a part of the object was taken away ({max(1, round(100 * share))} %); for the whole thing on "
                f"frame {frame}, correct {run} again and point at the rest of it too, or draw a box around what stays: "
                f"--box X0,Y0,X1,Y1@{frame}:{identity}",
                err=True,
            )
        if said := doubt(made.saved, str(run)):
            say(f"note: {said}", err=True)
    if not allow_errors:
        refuse_incomplete([(str(run), made.saved)])
