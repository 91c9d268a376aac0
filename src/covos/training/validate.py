"""Measure a network on annotated videos, through the engine that users run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
import torch

from covos.core.errors import InputError
from covos.core.types import Frame, FrameResult
from covos.data import Dataset, FrameRecord, Video, read_foreground, read_image
from covos.engines.encoding import DEFAULT_AREA, FrameEncoder, VideoNetwork
from covos.engines.find import DEFAULT_REFERENCES, FindEngine, uniform_references
from covos.engines.motion import Observed
from covos.evaluation import boundary_f, jaccard


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Means over the measured frames of each sequence, then over sequences; in [0, 1]."""

    j: float
    f: float
    sequences: dict[str, tuple[float, float]]

    @classmethod
    def over(cls, sequences: dict[str, tuple[float, float]]) -> Self:
        """Return the means over sequences, each counting the same."""
        j, f = np.mean(list(sequences.values()), axis=0)
        return cls(j=float(j), f=float(f), sequences=sequences)


def mean_scores(sequences: dict[str, tuple[float, float]], dataset: Dataset, *, lacking: str) -> Validation:
    """Return the means over the sequences of a data set.

    Args:
        sequences: J and F of each.
        dataset: The measured data set.
        lacking: Reason why there are no sequences, if there are none.

    Raises:
        InputError: There are none.
    """
    if not sequences:
        raise InputError(
            f"nothing to measure on in {dataset.root}",
            why=lacking,
            fix="give videos of three annotated frames or more",
        )
    return Validation.over(sequences)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoredFrame:
    """One frame as it was segmented, and its scores.

    Attributes:
        video: The video that it belongs to.
        result: The engine's result; ``result.frame.index`` is its index in ``video.frames``.
        j: Region similarity, in [0, 1].
        f: Contour accuracy, in [0, 1].
    """

    video: Video
    result: FrameResult
    j: float
    f: float


def validate(
    network: VideoNetwork[Any], dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
) -> Validation:
    """Segment and score the videos of a data set as a user would: with the defaults.

    Args:
        network: The network, in evaluation mode.
        dataset: Annotated videos; an annotation's non-zero part is the subject.
        device: Device to compute on.
        precision: See `FrameEncoder`.
        every: See `measure`.
    """
    encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
    return measure(FindEngine(encoder), dataset, references=DEFAULT_REFERENCES, every=every)


def measure(engine: FindEngine[Any], dataset: Dataset, *, references: int, every: int) -> Validation:
    """Segment and score the videos of a data set.

    Args:
        engine: The engine, with the network.
        dataset: Annotated videos; an annotation's non-zero part is the subject.
        references: Frames of a video that every frame is compared with; 0 takes each for itself.
        every: Score every so many frames of each sequence, first and last left out as in the DAVIS-2016 protocol.

    Raises:
        InputError: No video has three annotated frames.
    """
    pairs: dict[str, list[tuple[float, float]]] = {}
    for scored in score_frames(engine, dataset, references=references, every=every):
        pairs.setdefault(scored.video.name, []).append((scored.j, scored.f))
    scores = {
        name: (float(np.mean([j for j, _ in own])), float(np.mean([f for _, f in own]))) for name, own in pairs.items()
    }
    lacking = "none of its videos has an annotated frame between its first and its last"
    return mean_scores(scores, dataset, lacking=lacking)


def score_frames(engine: FindEngine[Any], dataset: Dataset, *, references: int, every: int) -> Iterator[ScoredFrame]:
    """Segment and score frames, video by video; the arguments are those of `measure`."""
    for video in dataset:
        if video.kind != "video":
            continue
        for result in segment_video(engine, video, references=references, every=every):
            j, f = _score(video, video.frames[result.frame.index], result.labels > 0)
            yield ScoredFrame(video=video, result=result, j=j, f=f)


def segment_video(engine: FindEngine[Any], video: Video, *, references: int, every: int) -> Iterator[FrameResult]:
    """Segment those frames of a video that can be scored, in two passes: the references first; see `measure`."""
    records = video.frames
    chosen = uniform_references(len(records), references=references) if references else ()
    known = engine.remember(_observe(engine, records, chosen))
    scored = [k for k in range(1, len(records) - 1, every) if records[k].annotation is not None]
    yield from engine.stream(_observe(engine, records, scored), known)


def _observe(engine: FindEngine[Any], records: tuple[FrameRecord, ...], wanted: Sequence[int]) -> Iterator[Observed]:
    needed = engine.encoder.needed(wanted, frame_count=len(records))
    return engine.encoder.observe(frames_of(records, needed), wanted=wanted)


def frames_of(records: Sequence[FrameRecord], indices: Iterable[int] | None = None) -> Iterator[Frame]:
    """Read frames of a video; all if no indices are given."""
    for index in range(len(records)) if indices is None else indices:
        record = records[index]
        yield Frame(index=index, stem=record.stem, image=read_image(record), pts=index, time_base=Fraction(1, 25))


def _score(
    video: Video, record: FrameRecord, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]
) -> tuple[float, float]:
    foreground, valid = read_foreground(video, record)
    truth = foreground > 0.5
    return jaccard(mask, truth, void=~valid), boundary_f(mask, truth, void=~valid)
