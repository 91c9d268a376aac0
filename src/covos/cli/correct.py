"""``covos correct``: mend the masks of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from covos.cli import options
from covos.cli.terminal import say
from covos.core.progress import counted


def correct(
    run: Annotated[
        Path,
        typer.Argument(help="Output folder of a run, or other masks as of covos convert; it stays as it is."),
    ],
    output: options.FileOrFolder,
    point: options.Points = None,
    not_point: options.NotPoints = None,
    box: options.Boxes = None,
    mask: options.Masks = None,
    prompts: options.PromptFile = None,
    trust_prompts: options.TrustPrompts = False,
    resize_masks: options.ResizeMasks = False,
    source: Annotated[
        str | None, typer.Option(help="The video or pictures of the masks, if the report does not name them.")
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "-f", "--format", metavar="NAME[=VALUE]", help="Format to write; repeatable; those of RUN if none."
        ),
    ] = None,
    direction: options.Direction = "auto",
    model: options.Model = "covos-lite",
    quality: Annotated[
        Literal["draft", "fast", "balanced", "best"] | None,
        typer.Option(help="Care in following.", show_default="that of RUN"),
    ] = None,
    memory: options.Memory = 5,
    follower: options.Follower = "covos-follow",
    prompter: options.Prompter = "auto",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    runtime: options.Runtime = "auto",
    overwrite: options.Overwrite = False,
    keep: options.Keep = False,
    allow_errors: options.AllowErrors = False,
    quiet: options.Quiet = False,
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
            trust_prompts=trust_prompts,
            source=source,
            formats=formats,
            direction=direction,
            resize_masks=resize_masks,
            model=model,
            quality=quality,
            memory=memory,
            follower=follower,
            prompter=prompter,
            device=device,
            precision=precision,
            runtime=runtime,
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
        for frame, identity in made.agreed:
            say(f"note: object {identity} on frame {frame} is as it was: it agrees with what you have shown", err=True)
        if said := doubt(made.saved, str(run)):
            say(f"note: {said}", err=True)
    if not allow_errors:
        refuse_incomplete([(str(run), made.saved)])
