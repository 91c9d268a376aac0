"""Wrong calls that a new user makes are answered with the right ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.evaluation.protocols import PROTOCOL_NAMES
from covos.training.registry import recipe_names


@pytest.mark.parametrize("call", [covos.segment, covos.stream])
@pytest.mark.parametrize(("wrong", "right"), [("point", "points"), ("box", "boxes"), ("qualty", "quality")])
def test_an_argument_that_does_not_exist_names_the_one_that_does(call: Any, wrong: str, right: str) -> None:
    with pytest.raises(UsageError, match=f"no argument '{wrong}'") as caught:
        call("clip.mp4", **{wrong: (3, 4)})
    assert right in caught.value.fix


def test_scores_without_a_protocol_name_the_protocols() -> None:
    with pytest.raises(UsageError, match="no protocol") as caught:
        covos.evaluate("a", "b")
    assert all(name in caught.value.fix for name in PROTOCOL_NAMES)


def test_a_run_that_has_no_masks_says_how_to_make_them(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("covos.json", "overlay.mp4"):
        (tmp_path / "run" / name).write_bytes(b"{}")
    with pytest.raises(covos.AnnotationError) as caught:
        covos.evaluate(tmp_path / "run", tmp_path / "run", protocol="davis2016")
    assert "covos convert" in caught.value.fix
    assert "-f palette" in caught.value.fix


def test_the_help_of_training_lists_every_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in recipe_names())


def test_an_interrupt_before_the_first_mask_says_that_nothing_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("covos.model.load_model", interrupted)
    clip = Path(__file__).parents[1] / "examples" / "car.mp4"
    assert main(["segment", str(clip), "-o", str(tmp_path / "out")]) == 130
    assert "nothing new is kept: the same command begins anew" in capsys.readouterr().err
