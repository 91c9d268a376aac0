from __future__ import annotations

from pathlib import Path

import pytest
import torch

from covos.cli import main
from covos.training import StepDone
from covos.training.console import Console
from covos.training.estimate import TimeEstimate, estimate_time, spoken
from covos.training.gather import TrainingData, gather
from covos.training.registry import load_recipe
from on_cpu import training_of

SMALL = (
    "steps=10", "frames_per_step=2", "group_sizes=[2]", "crops=[[32, 64], [64, 96], [96, 96]]",
    "crop_chances=[0.7, 0.3, 0]", "validate_every=4",
)  # fmt: skip


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (89, "89 s"), (90, "2 min"), (3599, "1 h 0 min"), (7800, "2 h 10 min"), (273600, "3 d 4 h")],
)
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert spoken(seconds) == said


def test_an_estimate_is_the_steps_and_the_measurings() -> None:
    whole = TimeEstimate(
        steps=10, sizes={(32, 64): (0.75, 1.0), (64, 96): (0.25, 3.0)}, measuring=5.0, measured_after=(4, 8, 10)
    )
    assert whole.seconds_per_step == 1.5
    assert whole.seconds == 15 + 15
    assert str(whole) == (
        "about 30 s on this machine: 10 steps of 1 s at 32 x 64 (75% of them), 3 s at 64 x 96 (25% of them); "
        "measuring 5 s, 3 times"
    )
    # What the steps took corrects it.
    assert whole.left(4, seconds_per_step=2.0) == 6 * 2 + 2 * 5
    assert whole.left(10, seconds_per_step=2.0) == 0
    assert (
        str(TimeEstimate(steps=1200, sizes={(0, 0): (1.0, 3.0)}))
        == "about 1 h 0 min on this machine: 1,200 steps of 3 s"
    )


def test_it_says_what_it_is_timing(tianchi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a slow machine, a check would be silent for minutes."""
    monkeypatch.setattr("covos.training.estimate.SAY_EVERY", 0.0)
    data = gather([tianchi], seed=0, ratio=0.5)
    recipe = load_recipe("lite", overrides=SMALL)
    said: list[str] = []
    estimate_time(training_of(recipe, data), tell=said.append)
    parts = [line for line in said if not line.startswith(" ")]
    assert parts == [
        "timing steps of 32 x 64, size 1 of 2: 2 or more",
        "timing steps of 64 x 96, size 2 of 2: 2 or more",
        "timing the measuring of tianchi, set 1 of 1",
    ]
    assert said[1].startswith("  step 1: ")
    assert said.index(parts[1]) > 2


def test_a_run_of_few_steps_is_looked_at_for_as_few(tianchi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("covos.training.estimate.SAY_EVERY", 0.0)
    data = gather([tianchi], seed=0, ratio=0.5)
    said: list[str] = []
    recipe = load_recipe("lite", overrides=SMALL, steps=2)
    estimate_time(training_of(recipe, TrainingData(train=data.train)), tell=said.append)
    assert [line.partition(":")[0].strip() for line in said] == [
        "timing steps of 32 x 64, size 1 of 2", "step 1", "timing steps of 64 x 96, size 2 of 2", "step 1",
    ]  # fmt: skip
    assert said[0].endswith(": 1 step")


def test_the_progress_says_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(quiet=False)
    for step, pace in ((10, 9.0), (20, 1.0), (40, 3.0), (60, 2.0)):
        console(StepDone(step=step, steps=60, losses={}, loss=0.5, seconds_per_step=pace))
    # The mean pace so far, and nothing is known of measuring in a run that goes on.
    assert [line.partition("step  ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "about 40 s left", "about 40 s left", "",
    ]  # fmt: skip
    console = Console(quiet=False)
    console.estimate = TimeEstimate(steps=60, sizes={}, measuring=7.0, measured_after=(30, 60))
    console(StepDone(step=40, steps=60, losses={}, loss=0.5, seconds_per_step=1.0))
    assert "about 27 s left" in capsys.readouterr().err


def test_a_few_steps_of_each_size_are_timed(tianchi: Path) -> None:
    recipe = load_recipe("lite", overrides=SMALL)
    data = gather([tianchi], seed=0, ratio=0.5)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    found = estimate_time(training_of(recipe, data))
    assert torch.equal(torch.get_rng_state(), before)
    # What is never drawn is not timed.
    assert {size: share for size, (share, _) in found.sizes.items()} == {(32, 64): 0.7, (64, 96): 0.3}
    assert all(seconds > 0 for _, seconds in found.sizes.values())
    assert found.measuring > 0
    assert found.measured_after == (4, 8, 10)
    assert found.seconds > 10 * found.seconds_per_step


@pytest.fixture
def command(tianchi: Path) -> list[str]:
    settings = [word for setting in SMALL for word in ("--set", setting)]
    return ["train", "lite-finetune", "--data", str(tianchi), "--device", "cpu", "--workers", "0", *settings]


def test_a_check_says_what_there_is_and_how_long_it_takes(
    command: list[str], tianchi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert main([*command, "--check", "--steps", "6"]) == 0
    out, _ = capsys.readouterr()
    assert "2 videos to train on, 11 frames: 11 with a mask, 0 without; 11 were read" in out
    assert "the warm-up of 20 steps is as long as the run of 6, or longer" in out
    assert "on this machine: 6 steps of" in out
    assert list(tmp_path.iterdir()) == []
    assert main([*command, "--check", "--steps", "0"]) == 2
    assert main(command) == 2
    assert "no folder for the run" in capsys.readouterr().err


def test_fine_tuning_starts_from_the_packaged_weights_and_its_run_segments(
    command: list[str], tianchi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    assert main([*command, "--steps", "2", "-o", str(folder)]) == 0
    err = capsys.readouterr().err
    assert "time: about" in err
    assert "covos-lite.safetensors" in err
    # A run that goes on was looked at when it began.
    assert main([*command, "--steps", "2", "-o", str(folder)]) == 0
    assert "time: about" not in capsys.readouterr().err
    frames = tianchi / "JPEGImages" / "600101"
    weights = folder / "last.safetensors"
    assert main(["segment", str(frames), "-m", str(weights), "-o", str(tmp_path / "out"), "-q"]) == 0
    assert len(list((tmp_path / "out" / "masks").iterdir())) == 5


def test_data_that_cannot_be_trained_on_stop_the_run_before_it_begins(
    command: list[str], tianchi: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "broken"
    for name in ("JPEGImages", "Annotations"):
        (root / name / "one").mkdir(parents=True)
        for path in sorted((tianchi / name / "600101").iterdir()):
            (root / name / "one" / path.name).write_bytes(path.read_bytes())
    image = sorted((root / "JPEGImages" / "one").iterdir())[1]
    image.write_bytes(image.read_bytes()[:700])
    words = [str(root) if word == str(tianchi) else word for word in command]
    assert main([*words, "-o", str(tmp_path / "run")]) == 3
    err = capsys.readouterr().err
    assert "1 of 5 files cannot be read" in err
    assert image.name in err
    assert not (tmp_path / "run").exists()
