"""Score a folder of predictions: workers over sequences, a frame at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import partial
from pathlib import Path
from reprlib import repr as shortened

import cv2

from covos.core.arguments import checked
from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.fresh import fork_server
from covos.core.limits import limits, set_limits
from covos.core.places import Place, path_text
from covos.core.progress import counted
from covos.core.shards import as_place
from covos.core.words import Words
from covos.data import Dataset
from covos.data.opening import refuse_division
from covos.evaluation.mask_trees import find_sequences
from covos.evaluation.pairing import Pair, pair_up
from covos.evaluation.protocols import PROTOCOL_NAMES, ProtocolName, ScoringProtocol, get_protocol
from covos.evaluation.results import Evaluation
from covos.evaluation.scores import SequenceScores
from covos.evaluation.scoring import score_sequence
from covos.evaluation.truth import find_truth, refuse_swapped, truth_of

_THREADS = 4
_FRAMES_A_PROCESS = 1000


@checked("predictions", "truth")
def evaluate(
    predictions: str | os.PathLike[str],
    truth: str | os.PathLike[str] | Dataset,
    *,
    protocol: ProtocolName | None = None,
    subset: str | None = None,
    ratio: float | None = None,
    seed: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score predicted masks against ground truth.

    Masks may be palette or grey PNG files with object ids as values, 0/255 files, files in the colours of the DAVIS
    palette, one folder of masks an object, or videos of masks; of one sequence or of many. The ground truth is that
    too, or the root of a DAVIS, YouTube-VOS or TIANCHI tree. If it is an open data set, its videos are scored and no
    others: the part that was held back from a training, say.

    Still pictures with masks are sequences of one frame each, if the predictions have a folder each as `covos.predict`
    writes them (``NAME/NAME.png``). Those without a mask are not scored. Else a folder of pictures with masks is the
    frames of one video. The protocols that drop the first and the last frame leave nothing of a still picture: take
    ``davis2016-all``, or for several objects ``davis2017-unsup``.

    Memory does not depend on the length of a clip, but for two numbers a frame and object (under
    ``davis2017-unsup``, a frame, object and proposal).

    Args:
        predictions: Folder or video of predicted masks, or a `covos.predict.Prediction`.
        truth: Folder, data set or video of annotated masks; or an open data set of `covos.data`.
        protocol: The rules, which have to be named; see :mod:`covos.evaluation.protocols`.
        subset: The subset to score, such as ``"val"``, of a data set that lists subsets; all of them if not given.
        ratio: With ``subset="train"`` or ``"val"`` of a data set without such a list, the part of it that a training
            with this ratio trains or measures on; see `covos.data.open_dataset`.
        seed: Seed of that division; None is 0.
        workers: Number of sequences that are scored at a time: by threads up to four or for a small set, by processes
            else. A script that asks for more than four needs the usual guard ``if __name__ == "__main__"``.
        progress: Called with the number of sequences that are done and of all: first with 0, then after each.

    Returns:
        The scores, down to each frame.

    Raises:
        UsageError: Unknown protocol or subset, fewer than one worker, or what is given is neither a path nor a data
            set.
        AnnotationError: Masks cannot be read or do not fit: other sizes, missing sequences or frames, ids that the
            ground truth lacks, contours that were smoothed, a ground truth without any object.
        SourceError: A video of masks cannot be read.
        EnvironmentProblem: A worker was ended from outside, for example for want of memory.
    """
    if protocol is None:
        raise UsageError(
            "no protocol is named",
            why="scores depend on the rules",
            fix=f"name one: covos.evaluate(masks, truth, protocol=...): {', '.join(PROTOCOL_NAMES)}",
        )
    rules = get_protocol(protocol)
    if workers < 1:
        raise UsageError(f"{workers} workers", why="a process at least must score", fix="give 1 or more")
    _refuse_other_things(predictions, truth)
    path_text(predictions, what="the masks")
    root: Place
    if isinstance(truth, Dataset):
        refuse_division(subset=subset, ratio=ratio, seed=seed)
        _refuse_empty(truth)
        root, annotated = truth.root, truth_of(truth, protocol=rules)
        found = find_sequences(Path(predictions))
    else:
        root = as_place(truth)
        refuse_swapped(Path(predictions), root)
        found = find_sequences(Path(predictions))
        annotated = find_truth(root, predictions=found, protocol=rules, subset=subset, ratio=ratio, seed=seed)
    pairs, notes = pair_up(Path(predictions), found, annotated, root=root, protocol=rules)
    report = progress or (lambda done, total: None)
    report(0, len(pairs))
    scored = []
    for scores in _score(pairs, protocol=rules, workers=workers):
        scored.append(scores)
        report(len(scored), len(pairs))
    return Evaluation(
        protocol=rules,
        predictions=os.fspath(predictions),
        truth=f"{root}, {counted(len(pairs), 'video')} of it" if isinstance(truth, Dataset) else str(truth),
        subset=subset,
        ratio=ratio,
        split_seed=None if ratio is None else seed or 0,
        sequences=tuple(scored),
        notes=(*annotated.notes, *notes),
        pairs=tuple(pairs),
    )


def _refuse_other_things(predictions: object, truth: object) -> None:
    if not isinstance(predictions, (str, os.PathLike)):
        raise UsageError(
            f"{shortened(predictions)} cannot be scored",
            why=f"it is a {type(predictions).__name__}, and masks are read from files",
            fix='give their folder; save a result first: result.save("out"), then covos.evaluate("out", truth, ...)',
        )
    if not isinstance(truth, (str, os.PathLike, Dataset)):
        raise UsageError(
            f"{shortened(truth)} is no ground truth",
            why=f"it is a {type(truth).__name__}",
            fix="give a folder, or a data set of covos.data.open_dataset; of one video: dataset.subset(NAME)",
        )


def _refuse_empty(dataset: Dataset) -> None:
    if not dataset.videos:
        raise UsageError(
            f"{dataset.root}: the data set has no videos",
            why="the protocols score videos, or still pictures as videos of one frame",
            fix="give one at least",
        )


def _score(pairs: list[Pair], *, protocol: ScoringProtocol, workers: int) -> Iterator[SequenceScores]:
    task = partial(score_sequence, protocol=protocol)
    workers = min(workers, len(pairs))
    if workers == 1:
        yield from map(task, pairs)
        return
    executor = _executor(workers, frames=sum(len(pair.truth.stems) for pair in pairs))
    try:
        yield from executor.map(task, pairs)
    except BrokenProcessPool as error:
        raise EnvironmentProblem(
            "a worker was ended from outside before it had scored its sequence",
            why="most often the system ran out of memory",
            fix="use fewer workers: " + Words("--workers 1", python="workers=1"),
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _executor(workers: int, *, frames: int) -> Executor:
    # Decoding and array operations run outside Python's lock, so a few threads do as well as processes, start at
    # once, and share one process's memory. Starting processes pays off over many frames and more workers.
    if workers <= _THREADS or frames < _FRAMES_A_PROCESS * workers:
        return ThreadPoolExecutor(min(workers, _THREADS))
    # Fork would copy the locks of whatever threads the caller runs (torch's, say) in the state they are in.
    context = fork_server([score_sequence.__module__])
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(asdict(limits()),))


def _start_worker(most: dict[str, int]) -> None:
    cv2.setNumThreads(1)  # the workers are the threads
    set_limits(**most)
