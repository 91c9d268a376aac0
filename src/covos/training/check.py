"""Look at the data of a training before it begins: count them, and find the faults that stop or spoil it.

`covos.data.inspect` reads everything; this reads a sample of every data set, so that it takes seconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from covos.core.errors import InputError, listed
from covos.core.guarded import read_guarded
from covos.core.places import Place, size_of
from covos.data import Dataset, FrameRecord, Problem, Video
from covos.data.checks import check_frame, map_in_threads
from covos.masks import VOID
from covos.training.gather import TrainingData

MOST = 300
"""Frames of a data set that are read, evenly over it."""
TINY = 0.001
"""A smaller share of a frame of 256 x 448, the size in use, is 114 pixels or fewer."""
FULL = 0.95
"""A mask that covers more than this is more often a mask of the background."""
WIDE = 3.0
"""Pixels between subject and background, over the length of the contour: 1 to 2 where an edge is smoothed."""
STAIRS = 0.3
"""Share of neighbouring rows that differ in the small mask that an enlarged one would come from: not a rectangle."""
MOST_COMPARED = 5000
"""Pictures that are measured on and looked for among those that are trained on."""

ERRORS = {
    "unreadable": "files cannot be read",
    "mismatched": "masks do not have the size of their picture",
}
WARNINGS = {
    "empty": "masks are empty: these frames teach that there is no subject",
    "tiny": f"masks cover less than {TINY:.1%} of the frame: too little to be learnt at the network's size",
    "full": f"masks cover more than {FULL:.0%} of the frame: are subject and background exchanged?",
    "soft": "masks have wide soft edges, as from enlarging or from JPEG: a grey value counts as a share of the pixel",
    "blocky": "masks look enlarged: their contours are stairs of 2 pixels or more",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataCheck:
    """Findings in the data of a training: a line for each data set, those to train on first; problems, errors first."""

    counts: tuple[str, ...]
    problems: tuple[Problem, ...]

    def refuse(self) -> None:
        """Stop if the data cannot be trained on."""
        errors = [problem for problem in self.problems if problem.severity == "error"]
        if errors:
            raise InputError(
                "the data cannot be trained on",
                why="; ".join(
                    error.what + (f" ({listed(error.examples, shown=1)})" if error.examples else "") for error in errors
                ),
                fix="mend or remove these files; covos data inspect ROOT lists all of them",
            )


Found: TypeAlias = dict[str, list[str]]
"""Kind of problem to the cases of it."""


def check_data(data: TrainingData, *, on_frames: Callable[[int], object] = lambda frames: None) -> DataCheck:
    """Look at the data that a run would train and measure on."""
    uses = [(dataset, "to train on") for dataset in data.train]
    if data.overfit and data.validation:
        uses = [(dataset, "to train on and to measure on") for dataset in data.train]
    else:
        uses += [(dataset, "to measure on") for dataset in data.validation]
    counts, problems, filled = [], [], 0
    for dataset, use in uses:
        chosen = _sample(dataset)
        found = _look_at_all(chosen, on_frames=on_frames)
        counts.append(_count(dataset, use=use, looked_at=len(chosen)))
        problems += _problems(dataset.name, found, looked_at=len(chosen))
        filled += 0 if use == "to measure on" else len(chosen) - len(found.get("empty", ()))
    if not filled:
        problems.append(Problem(severity="error", what="every mask that was read is empty: there is nothing to learn"))
    twice = _in_both(data)
    if twice:
        what = f"{len(twice)} of the pictures to measure on are trained on, too: the scores will be too good"
        problems.append(Problem(severity="warning", what=what, examples=tuple(twice[:4])))
    return DataCheck(counts=tuple(counts), problems=tuple(sorted(problems, key=lambda each: each.severity)))


def _count(dataset: Dataset, *, use: str, looked_at: int) -> str:
    """Return a line on what a data set holds; no file is opened for it."""
    usable = [video for video in dataset if video.annotated]
    videos = sum(video.kind == "video" for video in usable)
    things = [
        f"{count:,} {what}" + ("s" if count > 1 else "")
        for count, what in ((videos, "video"), (len(usable) - videos, "picture"))
        if count
    ]
    frames = sum(len(video.frames) for video in usable)
    annotated = sum(len(video.annotated) for video in usable)
    return (
        f"{dataset.name}: {' and '.join(things)} {use}, {frames:,} frames: {annotated:,} with a mask, "
        f"{frames - annotated:,} without; {looked_at:,} were read"
    )


def _sample(dataset: Dataset) -> list[tuple[Video, FrameRecord]]:
    frames = [(video, record) for video in dataset for record in video.annotated]
    count = min(len(frames), MOST)
    return [frames[k * len(frames) // count] for k in range(count)]


def _look_at_all(chosen: Sequence[tuple[Video, FrameRecord]], *, on_frames: Callable[[int], object]) -> Found:
    found: Found = {}
    for (video, record), kinds in zip(chosen, map_in_threads(lambda each: look_at(*each), chosen), strict=True):
        for kind, detail in kinds.items():
            name = record.stem if video.kind == "image" else f"{video.name}/{record.stem}"
            found.setdefault(kind, []).append(detail or name)
        on_frames(1)
    return found


def look_at(video: Video, record: FrameRecord) -> dict[str, str]:
    """Return the faults of a frame and its mask: keys of `ERRORS` and `WARNINGS`, each with more to say, or ""."""
    frame = check_frame(video, record, decode_image=True)
    kinds = {}
    if record.image is None:
        kinds["unreadable"] = f"frame {record.stem} has no image: its tree holds annotations alone"
    if frame.unreadable:
        kinds["unreadable"] = frame.unreadable[-1]
    if frame.labels is None:
        return kinds
    if frame.mismatched:
        kinds["mismatched"] = ""
    if frame.empty:
        return kinds | {"empty": ""}
    subject = (frame.labels != 0) & (frame.labels != VOID)
    covered = float(subject.mean())
    if covered < TINY:
        kinds["tiny"] = ""
    if covered > FULL:
        kinds["full"] = ""
    if frame.share is not None and _wide_edges(frame.share, subject):
        kinds["soft"] = ""
    elif _enlarged(subject):
        kinds["blocky"] = ""
    return kinds


def _wide_edges(share: NDArray[np.float32], subject: NDArray[np.bool_]) -> bool:
    between = np.count_nonzero((share > 0.05) & (share < 0.95))
    mask = subject.view(np.uint8)
    contour = cv2.countNonZero(mask - cv2.erode(mask, np.ones((3, 3), np.uint8)))
    return bool(between > WIDE * max(contour, 1))


def _enlarged(subject: NDArray[np.bool_]) -> bool:
    for factor in (4, 3, 2):  # what was enlarged by 4 is made of blocks of 2, too, in rows that repeat
        small = subject[::factor, ::factor]
        large = small.repeat(factor, axis=0).repeat(factor, axis=1)[: subject.shape[0], : subject.shape[1]]
        if np.array_equal(large, subject):
            rows = small[small.any(axis=1)]
            return len(rows) > 4 and float((rows[1:] != rows[:-1]).any(axis=1).mean()) > STAIRS
    return False


def _problems(name: str, found: Found, *, looked_at: int) -> list[Problem]:
    problems = []
    for kind, what in (ERRORS | WARNINGS).items():
        cases = found.get(kind, [])
        if cases:
            problems.append(
                Problem(
                    severity="error" if kind in ERRORS else "warning",
                    what=f"{name}: {len(cases)} of {looked_at} {what}",
                    examples=tuple(cases[:4]),
                )
            )
    return problems


def _in_both(data: TrainingData) -> list[str]:
    """Pictures to measure on whose file has the same bytes as one that is trained on."""
    if data.overfit:  # on purpose
        return []
    measured = list(_images(data.validation))
    measured = measured[:: -(-len(measured) // MOST_COMPARED) or 1]
    sizes = {size_of(path) for path in measured}
    # Only files of equal length are read: a look at the folder shows that others differ.
    trained = {_digest(path) for path in _images(data.train) if size_of(path) in sizes}
    return [str(path) for path in measured if trained and _digest(path) in trained]


def _images(datasets: Iterable[Dataset]) -> Iterable[Place]:
    return (record.image for each in datasets for video in each for record in video.annotated if record.image)


def _digest(path: Place) -> bytes:
    content = read_guarded(path, what=f"{path} cannot be read", fix="make it readable, or take it out of the data")
    return hashlib.blake2b(content, digest_size=16).digest()
