"""Measure a network on annotated videos, through the engine that users run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch

from covos.core.errors import InputError
from covos.core.types import Frame, FrameResult, SourceInfo
from covos.data import Dataset, FrameRecord, Video, read_foreground, read_image
from covos.engines.encoding import DEFAULT_AREA, FrameEncoder, VideoNetwork
from covos.engines.find import DEFAULT_REFERENCES, FindEngine
from covos.engines.passes import find_subject
from covos.evaluation import boundary_f, jaccard
from covos.media.images import DEFAULT_FRAME_RATE
from covos.media.source import Health, Source


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


def mean_over_frames(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the means of J and of F over the frames of a sequence."""
    j, f = zip(*pairs, strict=True)
    return float(np.mean(j)), float(np.mean(f))


def mean_over_sequences(sequences: dict[str, tuple[float, float]], dataset: Dataset, *, lacking: str) -> Validation:
    """Return the means over the sequences of a data set; ``lacking`` is said if there are none."""
    if not sequences:
        raise InputError(
            f"nothing to measure on in {dataset.root}",
            why=lacking,
            fix="give videos of three annotated frames or more",
        )
    return Validation.over(sequences)


class ScoredFrame(NamedTuple):
    """One frame as it was segmented, and its scores; ``result.frame.index`` is its index in ``video.frames``."""

    video: Video
    result: FrameResult
    j: float
    f: float


def validate(
    network: VideoNetwork[Any], dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
) -> Validation:
    """Segment and score the videos of a data set as a user would: with the defaults; see `measure`."""
    encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
    return measure(FindEngine(encoder), dataset, references=DEFAULT_REFERENCES, every=every)


def measure(engine: FindEngine[Any], dataset: Dataset, *, references: int, every: int) -> Validation:
    """Segment and score every so many frames of each video, first and last left out as in the DAVIS-2016 protocol."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for scored in score_frames(engine, dataset, references=references, every=every):
        pairs.setdefault(scored.video.name, []).append((scored.j, scored.f))
    scores = {name: mean_over_frames(own) for name, own in pairs.items()}
    lacking = "none of its videos has an annotated frame between its first and its last"
    return mean_over_sequences(scores, dataset, lacking=lacking)


def score_frames(engine: FindEngine[Any], dataset: Dataset, *, references: int, every: int) -> Iterator[ScoredFrame]:
    """Segment and score frames, video by video; the arguments are those of `measure`.

    The non-zero part of an annotation is the subject.
    """
    for video in dataset:
        wanted = frames_to_score(video.frames, every=every)
        if video.kind != "video" or not wanted:
            continue
        for result in find_subject(DatasetSource(video.frames), engine, references=references, wanted=wanted):
            foreground, valid = read_foreground(video, video.frames[result.frame.index])
            mask, truth, void = result.labels > 0, foreground > 0.5, ~valid
            j, f = jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)
            yield ScoredFrame(video, result, j, f)


def frames_to_score(records: Sequence[FrameRecord], *, every: int) -> list[int]:
    """Return the indices of every so many frames, first and last left out, that are annotated."""
    return [index for index in range(1, len(records) - 1, every) if records[index].annotation is not None]


class DatasetSource(Source):
    """Frames of a video of a data set."""

    def __init__(self, records: Sequence[FrameRecord]) -> None:
        self._records = records
        height, width, _ = read_image(records[0]).shape
        self.info = SourceInfo(
            path=str(records[0].image),
            kind="frames",
            height=height,
            width=width,
            frame_count=len(records),
            frame_rate=DEFAULT_FRAME_RATE,
            duration=float(len(records) / DEFAULT_FRAME_RATE),
            time_base=1 / DEFAULT_FRAME_RATE,
        )

    @property
    def health(self) -> Health:
        """Return that all is well: a picture that cannot be read raises."""
        return Health(decoded=len(self._records), expected=len(self._records))

    def _read_all(self) -> Iterator[Frame]:
        return self._read_some(tuple(range(len(self._records))))

    def _read_some(self, indices: tuple[int, ...]) -> Iterator[Frame]:
        for index in indices:
            record = self._records[index]
            image = read_image(record)
            yield Frame(index=index, stem=record.stem, image=image, pts=index, time_base=self.info.time_base)
