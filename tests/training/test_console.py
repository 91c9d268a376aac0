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


@pytest.mark.parametrize(
    ("losses", "j", "said"),
    [
        ((0.9, 0.4), 0.6, None),
        ((0.9, 40.0), 0.6, "the loss ended at 40, and its first steps had 0.9: the training diverged"),
        ((0.9, 0.4), 0.0, "the best J is 0.000: the masks miss their subjects"),
    ],
)
def test_a_run_that_learnt_nothing_says_so(
    losses: tuple[float, float],
    j: float,
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("covos.training.run_folder.describe_outcome", lambda _: "")
    console = Console()
    console.started = True
    for step, loss in enumerate(losses, 1):
        console(StepDone(step=step, steps=2, losses={"total": loss}, loss=loss, seconds_per_step=1.0))
    best = Scored(step=2, j=j, f=j)
    console(Finished(step=2, start=None, best=best, weights=tmp_path / "best.safetensors"))
    (*_, last) = capsys.readouterr().err.splitlines()
    assert last.startswith("warning: ") == (said is not None)
    assert said is None or said in last


def test_going_on_is_promised_once_the_run_began(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console()
    console.begin(TrainingData(train=(), validation=()), processes=1)
    assert "if you stop it" not in capsys.readouterr().err
    console(Started(step=0, steps=4, origin="random weights", folder=tmp_path / "run"))
    assert f"goes on from its last checkpoint in {tmp_path / 'run'}" in capsys.readouterr().err
