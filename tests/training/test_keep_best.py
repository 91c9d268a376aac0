"""Several of the measured weights with the highest J can be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.models.cards import read_card
from covos.training import Saved
from covos.training.cosnet import CosnetTask
from covos.training.validate import Validation

from .conftest import Run

SMALL = ("size=[48, 80]", "epochs=0", "validate_every=1", "checkpoint_every=1", "batch=2", "ratio=0.5")
SCORES = (0.3, 0.5, 0.4, 0.6, 0.6, 0.2)
"""J after each step."""


@pytest.fixture(autouse=True)
def _scores(monkeypatch: pytest.MonkeyPatch, narrow: None) -> None:
    step = iter(SCORES)
    monkeypatch.setattr(CosnetTask, "measure", lambda *_, **__: Validation.over({"a": (next(step), 0.5)}))


def kept(folder: Path) -> list[str]:
    files = sorted(path.stem for path in folder.glob("step-*.safetensors"))
    assert sorted(path.stem for path in folder.glob("step-*.json")) == files
    return files


def test_the_best_are_kept_under_their_steps(run: Run, tmp_path: Path) -> None:
    seen = run("cosnet-resnet50", tmp_path, *SMALL, "steps=6", "keep_best=2")
    assert kept(tmp_path) == ["step-000004", "step-000005"], "of two that are as good, both fit"
    saved = [event.step for event in seen.events if isinstance(event, Saved) and event.kind == "kept"]
    assert saved == [1, 2, 3, 4, 5]
    card = read_card(tmp_path / "step-000004.safetensors")
    assert card is not None
    assert (card.recipe["step"], card.recipe["keep_best"]) == (4, 2)
    best = (tmp_path / "best.safetensors").read_bytes()
    assert (tmp_path / "step-000004.safetensors").read_bytes() == best, "the first of the best is the best"


def test_a_run_that_goes_on_keeps_the_same(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL, "steps=3", "keep_best=2")
    assert kept(tmp_path) == ["step-000002", "step-000003"]
    (tmp_path / "step-000009.safetensors").write_bytes(b"of the user")
    (tmp_path / "step-000009.json").write_bytes(b"of the user")
    run("cosnet-resnet50", tmp_path, *SMALL, "steps=6", "keep_best=2", extend=True)
    assert kept(tmp_path) == ["step-000004", "step-000005", "step-000009"]


def test_by_default_the_best_alone_is_kept(run: Run, tmp_path: Path) -> None:
    run("cosnet-resnet50", tmp_path, *SMALL, "steps=2")
    assert kept(tmp_path) == []
    assert (tmp_path / "best.safetensors").is_file()
