"""Training on shards is training on the tree: the same batches to the bit, in loader processes and under torchrun."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest
import torch

from covos.core.errors import CheckpointError, UsageError
from covos.data import Dataset, Video, open_dataset, pack
from covos.training.check import check_data
from covos.training.data_record import DataRecord, refuse_other_data
from covos.training.gather import TrainingData, gather
from covos.training.loading import iterate_batches
from covos.training.registry import load_recipe, make_task
from s3_server import s3_server
from soft_pictures import pictures

from .test_distributed import by_torchrun

RECIPES = {
    "cosnet-resnet50": ("size=[48, 80]", "steps=6", "epochs=0", "batch=2"),
    "lite": ("frames_per_step=4", "crops=[[64, 96], [96, 128]]", "crop_chances=[0.7, 0.3]", "group_sizes=[2, 4]"),
    "lite-finetune": ("frames_per_step=4", "crops=[[64, 96]]", "crop_chances=[1.0]", "group_sizes=[2, 4]"),
    "follow": ("clips_per_step=2", "clip_sizes=[3]", "crop=[64, 96]"),
    "prompt": ("frames_per_step=4", "crop=[64, 96]", "rounds=[1]"),
    "matte": ("clips_per_step=2", "kept=4", "drawn_side=128"),
}


def packed(folder: Path, *roots: Path) -> tuple[Path, ...]:
    for root in roots:
        pack(root, folder / root.name, size=30_000)
    return tuple(folder / root.name for root in roots)


def tensors(value: object) -> Iterator[bytes]:
    """The bytes of everything in a batch."""
    if isinstance(value, torch.Tensor):
        yield value.numpy().tobytes()
    elif isinstance(value, tuple | list):
        for each in value:
            yield from tensors(each)
    elif isinstance(value, dict):
        yield from tensors(list(value.items()))
    elif is_dataclass(value):
        yield from tensors([getattr(value, field.name) for field in fields(value)])
    else:
        yield repr(value).encode()


def batches(name: str, data: tuple[Path | str, ...], *, steps: int = 3, workers: int = 0) -> list[bytes]:
    recipe = load_recipe(name, overrides=RECIPES[name])
    task = make_task(recipe, gather(data, seed=recipe.split_seed, ratio=recipe.ratio).train)
    loaded = iterate_batches(task.batches(), start=0, stop=steps, workers=workers)
    return [content for each in loaded for content in tensors(each.batch)]


@pytest.mark.parametrize("name", RECIPES)
def test_the_batches_are_the_same_to_the_bit(name: str, tianchi: Path, stills: Path, tmp_path: Path) -> None:
    roots = (tianchi, stills)
    if name == "matte":
        roots = tuple(Path(pictures(tmp_path / each, soft=each == "soft").root) for each in ("soft", "hard"))
    loose = batches(name, roots)
    assert max(map(len, loose)) > 10_000
    assert batches(name, packed(tmp_path / "shards", *roots)) == loose


def test_loader_processes_read_shards(tianchi: Path, tmp_path: Path) -> None:
    (shards,) = packed(tmp_path / "shards", tianchi)
    assert batches("lite", (shards,), steps=4, workers=2) == batches("lite", (tianchi,), steps=4)


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_what_is_trained_and_measured_on_is_the_same(tianchi: Path, stills: Path, tmp_path: Path, ratio: float) -> None:
    def names(data: TrainingData) -> list[tuple[str, list[str]]]:
        return [(each.name, [video.name for video in each]) for each in (*data.train, *data.validation)]

    loose, shards = (
        gather(roots, seed=0, ratio=ratio)
        for roots in ((tianchi, stills), packed(tmp_path / "shards", tianchi, stills))
    )
    assert names(shards) == names(loose)
    assert check_data(shards) == check_data(loose)
    with pytest.raises(UsageError, match="both trained and measured on"):
        gather([shards.train[0]], seed=0, validation=[shards.train[0]])


def test_a_run_goes_on_from_the_tree_to_its_shards(tianchi: Path, tmp_path: Path) -> None:
    """Its data are known by name, wherever they lie."""
    (shards,) = packed(tmp_path / "shards", tianchi)
    loose = open_dataset(tianchi)
    DataRecord.of((loose,), ()).write(tmp_path)
    (tmp_path / "checkpoint.pt").touch()
    refuse_other_data(tmp_path, (open_dataset(shards),))
    with pytest.raises(CheckpointError, match="begun with other data"):
        refuse_other_data(tmp_path, (open_dataset(shards)[:1],))


def test_pictures_may_come_back_and_losses_are_counted_in_all(tmp_path: Path) -> None:
    stills = tuple(Video(name=f"{k:03}", frames=(), kind="image") for k in range(200))
    whole = Dataset(name="d", layout="image-mask", root=tmp_path / "d", videos=stills)
    one_lost, two_lost, three_lost = (replace(whole, videos=stills[count:]) for count in (1, 2, 3))
    for number, data in enumerate((whole, one_lost, whole, two_lost, one_lost, whole)):
        refuse_other_data(tmp_path, (data,))
        DataRecord.of((data,), (whole,) if number % 2 else ()).write(tmp_path)
        (tmp_path / "checkpoint.pt").touch()
    DataRecord.of((two_lost,), (three_lost,)).write(tmp_path)
    with pytest.raises(CheckpointError, match="gone are: 000, 001, 002"):
        refuse_other_data(tmp_path, (three_lost,))
    kept = json.loads((tmp_path / "data.json").read_text())
    assert [len(kept[part][0]["pictures"]) for part in ("train", "validation")] == [200, 197]
    (tmp_path / "checkpoint.pt").unlink()  # a run that never came to one begins anew
    DataRecord.of((two_lost,), ()).write(tmp_path)
    assert len(json.loads((tmp_path / "data.json").read_text())["train"][0]["pictures"]) == 198


def test_shards_on_s3(tianchi: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each loader process reaches the server by itself."""
    (shards,) = packed(tmp_path / "shards", tianchi)
    with s3_server(monkeypatch) as bucket:
        bucket.put(str(shards), "bucket/shards", recursive=True)
        loose = batches("lite", (tianchi,))
        assert batches("lite", ("s3://bucket/shards",)) == loose
        # Begun anew: a server of processes that another test has started does not know this address.
        monkeypatch.setattr("covos.training.loading._context", lambda: multiprocessing.get_context("spawn"))
        assert batches("lite", ("s3://bucket/shards",), workers=1) == loose


@pytest.mark.thorough  # the batches of one process are compared above; this takes two runs of two processes
def test_two_processes_of_torchrun_train_alike_on_shards(tianchi: Path, stills: Path, tmp_path: Path) -> None:
    shards = packed(tmp_path / "shards", tianchi, stills)
    ends = {}
    for name, data in (("loose", (tianchi, stills)), ("packed", shards)):
        done = by_torchrun(tmp_path / name, data)
        assert done.returncode == 0, done.stderr
        ends[name] = torch.load(tmp_path / name / "rank1.pt", weights_only=True)
    for name, tensor in ends["loose"].items():
        assert torch.equal(tensor, ends["packed"][name]), name
