"""Measure a network on annotated videos, through the engine that users run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import torch

from covos.core.errors import InputError
from covos.core.types import Frame, FrameResult, ImageArray, MaskArray, SourceInfo
from covos.data import Dataset, FrameRecord, Video, read_foreground, read_image
from covos.engines.choices import DEFAULT_AREA, DEFAULT_REFERENCES, Finding
from covos.engines.encoding import FrameEncoder, VideoNetwork
from covos.engines.find import FindEngine
from covos.engines.find_passes import find_subject
from covos.evaluation import Saliency, SaliencyScores, boundary_f, jaccard
from covos.media.folder import DEFAULT_FRAME_RATE
from covos.media.source import Health, Source

MOST_PICTURES = 100
"""Still pictures of a data set that are measured on."""


class WorstFrame(NamedTuple):
    """The frame with the lowest J of the sequence with the lowest J, as it was segmented."""

    name: str
    """Sequence and frame."""
    image: ImageArray
    """H x W x 3 uint8 RGB."""
    mask: MaskArray
    """H x W bool: the prediction."""
    truth: MaskArray
    """H x W bool."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """Means over the measured frames of each sequence, then over sequences; in [0, 1]."""

    j: float
    f: float
    sequences: dict[str, tuple[float, float]]
    worst: WorstFrame | None = field(default=None, compare=False, repr=False)

    @classmethod
    def over(cls, sequences: dict[str, tuple[float, float]], *, worst: WorstFrame | None = None) -> Self:
        """Return the means over sequences, each counting the same."""
        j, f = np.mean(list(sequences.values()), axis=0)
        return cls(j=float(j), f=float(f), sequences=sequences, worst=worst)


class FrameScores:
    """Collects J and F of frames, sequence by sequence, and keeps the worst frame of the worst sequence."""

    def __init__(self) -> None:
        self._pairs: dict[str, list[tuple[float, float]]] = {}
        self._worst: dict[str, tuple[float, WorstFrame]] = {}

    def add(self, sequence: str, frame: Frame, *, mask: MaskArray, truth: MaskArray, j: float, f: float) -> None:
        """Take a frame as it was segmented, with its scores."""
        if sequence not in self._pairs:
            self._keep_the_worst()
        self._pairs.setdefault(sequence, []).append((j, f))
        if sequence not in self._worst or j < self._worst[sequence][0]:
            self._worst[sequence] = j, WorstFrame(f"{sequence}, {frame.stem}", frame.image, mask, truth)

    def validation(self, dataset: Dataset, *, lacking: str) -> Validation:
        """Return the means over sequences, each counting the same; ``lacking`` is said if there are none.

        Raises:
            InputError: No frame was taken.
        """
        if not self._pairs:
            raise InputError(
                f"nothing to measure on in {dataset.root}",
                why=lacking,
                fix="give videos of three annotated frames or more",
            )
        sequences = self._means()
        self._keep_the_worst()
        (_, worst), *_ = self._worst.values()
        return Validation.over(sequences, worst=worst)

    def _means(self) -> dict[str, tuple[float, float]]:
        return {name: mean_over_frames(pairs) for name, pairs in self._pairs.items()}

    def _keep_the_worst(self) -> None:
        # One picture in memory beside that of the sequence that is being measured.
        means = self._means()
        worst = sorted(self._worst, key=lambda name: means[name][0])
        self._worst = {name: self._worst[name] for name in worst[:1]}


def mean_over_frames(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    """Return the means of J and of F over the frames of a sequence."""
    j, f = zip(*pairs, strict=True)
    return float(np.mean(j)), float(np.mean(f))


@dataclass(frozen=True, slots=True, kw_only=True)
class SetScores:
    """Scores of a network on one data set.

    Attributes:
        videos: J and F of its videos; None if it has none.
        pictures: Error and F-measure of the probabilities on its still pictures; None if it has none, or if the network
            finds nothing by itself.
        losses: Losses of the training on its videos by name, means over the same frames at every time; empty if the
            training can make no batch of them.
    """

    videos: Validation | None = None
    pictures: SaliencyScores | None = None
    losses: dict[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        videos = () if self.videos is None else (("J", self.videos.j), ("F", self.videos.f))
        still = () if self.pictures is None else (("MAE", self.pictures.mae), ("max F", self.pictures.max_f))
        return "  ".join(f"{name} {value:.3f}" for name, value in (*videos, *still))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Scores of a network on all data sets that it is measured on, by their names."""

    sets: dict[str, SetScores]

    @property
    def scored(self) -> dict[str, Validation]:
        """The data sets that have videos."""
        return {name: scores.videos for name, scores in self.sets.items() if scores.videos is not None}

    @property
    def j(self) -> float | None:
        """Mean J of the data sets with videos, each counting the same; None if there are none."""
        return float(np.mean([each.j for each in self.scored.values()])) if self.scored else None

    @property
    def f(self) -> float | None:
        """Mean F of them, likewise."""
        return float(np.mean([each.f for each in self.scored.values()])) if self.scored else None


def part_of_kind(dataset: Dataset, kind: Literal["video", "image"]) -> Dataset | None:
    """Return the annotated videos, or the annotated still pictures, of a data set; None if there are none."""
    part = replace(dataset, videos=tuple(video for video in dataset if video.kind == kind and video.annotated))
    return part if len(part) else None


class ScoredFrame(NamedTuple):
    """One frame as it was segmented, and its scores; ``result.frame.index`` is its index in ``video.frames``."""

    video: Video
    result: FrameResult
    j: float
    f: float
    truth: MaskArray
    """H x W bool: the annotation's subject."""


def validate(
    network: VideoNetwork[Any], dataset: Dataset, *, device: torch.device, precision: torch.dtype, every: int
) -> Validation:
    """Segment and score the videos of a data set, with the defaults, but each frame by itself; see `measure`."""
    encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=4)
    return measure(FindEngine(encoder, around=0), dataset, references=DEFAULT_REFERENCES, every=every)


def measure(engine: FindEngine[Any], dataset: Dataset, *, references: int, every: int) -> Validation:
    """Segment and score every so many frames of each video, first and last left out as in the DAVIS-2016 protocol."""
    scores = FrameScores()
    for scored in score_frames(engine, dataset, references=references, every=every):
        frame = scored.result.frame
        scores.add(scored.video.name, frame, mask=scored.result.labels > 0, truth=scored.truth, j=scored.j, f=scored.f)
    return scores.validation(
        dataset, lacking="none of its videos has an annotated frame between its first and its last"
    )


def score_pictures(
    network: VideoNetwork[Any], dataset: Dataset, *, device: torch.device, precision: torch.dtype
) -> SaliencyScores:
    """Score the probabilities on still pictures, each by itself: on at most `MOST_PICTURES`, evenly over the set."""
    encoder: FrameEncoder[Any] = FrameEncoder(network, device=device, precision=precision, area=DEFAULT_AREA, batch=1)
    saliency = Saliency()
    count = min(len(dataset), MOST_PICTURES)
    for video in (dataset.videos[k * len(dataset) // count] for k in range(count)):
        record = video.annotated[0]
        (result,) = find_subject(DatasetSource((record,)), FindEngine(encoder))
        saliency.add(result.probability, read_foreground(video, record).probability)
    return saliency.scores()


def score_frames(engine: FindEngine[Any], dataset: Dataset, *, references: int, every: int) -> Iterator[ScoredFrame]:
    """Segment and score frames, video by video; the arguments are those of `measure`.

    The non-zero part of an annotation is the subject.
    """
    finding = Finding(references=references)
    for video in dataset:
        wanted = frames_to_score(video.frames, every=every)
        if video.kind != "video" or not wanted:
            continue
        for result in find_subject(DatasetSource(video.frames), engine, finding=finding, wanted=wanted):
            yield score_result(video, result)


def score_result(video: Video, result: FrameResult) -> ScoredFrame:
    """Score the mask of a frame; the non-zero part of its annotation is the subject."""
    foreground, valid = read_foreground(video, video.frames[result.frame.index])
    mask, truth, void = result.labels > 0, foreground > 0.5, ~valid
    j, f = jaccard(mask, truth, void=void), boundary_f(mask, truth, void=void)
    return ScoredFrame(video, result, j, f, truth)


def frames_to_score(records: Sequence[FrameRecord], *, every: int) -> list[int]:
    """Return the indices of annotated frames, first and last left out: one of every so many frames, ascending.

    Frames 1, 1 + ``every`` and so on are taken. One that is not annotated gives its place to the next that is: a video
    may be annotated at every tenth frame alone.
    """
    found: list[int] = []
    due = 1
    for index in range(1, len(records) - 1):
        if index >= due and records[index].annotation is not None:
            found.append(index)
            due = index + every - (index - 1) % every
    return found


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
