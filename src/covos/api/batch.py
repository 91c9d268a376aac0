"""Segment one source or many into folders; one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from covos.api.discovering import Discovering
from covos.api.following import Following, refuse_refinement
from covos.api.model import Model, check_references
from covos.api.output import DEFAULT_FORMATS, Origin, Saved, load_saved, write_results
from covos.api.passes import Direction
from covos.api.session import Session
from covos.core.errors import CovosError, SourceError, UsageError
from covos.core.types import FrameResult, SourceInfo
from covos.engines.find import DEFAULT_REFERENCES
from covos.formats.table import check_formats
from covos.media.opening import fingerprint, open_source
from covos.media.source import Source
from covos.models.coattention import Fusion
from covos.models.cosnet.refine import Refinement, check_refinement
from covos.runs.folder import OutputFolder
from covos.runs.journal import Journal
from covos.runs.terms import Inputs, RunTerms, remove_journal

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
    follow: Following | Discovering | None = None,
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
        formats: Names of `covos.formats.table.FORMATS`.
        references: Frames, spread over the video, that every frame is compared with.
        fusion: See `Model.stream`.
        reference_seed: See `Model.stream`.
        refine: See `Model.stream`.
        follow: Follow what it shows or finds of each input, rather than find the subject; references and fusion are
            then of no account.
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
    if follow is not None:
        refuse_refinement(refine)
    folders = plan_folders(inputs, output=output, overwrite=overwrite)
    model: Model | None = None

    def loaded() -> Model:
        nonlocal model
        model = model or load()
        return model

    for name, folder in folders.items():
        try:
            source = open_source(name, frame_rate=frame_rate)
        except CovosError as error:
            yield Outcome(name=name, error=error)
            continue
        with source:
            try:
                session = None if follow is None else follow.open(source, load=loaded)
            except CovosError as error:
                yield Outcome(name=name, error=error)
                continue
            # Outside the try: a model that cannot be loaded is no fault of this input, and ends the batch.
            ready = loaded()
            try:
                if session is not None and isinstance(follow, Discovering):
                    work = _discovering(session, follow, model=ready)
                elif session is None or follow is None:
                    work = _finding(
                        source, model=ready, references=references, fusion=fusion, seed=reference_seed, refine=refine
                    )
                else:
                    assert isinstance(follow, Following)
                    work = _following(session, direction=follow.direction)
                with folder.locked():
                    saved = _segment(source, work, folder=folder, model=ready, formats=chosen, track=track)
            except CovosError as error:
                yield Outcome(name=name, error=error)
                continue
        yield Outcome(name=name, saved=saved)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """What is to be done with a source.

    Attributes:
        origin: With all settings that the masks depend on.
        run: Gives the results, the first of them by the records of an earlier run.
    """

    origin: Origin
    run: Callable[[Journal], Iterator[FrameResult]]


def _finding(
    source: Source, *, model: Model, references: int, fusion: Fusion | None, seed: int | None, refine: Refinement
) -> _Work:
    def run(journal: Journal) -> Iterator[FrameResult]:
        return model.stream(
            source,
            references=references,
            fusion=fusion,
            reference_seed=seed,
            refine=refine,
            known=(record.restore for record in journal.replay()),
        )

    origin = model.origin(references=references, fusion=fusion, reference_seed=seed, refine=refine)
    return _Work(origin=origin, run=run)


def _following(session: Session, *, direction: Direction) -> _Work:
    return _Work(
        origin=session.origin(direction), run=lambda journal: _again(session.stream(direction), journal=journal)
    )


def _discovering(session: Session, how: Discovering, *, model: Model) -> _Work:
    def run(journal: Journal) -> Iterator[FrameResult]:
        return _again(session.found(how.most, references=how.references), journal=journal)

    return _Work(origin=how.origin(model), run=run)


def _again(results: Iterator[FrameResult], *, journal: Journal) -> Iterator[FrameResult]:
    # What was followed before is followed again: that is how the memory comes to hold what it held.
    records = journal.replay()
    for result in results:
        record = next(records, None)
        yield result if record is None else record.restore(result.frame)


def _segment(
    source: Source, work: _Work, *, folder: OutputFolder, model: Model, formats: Sequence[str], track: Tracker
) -> Saved:
    """Begin, go on with, or find done."""
    origin = replace(work.origin, settings={**work.origin.settings, "formats": list(formats)})
    terms = RunTerms(
        inputs=_inputs(source),
        model=origin.model,
        weights_sha256=origin.sha256,
        # Another kind of device, or another batch, rounds otherwise: its masks would differ by a pixel here and there.
        settings={**origin.settings, "device": model.device.type, "frame_rate": str(source.info.frame_rate)},
        batch=model.engine.batch,
    )
    if terms.is_done(folder):
        remove_journal(folder)
        return load_saved(folder.path)
    journal = terms.begin(folder)
    tracked = track(source.info, work.run(journal))
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
    terms.finish(folder)
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
