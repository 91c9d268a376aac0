"""Bring masks back from disk as a result, and turn them into other formats."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from covos.core.arguments import checked
from covos.core.device import Precision
from covos.core.errors import AnnotationError, UsageError
from covos.core.labelling import Label, Labelling, as_labelling
from covos.core.places import path_text
from covos.core.progress import counted
from covos.core.types import Deinterlace, ObjectStatus, SourceInfo
from covos.core.words import Words
from covos.engines.choices import AUTO
from covos.formats.composition import PLAIN, Composition
from covos.formats.options import composed_formats, refuse_idle
from covos.formats.reading import MasksRead, ReadFrame, is_file_name
from covos.masks.edges import NO_EDGES, Edges
from covos.masks.frame_mask import FrameMask
from covos.masks.hole_watch import watched
from covos.masks.soft import SoftMask
from covos.media.inputs import open_input
from covos.media.range import Range, as_range, only_frame
from covos.media.source import Health
from covos.models.registry import DEFAULT_MATTER
from covos.results.replay import Listener
from covos.results.segmentation import Segmentation
from covos.runs.aside import made_aside, moved
from covos.runs.folder import OutputFolder
from covos.runs.journal import JOURNAL, WRITTEN
from covos.runs.onefile import Output, choose_output
from covos.runs.reading import edges_of, read_masks
from covos.runs.report import Origin
from covos.runs.schema import REPORT, FrameRow, ReportContent, has_report, load_report
from covos.runs.writing import Saved
from covos.runtimes.choice import ChosenRuntime

FRAME_RATE = Fraction(25)
"""Frames a second of masks of which no times are known, as `covos.media.opening.open_source` has it of pictures."""

_PLACED = ("index", "stem", "pts", "time_base", "file", "source_index")
"""Values that a mask takes from its frame when it is matched with a source."""


@checked()
def load_result(
    path: str | os.PathLike[str], *, source: str | os.PathLike[str] | None = None, deinterlace: Deinterlace = "auto"
) -> Segmentation:
    """Load masks that covos wrote, or another program: mask pictures, annotations, or an opacity.

    A video with alpha, or of a grey matte, has one object: more than half opaque. Its opacity is kept as the matte, and
    so is that of pictures with alpha, and of grey ones that are no label maps.

    A report beside the masks gives source, times, model and confidence. Without one, the times are those of the file if
    it has any, else 25 frames a second, and the confidence is not known (NaN).

    Args:
        path: An output folder of covos, a folder of mask pictures, or a file: COCO, YouTube-VIS or Label Studio JSON,
            CVAT XML, npz; or a folder of pictures with alpha or of grey mattes, a picture with alpha, a video with
            alpha or of a grey matte.
        source: The video or pictures that the masks belong to, if the report does not name them, or they were moved. It
            is read once, for its times. Masks are matched with frames by name where they have names, else by number;
            a video has to have as many frames.
        deinterlace: Frames of that video that are made whole pictures, as of `covos.segment`. A run has chosen already.

    Returns:
        The result; its pictures are read only when they are asked for.

    Raises:
        AnnotationError: The masks are missing or damaged, or do not belong to the report or to the source.
        InputError: The report is damaged.
        SourceError: ``source`` cannot be read.
        UsageError: ``deinterlace`` is asked for, and no source is named, or there is the report of a run.
    """
    return _loaded(path, source=source, deinterlace=deinterlace)


def _loaded(
    path: str | os.PathLike[str],
    *,
    source: str | os.PathLike[str] | None,
    deinterlace: Deinterlace = "auto",
    before_edges: bool = False,
) -> Segmentation:
    read = read_masks(Path(path_text(path, what="the masks")), before_edges=before_edges)
    report = _report_beside(read.path)
    result = _alone(read) if report is None else _with_report(read, report, folder=read.path.parent)
    if deinterlace != "auto" and (source is None or report is not None):
        raise UsageError(
            f"deinterlace {deinterlace}, and " + ("no source is named" if report is None else "the report of a run"),
            why="it is about the source of masks that covos has not made; a run keeps what it was made with",
            fix="leave it out; or "
            + ("segment again" if report is not None else "add " + Words("--source VIDEO", python="source=...")),
        )
    if source is None:
        return result
    if read.is_sequence and report is None:
        _refuse_own_pictures(read, source)
    way = deinterlace if report is None else result.info.deinterlace
    return _with_source(result, source, read=read, deinterlace=way)


def _refuse_own_pictures(read: MasksRead, source: str | os.PathLike[str]) -> None:
    if read.path.exists() and Path(source).exists() and read.path.samefile(source):
        raise UsageError(
            f"{source} is named as the source of its own alpha",
            why="a cut-out lacks its background, and its alpha would count twice",
            fix="name the clip that it was cut out of",
        )


def _report_beside(path: Path) -> ReportContent | None:
    """The report of the run that wrote this file or folder."""
    if not has_report(path.parent):
        return None
    report = load_report(path.parent)
    return report if path.name in (*report.outputs, JOURNAL, WRITTEN) else None


def _alone(read: MasksRead) -> Segmentation:
    (height, width), first = read.frames[0].size, read.frames[0].index
    for frame in read.frames:
        if frame.size != (height, width):
            size = f"{frame.size[1]}x{frame.size[0]}"
            raise AnnotationError(
                f"cannot read masks from {read.path}",
                why=f"frame {frame.index} is {size}, frame {first} {width}x{height}",
                fix="bring them to one size; only a report beside them can state that the source had several",
            )
    timed = read.time_base is not None and all(frame.pts is not None for frame in read.frames)
    time_base = read.time_base if timed and read.time_base is not None else 1 / FRAME_RATE
    info = SourceInfo(
        path=str(read.path),
        kind="masks",
        height=height,
        width=width,
        frame_count=read.frames[-1].index + 1,
        frame_rate=None if timed else FRAME_RATE,
        duration=None,
        time_base=time_base,
        codec=read.format,
    )
    frames = tuple(
        FrameMask(
            index=frame.index,
            stem=f"{frame.index:05d}" if frame.stem is None else frame.stem,
            pts=frame.pts if timed and frame.pts is not None else frame.index,
            time_base=time_base,
            status="ok",
            confidence=math.nan,
            size=frame.size,
            objects=frame.objects,
            soft=frame.soft,
            kept_matte=frame.matte,
        )
        for frame in read.frames
    )
    health = Health(decoded=len(frames), expected=len(frames))
    origin = Origin(model="unknown", sha256="", device="", settings={"read_from": str(read.path)})
    return Segmentation(info=info, health=health, origin=origin, frames=frames, held=info.path)


def _with_report(read: MasksRead, report: ReportContent, *, folder: Path) -> Segmentation:
    info = report.source.info(folder=folder)
    if read.is_sequence and len(read.frames) != len(report.frames):
        raise _misfit(read.path, REPORT, f"it has {len(read.frames)} frames, and the report {len(report.frames)}")
    by_name = read.frames[0].stem is not None
    masks = {(frame.stem if by_name else frame.index): frame for frame in read.frames}
    frames = []
    for place, row in enumerate(report.frames):
        mask = masks.pop(row.stem if by_name else place if read.is_sequence else row.number, None)
        if mask is None or not is_file_name(row.stem):
            raise _misfit(read.path, REPORT, f"frame {row.stem!r} of the report has no mask")
        height, width = row.size or (info.height, info.width)
        if read.is_sequence:
            mask.cut_to((info.height, info.width))
        # A format of one size has fitted the frame in.
        if mask.size not in {(height, width), (info.height, info.width)}:
            sizes = f"the mask of frame {row.stem!r} is {mask.size[1]}x{mask.size[0]}, the frame {width}x{height}"
            raise _misfit(read.path, REPORT, sizes)
        frames.append(_frame(row, info.time_base, mask))
    left = [key for key, frame in masks.items() if frame.objects]
    if left or not frames:
        raise _misfit(read.path, REPORT, f"{len(left)} of its masks are of frames that the report does not have")
    model = report.model
    origin = Origin(
        model=model.name,
        sha256=model.sha256,
        device=report.device,
        settings=report.settings,
        steps_down=report.steps_down,
        cuts=report.cuts,
    )
    return Segmentation(info=info, health=report.full_health(), origin=origin, frames=tuple(frames))


def _frame(row: FrameRow, time_base: Fraction, mask: ReadFrame) -> FrameMask:
    confidence = row.confidence
    return FrameMask(
        index=row.index,
        stem=row.stem,
        pts=row.pts,
        time_base=time_base,
        status=row.status,
        confidence=math.nan if confidence is None else confidence,
        size=mask.size,
        objects=mask.objects,
        states=tuple(
            ObjectStatus(id=identity, state=said.state, confidence=said.confidence)
            for identity, said in row.states.items()
        ),
        file=row.file,
        soft=mask.soft,
        kept_matte=mask.matte,
        feather=mask.feather,
        source_index=row.source_index,
    )


def _with_source(
    result: Segmentation, source: str | os.PathLike[str], *, read: MasksRead, deinterlace: Deinterlace
) -> Segmentation:
    named = read.frames[0].stem is not None
    path = result.info.path if result.info.kind == "masks" else "the result"
    # A part stays the part that it was, wherever its source lies now.
    with open_input(source, range=Range.taken(result.info), deinterlace=deinterlace) as opened:
        info = opened.info
        if read.is_sequence and result.info.kind == "masks":
            result = _fitted(read, info, path=path)
        if (info.height, info.width) != (result.info.height, result.info.width):
            sizes = f"the masks are {result.info.width}x{result.info.height}, its frames {info.width}x{info.height}"
            raise _misfit(path, info.path, sizes)
        frames = {frame.number: {name: getattr(frame, name) for name in _PLACED} for frame in opened}
    places = _places(result, info, {each["stem"]: number for number, each in frames.items()}, named=named)
    if beyond := [place for place in places if place not in frames]:
        raise _misfit(path, info.path, f"there is a mask for frame {beyond[0]}, it has {len(frames)} frames")
    matched = []
    for place, mask in sorted(zip(places, result.frames, strict=True), key=lambda pair: pair[0]):
        matched.append(replace(mask, **frames[place]))
    return replace(result, info=info, frames=tuple(matched), held=os.fspath(source))


def _fitted(read: MasksRead, info: SourceInfo, *, path: str) -> Segmentation:
    """Return the masks of a video at the size of its source, of which it has to have every frame."""
    if len(read.frames) != info.frame_count:
        raise AnnotationError(
            f"{path} does not belong to {info.path}",
            why=f"it has {counted(len(read.frames), 'frame')}, and the source {info.frame_count}",
            fix="name the clip that it was made from; of a part of a clip, cut the same part out of the clip first",
        )
    for frame in read.frames:
        frame.cut_to((info.height, info.width))
    return _alone(read)


def _places(result: Segmentation, info: SourceInfo, numbers: Mapping[str, int], *, named: bool) -> list[int]:
    """Return the number of the source's frame that each mask belongs to."""
    if named and all(frame.stem in numbers for frame in result.frames):
        return [numbers[frame.stem] for frame in result.frames]
    if named and len(result) != info.frame_count:
        other = next(frame.stem for frame in result.frames if frame.stem not in numbers)
        raise _misfit(
            result.info.path,
            info.path,
            f"there are {len(result)} masks for {info.frame_count} frames, and no frame has the name {other!r}",
        )
    # Masks with other names, as many as frames: the first belongs to the first.
    return [*range(len(result))] if named else [frame.number for frame in result.frames]


def _misfit(path: str | Path, other: str, why: str) -> AnnotationError:
    return AnnotationError(
        f"{path} does not belong to {other}", why=why, fix="name the source that the masks were made from"
    )


@checked()
def convert(
    path: str | os.PathLike[str],
    *,
    formats: Sequence[str] = (),
    output: str | os.PathLike[str] | None = None,
    source: str | os.PathLike[str] | None = None,
    deinterlace: Deinterlace = "auto",
    matte: bool | str | os.PathLike[str] | None = None,
    device: str = AUTO,
    precision: Precision = AUTO,
    runtime: ChosenRuntime = AUTO,
    edges: Edges = NO_EDGES,
    composition: Composition = PLAIN,
    range: Range | range | None = None,
    label: Label | Labelling | None = None,
    overwrite: bool = False,
    keep: bool = False,
    listen: Listener | None = None,
) -> Saved:
    """Write the masks of a result in other formats: all of them, or nothing.

    Args:
        path: As for `load_result`.
        formats: Names of `covos.formats.table.FORMATS`, at least one, unless the name of one file chooses it.
        output: Folder, or one file such as ``x.mov`` (see `covos.runs.onefile`); if not given, a folder beside the
            result, named after it and the formats.
        source: As for `load_result`.
        deinterlace: As for `load_result`.
        matte: If true, find the opacity of edges with covos-matte, or with the ``.safetensors`` file of another one
            (see `covos.Segmentation.with_matte`). None takes the matte that a run has found. If false, edges are as
            soft as the probability, also where there is a matte.
        device: Where the matte is computed; see `covos.load_model`.
        precision: As for `covos.load_model`.
        runtime: As for `covos.load_model`.
        edges: Changes of the masks' edges; those of an earlier run stay, and these come on top.
        composition: The composition of the formats (see `covos.formats.composition.Composition`).
        range: The part that is written, as of `covos.Segmentation.trim`; None is all that the masks are of.
        label: Names of objects: ``"car"``, or by object id ``{1: "car"}``; others keep the label that they have.
        overwrite: True if an earlier result in the folder, or the file, may be replaced.
        keep: If true, the folder of one file stays beside it, with its report.
        listen: Called with the number of frames that are done, and of all; with a matte, twice from 1 to all.

    Raises:
        UsageError: A format is unknown or none is named, or needs pictures and no source is known; or the folder is
            not empty.
        AnnotationError: The masks cannot be read, or do not belong to the source.
        SourceError: The source cannot be read, or has changed.
        EnvironmentProblem: The disk is full or not writable.
    """
    found = load_result(path, source=source, deinterlace=deinterlace)
    result = found.trim(as_range(range))
    # Of masks of one frame, no other range has more.
    frame = only_frame(result.info) if len(found) > 1 else None
    chosen = output_of(
        path, formats=formats, output=output, composition=composition, still=result.info.is_still, frame=frame,
        overwrite=overwrite, keep=keep,
    )  # fmt: skip
    given = as_labelling(label)
    if matte in {None, False}:
        _refuse_idle_computing(device=device, precision=precision, runtime=runtime)
    else:
        refuse_idle(chosen.formats, ["matte"])
    chosen.refuse_idle(edges=edges, labelled=given, range=as_range(range))
    refuse_output(chosen, path=Path(path), result=found, overwrite=overwrite)
    known = len(result.origin.steps_down)
    if matte is False:
        result = result.without_matte()
    elif matte is not None:
        network = DEFAULT_MATTER if matte is True else matte
        changed = edges_of(Path(path))
        # A matte is looked for around what was found, and is then changed as the masks were.
        before = _loaded(path, source=source, deinterlace=deinterlace, before_edges=True) if changed else found
        part = before.trim(as_range(range))
        matted = part.with_matte(network, device=device, precision=precision, runtime=runtime, listen=listen)
        result = replace(matted, frames=_edged(matted, result, edges=changed, before=before))
    told = tuple(step.text for step in result.origin.steps_down[known:])
    labels = given.over(Labelling.of_settings(result.origin.settings))
    formats = chosen.formats
    settings = {**result.origin.settings, **labels.settings, "converted_from": os.fspath(path), "formats": [*formats]}
    result = replace(result, origin=replace(result.origin, settings=settings))
    return write_aside(result, chosen, told=told, overwrite=overwrite, edges=edges, labelled=given, listen=listen)


def _refuse_idle_computing(**asked: str) -> None:
    """Refuse a way to compute where nothing is computed."""
    if given := next((f"{name} {value}" for name, value in asked.items() if value != AUTO), None):
        raise UsageError(
            f"{given} is asked for, and no network runs",
            why="the masks are there, and no matte is looked for",
            fix="add " + Words("--matte", python="matte=True") + ", or leave it out",
        )


def refuse_output(
    chosen: Output,
    *,
    path: Path,
    result: Segmentation,
    overwrite: bool,
    reads: Sequence[str | os.PathLike[str]] = (),
) -> None:
    """Refuse, before any work, an output that may not be written: it is there, it is read, or it holds the result.

    Args:
        chosen: The output.
        path: Where the result was loaded from.
        result: The result.
        overwrite: True if an earlier output may be replaced.
        reads: Further files that are read.

    Raises:
        UsageError: It may not be written.
    """
    chosen.refuse_existing(reads=(result.info.path, *(() if path.is_dir() else (path,)), *reads))
    _refuse_itself(path, chosen.folder)
    OutputFolder(chosen.folder, overwrite=overwrite)


def write_aside(
    result: Segmentation,
    chosen: Output,
    *,
    told: Sequence[str],
    overwrite: bool,
    labelled: Labelling,
    edges: Edges = NO_EDGES,
    listen: Listener | None = None,
) -> Saved:
    """Write a result to its output, all or nothing.

    Args:
        result: The result.
        chosen: The output.
        told: Warnings of the steps before.
        overwrite: True if an earlier output may be replaced.
        labelled: Labels that were asked for.
        edges: Changes of the masks' edges.
        listen: Called with the number of frames that are done, and of all.

    Raises:
        CovosError: As of `Segmentation.write`; or the output may not be written.
    """
    with made_aside(chosen.folder, overwrite=overwrite) as folder:
        saved = result.write(
            folder, formats=chosen.formats, edges=edges, labelled=labelled, listen=listen, passes=chosen.passes
        )
    return chosen.take(moved(replace(saved, warnings=(*told, *saved.warnings)), chosen.folder))


def _edged(matted: Segmentation, result: Segmentation, *, edges: Edges, before: Segmentation) -> tuple[FrameMask, ...]:
    """Return the masks of a result with the mattes of the same before edges were changed, changed in the same way.

    Args:
        matted: The mattes.
        result: The masks, of the same frames.
        edges: The changes.
        before: All that was found, which may be more: the frames around tell which holes are filled.
    """
    old = {mask.number: mask for mask in result.frames}
    new = {mask.number: mask for mask in matted.frames}
    edged = {}
    for found, hole in watched(before.frames, edges, cuts=before.origin.cuts, every=before.info.every):
        if (mask := old.get(found.number)) is None:
            continue
        kept = new[found.number]
        if kept.matte is not None and kept.objects != mask.objects:  # else nothing was changed, or by hand
            edged[mask.number] = SoftMask.of(edges.apply(kept.labels, kept.matte, hole=hole)[1], mask.mask)
    return tuple(
        replace(mask, kept_matte=edged.get(mask.number, new[mask.number].kept_matte)) for mask in result.frames
    )


def output_of(
    path: str | os.PathLike[str],
    *,
    formats: Sequence[str],
    output: str | os.PathLike[str] | None,
    composition: Composition = PLAIN,
    still: bool = False,
    frame: int | None = None,
    overwrite: bool = False,
    keep: bool = False,
) -> Output:
    """Return where `convert` writes to, and in which formats; arguments are as there, or as of `choose_output`.

    Raises:
        UsageError: No format is named, or they do not fit the output.
    """
    if output is None:
        composed = composed_formats(formats, composition)
        output = _folder_beside(Path(path), composed)
    chosen = choose_output(
        output, formats, usual=(), composition=composition, still=still, frame=frame, overwrite=overwrite, keep=keep
    )
    if not chosen.formats:
        raise UsageError(
            "no format to convert to",
            why="neither a format nor the name of a file says which",
            fix="name one: " + Words("-f coco, or -o x.mov", python='formats=["coco"], or output="x.mov"'),
        )
    return chosen


def _folder_beside(path: Path, formats: Sequence[str]) -> Path:
    named = path if path.name not in {"", ".."} else path.resolve()
    name = named.name if named.is_dir() else named.stem
    return named.with_name("-".join([name, *(each.partition("=")[0] for each in formats)]))


def _refuse_itself(path: Path, folder: Path) -> None:
    """Refuse, with a UsageError, to write to the folder whose masks are read."""
    if path.resolve().is_relative_to(folder.resolve()):
        raise UsageError(
            f"{folder} holds the masks that are to be read",
            why="they would be replaced while they are needed",
            fix="write to another folder",
        )
