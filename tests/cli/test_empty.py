"""Empty values: refused on the command line and in Python, where pathlib would take the current folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import covos
from covos.cli import main
from covos.core.errors import UsageError
from covos.data import open_dataset, pack
from covos.predict import predict
from covos.task import read_prompts
from covos.training.arguments import folder_of


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (["segment", "", "-o", "out"], "INPUT"),
        (["segment", "a.mp4", "", "-o", "out"], "INPUT"),
        (["segment", "a.mp4", "-o", ""], "--output"),
        (["segment", "a.mp4", "--output=", "-f", "palette"], "--output"),
        (["segment", "a.mp4", "-o", "out", "--prompts", ""], "--prompts"),
        (["segment", "a.mp4", "-o", "out", "--mask", ""], "--mask"),
        (["evaluate", "", "", "--protocol", "davis2016"], "PRED"),
        (["evaluate", "a", "b", "--protocol", "davis2016", "--json", ""], "--json"),
        (["predict", "", "-o", "out"], "DATASET"),
        (["data", "inspect", ""], "ROOT"),
    ],
)
def test_an_empty_value_is_refused(
    line: list[str], name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    assert f"error: {name} is empty\n" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        (["segment", "", "-o", "out"], "give it a value"),
        (["segment", "a.mp4", "-o", "out", "--model", ""], "give it a value, or leave it out"),
    ],
)
def test_the_advice_fits_what_is_empty(
    line: list[str], fix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(line) == 2
    assert capsys.readouterr().err.endswith(f"  fix: {fix}\n")
    assert not list(tmp_path.iterdir())


def test_an_empty_label_is_told_what_a_label_is(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(clip), "-o", str(tmp_path / "out"), "--label", ""]) == 2
    assert "error: '' is no label\n" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "call",
    [
        lambda: covos.segment(""),
        lambda: covos.stream(""),
        lambda: covos.Plan(source=""),
        lambda: covos.load_result(""),
        lambda: covos.evaluate("", "truth", protocol="davis2016"),
        lambda: covos.evaluate("masks", "", protocol="davis2016"),
        lambda: open_dataset(""),
        lambda: covos.Job(covos.Plan(source="a.mp4"), ""),
        lambda: predict("data", output=""),
        lambda: pack("data", ""),
        lambda: pack("", "out"),
        lambda: folder_of(""),
        lambda: read_prompts(masks=""),
        lambda: read_prompts(masks={0: ""}),
        lambda: read_prompts(prompts=""),
        lambda: covos.correct("run", "out", prompts=""),
        lambda: covos.correct("run", "out", prompts=[""]),
        lambda: covos.Batch("", "out"),
        lambda: covos.Batch(["a.mp4", ""], "out"),
        lambda: covos.Batch("a.mp4", ""),
        lambda: covos.Batch("a.mp4", "out", summary=""),
    ],
)
def test_an_empty_path_is_refused_in_python(
    call: Callable[[], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.mp4").touch()  # an input that is there, beside the one that is empty
    with pytest.raises(UsageError, match="is empty"):
        call()
