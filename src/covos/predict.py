"""Segment every video of a data set into the folder that its challenge takes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shortened

import covos  # its types bring torch, once somebody asks for them (`typing.get_type_hints`)
from covos.core.archives import write_archive
from covos.core.errors import CovosError, EnvironmentProblem, IncompleteError, SourceError, UsageError, listed
from covos.core.files import refuse_links
from covos.core.guarded import read_guarded
from covos.core.numbered import as_folder, refuse_pattern
from covos.core.places import Packed, Place, absolute, path_text
from covos.core.progress import counted
from covos.core.words import Words
from covos.data import Dataset, Layout, Video
from covos.data.opening import refuse_division
from covos.data.subsets import open_subset
from covos.data.trees import pictures
from covos.engines.choices import DEFAULT_QUALITY, Quality, followed_apart
from covos.events import Event
from covos.job import Job
from covos.jobs import Outcome, run_job
from covos.media.source import Health
from covos.model_loading import loaded
from covos.models.registry import DEFAULT_FOLLOWER, DEFAULT_MODEL, goes_with
from covos.plan import Plan
from covos.prompts.annotated import annotated_prompts
from covos.runs.folder import remove_if_empty
from covos.runs.predict_terms import MANIFEST, DatasetRecord, Made, PredictTerms
from covos.runs.predicted import PredictedFolder
from covos.runs.schema import ModelRecord
from covos.runs.writing import uncomputed_note
from covos.task import FIND, Find, Follow, described_quality, refuse_where_followed

__all__ = [
    "Prediction",
    "follow_annotations",
    "follows",
    "gives_objects",
    "open_subset",
    "predict",
    "write_archive",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The masks of a data set.

    Attributes:
        folder: Folder that holds a folder of masks for each video.
        made: The videos, in the order of the data set.
        reused: Names of the videos that an earlier run had finished.
        archive: The archive, if one was asked for.
        followed: True if the objects of first masks were followed, False if one subject was found.
        damaged: The course of reading each video, by its name, that has masks and was not read whole: a picture whose
            damage was painted over, or behind which another one begins.
    """

    folder: Path
    made: tuple[Made, ...]
    reused: tuple[str, ...]
    archive: Path | None
    followed: bool
    damaged: Mapping[str, Health] = field(default_factory=dict)

    def __fspath__(self) -> str:
        """Return the folder of the masks, so that ``covos.evaluate(prediction, dataset)`` scores them."""
        return os.fspath(self.folder)


def predict(
    dataset: str | os.PathLike[str] | Dataset,
    *,
    output: str | os.PathLike[str],
    subset: str | None = None,
    ratio: float | None = None,
    seed: int | None = None,
    model: str | os.PathLike[str] | covos.Model = DEFAULT_MODEL,
    task: Find = FIND,
    follow: bool | None = None,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    archive: bool = False,
    listen: Callable[[Job, Event], None] | None = None,
) -> Prediction:
    """Write the masks of every video of a data set.

    The masks of a video appear at once, when all of them are made: ``Annotations/<video>/<frame>.png``, palette PNGs
    of the size and name of the frames, 0 = background, 1 = the subject, or the ids of what is followed. Stopped and
    started again, it goes on with the frame that it was at. A video that fails does not stop the others.

    Args:
        dataset: The videos, of a data set that is open; of a folder, those that `open_subset` takes.
        output: Folder. Beside the masks it gets a report for each video, and ``predict.json``: model and settings.
        subset: The list of videos to take, of a folder; None takes the test videos, or else all. See `open_subset`,
            as for ``ratio`` and ``seed``.
        ratio: With ``subset="train"`` or ``"val"``, the part that a training with this ratio trains or measures on.
        seed: Seed of that division; None is 0.
        model: Model to segment with: a name, a weights file, or a model from `covos.load_model`.
        task: The way to find the subject.
        follow: Follow the objects of each video's first annotation instead; of a YouTube-VOS tree each object from the
            first frame that shows it, at the quality of ``task``. A refinement is then refused. None decides as the
            command line does, by `follows`.
        follower: See `covos.Model.follower`; one that is named is refused where nothing is followed.
        archive: If true, the masks are packed into ``submission.zip``, as the challenge of the data set takes them.
        listen: Called with each event of each video.

    Raises:
        UsageError: A setting is wrong, a video is a part of one, ``output`` holds something else, a subset, a ratio or
            a seed is given for a data set that is open, or a seed without a ratio.
        SourceError: The data set has no pictures or no such subset, or no video could be read.
        IncompleteError: Some videos could not be read.
        EnvironmentProblem: The disk is full or not writable.
    """
    output, dataset = _folder(output), _opened(dataset, subset=subset, ratio=ratio, seed=seed)
    _refuse_without_pictures(dataset)
    _refuse_parts(dataset)
    model = loaded(model)
    task = task.model_copy(update={"fusion": model.engine.at(task.quality).check_fusion(task.fusion)})
    if follow is None:
        follow = follows(dataset, model=model, follower=follower)
    if follow:
        refuse_where_followed(refine=task.refine)
    elif os.fspath(follower) != DEFAULT_FOLLOWER:
        raise UsageError(
            f"the follower {os.fspath(follower)} where nothing is followed",
            why="one subject is found in each video, by the model alone",
            fix="leave it out, or let objects be followed: " + Words("--follow", python="follow=True"),
        )
    terms = _terms(dataset, model=model, task=task, follower=follower if follow else None)
    terms.begin(output)

    def task_of(video: Video) -> Find | Follow:
        if not follow:
            return task
        return follow_annotations(video, layout=dataset.layout, follower=follower, quality=task.quality)

    predicted = PredictedFolder(output)
    made: list[Made] = []
    reused: list[str] = []
    failed: dict[str, CovosError] = {}
    for video in dataset:
        if (found := predicted.finished(video)) is not None:
            made.append(found)
            reused.append(video.name)
            continue
        outcome = _segmented(video, predicted, task_of=task_of, model=model, listen=listen)
        if isinstance(outcome, Made):
            made.append(outcome)
        else:
            failed[video.name] = outcome
    remove_if_empty(predicted.unfinished)
    packed = predicted.pack(dataset) if archive and not failed else None
    terms.save(output, made=made, failed=failed)
    _refuse_failures(failed, of=len(dataset), output=output)
    read = {each.name: predicted.report(each.name).full_health() for each in made}
    return Prediction(
        folder=predicted.masks,
        made=tuple(made),
        reused=tuple(reused),
        archive=packed,
        followed=follow,
        damaged={name: health for name, health in read.items() if not health.complete},
    )


def _terms(
    dataset: Dataset, *, model: covos.Model, task: Find, follower: str | os.PathLike[str] | None
) -> PredictTerms:
    """Return the terms of a run that follows by a follower, or finds one subject without one."""
    # A COSNet has no follower to describe.
    depends = (
        model.settings_of(task)
        if follower is None
        else {
            "follower": model.describe_follower(follower),
            **described_quality(task.quality, apart=followed_apart(task.quality)),
        }
    )
    subsets = {video.subset for video in dataset}
    return PredictTerms(
        model=ModelRecord(name=model.name, sha256=model.entry.card.sha256),
        settings=dict(model.origin(**depends).settings),
        dataset=DatasetRecord(
            root=absolute(dataset.root),
            layout=dataset.layout,
            subset=subsets.pop() if len(subsets) == 1 else None,
        ),
    )


def _segmented(
    video: Video,
    predicted: PredictedFolder,
    *,
    task_of: Callable[[Video], Find | Follow],
    model: covos.Model,
    listen: Callable[[Job, Event], None] | None,
) -> Made | CovosError:
    """Segment a video and publish its masks; return the error instead if it is this video's fault alone."""
    work = predicted.unfinished / video.name
    refuse_links(predicted.folder, work)
    try:
        chosen = task_of(video)
    except CovosError as error:  # an annotation cannot be read
        return error
    try:
        with _on_disk(video, predicted.unpacked) as source:
            # The videos of a data set are shots: there is nothing to look for.
            plan = Plan(source=source, task=chosen, model=model.name, formats=("palette",), cuts="off")
            # Not overwriting: a stopped run is gone on with.
            outcome = run_job(Job(plan, work, load=lambda _: model), listen=listen)
    except SourceError as error:  # a shard is damaged where this video lies
        return error
    return _fault(outcome, video) or predicted.publish(work, video)


def _fault(outcome: Outcome, video: Video) -> CovosError | None:
    """Return the reason why the masks of a video cannot be handed in; None if they can."""
    if isinstance(outcome.error, EnvironmentProblem):  # the next video would meet it, too
        raise outcome.error
    if outcome.error is not None or outcome.saved is None:
        return outcome.error
    if unread := outcome.saved.health.unreadable:
        return SourceError(
            f"{counted(len(unread), 'picture')} of {video.name} cannot be read",
            why="; ".join(outcome.saved.health.warnings),
            fix="mend them, and give the same command again",
        )
    if outcome.saved.uncomputed:
        return IncompleteError(
            f"{video.name}: {uncomputed_note(outcome.saved.uncomputed)}",
            why="its precision does not suffice, or the weights are damaged",
            fix="try another precision: " + Words("--precision fp32", python='precision="fp32"') + "; or other weights",
        )
    return None


def _opened(given: object, *, subset: str | None, ratio: float | None, seed: int | None) -> Dataset:
    if isinstance(given, Dataset):
        refuse_division(subset=subset, ratio=ratio, seed=seed)
        return given
    if isinstance(given, (str, os.PathLike)):
        return open_subset(os.fspath(given), subset=subset, ratio=ratio, seed=seed)
    raise UsageError(
        f"the videos of {shortened(given)} cannot be predicted",
        why=f"it is a {type(given).__name__}",
        fix="give a folder, or a data set of covos.data.open_dataset; covos.segment takes single videos",
    )


def _folder(given: object) -> Path:
    if isinstance(given, (str, os.PathLike)):
        refuse_pattern(given, fix=as_folder)
        return Path(path_text(given, what="the output"))
    raise UsageError(
        f"output={shortened(given)} is no folder",
        why=f"it is a {type(given).__name__}",
        fix='give a path: output="out"',
    )


def _refuse_parts(dataset: Dataset) -> None:
    """Refuse videos of which frames were left out: the folder of their pictures is what is segmented."""
    for video in dataset:
        if video.kind == "video" and (there := len(pictures(_source(video)))) != len(video.frames):
            raise UsageError(
                f"{video.name} is a part of a video: {len(video.frames)} of {counted(there, 'frame')}",
                why="masks are handed in for whole videos",
                fix="give the whole video; covos.segment(folder, range=range(2, 5)) segments some of its frames",
            )


def follow_annotations(
    video: Video,
    *,
    layout: Layout,
    follower: str | os.PathLike[str] = DEFAULT_FOLLOWER,
    quality: Quality = DEFAULT_QUALITY,
) -> Follow:
    """Follow what the first annotation of a video shows; of YouTube-VOS, each object from its first annotation on."""
    prompts = annotated_prompts(video, layout=layout)
    return Follow(prompts=prompts, direction="forward", follower=os.fspath(follower), quality=quality)


def _refuse_without_pictures(dataset: Dataset) -> None:
    bare = [video.name for video in dataset if not video.frames or video.frames[0].image is None]
    if bare:
        raise SourceError(
            f"{dataset.root}: {len(bare)} of {len(dataset)} videos have no pictures: {listed(bare, shown=4)}",
            why="there are annotations at most, and it is pictures that are segmented",
            fix="complete the tree, or name another subset",
        )


def _source(video: Video) -> Place:
    image = video.frames[0].image
    assert image is not None, "refused before"
    return image if video.kind == "image" else image.parent


@contextmanager
def _on_disk(video: Video, place: Path) -> Iterator[Path]:
    """Give the folder of a video's pictures, or the file of a still.

    Videos that are packed in shards lie in a folder of ``place`` for the time of the block: one video, under the same
    path each time, so that a run that was stopped finds its source again.
    """
    source = _source(video)
    if not isinstance(source, Packed):
        yield source
        return
    folder = place / video.name
    refuse_links(place.parent, folder)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for record in video.frames:
            if isinstance(record.image, Packed):
                what = f"{record.image}: the image cannot be read"
                content = read_guarded(record.image, what=what, fix="remove it", error=SourceError)
                (folder / record.image.name).write_bytes(content)
        yield folder / source.name if video.kind == "image" else folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        remove_if_empty(place)


def _refuse_failures(failed: dict[str, CovosError], *, of: int, output: Path) -> None:
    if not failed:
        return
    first = next(iter(failed.values()))
    if len(failed) == of:
        raise first
    raise IncompleteError(
        f"{len(failed)} of {of} videos failed: {listed(failed, shown=4)}",
        why=f"the first: {first.what}: {first.why}",
        fix=f"the others are done; mend these and run it again ({output / MANIFEST} lists them)",
    )


def gives_objects(dataset: Dataset) -> bool:
    """Return True if the videos come with the first mask of objects to follow: the semi-supervised task.

    A model that finds the subject by itself takes no notice of these masks.
    """
    first = {"first", "some"} if dataset.layout == "youtube-vos" else {"first"}
    return any(video.coverage in first for video in dataset)


def follows(dataset: Dataset, *, model: covos.Model, follower: str | os.PathLike[str] = DEFAULT_FOLLOWER) -> bool:
    """Return True if objects are followed where nobody says if they are to be.

    The videos have to come with first masks alone (`gives_objects`), and the packaged follower has to belong to the
    model. It belongs to no COSNet, and to no covos-lite that was trained further. For these the subject is found. A
    follower that somebody names is taken, and refused later if it does not belong.

    Raises:
        EnvironmentProblem: The weights of the packaged follower are not there.
    """
    if not gives_objects(dataset):
        return False
    return os.fspath(follower) != DEFAULT_FOLLOWER or goes_with(DEFAULT_FOLLOWER, encoder=model.entry)
