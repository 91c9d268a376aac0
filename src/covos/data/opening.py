"""Open a data set, or every data set of a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, overload

from covos.core.errors import SourceError, UsageError, listed, one_of
from covos.core.places import Packed, Place
from covos.core.progress import counted
from covos.core.shards import as_place
from covos.core.words import Words
from covos.data import davis, image_mask, tianchi, youtube_vos
from covos.data.base import APART, Encoding, Layout, NoSubsetError, Options, checked_ratio
from covos.data.dataset import Dataset
from covos.data.splits import RATIO, TRAIN_SUBSETS, VALIDATION, VALIDATION_SUBSETS, divide, validation_list
from covos.data.trees import subfolders


class LayoutReader(Protocol):
    """A module that reads one layout."""

    LOOKS_LIKE: str
    """The places of its files, for messages."""

    def matches(self, root: Place) -> bool:
        """Return True if a root is laid out so; fast, no file is opened."""

    def read(self, root: Place, options: Options) -> Dataset:
        """Open a root; raise an InputError that says what is missing."""


LAYOUTS: dict[Layout, LayoutReader] = {
    "davis": davis,
    "youtube-vos": youtube_vos,
    "tianchi": tianchi,
    "image-mask": image_mask,
}
_LOOKED_FOR = "looked for " + "; ".join(f"{reader.LOOKS_LIKE} ({name})" for name, reader in LAYOUTS.items())
"""In the order in which they are tried: a DAVIS tree would pass for TIANCHI, not the other way round."""


def detect(root: Place) -> Layout | None:
    """Return the first layout that a root matches, or None."""
    return next((name for name, reader in LAYOUTS.items() if reader.matches(root)), None)


def open_dataset(
    root: Place | str,
    *,
    layout: Layout | Literal["auto"] = "auto",
    subset: str | None = None,
    resolution: Literal["480p", "1080p", "Full-Resolution"] | None = None,
    encoding: Encoding | None = None,
    ratio: float | None = None,
    seed: int | None = None,
) -> Dataset:
    """Open a tree of images and annotations. No image is read; a few annotations are, to find their encoding.

    Args:
        root: The folder that holds ``JPEGImages``, ``images``, or ``train`` and ``valid``; or the shards that such a
            folder was packed into by `pack`: their folder, or a URL that fsspec knows.
        layout: ``"auto"`` looks at the tree.
        subset: A list of ``ImageSets`` or a folder of YouTube-VOS, such as ``"train"``; None opens all videos.
            ``"val"`` is the list that a training measures on, whatever its name; a note of the data set then says so.
        resolution: Resolution of a DAVIS tree; None takes 480p, or what there is.
        encoding: Meaning of the annotations' values; None judges from some of them.
        ratio: With ``subset="train"`` or ``"val"``, open the part that a training with this ratio trains on or measures
            on: a list of validation where there is one, else a division of the training list, or of all videos, of
            which this share is trained on. Videos without annotations are in neither.
        seed: Seed of that division, as the recipe has it (``split_seed``); another seed, another division. None is 0.

    Raises:
        SourceError: No such folder, no layout fits, the subset does not exist, or listed videos are missing.
        AnnotationError: The annotations are of different kinds, or a list of objects cannot be read.
        UsageError: No layout is called so; ``ratio`` is not between 0 and 1, or given for another subset; or there is a
            ``seed`` and no ratio.
    """
    root = _folder(root)
    refuse_seed_alone(ratio=ratio, seed=seed)
    if ratio is not None:
        whole = open_dataset(root, layout=layout, resolution=resolution, encoding=encoding)
        return _divided(whole, subset=subset, ratio=ratio, seed=seed)
    if layout != "auto" and layout not in LAYOUTS:
        raise UsageError(
            f"there is no layout {layout!r}",
            why="no reader has this name",
            fix=one_of(layout, ("auto", *LAYOUTS)),
        )
    chosen = detect(root) if layout == "auto" else layout
    if chosen is None:
        content = listed(sorted(path.name for path in root.iterdir()), shown=8) if any(root.iterdir()) else "nothing"
        raise SourceError(
            f"{root}: no data set was found",
            why=_LOOKED_FOR,
            fix=f"give the folder above these; this one holds: {content}",
        )
    try:
        dataset = LAYOUTS[chosen].read(root, Options(subset=subset, resolution=resolution, encoding=encoding))
    except NoSubsetError as error:
        own = _validation_list(root, chosen, subset, encoding=encoding)
        if own is None:
            raise (error if chosen == "image-mask" else _with_ratio(error, subset)) from None
        dataset = LAYOUTS[chosen].read(root, Options(subset=own, resolution=resolution, encoding=encoding))
        dataset = replace(dataset, notes=(*dataset.notes, f"{subset} is this data set's list {own}"))
    if not dataset.videos:
        raise SourceError(
            f"{root}: the data set has no video",
            why=f"taken for {chosen}, where {LAYOUTS[chosen].LOOKS_LIKE} is expected",
            fix="check the tree, or name another layout",
        )
    return dataset


def _divided(whole: Dataset, *, subset: str | None, ratio: float, seed: int | None) -> Dataset:
    """Return the part of a data set that a training trains on, or the one that it measures on."""
    if subset not in (*TRAIN_SUBSETS, *VALIDATION_SUBSETS):
        raise UsageError(
            f"{whole.root}: the subset {subset!r} is no part of a division by ratio",
            why="a training divides videos into those it trains on and those it measures on",
            fix="take "
            + Words("--subset train or --subset val", python='subset="train" or subset="val"')
            + " with a ratio; without one, any list of the data set",
        )
    train, validation, listed = divide(whole, seed=seed or 0, ratio=checked_ratio(ratio))
    part = train if subset in TRAIN_SUBSETS else validation
    said = None
    if listed is not None:
        said = f"the ratio divides nothing, as this data set has the list {listed} to measure on"
        if subset in VALIDATION_SUBSETS and subset != listed:
            said = f"{subset} is this data set's list {listed}; {said}"
    elif validation is not None and (bare := validation_list(whole)) is not None:
        said = f"the ratio divides the videos to train on, as this data set's list {bare} has no annotations"
    if said is not None and part is not None:
        part = replace(part, notes=(*part.notes, said))
    if part is None or not len(part):
        raise NoSubsetError(
            f"{whole.root}: the subset {subset!r} has no videos",
            why="a training takes still pictures whole, and divides a list of two or more annotated videos",
            fix="open it without a subset; " + APART,
        )
    return part


def _validation_list(root: Place, layout: Layout, subset: str | None, *, encoding: Encoding | None) -> str | None:
    """Return the list that a data set is measured on by a training, if ``val`` is asked for and it has another name."""
    if subset != VALIDATION:
        return None
    return validation_list(LAYOUTS[layout].read(root, Options(subset=None, resolution=None, encoding=encoding)))


def _with_ratio(error: NoSubsetError, subset: str | None) -> NoSubsetError:
    """Say how to get the part that a training makes, where a list of that name is wanted and there is none."""
    if subset not in (*TRAIN_SUBSETS, *VALIDATION_SUBSETS):
        return error
    ratio = Words("--ratio 0.8 --split-seed 0", python=f"subset={subset!r}, ratio=0.8, seed=0")
    added = "; or, for the videos that a training divides off, add a ratio: " + ratio
    return NoSubsetError(error.what, why=error.why, fix=error.remedy + added)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Collection(Sequence[Dataset]):
    """The data sets of a folder, as a sequence.

    Attributes:
        root: The folder, on a disk or packed in shards.
        datasets: In natural order of their names.
        skipped: Folder name to the reason why it is not among them.
    """

    root: Place
    datasets: tuple[Dataset, ...]
    skipped: dict[str, str]

    def __len__(self) -> int:
        return len(self.datasets)

    def __iter__(self) -> Iterator[Dataset]:
        return iter(self.datasets)

    @overload
    def __getitem__(self, index: int) -> Dataset: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Dataset, ...]: ...
    def __getitem__(self, index: int | slice) -> Dataset | tuple[Dataset, ...]:
        return self.datasets[index]

    def __repr__(self) -> str:
        names = listed((f"{dataset.name} ({dataset.summary.partition(',')[0]})" for dataset in self), shown=4)
        skipped = f"; skipped {listed(self.skipped, shown=4)}" if self.skipped else ""
        return f"Collection({counted(len(self), 'data set')}: {names}{skipped})"


def open_collection(
    root: Place | str,
    *,
    subset: str | None = None,
    encoding: Encoding | None = None,
    ratio: float | None = None,
    seed: int | None = None,
) -> Collection:
    """Open the data set at a root, or each that lies directly below it.

    Args:
        root: A data set, or a folder of data sets; each may be packed in shards.
        subset: Open these videos alone (``"train"``). A data set at the root has to have them. In a folder of data sets
            one has to. Then those without any subsets are opened whole, and a note of theirs says so; those that have
            others only are skipped: what is for measuring must not slip into a training.
        encoding: Meaning of the annotations' values; None judges each data set.
        ratio: As for `open_dataset`, of each data set; still pictures, which are trained on whole, are then the
            training's alone.
        seed: Seed of that division; None is 0.

    Raises:
        SourceError: No such folder, no data set is found, or none has the subset.
        InputError: A data set is found and cannot be opened.
        UsageError: As for `open_dataset`.
    """
    root = _folder(root)
    refuse_seed_alone(ratio=ratio, seed=seed)

    def opened(folder: Place) -> Dataset:
        return open_dataset(folder, subset=subset, encoding=encoding, ratio=ratio, seed=seed)

    if detect(root):
        return Collection(root=root, datasets=(opened(root),), skipped={})
    places = {name: _folder(path) for name, path in subfolders(root).items()}
    folders = {name: folder for name, folder in places.items() if detect(folder)}
    skipped = {name: "no data set: its folders are of no known layout" for name in places if name not in folders}
    if not folders:
        raise SourceError(
            f"{root}: no data set was found",
            why="; ".join((*(f"{name}: {reason}" for name, reason in skipped.items()), _LOOKED_FOR)),
            fix="give a folder that holds one of these, or folders that do",
        )
    datasets: dict[str, Dataset] = {}
    lacking: dict[str, str] = {}
    for name, folder in folders.items():
        try:
            datasets[name] = opened(folder)
        except NoSubsetError as error:
            lacking[name] = error.why
    if not datasets:
        raise NoSubsetError(
            f"{root}: no data set there has the subset {subset!r}",
            why="; ".join(f"{name}: {reason}" for name, reason in lacking.items()),
            fix="name a list that one of them has, or leave the subset out",
        )
    for name, reason in lacking.items():
        whole = open_dataset(folders[name], encoding=encoding) if ratio is None else None
        if whole is None or whole.splits:
            skipped[name] = f"no subset {subset!r}: {reason}"
        else:
            said = f"{name} is opened whole: it has no lists, so none that is called {subset}"
            datasets[name] = replace(whole, notes=(*whole.notes, said))
    found = tuple(datasets[name] for name in folders if name in datasets)
    return Collection(root=root, datasets=found, skipped=skipped)


def refuse_missing(root: Place | str) -> None:
    """Refuse a place that is no folder and no shards, before anything is opened.

    Raises:
        SourceError: There is none, or it is a file.
    """
    _folder(root)


def _folder(root: Place | str) -> Place:
    root = root if isinstance(root, Packed) else as_place(root)
    if not root.is_dir():
        raise SourceError(
            f"{root}: " + ("a file, not a folder" if root.exists() else "no such folder"),
            why="a data set is a folder with images and annotations below it, or one that was packed in shards",
            fix="check the path",
        )
    return root


def refuse_division(*, subset: str | None, ratio: float | None, seed: int | None) -> None:
    """Refuse to take a part of a data set that is open, whose videos are taken as they are.

    Raises:
        UsageError: A subset, a ratio or a seed is given.
    """
    given = {"a ratio": ratio, "a subset": subset, "a seed": seed}
    if told := [what for what, value in given.items() if value is not None]:
        raise UsageError(
            f"{told[0]} of a data set that is open",
            why="its videos are taken as they are",
            fix="give the root of the data set with it; or open the part: covos.data.open_dataset(root, subset=...)",
        )


def refuse_seed_alone(*, ratio: float | None, seed: int | None) -> None:
    """Refuse a seed where nothing is divided: whoever gives one expects a division.

    Raises:
        UsageError: See above.
    """
    if seed is not None and ratio is None:
        raise UsageError(
            f"a seed of a division ({seed}) without a ratio",
            why="a data set is divided by a ratio, and without one its videos are taken as they are",
            fix="add the ratio of the training, such as "
            + Words(f"--ratio {RATIO}", python=f"ratio={RATIO}")
            + ", or leave the seed out",
        )
