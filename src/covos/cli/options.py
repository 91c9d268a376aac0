"""The options that verbs share: a verb's signature lists names and defaults, what they mean is said here."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args

import typer

from covos.core import device
from covos.engines import choices
from covos.formats.table import FORMATS
from covos.models import choices as models
from covos.runtimes.choice import ChosenRuntime

if TYPE_CHECKING:
    from fractions import Fraction

# The input and the output.

Inputs: TypeAlias = Annotated[
    list[str], typer.Argument(metavar="INPUT", help="Videos, folders of frames, quoted globs, shot.%04d.png, images.")
]
DatasetRoot: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="DATASET", help="Root of a TIANCHI, YouTube-VOS or DAVIS tree, images + masks, or shards."),
]
Benchmark: TypeAlias = Annotated[Literal["davis2016"], typer.Argument(help="Name of the benchmark: davis2016.")]
BenchmarkData: TypeAlias = Annotated[
    str, typer.Option("--data", metavar="DATASET", help="Root of the data set, or its shards.")
]
ContinuedFolder: TypeAlias = Annotated[
    Path,
    typer.Option(
        "-o",
        "--output",
        metavar="FOLDER",
        help="Folder of the result. If it holds a part of the work, the command goes on there.",
    ),
]
FileOrFolder: TypeAlias = Annotated[
    str,  # a path would lose the slash that says that it is a folder
    typer.Option(
        "-o",
        "--output",
        metavar="PATH",
        help="Folder; several inputs get a subfolder each. Or one file, whose name chooses the format, such as x.mov, "
        "or cut.png for a picture or one frame: then covos leaves nothing else.",
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
        help=f"Format to write: {', '.join(FORMATS)}; repeatable. By default palette and overlay.",
    ),
]
TestVideos: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="VIDEOS", help="List or folder of videos. By default the test videos, or else those of val."),
]
Grow: TypeAlias = Annotated[
    str, typer.Option(metavar="LENGTH", help="Let masks grow: pixels, or a share of the frame's height as 0.5%.")
]
Shrink: TypeAlias = Annotated[str, typer.Option(metavar="LENGTH", help="Shrink masks by this length.")]
Feather: TypeAlias = Annotated[str, typer.Option(metavar="LENGTH", help="Soften edges over this length.")]
FillHoles: TypeAlias = Annotated[
    str, typer.Option(metavar="AREA", help="Fill holes up to this area: pixels, a share of the frame as 0.1%, or all.")
]
MinArea: TypeAlias = Annotated[str, typer.Option(metavar="AREA", help="Remove parts of masks that are smaller.")]
SmoothTime: TypeAlias = Annotated[
    int, typer.Option(min=0, max=10, metavar="N", help="Steady edges over N frames on each side, along the motion.")
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
        help="Put the subject before this background: a colour (white, #rrggbb), a picture, a video, blur or "
        "blur:RADIUS. It adds -f background.",
    ),
]
BackgroundStart: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="PLACE",
        help="Begin the background video here: seconds as 12.5 or 00:00:12.5, a frame as f300, or a timecode.",
    ),
]
BackgroundEnd: TypeAlias = Annotated[
    str | None, typer.Option(metavar="PLACE", help="Loop the background video before this place.")
]
LightWrap: TypeAlias = Annotated[
    str, typer.Option(metavar="LENGTH", help="Let light of the background wrap around the edges, over this length.")
]
Shadow: TypeAlias = Annotated[bool, typer.Option("--shadow", help="Keep the subject's shadow on the new background.")]


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


ConstantRate: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="RATE",
        help="Write videos at this rate, such as 25 or 29.97: frames are repeated or dropped by their times.",
    ),
]
Sound: TypeAlias = Annotated[
    Literal["copy", "pcm", "aac", "none"] | None,
    typer.Option(
        help="Sound of videos: copied where the file can hold it, PCM, AAC, or none.",
        show_default="copied where programs read it",
    ),
]


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
End: TypeAlias = Annotated[str | None, typer.Option(metavar="PLACE", help="End before this place.")]
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
    typer.Option(help="Times in videos of a part: from zero, or as in the source."),
]


Ratio: TypeAlias = Annotated[
    float | None,
    typer.Option(
        metavar="SHARE",
        help="With --subset train or val: the part that a training with this ratio trains or measures on.",
    ),
]
SplitSeed: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="SEED", help="With --ratio: seed of that training; another seed, another division.", show_default="0"
    ),
]
BenchmarkVideos: TypeAlias = Annotated[
    str | None, typer.Option(metavar="LIST", help="List of sequences. By default val, or val_open if there is no val.")
]
Archive: TypeAlias = Annotated[
    bool, typer.Option("--zip", help="Also make submission.zip, laid out as the data set's challenge takes it.")
]
FrameRate: TypeAlias = Annotated[
    str | None, typer.Option(metavar="FPS", help="Frames a second of folders of frames and globs, as 25 or 30000/1001.")
]
Overwrite: TypeAlias = Annotated[bool, typer.Option("-y", "--overwrite", help="Replace an earlier result.")]
OverwriteRun: TypeAlias = Annotated[
    bool,
    typer.Option(
        "-y", "--overwrite", help="Replace earlier results; the same command that was stopped goes on, with -y, too."
    ),
]
SkipExisting: TypeAlias = Annotated[
    bool, typer.Option("-n", "--skip-existing", help="Leave what is finished as it is, and say so.")
]
AllowErrors: TypeAlias = Annotated[
    bool, typer.Option("--allow-errors", help="End with 0 even if frames of a source could not be read.")
]

Damaged: TypeAlias = Annotated[
    Literal["hold", "empty"],
    typer.Option(help="Mask of a frame that cannot be read: hold takes that of the frame before, empty takes none."),
]

Deinterlace: TypeAlias = Annotated[
    Literal["auto", "on", "off"],
    typer.Option(help="Deinterlace the frames that are flagged as interlaced (auto), all (on), or none (off)."),
]

# Finding the subject.

Model: TypeAlias = Annotated[
    str, typer.Option("-m", "--model", help="A name from covos models list, or a .safetensors file.")
]
Quality: TypeAlias = Annotated[
    choices.Quality,
    typer.Option(
        help="Care in finding and following. best is several times slower than balanced; fast is faster, and draft is "
        "the fastest."
    ),
]
References: TypeAlias = Annotated[int, typer.Option(help="Frames that every frame is compared with.")]
Fusion: TypeAlias = Annotated[
    Literal["auto", models.Fusion],
    typer.Option(help="Way in which several references become one answer; auto takes the one that suits the model."),
]
Cuts: TypeAlias = Annotated[
    choices.Cuts,
    typer.Option(
        help="auto finds cuts and compares each frame with references of its shot; off takes all as one shot."
    ),
]
ReferenceSeed: TypeAlias = Annotated[
    int | None, typer.Option(metavar="SEED", help="Draw the references at random instead of evenly.")
]
Refine: TypeAlias = Annotated[
    models.Refinement,
    typer.Option(help="crf fits the masks to the picture's edges by COSNet's dense CRF; it is slow."),
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
    choices.Direction,
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

Device: TypeAlias = Annotated[str, typer.Option(help="Device that computes: auto, cpu, cuda, cuda:N or mps.")]
Precision: TypeAlias = Annotated[device.Precision, typer.Option(help="Precision of the arithmetic.")]
TrainingPrecision: TypeAlias = Annotated[str, typer.Option(help="Precision of the arithmetic: auto, fp32 or bf16.")]
Runtime: TypeAlias = Annotated[
    ChosenRuntime,
    typer.Option(help="Library that computes the networks; auto takes what is installed and was measured faster."),
]
NoProgress: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress.")]
Quiet: TypeAlias = Annotated[bool, typer.Option("-q", "--quiet", help="Show no progress and no closing lines.")]


CORRECTIONS = "Corrections"
"""The group of options that ``covos correct`` has by itself."""
_PANELS: dict[str, tuple[Any, ...]] = {
    CORRECTIONS: (),
    "The model": (Model, Quality, References, Fusion, ReferenceSeed, Cuts, Refine),
    "Show, steer, correct": (
        Objects, Masks, AlphaAsMask, Points, NotPoints, Boxes, Within, ExcludeBoxes, PromptFile, TrustPrompts,
        ResizeMasks, Direction, Memory, Follower, Prompter, Labels,
    ),
    "The source": (Start, End, Every, Times, FrameRate, Damaged, Deinterlace, AllowErrors),
    "Edges": (Matte, Grow, Shrink, Feather, FillHoles, MinArea, SmoothTime),
    "Background and alpha": (
        Background, BackgroundStart, BackgroundEnd, LightWrap, Shadow, Alpha, EachObject, KeepHdr, Invert,
    ),
    "The result": (ConstantRate, Sound, Overwrite, OverwriteRun, SkipExisting, Keep),
    "The machine": (Device, Precision, TrainingPrecision, Runtime),
}  # fmt: skip
"""The groups in which the help of a verb shows these options, in this order; all others come first."""
PANELS = (*_PANELS,)
for _panel, _options in _PANELS.items():
    for _option in _options:
        get_args(_option)[1].rich_help_panel = _panel


def frame_rate_of(text: str | None, *, option: str = "--frame-rate") -> Fraction | None:
    """Read a number of frames a second."""
    if text is None:
        return None

    from covos.core.errors import UsageError
    from covos.media.rates import read_rate

    try:
        rate = read_rate(text)
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
