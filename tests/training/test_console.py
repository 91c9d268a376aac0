"""The console of a training says each thing on a line of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.training import Console, Finished, Scored, Started, StepDone
from covos.training.gather import TrainingData


def test_an_end_of_several_lines_is_said_in_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("covos.training.run_folder.describe_outcome", lambda _: "start  J 0.5\nno step was better")
    console = Console()
    console.started = True
    console(Finished(step=4, start=None, best=None, weights=tmp_path / "best.safetensors"))
    assert capsys.readouterr().err.splitlines() == ["start  J 0.5", "no step was better"]


STEPS = 60


def warnings_after(
    losses: list[dict[str, float]], *, begun: int, j: float, folder: Path, capsys: pytest.CaptureFixture[str]
) -> list[str]:
    console, steps = Console(), begun + len(losses)
    console(Started(step=begun, steps=steps, origin="random weights", folder=folder))
    for step, each in enumerate(losses, begun + 1):
        console(StepDone(step=step, steps=steps, losses=each, loss=each["total"], seconds_per_step=1.0))
    console(Finished(step=steps, start=None, best=Scored(step=steps, j=j, f=j), weights=folder / "best.safetensors"))
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


@pytest.mark.parametrize(
    ("losses", "j", "said"),
    [
        ([0.9] * 30 + [0.4] * 30, 0.6, None),
        ([0.9] * 30 + [40.0] * 30, 0.6, "the loss is 40 at the end and was 0.9 at the start"),
        ([0.1] + [0.9] * 59, 0.6, None),
        ([0.9] * 59 + [9.0], 0.6, None),
        ([0.9] * 19 + [40.0] * 20, 0.6, None),
        ([0.9] * 30 + [0.4] * 30, 0.0, "the best J is 0.000: the masks miss their subjects"),
    ],
)
def test_a_run_that_learnt_nothing_says_so(
    losses: list[float], j: float, said: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = warnings_after([{"total": each} for each in losses], begun=0, j=j, folder=tmp_path, capsys=capsys)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def test_steps_of_two_kinds_are_compared_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still, pairs = {"total": 0.03, "still": 0.3}, {"total": 0.6, "a": 0.3, "b": 0.3}
    healthy = [still, pairs, pairs] * STEPS
    assert warnings_after(healthy, begun=0, j=0.8, folder=tmp_path, capsys=capsys) == []
    diverged = [*healthy, *([still, {**pairs, "total": 6.0}, {**pairs, "total": 6.0}] * STEPS)]
    (found,) = warnings_after(diverged, begun=0, j=0.8, folder=tmp_path, capsys=capsys)
    assert "the loss is 6 at the end and was 0.6 at the start" in found


def test_a_run_that_goes_on_is_not_judged_by_its_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    losses = [{"total": 0.1}] * 30 + [{"total": 0.9}] * 30
    assert warnings_after(losses, begun=0, j=0.8, folder=tmp_path, capsys=capsys)
    assert warnings_after(losses, begun=6000, j=0.8, folder=tmp_path, capsys=capsys) == []


def test_going_on_is_promised_once_the_run_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.begin(TrainingData(train=(), validation=()), processes=1)
    assert "if you stop it" not in capsys.readouterr().err
    console(Started(step=0, steps=4, origin="random weights", folder=tmp_path / "run"))
    assert f"goes on from its last checkpoint in {tmp_path / 'run'}" in capsys.readouterr().err
