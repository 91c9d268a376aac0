"""Segment one source or many into folders; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from covos.api.model import Model, check_references
from covos.api.output import DEFAULT_FORMATS, Saved, load_saved, write_results
from covos.engines.defaults import DEFAULT_REFERENCES
from covos.errors import CovosError, SourceError, UsageError
from covos.masks.refine import Refinement, check_refinement
from covos.media import Source, fingerprint, open_source
from covos.models.fusion import Fusion
from covos.outputs import Inputs, OutputFolder, Project, check_formats, remove_journal
from covos.types import FrameResult, SourceInfo

Tracker = Callable[[SourceInfo, Iterable[FrameResult]], Iterable[FrameResult]]
"""Passes the results of a source on, and may count them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one input went: either ``saved`` or ``error`` is set."""

    name: str
    saved: Saved | None = None
    error: CovosError | None = None


def plan_folders(inputs: Sequence[str], *, output: Path, overwrite: bool) -> dict[str, OutputFolder]:
    """Which folder each input's results go to: ``output`` itself for one, a subfolder each for several.

    A subfolder has the input's file name without suffix; of a pattern, the name of the folder that it looks in.

    Raises:
        UsageError: Two inputs would share a folder, or a folder holds something else than a run of covos.
        EnvironmentProblem: A folder cannot be written to.
    """
    if len(inputs) == 1:
        return {inputs[0]: OutputFolder(output, overwrite=overwrite, resumable=True)}
    names: dict[str, str] = {}
    for each in inputs:
        path = Path(each)
        name = path.parent.name if "*" in path.name else (path.name if path.is_dir() else path.stem)
        if name in names:
            raise UsageError(
                f"{names[name]} and {each} would both go to {output / name}",
                why="a subfolder is named after its input",
                fix="segment them one at a time, each to a folder of its own",
            )
        names[name] = each
    return {each: OutputFolder(output / name, overwrite=overwrite, resumable=True) for name, each in names.items()}


def segment_to_folders(
    inputs: Sequence[str],
    *,
    output: Path,
    load: Callable[[], Model],
    formats: Sequence[str] = DEFAULT_FORMATS,
    references: int = DEFAULT_REFERENCES,
    fusion: Fusion | None = None,
    reference_seed: int | None = None,
    refine: Refinement = "none",
    frame_rate: Fraction | None = None,
    overwrite: bool = False,
    track: Tracker = lambda _, results: results,
) -> Iterator[Outcome]:
    """Segment each input, and write its masks and report before the next is begun.

    Each folder keeps a journal while its input is under way: a run that was stopped, however, goes on with the frame
    that it was at when this is called again, and gives the same masks as one that was not. A finished one is left as
    it is.

    What can be wrong without looking at a picture is refused by the first step; the model is loaded once, when the
    first input that can be read has been opened.

    Args:
        inputs: As for `covos.media.open_source`.
        output: Folder; with several inputs, of a subfolder each.
        load: Loads the model.
        formats: Names of `covos.outputs.FORMATS`.
        references: Frames, spread over the video, that every frame is compared with.
        fusion: See `Model.stream`.
        reference_seed: See `Model.stream`.
        refine: See `Model.stream`.
        frame_rate: Of folders of frames and patterns.
        overwrite: Whether an earlier result may be replaced.
        track: See `Tracker`.

    Yields:
        One outcome for each input, in order. Its error is a UsageError if the folder holds a run of other terms, an
        EnvironmentProblem if another process works in it.

    Raises:
        UsageError: An option is wrong.
        CheckpointError: The model's file is damaged.
        EnvironmentProblem: The device is not there.
    """
    chosen = check_formats(formats)
    check_references(references)
    check_refinement(refine)
    folders = plan_folders(inputs, output=output, overwrite=overwrite)
    model: Model | None = None
    for name, folder in folders.items():
        try:
            source = open_source(name, frame_rate=frame_rate)
        except CovosError as error:
            yield Outcome(name=name, error=error)
            continue
        with source:
            # Outside the try: a model that cannot be loaded is no fault of this input, and ends the batch.
            model = model or load()
            try:
                with folder.locked():
                    saved = _segment(
                        source,
                        folder=folder,
                        model=model,
                        formats=chosen,
                        references=references,
                        fusion=fusion,
                        reference_seed=reference_seed,
                        refine=refine,
                        track=track,
                    )
            except CovosError as error:
                yield Outcome(name=name, error=error)
                continue
        yield Outcome(name=name, saved=saved)


def _segment(
    source: Source,
    *,
    folder: OutputFolder,
    model: Model,
    formats: Sequence[str],
    references: int,
    fusion: Fusion | None,
    reference_seed: int | None,
    refine: Refinement,
    track: Tracker,
) -> Saved:
    """Begin, go on with, or find done."""
    origin = model.origin(
        references=references, fusion=fusion, reference_seed=reference_seed, refine=refine, formats=list(formats)
    )
    project = Project(
        inputs=_inputs(source),
        model=origin.model,
        weights_sha256=origin.sha256,
        # Another kind of device, or another batch, rounds otherwise: its masks would differ by a pixel here and there.
        settings={**origin.settings, "device": model.device.type, "frame_rate": str(source.info.frame_rate)},
        batch=model.engine.batch,
    )
    if project.is_done(folder):
        remove_journal(folder)
        return load_saved(folder.path)
    journal = project.begin(folder)
    results = model.stream(
        source,
        references=references,
        fusion=fusion,
        reference_seed=reference_seed,
        refine=refine,
        known=(record.restore for record in journal.replay()),
    )
    tracked = track(source.info, results)
    try:
        saved = write_results(
            tracked,
            info=source.info,
            health=lambda: source.health,
            folder=folder,
            formats=formats,
            origin=origin,
            journal=journal,
        )
    finally:
        # Now, not when it is collected: what it says last should come before what the caller says of an error.
        if isinstance(tracked, Generator):
            tracked.close()
    project.finish(folder)
    return saved


def _inputs(source: Source) -> Inputs:
    try:
        size, digest = sum(path.stat().st_size for path in source.files), fingerprint(source.files)
    except OSError as error:
        raise SourceError(
            f"{source.info.path} cannot be read",
            why=f"{error.filename}: {error.strerror}",
            fix="check the disk or network that it is on",
        ) from error
    return Inputs(path=source.info.path, files=len(source.files), size=size, fingerprint=digest)
