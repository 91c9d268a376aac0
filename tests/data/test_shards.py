"""Data sets that are packed into shards: the same as the tree, and clear errors where a shard is not whole."""

from __future__ import annotations

import json
import multiprocessing
import pickle
import subprocess
import sys
import tarfile
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from covos import data
from covos.core.errors import SourceError, UsageError
from covos.core.places import Packed, Place, absolute, inside, name_of, size_of
from covos.core.shards import INDEX, as_place
from covos.data import Dataset, open_collection, open_dataset, pack
from covos.data.packing import Packing

from .conftest import Tree

SMALL = 12_000
"""Bytes of a shard: several for each of the small trees."""


def packed(tree: Path, *, size: int = SMALL) -> Path:
    pack(tree, tree.parent / "shards", size=size)
    return tree.parent / "shards"


def relative(place: Place | None, dataset: Dataset) -> str | None:
    return None if place is None else inside(place, dataset.root)


def outline(dataset: Dataset) -> list[object]:
    """Everything that opening finds out, but for where the files lie."""
    return [
        (dataset.name, dataset.layout, dataset.splits, dataset.summary),
        *(note.replace(str(dataset.root), "ROOT") for note in dataset.notes),
        *(
            (
                video.name, video.kind, video.encoding, dict(video.objects), video.subset,
                [relative(each, dataset) for each in video.extra],
                [(frame.stem, relative(frame.image, dataset), relative(frame.annotation, dataset))
                 for frame in video.frames],
            )
            for video in dataset
        ),
    ]  # fmt: skip


def davis(tree: Tree) -> None:
    tree.davis("bear", "camel")
    tree.davis("bear", resolution="1080p")
    tree.text("ImageSets/2016/val.txt", "camel\n")


def tianchi(tree: Tree) -> None:
    tree.video("JPEGImages/600001", "Annotations/600001")
    tree.video("JPEGImages/600010", "Annotations/600010", annotated=[0])
    tree.labels("Annotations/600010/00099.png")
    tree.text("ImageSets/train.txt", "600001\n600002\n")
    tree.image("JPEGImages/600001/.hidden.jpg")


def youtube(tree: Tree) -> None:
    tree.youtube("train", "aaaa")
    tree.youtube("valid", "bbbb", late="00015")


def stills(tree: Tree) -> None:
    tree.pictures("one", "two", "three", images="DUTS-Image", masks="DUTS-Mask")


LAYOUTS = [davis, tianchi, youtube, stills]


@pytest.mark.parametrize("plant", LAYOUTS)
def test_a_packed_tree_is_the_tree(tree: Tree, plant: Callable[[Tree], None]) -> None:
    plant(tree)
    loose, shards = open_dataset(tree.root), open_dataset(packed(tree.root))
    assert outline(shards) == outline(loose)
    for mine, other in zip(chain.from_iterable(shards), chain.from_iterable(loose), strict=True):
        assert mine.image is not None
        assert np.array_equal(mine.image, other.image)
        assert (mine.labels is None) == (other.labels is None)
        assert mine.labels is None or np.array_equal(mine.labels, other.labels)
    found, expected = data.inspect(shards).to_dict(), data.inspect(loose).to_dict()
    assert found.pop("root") != expected.pop("root")
    assert found == expected


def test_parts_are_the_same(tree: Tree) -> None:
    davis(tree)
    shards = packed(tree.root)
    told: dict[str, Any]
    for told in ({"subset": "train"}, {"subset": "2016/val"}, {"resolution": "1080p"}, {"subset": "2017/train"}):
        assert outline(open_dataset(shards, **told)) == outline(open_dataset(tree.root, **told))
    with pytest.raises(SourceError, match="the subset 'none' does not exist"):
        open_dataset(shards, subset="none")
    (tree.root / "ImageSets/2017/train.txt").write_text("bear\ncamel\n")
    pack(tree.root, shards, overwrite=True)
    for part in ("train", "val"):
        assert outline(open_dataset(shards, subset=part, ratio=0.5)) == outline(
            open_dataset(tree.root, subset=part, ratio=0.5)
        )


def test_a_folder_of_data_sets(tree: Tree) -> None:
    """Packed as one, and some of them packed beside others that are not."""
    for name in ("one", "two"):
        Tree(tree.root / name).video("JPEGImages/a", "Annotations/a")
    tree.text("notes/read.txt", "x")
    names = [each.name for each in open_collection(tree.root)]
    assert [each.name for each in open_collection(packed(tree.root))] == names == ["one", "two"]
    mixed = tree.root.parent / "mixed"
    pack(tree.root / "one", mixed / "shards-of-one")
    (tree.root / "two").rename(mixed / "two")
    assert [each.name for each in open_collection(mixed)] == ["one", "two"]
    with pytest.raises(UsageError, match="is packed already"):
        pack(mixed, tree.root.parent / "again")


def test_unpacked_it_is_the_tree_again(tree: Tree) -> None:
    davis(tree)
    shards = packed(tree.root)
    again = tree.root.parent / "again"
    for file in sorted(shards.glob("*.tar")):
        with tarfile.open(file) as tar:
            tar.extractall(again, filter="data")
    files = {path.relative_to(tree.root): path.read_bytes() for path in tree.root.rglob("*") if path.is_file()}
    assert {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()} == files


def test_a_video_lies_in_one_shard_each_mask_behind_its_picture(tree: Tree) -> None:
    davis(tree)
    shards = packed(tree.root)
    index = json.loads((shards / INDEX).read_text())
    assert index["name"] == "set"
    assert len(index["shards"]) > 2
    homes: dict[str, set[int]] = {}
    for name, (shard, *_) in index["files"].items():
        if name.endswith((".jpg", ".png")) and "480p" in name:
            homes.setdefault(name.split("/")[2], set()).add(shard)
    assert homes.keys() == {"bear", "camel"}
    assert all(len(where) == 1 for where in homes.values())
    with tarfile.open(shards / f"shard-{homes['bear'].pop():05}.tar") as tar:
        names = [entry.name for entry in tar]
    at = names.index("JPEGImages/480p/bear/00000.jpg")
    assert names[at + 1] == "Annotations/480p/bear/00000.png"


def test_the_same_tree_gives_the_same_bytes(tree: Tree) -> None:
    youtube(tree)
    one, two = tree.root.parent / "one", tree.root.parent / "two"
    for folder in (one, two):
        pack(tree.root, folder, size=SMALL)
        (next(tree.root.rglob("*.jpg"))).touch()
    assert {path.name: path.read_bytes() for path in one.iterdir()} == {
        path.name: path.read_bytes() for path in two.iterdir()
    }


def test_nothing_is_overwritten_unasked(tree: Tree) -> None:
    stills(tree)
    shards = packed(tree.root, size=2000)
    with pytest.raises(UsageError, match="is not empty"):
        pack(tree.root, shards)
    before = len(list(shards.iterdir()))
    assert before > 2
    done = pack(tree.root, shards, overwrite=True)
    assert done == Packing(folder=shards, shards=1, files=6, bytes=done.bytes)
    assert {path.name for path in shards.iterdir()} == {INDEX, "shard-00000.tar"}
    (shards / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="holds something other than shards"):
        pack(tree.root, shards, overwrite=True)
    assert (shards / "mine.txt").read_text() == "keep"
    with pytest.raises(UsageError, match="lies in the data set itself"):
        pack(tree.root, tree.root / "shards")


def test_a_packing_that_fails_leaves_nothing(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    davis(tree)
    monkeypatch.setattr("covos.data.packing.write_record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        packed(tree.root)
    assert list(tree.root.parent.iterdir()) == [tree.root]


def test_a_packing_that_fails_at_its_end_leaves_the_shards_before(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    davis(tree)
    shards = packed(tree.root)
    before = {path.name: path.read_bytes() for path in shards.iterdir()}
    replace = Path.replace

    def failing(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial") and target == shards and ".old-" not in path.name:
            raise PermissionError(13, "another program has it open", str(target))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(PermissionError):
        pack(tree.root, shards, size=10**9, overwrite=True)
    assert {path.name: path.read_bytes() for path in shards.iterdir()} == before
    assert not [path.name for path in tree.root.parent.iterdir() if path.name.startswith(".shards")]


def test_a_link_to_a_file_that_is_gone_is_told(tree: Tree) -> None:
    davis(tree)
    (tree.root / "notes.txt").symlink_to(tree.root / "gone.txt")
    with pytest.raises(SourceError, match=r"notes\.txt cannot be read"):
        packed(tree.root)
    assert list(tree.root.parent.iterdir()) == [tree.root]


def test_a_link_in_a_circle_is_refused(tree: Tree) -> None:
    stills(tree)
    (tree.root / "up").symlink_to(tree.root)
    with pytest.raises(SourceError, match="leads back"):
        packed(tree.root)


def test_shards_that_are_missing_or_cut_are_told_at_once(tree: Tree) -> None:
    davis(tree)
    shards = packed(tree.root)
    first, second, *_ = sorted(shards.glob("*.tar"))
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1024])
    with pytest.raises(SourceError, match=r"2 of \d shards cannot be read") as refused:
        open_dataset(shards)
    assert "shard-00000.tar: missing" in refused.value.why
    assert "shard-00001.tar: not of the size" in refused.value.why


def test_damage_inside_a_shard_is_told_where_it_lies(tree: Tree) -> None:
    davis(tree)
    shards = packed(tree.root, size=10**9)
    dataset = open_dataset(shards)
    frame = dataset["bear"].frames[1]
    assert isinstance(frame.image, Packed)
    _, start, size, _ = json.loads((shards / INDEX).read_text())["files"][frame.image.inner]
    with (shards / "shard-00000.tar").open("r+b") as file:
        file.seek(start + size // 2)
        byte = file.read(1)
        file.seek(start + size // 2)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(SourceError, match=r"bear/00001.jpg: the image cannot be read") as refused:
        data.read_image(frame)
    assert refused.value.why == "the shard shard-00000.tar is damaged here: the checksum of this file is another"
    assert "copy its shard again" in refused.value.fix
    found = data.inspect(dataset)
    assert not found.usable
    assert found.problems[0].what == "1 files cannot be read"
    # A shard that is cut while it is open is an error, not a signal that ends the process.
    with (shards / "shard-00000.tar").open("r+b") as file:
        file.truncate(start)
    with pytest.raises(SourceError, match="cannot be read") as refused:
        data.read_image(frame)
    assert "is cut off" in refused.value.why


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("format", "covos-shards-9", "format"),
        ("shards", [{"file": "../../etc/passwd", "bytes": 1}], "leads elsewhere"),
        ("files", {"JPEGImages/a/0.jpg": [0, 1 << 40, 10, 0]}, "beyond the end of its shard"),
        ("files", {"JPEGImages/a/0.jpg": [7, 0, 10, 0]}, "beyond the end of its shard"),
    ],
)
def test_an_index_that_is_wrong_is_refused(tree: Tree, field: str, value: object, said: str) -> None:
    stills(tree)
    index = packed(tree.root) / INDEX
    index.write_text(json.dumps(json.loads(index.read_text()) | {field: value}))
    with pytest.raises(SourceError) as refused:
        open_dataset(index.parent)
    assert said in refused.value.why


def batch_bytes(folder: Path, workers: int, context: str | None) -> list[bytes]:
    pairs = data.PairDataset(open_dataset(folder), size=(16, 24), seed=0)
    started = None if context is None else multiprocessing.get_context(context)
    loader = DataLoader(pairs, batch_size=3, num_workers=workers, multiprocessing_context=started)
    return [tensor.numpy().tobytes() for batch in loader for tensor in batch]


@pytest.mark.parametrize(("context", "workers"), [(None, 0), ("fork", 2), ("spawn", 1)])
def test_loader_processes_read_the_same(tree: Tree, context: str | None, workers: int) -> None:
    if context not in (None, *multiprocessing.get_all_start_methods()):
        pytest.skip(f"this system does not start processes by {context}")
    davis(tree)
    shards = packed(tree.root)
    open_dataset(shards)[0][0]  # a shard is open when the process is forked
    assert batch_bytes(shards, workers, context) == batch_bytes(tree.root, 0, None)


def test_it_pickles_as_its_place(tree: Tree) -> None:
    davis(tree)
    dataset = open_dataset(packed(tree.root))
    content = pickle.dumps(dataset)
    assert pickle.loads(content) == dataset
    index = (tree.root.parent / "shards" / INDEX).read_text()
    assert index[100:140].encode() not in content
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer)[0][0].image.shape)"
    fresh = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert fresh.stdout.decode().strip() == "(12, 16, 3)"


def test_at_a_url(tree: Tree) -> None:
    fsspec = pytest.importorskip("fsspec")
    tianchi(tree)
    folder = packed(tree.root)
    system = fsspec.filesystem("memory")
    system.put(str(folder), "/bucket/shards", recursive=True)
    try:
        dataset = open_dataset("memory://bucket/shards/")
        assert outline(dataset) == outline(open_dataset(tree.root))
        assert np.array_equal(dataset[0][1].image, open_dataset(tree.root)[0][1].image)
        assert data.inspect(dataset).annotated == data.inspect(open_dataset(tree.root)).annotated
        system.pipe_file("/bucket/shards/shard-00000.tar", b"x")
        with pytest.raises(SourceError, match="shards cannot be read"):
            open_dataset("memory://bucket/shards")
        with pytest.raises(SourceError, match="it is not there"):
            open_dataset("memory://bucket/elsewhere")
    finally:
        system.rm("/bucket", recursive=True)


def test_places(tree: Tree) -> None:
    """The part of pathlib that a packed file or folder has."""
    tianchi(tree)
    root = as_place(packed(tree.root))
    assert isinstance(root, Packed)
    file = root / "JPEGImages/600001" / "00000.jpg"
    assert (file.name, file.stem, file.suffix, file.parent.name) == ("00000.jpg", "00000", ".jpg", "600001")
    assert (file.is_file(), file.is_dir(), file.exists()) == (True, False, True)
    assert (file.parent.is_file(), file.parent.is_dir(), file.parent.exists()) == (False, True, True)
    assert not (root / "none").exists()
    assert name_of(root) == name_of(tree.root) == "set"
    assert root.parent == root
    assert {each.name for each in root.iterdir()} == {"ImageSets", "JPEGImages", "Annotations"}
    assert size_of(file) == (tree.root / file.inner).stat().st_size
    assert absolute(file) == str(tree.root.parent / "shards" / file.inner)
    assert inside(file, root / "JPEGImages") == "600001/00000.jpg"
    assert inside(file, root / "Annotations") is None
    assert inside(file, tree.root) is None
    with file.open() as opened:
        assert opened.read() == (tree.root / file.inner).read_bytes()
    for missing in ((root / "x").open, lambda: size_of(root / "x"), lambda: list((root / "x").iterdir())):
        with pytest.raises(FileNotFoundError):
            missing()


def test_more_shards_than_may_be_open(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    davis(tree)
    monkeypatch.setattr("covos.core.shards._MOST_OPEN", 1)
    dataset = open_dataset(packed(tree.root, size=1))
    for _ in range(2):
        assert sum(sample.image is not None for video in dataset for sample in video) == 8


def test_torch_sees_no_difference(tianchi: Path, tmp_path: Path) -> None:
    """The pictures of the fixture are real ones, of several sizes."""
    pack(tianchi, tmp_path / "shards", size=40_000)
    loose, shards = open_dataset(tianchi, subset="train"), open_dataset(tmp_path / "shards", subset="train")
    for one, other in zip(
        data.GroupDataset(loose, frames=2, size=(48, 64), seed=3, mask="subject"),
        data.GroupDataset(shards, frames=2, size=(48, 64), seed=3, mask="subject"),
        strict=False,
    ):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.mask, other.mask)
