"""Two processes on the CPU, as ``torchrun`` starts them; its program itself starts those of the sweep."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from covos.core.errors import UsageError
from covos.core.files import LOCK, exclusive
from covos.models.registry import find_model
from covos.training.distributed import ProcessGroup, process_group_from_environment
from covos.training.state import _other_share

from .worker import forked

WORKER = Path(__file__).with_name("worker.py")
SETTINGS = (
    "size=[48, 80]", "steps=4", "epochs=0", "batch=4", "frozen_norms=true", "still_every=2", "validate_every=2",
    "checkpoint_every=2", "momentum=0.9", "learning_rate=0.02",
)  # fmt: skip
LITE = (
    "steps=4", "frames_per_step=4", "group_sizes=[2]", "crops=[[64, 96]]", "crop_chances=[1.0]", "validate_every=4",
    "checkpoint_every=4",
)  # fmt: skip
ALIKE = pytest.mark.thorough
"""For the process that leads: one that does not has to be heard by it, which is the harder."""
Finished = subprocess.CompletedProcess[str]


def words(
    folder: Path, data: tuple[Path, ...], event: str, settings: dict[str, object], *, recipe: str = "cosnet-resnet50"
) -> list[str]:
    own = {"cosnet-resnet50": SETTINGS, "lite": LITE}[recipe]
    values = (*own, *(f"{name}={value}" for name, value in settings.items()))
    roots = [word for root in data for word in ("--data", str(root))]
    sets = [word for value in values for word in ("--set", value)]
    arguments = ["train", recipe, *roots, "-o", str(folder / "run"), "--device", "cpu"]
    if recipe == "lite":  # which begins with weights of another package else
        arguments += ["-w", "covos-lite"]
    folder.mkdir(exist_ok=True)
    return [str(folder), event, *arguments, "--precision", "fp32", "--workers", "0", *sets]


def options(processes: int, restarts: int = 0) -> list[str]:
    alone = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"]
    return [*alone, "--nproc-per-node", str(processes), "--max-restarts", str(restarts)]


def in_forks(
    folder: Path,
    data: tuple[Path, ...],
    *,
    processes: int = 2,
    event: str = "none",
    restarts: int = 0,
    recipe: str = "cosnet-resnet50",
    **settings: object,
) -> Finished:
    """Train in forks, which torchrun's agent starts if there are several."""
    several = options(processes, restarts) if processes > 1 else []
    return forked(several, words(folder, data, event, settings, recipe=recipe), folder=folder)


def by_torchrun(folder: Path, data: tuple[Path, ...], **settings: object) -> Finished:
    """Train in two processes of the program torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", *options(2), str(WORKER)]
    paths = os.pathsep.join([str(WORKER.parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [*command, *words(folder, data, "none", settings)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": paths},
        timeout=300,
    )


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch_also_when_one_is_lost(
    tianchi: Path, stills: Path, tmp_path: Path
) -> None:
    # A process is lost: torchrun starts all again, and they go on from the checkpoint, to the end of one that was not.
    done = {
        1: in_forks(tmp_path / "1", (tianchi, stills), processes=1),
        2: in_forks(tmp_path / "2", (tianchi, stills), event="lost1", restarts=1),
    }
    for result in done.values():
        assert result.returncode == 0, result.stderr
    assert done[2].stdout.splitlines() == [str(tmp_path / "2" / "run" / "last.safetensors")]  # only one speaks
    assert "2 processes share each step" in done[2].stderr
    assert "Warning" not in done[2].stderr
    assert "starts from the checkpoint" in done[2].stderr
    alone = torch.load(tmp_path / "1" / "rank0.pt", weights_only=True)
    first, second = (torch.load(tmp_path / "2" / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name
        torch.testing.assert_close(tensor, alone[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.slow
def test_two_processes_train_covos_lite(tianchi: Path, stills: Path, tmp_path: Path) -> None:
    result = in_forks(tmp_path, (tianchi, stills), recipe="lite")
    assert result.returncode == 0, result.stderr
    assert "2 processes share each step" in result.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    start = load_file(find_model("covos-lite").path)
    statistics = ("running_mean", "running_var")
    parameters = [name for name in first if not name.endswith(statistics)]
    assert any(not torch.equal(first[name], start[name]) for name in parameters if name in start)
    for name in parameters:
        assert torch.equal(first[name], second[name]), name
    for name, tensor in kept["network"].items():
        assert torch.equal(tensor, first[name]), name


@pytest.mark.slow
def test_a_run_of_two_processes_goes_on_with_one(tianchi: Path, stills: Path, tmp_path: Path) -> None:
    """It sees the pairs that it would have seen, and comes to the weights to which one process comes."""
    data, whole, parts = (tianchi, stills), tmp_path / "whole", tmp_path / "parts"
    assert in_forks(whole, data, processes=1).returncode == 0
    assert in_forks(parts, data, event="stop0").returncode != 0
    result = in_forks(parts, data, processes=1)
    assert result.returncode == 0, result.stderr
    assert "run, of 2 processes: 1 shares" in result.stderr
    wanted, found = (torch.load(folder / "rank0.pt", weights_only=True) for folder in (whole, parts))
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, wanted[name], rtol=1e-4, atol=1e-6, msg=name)
    assert torch.load(parts / "run" / "checkpoint.pt", weights_only=True)["processes"] == 1


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (None, 2, ""),
        (2, 2, ""),
        (1, 2, "of 1 process: 2 share each step"),
        (4, 1, "of 4 processes: 1 shares each step"),
    ],
)
def test_another_number_of_processes_is_told(before: int | None, now: int, said: str) -> None:
    """An older checkpoint does not have the number."""
    told = _other_share(before, now=now)
    assert said in told
    assert bool(said) == bool(told)


@pytest.mark.slow
@pytest.mark.parametrize("failing", [pytest.param(0, marks=ALIKE), 1])
def test_an_error_in_one_process_ends_all(tianchi: Path, stills: Path, tmp_path: Path, failing: int) -> None:
    result = in_forks(tmp_path, (tianchi, stills), event=f"error{failing}")
    assert result.returncode != 0
    assert "error: frame 7 cannot be read" in result.stderr
    assert "bug of ours" not in result.stderr
    assert not (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.slow
def test_a_folder_in_which_another_training_works_is_refused_by_all(
    tianchi: Path, stills: Path, tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    with exclusive(tmp_path / "run" / LOCK):
        result = in_forks(tmp_path, (tianchi, stills))
    assert result.returncode != 0
    assert "run is in use" in result.stderr
    assert "lost the others" not in result.stderr
    assert not list((tmp_path / "run").iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("told", [pytest.param(0, marks=ALIKE), 1])
def test_a_signal_to_one_process_stops_all_after_the_same_step(
    tianchi: Path, stills: Path, tmp_path: Path, told: int
) -> None:
    result = in_forks(tmp_path, (tianchi, stills), event=f"stop{told}", checkpoint_every=4)
    assert result.returncode != 0
    assert "checkpoint.pt is written: the same command goes on from there" in result.stderr
    assert "error:" not in result.stderr
    first, second = (torch.load(tmp_path / f"rank{rank}.pt", weights_only=True) for rank in range(2))
    kept = torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)
    assert kept["step"] == 2
    for name, tensor in kept["network"].items():
        assert torch.equal(tensor, first[name]), name
        assert torch.equal(tensor, second[name]), name


@pytest.mark.thorough  # `test_loop` and `test_cosnet_parts` have it in one process
def test_a_batch_that_does_not_divide_is_refused(tianchi: Path, stills: Path, tmp_path: Path) -> None:
    result = by_torchrun(tmp_path, (tianchi, stills), batch=3)
    assert result.returncode != 0
    assert "error: 3 pairs a step cannot be divided among 2 processes" in result.stderr
    assert not (tmp_path / "run").exists()


def test_the_environment_tells_the_team(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    assert process_group_from_environment() == ProcessGroup()
    monkeypatch.setenv("WORLD_SIZE", "4")
    with pytest.raises(UsageError, match="torchrun"):
        process_group_from_environment()
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert process_group_from_environment() == ProcessGroup(rank=3, size=4, local_rank=1)
    assert not process_group_from_environment().leads
    monkeypatch.setenv("RANK", "4")
    with pytest.raises(UsageError, match="RANK = 4"):
        process_group_from_environment()
