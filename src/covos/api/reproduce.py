"""Segment and score a whole benchmark, so that a published table can be checked, or a row be added to it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from covos.api.batch import Outcome, Tracker, segment_to_folders
from covos.api.model import Model
from covos.data import Video, open_dataset
from covos.engines.defaults import DEFAULT_REFERENCES
from covos.errors import CovosError, SourceError
from covos.evaluation import Evaluation, evaluate
from covos.masks.refine import Refinement, check_refinement
from covos.outputs import load_report

PROTOCOL: Final = "davis2016"
VALIDATION_SUBSETS = ("val", "val_open")
FORMATS = ("palette",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """A benchmark, segmented and scored.

    Attributes:
        subset: The list of sequences.
        reused: Sequences that an earlier run had already segmented with the same model and settings.
        evaluation: The scores.
    """

    subset: str
    reused: tuple[str, ...]
    evaluation: Evaluation


def reproduce_davis2016(
    root: Path,
    *,
    output: Path,
    model: Model,
    references: int = DEFAULT_REFERENCES,
    refine: Refinement = "none",
    subset: str | None = None,
    workers: int = 1,
    track: Tracker = lambda _, results: results,
) -> Reproduction:
    """Segment and score DAVIS 2016.

    Stopped and started again, it goes on with the sequence that it was at: one that is whole, and made with the same
    weights and settings, is not segmented again.

    Args:
        root: Of the DAVIS tree.
        output: Folder; a subfolder for each sequence.
        model: To segment with.
        references: See `Model.stream`.
        refine: See `Model.stream`.
        subset: Of the data set's lists; ``val``, or else ``val_open``, if not given.
        workers: Processes that score.
        track: Passes the results of a sequence on, and may count them.

    Raises:
        SourceError: There is no such data set or subset, or a sequence cannot be read.
    """
    dataset = open_dataset(root, layout="davis")
    name = subset or next((each for each in VALIDATION_SUBSETS if each in dataset.splits), None)
    if name is None or name not in dataset.splits:
        raise SourceError(
            f"{root} has no list of sequences {name or ' or '.join(VALIDATION_SUBSETS)}",
            why=f"its lists are: {', '.join(sorted(dataset.splits)) or 'none'}",
            fix="name one with --subset",
        )
    chosen = dataset.subset(dataset.splits[name])
    origin = model.origin(
        references=references, fusion=None, reference_seed=None, refine=check_refinement(refine), formats=list(FORMATS)
    )
    wanted = dict(origin.settings)
    reused = tuple(video.name for video in chosen if _is_done(output / video.name, video, model, wanted))
    for video in chosen:
        if video.name in reused:
            continue
        (outcome,) = _segment(video, output=output, model=model, references=references, refine=refine, track=track)
        if outcome.error is not None:
            raise outcome.error
    evaluation = evaluate(output, root, protocol=PROTOCOL, subset=name, workers=workers)
    return Reproduction(subset=name, reused=reused, evaluation=evaluation)


def _segment(
    video: Video, *, output: Path, model: Model, references: int, refine: Refinement, track: Tracker
) -> list[Outcome]:
    return list(
        segment_to_folders(
            [str(_folder(video))],
            output=output / video.name,
            load=lambda: model,
            formats=FORMATS,
            references=references,
            refine=refine,
            overwrite=True,  # what is there is an unfinished or an older result of this command
            track=track,
        )
    )


def _folder(video: Video) -> Path:
    image = video.frames[0].image
    assert image is not None, "a DAVIS sequence is listed by its images"
    return image.parent


def _is_done(folder: Path, video: Video, model: Model, settings: dict[str, object]) -> bool:
    try:
        report = load_report(folder)
    except CovosError:
        return False
    return (
        report["problem"] is None
        and report["model"]["sha256"] == model.entry.card.sha256
        and dict(report["settings"]) == settings
        and Path(report["source"]["path"]).resolve() == _folder(video).resolve()
        and [row["stem"] for row in report["frames"]] == [frame.stem for frame in video.frames]
        and all((folder / "masks" / f"{frame.stem}.png").is_file() for frame in video.frames)
    )
