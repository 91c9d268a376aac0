"""Score a folder of predictions: workers over sequences, a frame at a time."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from covos.core.errors import AnnotationError, EnvironmentProblem, UsageError
from covos.evaluation.mask_trees import MaskVideo, find_sequences, single_sequence
from covos.evaluation.protocols import get_protocol
from covos.evaluation.refusals import listed, no_frames_left
from covos.evaluation.results import Evaluation
from covos.evaluation.scoring import Pair, score_sequence, scored_stems
from covos.evaluation.truth import find_truth, subsets_of

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from covos.evaluation.mask_trees import MaskSequence
    from covos.evaluation.protocols import ProtocolName, ScoringProtocol
    from covos.evaluation.results import SequenceScores
    from covos.evaluation.scoring import Pair
    from covos.evaluation.truth import Truth


# Bring predictions and ground truth together, and refuse what does not fit before anything is scored.


def pair_up(predictions: Path, truth: Truth, *, root: Path, protocol: ScoringProtocol) -> tuple[list[Pair], list[str]]:
    """Find the prediction of each sequence of the ground truth.

    Sequences go by name; a path that is itself one sequence stands for the only true one, whatever it is called.
    Frames go by name, too. What is predicted beyond the ground truth is not scored, and is said.

    Args:
        predictions: Where the predictions lie.
        truth: The ground truth.
        root: Where the ground truth lies.
        protocol: The rules.

    Returns:
        The pairs, in the order of the ground truth, and notes.

    Raises:
        AnnotationError: A sequence or a frame that the protocol scores has no prediction, or nothing is left to
            score.
        SourceError: A video cannot be read.
    """
    found = _named_as(find_sequences(predictions), predictions, truth)
    missing = [name for name in truth.sequences if name not in found]
    if missing:
        raise _missing_sequences(missing, found, predictions=predictions, truth=truth, root=root)
    pairs = [
        Pair(
            truth=sequence,
            prediction=_fitted(found[name], sequence, protocol=protocol),
            seen=truth.seen.get(name, {}),
        )
        for name, sequence in truth.sequences.items()
    ]
    notes = []
    extra = [name for name in found if name not in truth.sequences]
    if extra:
        notes.append(f"not scored, as the ground truth has no such sequence: {listed(extra)}")
    return pairs, notes


def _named_as(found: dict[str, MaskSequence], root: Path, truth: Truth) -> dict[str, MaskSequence]:
    if len(truth.sequences) != 1 or set(truth.sequences) <= set(found):
        return found
    (name,) = truth.sequences
    single = single_sequence(root, name=name)
    return found if single is None else {name: single}


def _fitted(prediction: MaskSequence, truth: MaskSequence, *, protocol: ScoringProtocol) -> MaskSequence:
    stems = scored_stems(truth, protocol=protocol)
    if not stems:
        raise no_frames_left(truth, protocol=protocol)
    if isinstance(prediction, MaskVideo):
        return _fitted_video(prediction, truth, protocol=protocol)
    available = set(prediction.stems)
    missing = [stem for stem in stems if stem not in available]
    if missing:
        raise AnnotationError(
            f"{prediction.where} lacks {len(missing)} of the {len(stems)} frames to score: {listed(missing)}",
            why=f"frames go by name; the prediction has {listed(prediction.stems)}",
            fix="predict every frame, and name the masks as the ground truth names them",
        )
    return prediction


def _fitted_video(video: MaskVideo, truth: MaskSequence, *, protocol: ScoringProtocol) -> MaskVideo:
    if len(video.stems) == len(truth.stems):
        return replace(video, stems=truth.stems)
    numbers = [int(stem) if stem.isdecimal() else -1 for stem in truth.stems]
    if protocol.sparse and min(numbers) >= 0 and max(numbers) < len(video.stems):
        return replace(video, stems=truth.stems, positions=tuple(numbers))
    raise AnnotationError(
        f"{video.path} does not have the frames of {truth.where}",
        why=f"the video has {len(video.stems)} frames, the ground truth {len(truth.stems)}",
        fix="export one picture for every frame of the ground truth",
    )


def _missing_sequences(
    missing: list[str], found: dict[str, MaskSequence], *, predictions: Path, truth: Truth, root: Path
) -> AnnotationError:
    subsets = subsets_of(root)
    fitting = [name for name, members in subsets.items() if set(members) <= set(found)]
    if fitting:
        fix = f"the subset {fitting[0]} is predicted whole: ask for it alone (--subset, subset=)"
    elif subsets:
        fix = f"predict these too, or ask for one of the subsets {listed(subsets)} (--subset, subset=)"
    else:
        fix = "predict these too, or give a ground truth that holds only the sequences to score"
    return AnnotationError(
        f"{predictions} lacks {len(missing)} of {len(truth.sequences)} sequences: {listed(missing)}",
        why=f"leaving sequences out changes the score; it has {listed(found)}",
        fix=fix,
    )


_THREADS = 4
_FRAMES_A_PROCESS = 1000


def evaluate(
    predictions: str | os.PathLike[str],
    truth: str | os.PathLike[str],
    *,
    protocol: ProtocolName,
    subset: str | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Score predicted masks against ground truth.

    Masks may be palette or grey PNG files with object ids as values, 0/255 files, files in the colours of the DAVIS
    palette, one folder of masks an object, or videos of masks; of one sequence or of many. The ground truth is that
    too, or the root of a DAVIS, YouTube-VOS or TIANCHI tree.

    Memory does not depend on the length of a clip, but for two numbers a frame and object (under
    ``davis2017-unsup``, a frame, object and proposal).

    Args:
        predictions: Folder or video of predicted masks.
        truth: Folder, data set or video of annotated masks.
        protocol: The rules; see :mod:`covos.evaluation.protocols`.
        subset: Of a data set that lists subsets, the one to score, such as ``"val"``; all that it has if not given.
        workers: How many sequences are scored at a time: by threads up to four or for a small set, by processes
            else. A script that asks for more than four needs the usual guard ``if __name__ == "__main__"``.
        progress: Called with how many sequences are done, and of how many: first with 0, then after each.

    Returns:
        The scores, down to each frame.

    Raises:
        UsageError: Unknown protocol or subset, or fewer than one worker.
        AnnotationError: Masks cannot be read or do not fit: other sizes, missing sequences or frames, ids that the
            ground truth lacks, contours that were smoothed, a ground truth without any object.
        SourceError: A video of masks cannot be read.
        EnvironmentProblem: A worker was ended from outside, for example for want of memory.
    """
    rules = get_protocol(protocol)
    if workers < 1:
        raise UsageError(f"{workers} workers", why="someone must do the work", fix="give 1 or more")
    annotated = find_truth(Path(truth), protocol=rules, subset=subset)
    pairs, notes = pair_up(Path(predictions), annotated, root=Path(truth), protocol=rules)
    scored = []
    if progress is not None:
        progress(0, len(pairs))
    for done, scores in enumerate(_score(pairs, protocol=rules, workers=workers), start=1):
        scored.append(scores)
        if progress is not None:
            progress(done, len(pairs))
    return Evaluation(
        protocol=rules,
        predictions=str(predictions),
        truth=str(truth),
        subset=subset,
        sequences=tuple(scored),
        notes=(*annotated.notes, *notes),
        pairs=tuple(pairs),
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
            fix="use fewer workers: --workers 1 (workers=1)",
        ) from error
    finally:
        executor.shutdown(cancel_futures=True)


def _executor(workers: int, *, frames: int) -> Executor:
    # Decoding and array operations run outside Python's lock, so a few threads do as well as processes, start at
    # once, and share one process's memory. Starting processes pays off over many frames and more workers.
    if workers <= _THREADS or frames < _FRAMES_A_PROCESS * workers:
        return ThreadPoolExecutor(min(workers, _THREADS))
    # Fork would copy the locks of whatever threads the caller runs (torch's, say) in the state they are in.
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if "forkserver" in methods else "spawn")
    if context.get_start_method() == "forkserver":
        context.set_forkserver_preload([score_sequence.__module__])  # imported once, not once a worker
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_one_thread)


def _one_thread() -> None:
    cv2.setNumThreads(1)  # the workers are the threads
