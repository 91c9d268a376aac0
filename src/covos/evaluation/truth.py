"""The ground truth that predictions are scored against: a data set, or masks laid out like predictions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from covos.core.errors import AnnotationError, UsageError, listed
from covos.core.places import Packed, Place, inside
from covos.core.records import Record, read_record
from covos.core.words import Words
from covos.data import Dataset, Video
from covos.data.davis import name_in_2016
from covos.data.opening import detect, open_dataset, refuse_seed_alone
from covos.evaluation.mask_trees import MaskFolder, MaskSequence, find_sequences
from covos.evaluation.protocols import ScoringProtocol
from covos.formats.mask_tree import is_run
from covos.runs.predict_terms import MANIFEST


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Annotated sequences by name, in the order of scoring, and notes for a reader of the scores."""

    sequences: Mapping[str, MaskSequence]
    seen: Mapping[str, Mapping[int, bool]] = field(default_factory=dict)
    """By sequence and object id, True if the object's class occurs in training; empty where not known."""
    notes: tuple[str, ...] = ()
    pictures: bool = False
    """True if each sequence is a still picture, named as its mask is."""


def find_truth(
    root: Place,
    *,
    predictions: Mapping[str, MaskSequence],
    protocol: ScoringProtocol,
    subset: str | None = None,
    ratio: float | None = None,
    seed: int | None = None,
) -> Truth:
    """Find the annotations of a DAVIS, YouTube-VOS or TIANCHI tree, or of whatever :func:`find_sequences` takes.

    The protocol says which annotations of a DAVIS tree are meant, and whether frames may lack one. With a ratio, the
    subset is that of a division (see `covos.data.open_dataset`).

    Nothing in a folder of masks, or of pictures and masks, says if they are the frames of one video. The predictions
    tell: masks in a folder each, ``NAME/NAME.png``, are of still pictures, and each is a sequence. Only those count
    that have the name of a true mask: a tree of predictions may hold those of clips and of pictures.
    """
    refuse_seed_alone(ratio=ratio, seed=seed)

    def opened(home: Place) -> Dataset:
        of_2016 = ratio is None and protocol.objects == "foreground"
        name = name_in_2016(home, subset) if of_2016 else subset
        return open_dataset(home, subset=name, ratio=ratio, seed=seed, encoding="ids")

    layout = detect(root) if root.is_dir() else None
    if layout is None or layout == "image-mask":
        whole = subset is None and ratio is None
        stills = _stills(predictions) if whole else frozenset()
        if stills and layout is not None:
            dataset = opened(root)
            if any(video.name in stills for video in dataset):
                return truth_of(dataset, protocol=protocol)
        sequences = find_sequences(_of_masks(root))
        if whole:
            only = next(iter(sequences.values()))
            if len(sequences) > 1 or not isinstance(only, MaskFolder) or stills.isdisjoint(only.stems):
                return Truth(sequences=sequences)
            each = {stem: replace(only, name=stem, files={stem: path}) for stem, path in only.files.items()}
            return Truth(sequences=each, pictures=True)
        return _listed(sequences, root, subset, opened)
    return truth_of(opened(root), protocol=protocol)


def _stills(predictions: Mapping[str, MaskSequence]) -> frozenset[str]:
    """Return the names of those predictions that are laid out as `covos predict` lays those of still pictures out."""
    return frozenset(name for name, sequence in predictions.items() if sequence.stems == (name,))


def _of_masks(root: Place) -> Path:
    """Return a folder or file of masks; refuse shards that hold nothing else."""
    if isinstance(root, Packed):
        raise AnnotationError(
            f"{root} cannot be scored against",
            why="only shards of a DAVIS, YouTube-VOS or TIANCHI tree can be, or of pictures segmented by covos predict",
            fix="unpack them, for example with tar xf",
        )
    return root


def truth_of(dataset: Dataset, *, protocol: ScoringProtocol) -> Truth:
    """Return the annotations of the videos of a data set, or of its still pictures that have a mask."""
    pictures = any(video.kind == "image" for video in dataset)
    scored = [video for video in dataset if video.annotated or not pictures]
    if not scored:
        raise AnnotationError(
            f"no picture of {dataset.root} can be scored",
            why="none of those that are open has a mask",
            fix="open pictures with masks",
        )
    sequences = {video.name: _sequence(video, dataset, protocol=protocol) for video in scored}
    seen, notes = _seen(dataset) if protocol.average == "seen-unseen" else ({}, ())
    return Truth(sequences=sequences, seen=seen, notes=(*dataset.notes, *notes), pictures=pictures)


def dataset_around(root: Place) -> Dataset | None:
    """Return the whole data set at a path, or around a folder of its annotations; None if there is none."""
    home = _home(root)
    return None if home is None else open_dataset(home, encoding="ids")


def refuse_swapped(predictions: Path, truth: Place) -> None:
    """Refuse a data set in the place of predictions where masks that covos wrote are in that of the ground truth.

    Raises:
        UsageError: It is so.
    """
    if _home(predictions) is None or not isinstance(truth, Path) or _home(truth) is not None:
        return
    above = truth.parent if truth.name.startswith("Annotations") else truth
    if is_run(truth) or (above / MANIFEST).is_file() or any(is_run(each) for each in _folders(truth)):
        raise UsageError(
            f"{truth} is no ground truth",
            why=f"covos wrote the masks in it, and {predictions} is a data set",
            fix="give the predictions first, the ground truth " + Words("last, or with --gt", python="second"),
        )


def _folders(path: Path) -> list[Path]:
    return [each for each in path.iterdir() if each.is_dir()] if path.is_dir() else []


def _home(root: Place) -> Place | None:
    """Return the data set that a path is, or that it is the ``Annotations`` (or ``Annotations/480p``) of."""
    around = [root, *(folder.parent for folder in (root, root.parent) if folder.name.startswith("Annotations"))]
    return next((home for home in around if home.is_dir() and detect(home) not in {None, "image-mask"}), None)


def _listed(
    sequences: Mapping[str, MaskSequence], root: Place, subset: str | None, opened: Callable[[Place], Dataset]
) -> Truth:
    home = _home(root)
    if home is None:
        raise UsageError(
            f"{root} has no subset {subset!r}",
            why="it is not (the Annotations of) a DAVIS, YouTube-VOS or TIANCHI tree, which list subsets",
            fix="give such a tree, or leave the subset out",
        )
    wanted = opened(home)
    missing = [video.name for video in wanted if video.name not in sequences]
    if missing:
        raise AnnotationError(
            f"{root} lacks {len(missing)} sequences of {subset!r}: {listed(missing)}",
            why="the subset lists them, and there are no annotations of that name",
            fix="complete the annotations, or choose another subset",
        )
    return Truth(sequences={video.name: sequences[video.name] for video in wanted}, notes=wanted.notes)


def _sequence(video: Video, dataset: Dataset, *, protocol: ScoringProtocol) -> MaskFolder:
    files = {frame.stem: frame.annotation for frame in video.frames if frame.annotation is not None}
    if len(files) <= 1 < len(video.frames):
        raise AnnotationError(
            f"{video.name} in {dataset.root} cannot be scored",
            why="it has no annotation but that of its first frame" if files else "it has no annotation",
            fix="score a subset whose annotations are public",
        )
    missing = [frame.stem for frame in video.frames if frame.annotation is None]
    if missing and not protocol.sparse:
        raise AnnotationError(
            f"{video.name} in {dataset.root} lacks the annotations of {len(missing)} frames: {listed(missing)}",
            why=f"{protocol.name} scores every frame",
            fix="complete the annotations, or score annotated frames alone with youtube-vos",
        )
    if video.extra:
        raise AnnotationError(
            f"{video.name} in {dataset.root} has annotations without a picture: {listed(p.name for p in video.extra)}",
            why="annotations and pictures go by name, so these belong to another copy of the sequence",
            fix="complete the pictures, or give the folder of annotations in place of the whole data set",
        )
    first = next(iter(files.values()))
    if protocol.proposals is not None:
        files = {stem: _unsupervised(path, dataset) for stem, path in files.items()}
    return MaskFolder(name=video.name, where=first.parent, files=files)


def _unsupervised(path: Place, dataset: Dataset) -> Place:
    """Return the file of the unsupervised task, where DAVIS 2017 has one beside the usual annotation."""
    other = dataset.root / "Annotations_unsupervised"
    inner = inside(path, dataset.root / "Annotations")
    return path if inner is None or not other.is_dir() else other / inner


class _Object(Record):
    category: str


class _Video(Record):
    objects: dict[str, _Object]


class _Meta(Record):
    """The part of a YouTube-VOS meta.json that names the classes of a set."""

    videos: dict[str, _Video]


def _seen(dataset: Dataset) -> tuple[dict[str, dict[int, bool]], tuple[str, ...]]:
    """Tell which classes occur in training: those that the training set's meta.json names."""
    root = dataset.root
    above = root.parent if isinstance(root, Packed) else root.resolve().parent
    training = [root / "train" / "meta.json", above / "train" / "meta.json"]
    path = next((path for path in training if path.is_file()), None)
    classes = {
        video.name: {number: known.category for number, known in video.objects.items() if known.category is not None}
        for video in dataset.videos
    }
    if path is None or not any(classes.values()):
        return {}, ("seen and unseen classes are not told apart: that takes the meta.json of this set and of train",)
    what = f"{path}: the classes of the training set cannot be read"
    meta = read_record(_Meta, path, what=what, fix="restore the file", error=AnnotationError)
    trained = {known.category for video in meta.videos.values() for known in video.objects.values()}
    return {
        name: {number: category in trained for number, category in objects.items()} for name, objects in classes.items()
    }, ()
