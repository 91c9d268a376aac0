"""``covos predict``: segment a whole data set, for its challenge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from covos.api.predict import Prediction


def predict(
    dataset: Annotated[
        Path, typer.Argument(metavar="DATASET", help="Root of a TIANCHI, YouTube-VOS or DAVIS tree, or images + masks.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder; continued if it holds a part of the work.")],
    model: Annotated[str, typer.Option("-m", "--model", help="A name, or a .safetensors file.")] = "covos-lite",
    subset: Annotated[
        str | None, typer.Option(help="List or folder of videos; the test videos if there are any, else val's.")
    ] = None,
    archive: Annotated[
        bool, typer.Option("--zip", help="Also make submission.zip, laid out as the data set's challenge takes it.")
    ] = False,
    references: Annotated[int, typer.Option(help="Frames that every frame is compared with.")] = 5,
    fusion: Annotated[
        Literal["auto", "summary", "prediction", "group"],
        typer.Option(help="How several references become one answer; auto takes what suits the model."),
    ] = "auto",
    reference_seed: Annotated[
        int | None, typer.Option(metavar="SEED", help="Draw the references at random instead of evenly.")
    ] = None,
    refine: Annotated[
        Literal["none", "guided", "crf"], typer.Option(help="Fit the masks to the picture's edges.")
    ] = "none",
    follow: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            help="Follow the objects of each video's first annotation, or find one subject without looking at it. By "
            "itself it follows where the videos come with first annotations only.",
        ),
    ] = None,
    follower: Annotated[
        str, typer.Option(help="What follows: a name, or a .safetensors file that belongs to the model.")
    ] = "covos-follow",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Of the arithmetic.")] = "auto",
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no closing line.")] = False,
) -> None:
    """Segment every video of a data set: OUT/Annotations/<video>/<frame>.png; goes on where it stopped.

    Videos that come with their first masks alone are those of a semi-supervised challenge, such as TIANCHI's: their
    objects are followed, and keep their ids. In others one subject is found, and written as 1.
    """
    from covos.api import load_model
    from covos.api.predict import predict as run
    from covos.api.subset import gives_objects, open_subset
    from covos.cli.tracking import frame_tracker
    from covos.runtime.threads import configure_threads

    videos = open_subset(dataset, subset=subset)
    configure_threads()
    loaded = load_model(model, device=device, precision=precision)
    given = gives_objects(videos)
    # Of itself, only where it can be done: a COSNet has no follower.
    chosen = given and loaded.entry.card.architecture == "lite" if follow is None else follow
    if not quiet and (given or chosen):
        typer.echo(f"note: {_said_of(chosen)}", err=True)
    done = run(
        videos,
        output=output,
        model=loaded,
        follow=chosen,
        follower=follower,
        references=references,
        fusion=None if fusion == "auto" else fusion,
        reference_seed=reference_seed,
        refine=refine,
        archive=archive,
        track=frame_tracker(quiet=quiet),
    )
    if not quiet:
        typer.echo(_summary(done), err=True)
    typer.echo(str(done.archive or done.folder))


def _said_of(follow: bool) -> str:
    if follow:
        return "the objects of each video's first annotation are followed (--no-follow finds one subject instead)"
    return "the first masks that these videos come with are not used: one subject is written as 1"


def _summary(done: Prediction) -> str:
    fresh = [video for video in done.made if video.name not in set(done.reused)]
    frames, seconds = sum(video.frames for video in fresh), sum(video.seconds for video in fresh)
    speed = f" in {seconds:.1f} s ({frames / seconds:.1f} a second)" if seconds else ""
    before = f"; {len(done.reused)} were there already" if done.reused else ""
    return f"{len(fresh)} of {len(done.made)} videos, {frames} frames{speed}{before}"
