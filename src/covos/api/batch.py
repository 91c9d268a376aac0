"""Segment one source or many into folders; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from covos.api.model import Model, check_references
from covos.api.output import DEFAULT_FORMATS, Saved, write_results
from covos.engines.defaults import DEFAULT_REFERENCES
from covos.errors import CovosError, UsageError
from covos.masks.refine import Refinement, check_refinement
from covos.media import open_source
from covos.models.fusion import Fusion
from covos.outputs import OutputFolder, check_formats
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
        UsageError: Two inputs would share a folder, or a folder is not empty.
        EnvironmentProblem: A folder cannot be written to.
    """
    if len(inputs) == 1:
        return {inputs[0]: OutputFolder(output, overwrite=overwrite)}
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
    return {each: OutputFolder(output / name, overwrite=overwrite) for name, each in names.items()}


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
        One outcome for each input, in order.

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
                results = model.stream(
                    source, references=references, fusion=fusion, reference_seed=reference_seed, refine=refine
                )
                saved = write_results(
                    track(source.info, results),
                    info=source.info,
                    health=lambda source=source: source.health,  # type: ignore[misc]
                    folder=folder,
                    formats=chosen,
                    origin=model.origin(
                        references=references,
                        fusion=fusion,
                        reference_seed=reference_seed,
                        refine=refine,
                        formats=list(chosen),
                    ),
                )
            except CovosError as error:
                yield Outcome(name=name, error=error)
                continue
        yield Outcome(name=name, saved=saved)
