"""Pictures that vanish or are damaged while a training goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from covos.cli import main
from covos.core.errors import InputError, SourceError
from covos.training import Finished, Skipped, loop, skipping
from covos.training.gather import gather
from covos.training.loading import iterate_batches
from covos.training.registry import load_recipe, make_task
from covos.training.skipping import SkipCount, Skips, Unreadable
from seen import Seen

pytestmark = pytest.mark.usefixtures("narrow")

Run = Callable[..., Seen]
COSNET = ("size=[48, 80]", "steps=6", "epochs=0", "batch=2", "checkpoint_every=2", "validate_every=0")
SMALL = {
    "cosnet-resnet50": COSNET,
    "lite": (
        "steps=6", "frames_per_step=4", "group_sizes=[2]", "crops=[[64, 96]]", "crop_chances=[1.0]", "warmup=1",
        "validate_every=0", "checkpoint_every=2",
    ),
    "follow": ("steps=6", "clips_per_step=2", "clip_sizes=[3]", "crop=[64, 96]"),
    "prompt": ("steps=6", "frames_per_step=4", "crop=[64, 96]"),
}  # fmt: skip


@pytest.fixture
def damaged(tianchi: Path, tmp_path: Path) -> Path:
    """The videos, with two damaged files: a picture, which is cut, and a mask, which is gone when it is asked for."""
    root = tmp_path / "damaged"
    shutil.copytree(tianchi, root)
    image = sorted((root / "JPEGImages" / "600102").iterdir())[1]
    image.write_bytes(image.read_bytes()[:200])
    mask = sorted((root / "Annotations" / "600101").iterdir())[2]
    mask.write_bytes(mask.read_bytes()[:100])
    return root


@pytest.mark.parametrize("name", SMALL)
def test_every_kind_of_training_draws_another(name: str, damaged: Path) -> None:
    data = gather([damaged], seed=0, overfit=2)
    recipe = load_recipe(name, overrides=SMALL[name])
    every = []
    for _ in range(2):
        batches = make_task(recipe, data.train).batches()
        every.append(list(iterate_batches(batches, start=0, stop=6, workers=0)))
    found = {file.what.split(":")[0] for loaded in every[0] for file in loaded.unreadable}
    assert found
    assert all("6001" in what for what in found)
    for one, other in zip(*every, strict=True):  # the same again, whatever was drawn before
        assert one.unreadable == other.unreadable
        assert one.drawn == other.drawn
        assert all(
            torch.equal(*pair) for pair in zip(one.batch, other.batch, strict=True) if isinstance(pair[0], torch.Tensor)
        )


def test_each_file_is_told_once_and_counted(run: Run, damaged: Path, tmp_path: Path) -> None:
    seen = run("cosnet-resnet50", tmp_path / "run", *COSNET, "overfit=2", "steps=12", data=(damaged,), measure=False)
    skipped = [event for event in seen.events if isinstance(event, Skipped)]
    assert len(skipped) == len({event.what for event in skipped}) == 2
    assert [event.step for event in seen] == list(range(1, 13))
    finished = seen.events[-1]
    assert isinstance(finished, Finished)
    assert finished.skipped == 2


def test_a_resumed_run_skips_the_same(run: Run, damaged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = (*COSNET, "overfit=2")
    whole = run("cosnet-resnet50", tmp_path / "whole", *settings, data=(damaged,), measure=False)
    original = loop.iterate_batches

    class KilledError(Exception):
        pass

    def dying(batches: object, *, start: int, stop: int, workers: int) -> object:
        for step, loaded in enumerate(original(batches, start=start, stop=stop, workers=workers), start=start):  # type: ignore[arg-type]
            if step == 4:
                raise KilledError
            yield loaded

    with monkeypatch.context() as patch:
        patch.setattr(loop, "iterate_batches", dying)
        with pytest.raises(KilledError):
            run("cosnet-resnet50", tmp_path / "parts", *settings, data=(damaged,), measure=False)
    parts = run("cosnet-resnet50", tmp_path / "parts", *settings, data=(damaged,), measure=False)
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("whole", "parts"))
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name
    assert [event.step for event in parts] == [5, 6]
    last = [seen.events[-1] for seen in (whole, parts)]
    assert all(isinstance(event, Finished) for event in last)
    assert last[0].skipped == last[1].skipped > 0  # type: ignore[union-attr]
    # What was told before the checkpoint is not told again.
    told = [[event for event in seen.events if isinstance(event, Skipped)] for seen in (whole, parts)]
    assert told[1] == [event for event in told[0] if event.step > 4]
    assert len(told[1]) < len(told[0])


@pytest.mark.slow
def test_errors_and_skips_cross_from_loader_processes(run: Run, damaged: Path, tmp_path: Path) -> None:
    settings = (*COSNET, "overfit=2")
    alone = run("cosnet-resnet50", tmp_path / "alone", *settings, data=(damaged,), measure=False)
    helped = run("cosnet-resnet50", tmp_path / "helped", *settings, data=(damaged,), measure=False, workers=1)
    told = [[event for event in seen.events if isinstance(event, Skipped)] for seen in (alone, helped)]
    assert told[0] == told[1] != []
    assert [step.losses for step in alone] == [step.losses for step in helped]
    data = gather([damaged], seed=0, overfit=2)
    batches = make_task(load_recipe("cosnet-resnet50", overrides=COSNET), data.train).batches()
    for picture in damaged.rglob("*.jpg"):
        picture.unlink()
    with pytest.raises(InputError, match="20 draws in a row met files that cannot be read"):
        next(iterate_batches(batches, start=0, stop=1, workers=1))


def test_many_stop_the_run_in_three_lines(
    tianchi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(skipping, "LEAST_FILES", 2)
    root = tmp_path / "data"
    shutil.copytree(tianchi, root)
    for picture in sorted((root / "JPEGImages").rglob("*.jpg"))[::3]:
        picture.write_bytes(b"nothing")
    sets = [word for setting in (*COSNET, "steps=40") for word in ("--set", setting)]
    command = ["train", "cosnet-resnet50", "--data", str(root), "-o", str(tmp_path / "run"), "--overfit", "2"]
    assert main([*command, "--workers", "0", "--no-check", "--device", "cpu", *sets]) == 3
    said = capsys.readouterr().err
    assert "files of the training data cannot be read" in said
    assert "draws met one" in said
    assert "warning: skipped, and another is drawn" in said
    assert "bug of ours" not in said


def test_few_are_forgiven_and_many_are_not() -> None:
    count = SkipCount()
    for number in range(9):
        assert len(count.add(10, (Unreadable(f"file {number}", "gone"),))) == 1
    assert count.add(10, (Unreadable("file 0", "gone"),)) == ()
    count.refuse_many()
    count.add(10, (Unreadable("file 9", "gone"),))
    with pytest.raises(InputError, match="10 files of the training data cannot be read"):
        count.refuse_many()
    rare = SkipCount()
    for number in range(30):  # one draw in a thousand
        rare.add(1000, (Unreadable(f"file {number}", "gone"),))
        rare.refuse_many()
    assert (rare.drawn, rare.failed, len(rare.files)) == (30_000, 30, 30)


def test_attempts_are_numbered_and_end() -> None:
    skips, attempts = Skips(), []

    def make(attempt: int) -> str:
        attempts.append(attempt)
        if attempt < 3:
            raise SourceError(f"file {attempt} is gone", why="gone", fix="none")
        return "drawn"

    assert skips.draw(make) == "drawn"
    assert attempts == [0, 1, 2, 3]
    drawn, files = skips.take()
    assert drawn == 4
    assert [file.what for file in files] == ["file 0 is gone", "file 1 is gone", "file 2 is gone"]
    assert skips.take() == (0, ())

    def fail(attempt: int) -> str:
        raise SourceError("all is gone", why="the disk is away", fix="none")

    with pytest.raises(InputError, match="20 draws in a row"):
        skips.draw(fail)


def test_a_lost_picture_to_measure_on_loses_no_step(run: Run, tianchi: Path, tmp_path: Path) -> None:
    """What is measured on is not replaced: the run stops with the file's error, and measures when it goes on."""
    root = tmp_path / "data"
    shutil.copytree(tianchi, root)
    settings = (*COSNET, "validate_every=2", "checkpoint_every=0", "ratio=0.5")
    (measured,) = gather([root], seed=0, ratio=0.5).validation
    image = measured.videos[0].frames[1].image
    assert image is not None
    content = image.read_bytes()
    image.write_bytes(b"nothing")
    with pytest.raises(SourceError, match=image.name):
        run("cosnet-resnet50", tmp_path / "run", *settings, data=(root,))
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert (kept["step"], kept["due"]) == (2, True)
    image.write_bytes(content)
    seen = run("cosnet-resnet50", tmp_path / "run", *settings, data=(root,))
    assert [event.step for event in seen.measured] == [2, 4, 6]
    assert [event.step for event in seen] == [3, 4, 5, 6]
