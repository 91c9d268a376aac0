"""The options that verbs share: a verb's signature lists names and defaults, what they mean is said here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

import typer

from covos.formats.table import FORMATS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from covos.core.records import RecordT
    from covos.formats.composition import Composition
    from covos.masks.edges import Edges
    from covos.media.range import Range

# The input and the output.

Inputs: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="INPUT...", help="Videos, folders of frames, quoted globs, images.")
]
DatasetRoot: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="Root of a TIANCHI, YouTube-VOS or DAVIS tree, images + masks, or shards."),
]
Benchmark: TypeAlias = Annotated[Literal["davis2016"], typer.Argument(help="Which benchmark.")]
BenchmarkData: TypeAlias = Annotated[str, typer.Option("--data", help="Root of the data set, or its shards.")]
ContinuedFolder: TypeAlias = Annotated[
    Path, typer.Option("-o", "--output", help="Folder; continued if it holds a part of the work.")
]
FileOrFolder: TypeAlias = Annotated[
    str,  # a path would lose the slash that says that it is a folder
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="Folder; with several inputs, a subfolder each. Or one file, such as x.mov, or cut.png of a picture or of "
        "one frame, whose name chooses the format: then nothing else is left.",
    ),
]
Keep: TypeAlias = Annotated[
    bool, typer.Option("--keep", help="With one file as the output, keep its report and journal in a folder beside it.")
]
Formats: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "-f",
        "--format",
        metavar="NAME[=VALUE]",
        help=f"One of {', '.join(FORMATS)}; repeatable. By default palette and overlay.",
    ),
]
TestVideos: TypeAlias = Annotated[
    str | None, typer.Option(help="List or folder of videos; the test videos if there are any, else val's.")
]
Grow: TypeAlias = Annotated[
    str, typer.Option(metavar="LENGTH", help="Let masks grow: pixels, or a share of the frame's height as 0.5%.")
]
Shrink: TypeAlias = Annotated[str, typer.Option(metavar="LENGTH", help="Shrink masks, likewise.")]
Feather: TypeAlias = Annotated[str, typer.Option(metavar="LENGTH", help="Soften edges over this length.")]
FillHoles: TypeAlias = Annotated[
    str, typer.Option(metavar="AREA", help="Fill holes up to this area: pixels, a share of the frame as 0.1%, or all.")
]
MinArea: TypeAlias = Annotated[str, typer.Option(metavar="AREA", help="Remove parts of masks that are smaller.")]
SmoothTime: TypeAlias = Annotated[
    int, typer.Option(min=0, max=10, metavar="N", help="Steady edges by N frames on each side, along the motion.")
]


Matte: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--matte/--no-matte",
        help="Find the opacity of edges by covos-matte: hair, fur, spokes, blur. For soft formats. --no-matte leaves "
        "it out of formats that are added to a run that has one.",
        show_default=False,
    ),
]
Background: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="WHAT",
        help="Background behind the subject, for -f background: a colour (white, #rrggbb), a picture, a video, blur or "
        "blur:RADIUS.",
    ),
]
BackgroundStart: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="PLACE", help="Begin that video here: seconds as 12.5 or 00:00:12.5, a frame as f300, or a timecode."
    ),
]
BackgroundEnd: TypeAlias = Annotated[
    str | None, typer.Option(metavar="PLACE", help="Let it begin again before this place, likewise.")
]
LightWrap: TypeAlias = Annotated[
    str, typer.Option(metavar="LENGTH", help="Let light of the background wrap around the edges, over this length.")
]
Shadow: TypeAlias = Annotated[
    bool, typer.Option("--shadow", help="Keep what the subject darkens around it, on the new background.")
]


Alpha: TypeAlias = Annotated[
    Literal["straight", "premultiplied"] | None,
    typer.Option(
        help="Colours of prores, qtrle, ffv1 and tiff: as they are, or multiplied by the alpha.",
        show_default="straight",
    ),
]
EachObject: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--each-object", help="Write a file for each object, or a folder of pictures, in formats with alpha and mattes."
    ),
]
KeepHdr: TypeAlias = Annotated[
    bool,
    typer.Option("--keep-hdr", help="Keep the tones of HDR and BT.2020 in prores, ffv1, rgba and exr."),
]


Invert: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--invert", help="Keep everything but the subject (alpha 1 - a), in formats with alpha or a background."
    ),
]


def _made(chosen: Mapping[str, Any], kind: type[RecordT]) -> RecordT:
    return kind(**{name: chosen[name] for name in kind.model_fields})


def composition_of(chosen: Mapping[str, Any]) -> Composition:
    """Return what the options of a verb ask of the outputs; ``chosen`` has them by name, among others."""
    from covos.formats.composition import Composition

    return _made(chosen, Composition)


Labels: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="[OBJECT=]LABEL",
        help="Names of objects in annotations: all as car, or object 1 as 1=car; repeatable.",
    ),
]
Start: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="PLACE",
        help="Begin here: seconds as 12.5 or 00:01:02.5, a frame as f300 (from 0), or a timecode as 01:00:12:05.",
    ),
]
End: TypeAlias = Annotated[str | None, typer.Option(metavar="PLACE", help="End before this place, likewise.")]
Every: TypeAlias = Annotated[
    int,
    typer.Option(
        min=1,
        max=1_000_000_000,
        metavar="N",
        help="Take each N-th frame; videos keep their speed at a lower frame rate.",
    ),
]
Times: TypeAlias = Annotated[
    Literal["zero", "source"],
    typer.Option(help="Times of the videos of a part: from zero, or those of the source."),
]


def range_of(chosen: Mapping[str, Any]) -> Range:
    """Return the range that the options of a verb ask for; ``chosen`` has them by name, among others."""
    from covos.media.range import Range

    return _made(chosen, Range)


def edges_of(chosen: Mapping[str, Any]) -> Edges:
    """Return the edges that the options of a verb ask for; ``chosen`` has them by name, among others."""
    from covos.masks.edges import Edges

    return _made(chosen, Edges)


Ratio: TypeAlias = Annotated[
    float | None,
    typer.Option(help="With --subset train or val: the part that a training with this ratio trains or measures on."),
]
SplitSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(help="With --ratio: seed of that training; another seed, another division.", show_default="0"),
]
BenchmarkVideos: TypeAlias = Annotated[
    str | None, typer.Option(help="List of sequences; val or else val_open if not given.")
]
Archive: TypeAlias = Annotated[
    bool, typer.Option("--zip", help="Also make submission.zip, laid out as the data set's challenge takes it.")
]
FrameRate: TypeAlias = Annotated[
    str | None, typer.Option(help="Frames a second of folders of frames and globs, such as 25 or 30000/1001.")
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("-y", "--overwrite", help="Replace an earlier result.")]
SkipExisting: TypeAlias = Annotated[
    bool, typer.Option("-n", "--skip-existing", help="Leave what is finished as it is, and say so.")
]
AllowErrors: TypeAlias = Annotated[
    bool, typer.Option("--allow-errors", help="End with 0 even if frames of a source could not be read.")
]

Damaged: TypeAlias = Annotated[
    Literal["hold", "empty"],
    typer.Option(help="Mask of a picture that cannot be read: that of the frame before, or none."),
]

Deinterlace: TypeAlias = Annotated[
    Literal["auto", "on", "off"],
    typer.Option(help="Frames of a video to deinterlace: those that are flagged as interlaced, all, or none."),
]

# Finding the subject.

Model: TypeAlias = Annotated[str, typer.Option("-m", "--model", help="A name, or a .safetensors file.")]
Quality: TypeAlias = Annotated[
    Literal["draft", "fast", "balanced", "best"],
    typer.Option(
        help="Care in finding and following: best is several times slower than balanced; fast is faster, draft more so."
    ),
]
References: TypeAlias = Annotated[int, typer.Option(help="Frames that every frame is compared with.")]
Fusion: TypeAlias = Annotated[
    Literal["auto", "summary", "prediction", "group"],
    typer.Option(help="Way in which several references become one answer; auto takes the one that suits the model."),
]
Cuts: TypeAlias = Annotated[
    Literal["auto", "off"],
    typer.Option(help="Find cuts, and compare each frame with references of its own shot; or take all as one shot."),
]
ReferenceSeed: TypeAlias = Annotated[
    int | None, typer.Option(metavar="SEED", help="Draw the references at random instead of evenly.")
]
Refine: TypeAlias = Annotated[
    Literal["none", "crf"],
    typer.Option(help="Fit the masks to the picture's edges by COSNet's dense CRF (slow)."),
]

# Objects: found or given, and followed.

Objects: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="auto|N",
        help="1: one subject. auto: find objects, 10 at most, and follow each under its own id. N: at most N.",
    ),
]

Masks: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--mask",
        metavar="FILE[@FRAME][:OBJECT]",
        help="Follow the objects of this mask, of the first frame that is taken or of frame FRAME (from 0 in the "
        "input); repeatable. Its values are the ids; a 0/255 mask gets the next free id, or OBJECT.",
    ),
]
Points: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--point",
        metavar="X,Y[@FRAME][:OBJECT]",
        help="Follow the object at this pixel (column, row) of the first frame or of frame FRAME; repeatable. Points "
        "without a number are of one object; on a frame where it has a mask, they correct that.",
    ),
]
AlphaAsMask: TypeAlias = Annotated[
    bool, typer.Option("--alpha-as-mask", help="Follow the opaque part of the first frame of an input with alpha.")
]
NotPoints: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--not-point",
        metavar="X,Y[@FRAME][:OBJECT]",
        help="The thing at this pixel is not the object. With no object shown, it is taken away from the subject that "
        "is found, in the whole video.",
    ),
]
Boxes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--box",
        metavar="X0,Y0,X1,Y1[@FRAME][:OBJECT]",
        help="Follow the object in this box: left, top, right, bottom; repeatable. Without OBJECT a new one.",
    ),
]
Within: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--within",
        metavar="X0,Y0,X1,Y1[@FRAME]",
        help="Keep the subject inside this box of every frame; with FRAME, keep the parts of it that lie in the box "
        "there, in the whole video; repeatable.",
    ),
]
ExcludeBoxes: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude-box",
        metavar="X0,Y0,X1,Y1[@FRAME]",
        help="Cut the subject off inside this box of every frame; with FRAME, leave out the thing that lies in the "
        "box there, in the whole video; repeatable.",
    ),
]
PromptFile: TypeAlias = Annotated[
    Path | None, typer.Option("--prompts", metavar="FILE", help="Masks, points, boxes, regions in a JSON or TOML file.")
]
TrustPrompts: TypeAlias = Annotated[
    bool, typer.Option("--trust-prompts", help="Let the prompt file name masks outside its own folder.")
]
ResizeMasks: TypeAlias = Annotated[
    bool, typer.Option("--resize-masks", help="Resize masks of another size than their frame.")
]
Direction: TypeAlias = Annotated[
    Literal["auto", "forward", "backward", "both"],
    typer.Option(help="Direction of following; auto goes both ways if a mask is of a later frame than the first."),
]
Memory: TypeAlias = Annotated[int, typer.Option(help="Frames that following remembers beside the given ones.")]
Follower: TypeAlias = Annotated[
    str, typer.Option(help="Network that follows: a name, or a .safetensors file that belongs to the model.")
]
Prompter: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Maker of masks from points and boxes: grabcut, covos-prompt, or a .safetensors file of one; auto begins "
        "with grabcut and goes on with covos-prompt, if that fits the model."
    ),
]
Follow: TypeAlias = Annotated[
    bool | None,
    typer.Option(
        "--follow/--no-follow",
        help="Follow the objects of each video's first annotation, or find one subject without looking at it. By "
        "default it follows if the videos come with first annotations only and the follower belongs to the model.",
    ),
]

# The machine and the terminal.

Device: TypeAlias = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Precision: TypeAlias = Annotated[
    Literal["auto", "fp32", "bf16", "fp16"], typer.Option(help="Precision of the arithmetic.")
]
Runtime: TypeAlias = Annotated[
    Literal["auto", "torch", "openvino", "onnxruntime"],
    typer.Option(help="Library that computes the networks; auto takes what is installed and was measured faster."),
]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="No progress and no closing lines.")]


_PANELS: dict[str, tuple[Any, ...]] = {
    "The model": (Model, Quality, References, Fusion, ReferenceSeed, Cuts, Refine),
    "Show, steer, correct": (
        Objects, Masks, AlphaAsMask, Points, NotPoints, Boxes, Within, ExcludeBoxes, PromptFile, TrustPrompts,
        ResizeMasks, Direction, Memory, Follower, Prompter, Labels,
    ),
    "A part of the source": (Start, End, Every, Times, FrameRate),
    "Edges": (Matte, Grow, Shrink, Feather, FillHoles, MinArea, SmoothTime),
    "Background and alpha": (Background, BackgroundStart, BackgroundEnd, LightWrap, Shadow, Alpha, EachObject, Invert),
    "Earlier results, damaged inputs": (Overwrite, SkipExisting, Keep, AllowErrors, Damaged, Deinterlace),
    "The machine": (Device, Precision, Runtime),
}  # fmt: skip
"""The groups in which the help of a verb shows these options; all others come first."""
for _panel, _options in _PANELS.items():
    for _option in _options:
        get_args(_option)[1].rich_help_panel = _panel


def frame_rate_of(text: str | None, *, option: str = "--frame-rate") -> Fraction | None:
    """Read a number of frames a second."""
    if text is None:
        return None

    from covos.core.errors import UsageError
    from covos.core.guarded import parse_fraction

    try:
        rate = parse_fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = None
    if rate is None or rate <= 0:
        raise UsageError(f"{option} {text}", why="it is not a number of frames a second", fix="write 25 or 30000/1001")
    return rate


def size_of(text: str | None) -> tuple[int, int] | None:
    """Read a size as (height, width)."""
    if text is None:
        return None

    from covos.core.errors import UsageError

    numbers = [int(side) for side in text.split("x") if side.isascii() and side.isdigit() and len(side) < 6]
    if text.count("x") != 1 or len(numbers) != 2 or not all(numbers):
        raise UsageError(f"--size {text}", why="it is no width and height", fix="write 1280x720")
    return numbers[1], numbers[0]


def plan_of(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a plan that the options of a verb ask for, but for its source, its task and its formats."""
    from covos.core.labelling import read_labels

    names = ("model", "device", "precision", "runtime", "damaged", "deinterlace", "matte", "cuts")
    return {
        **{name: chosen[name] for name in names},
        "frame_rate": frame_rate_of(chosen["frame_rate"]),
        "range": range_of(chosen),
        "edges": edges_of(chosen),
        "label": read_labels(chosen["label"] or ()),
    }


def settings_of(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a task that the options of a verb ask for, but for its objects and prompts."""
    names = ("quality", "references", "reference_seed", "refine", "resize_masks", "direction", "memory", "follower")
    fusion = chosen["fusion"]
    return {
        **{name: chosen[name] for name in (*names, "prompter")},
        "fusion": None if fusion == "auto" else fusion,
    }


def refuse_both(*, overwrite: bool, skip: bool) -> None:
    """Refuse to replace what exists and to leave it, at once."""
    if overwrite and skip:
        from covos.core.errors import UsageError

        raise UsageError(
            "-y and -n together", why="one replaces what exists, the other leaves it", fix="give one of them, or none"
        )


def say_skipped(name: str, made: Path, *, quiet: bool) -> None:
    """Say that something is left as it is."""
    if not quiet:
        from covos.cli.terminal import say

        say(f"skipped: {name}: {made} is there already", err=True)


def skips(files: Sequence[Path], *, overwrite: bool, skip: bool, quiet: bool = False) -> bool:
    """Tell if there is nothing to be done with -n, as all these files are there, and say so for each.

    Raises:
        UsageError: Existing files are to be replaced and to be left.
    """
    refuse_both(overwrite=overwrite, skip=skip)
    there = skip and bool(files) and all(file.exists() for file in files)
    for file in files if there else ():
        say_skipped(file.name, file, quiet=quiet)
    return there


def refuse_existing(files: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to replace files.

    Raises:
        UsageError: One of them is there, and nobody has asked to replace it.
    """
    from covos.core.errors import UsageError

    existing = [path for path in files if path.exists()]
    if existing and not overwrite:
        raise UsageError(
            f"{existing[0]} exists" + (f", and {len(existing) - 1} other outputs" if len(existing) > 1 else ""),
            why="results are never overwritten unasked",
            fix="give another name, or -y to replace",
        )
