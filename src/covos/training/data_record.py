"""Data of a run, by name: ``data.json`` in its folder. A run goes on with the data that it began with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from covos.core.errors import CheckpointError, listed
from covos.core.places import absolute
from covos.core.records import Record, read_record, write_record
from covos.data import Dataset, Layout

NAME = "data.json"
LOST = 0.01
"""Share of the still pictures that may be gone when a run goes on: a run skips some that vanish, too."""


class SetRecord(Record):
    """A data set of a run: its name and folder, and the names of its videos and pictures."""

    name: str
    root: str
    layout: Layout
    videos: tuple[str, ...] = ()
    pictures: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: Dataset) -> SetRecord:
        """Return the record of a data set."""
        kinds = {kind: tuple(video.name for video in dataset if video.kind == kind) for kind in ("video", "image")}
        root = absolute(dataset.root)
        return cls(name=dataset.name, root=root, layout=dataset.layout, videos=kinds["video"], pictures=kinds["image"])


class DataRecord(Record):
    """The data that a run trains on, and those that it measures on."""

    train: tuple[SetRecord, ...]
    validation: tuple[SetRecord, ...] = ()

    @classmethod
    def of(cls, train: Sequence[Dataset], validation: Sequence[Dataset]) -> DataRecord:
        """Return the record of open data sets."""
        return cls(train=tuple(map(SetRecord.of, train)), validation=tuple(map(SetRecord.of, validation)))

    def write(self, folder: Path) -> None:
        """Write ``data.json``. A run that goes on keeps the record of what it began to train on.

        The pictures that it has lost since then are counted in all, not since it last went on.
        """
        begun = _record_of(folder)
        write_record(self if begun is None else self.model_copy(update={"train": begun.train}), folder / NAME)


def refuse_other_data(folder: Path, train: Sequence[Dataset]) -> None:
    """Refuse to go on with a run on other data than it was begun with; the folders may be elsewhere.

    A run of an older covos has no record, and goes on.

    Raises:
        CheckpointError: Videos or pictures are gone, or there are others.
    """
    if (kept := _record_of(folder)) is None:
        return
    now = DataRecord.of(train, ())
    videos, others = _names(kept, "videos"), _names(now, "videos")
    pictures, other_pictures = _names(kept, "pictures"), _names(now, "pictures")
    lost = (pictures - other_pictures).total()
    gone = [*(videos - others), *((pictures - other_pictures) if lost > LOST * pictures.total() else ())]
    new = [*(others - videos), *(other_pictures - pictures)]
    if not gone and not new:
        return
    said = [f"{what}: {listed(names)}" for what, names in (("gone are", gone), ("new are", new)) if names]
    raise CheckpointError(
        f"the run in {folder} was begun with other data",
        why="; ".join(said),
        fix=f"give the data that {folder / NAME} lists, or start anew in another folder",
    )


def _record_of(folder: Path) -> DataRecord | None:
    """Return the record of a run that goes on; None of a new one, and of one of an older covos."""
    file = folder / NAME
    if not file.is_file() or not (folder / "checkpoint.pt").exists():
        return None
    return read_record(DataRecord, file, what=f"{file} cannot be read", fix="remove it to go on", error=CheckpointError)


def _names(record: DataRecord, kind: str) -> Counter[str]:
    return Counter(name for each in record.train for name in getattr(each, kind))
