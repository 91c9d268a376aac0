"""`covos evaluate`: both ways to call it, its outputs, and true exit codes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from covos.cli import main
from covos.masks import write_label_map


def write(folder: Path, *, shift: int, sequences: int = 2) -> Path:
    for number in range(sequences):
        (folder / f"s{number}").mkdir(parents=True)
        for index in range(5):
            labels = np.zeros((40, 60), np.uint8)
            labels[10:25, 10 + index + shift : 25 + index + shift] = 1
            write_label_map(folder / f"s{number}" / f"{index:05d}.png", labels)
    return folder


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    return write(tmp_path / "truth", shift=0)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write(tmp_path / "first", shift=3)


@pytest.fixture
def second(tmp_path: Path) -> Path:
    return write(tmp_path / "second", shift=5)


def run(*arguments: object) -> int:
    return main(["evaluate", *map(str, arguments), "-q", "--workers", "1"])


def test_table_on_stdout(first: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(first, truth, "--protocol", "davis2016") == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert "davis2016: one object" in printed.out
    assert printed.out.splitlines()[-1].split()[:2] == ["all", "2"]
    assert run(first, "--gt", truth, "--protocol", "davis2016") == 0
    assert capsys.readouterr().out == printed.out


def test_all_outputs(first: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    files = ["--json", out / "scores.json", "--csv", out / "csv", "--html", out / "report.html"]
    assert run(first, truth, "--protocol", "davis2017-semi", *files) == 0
    assert json.loads((out / "scores.json").read_text())["summary"]["J-Mean"] == pytest.approx(12 / 18)
    assert (out / "csv" / "global_results-all.csv").read_text().startswith("J&F-Mean,J-Mean")
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    printed = capsys.readouterr()
    assert "0.667" in printed.out
    assert not printed.err
    assert main([str(each) for each in ("evaluate", first, truth, "--protocol", "davis2017-semi", "-y", *files)]) == 0
    assert f"written: {out / 'scores.json'}, {out / 'report.html'}, {out / 'csv'}" in capsys.readouterr().err


def test_nothing_is_replaced_unasked(
    first: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "scores.json"
    path.write_text("mine")
    assert run(first, truth, "--protocol", "davis2016", "--json", path) == 2
    assert path.read_text() == "mine"
    assert "exists" in capsys.readouterr().err
    assert run(first, truth, "--protocol", "davis2016", "--json", path, "-y") == 0
    assert json.loads(path.read_text())["protocol"] == "davis2016"


def test_a_file_for_the_csv_files_is_refused(
    first: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(first, truth, "--protocol", "davis2016", "--csv", tmp_path / "scores.csv") == 2
    assert f"give a folder: --csv {tmp_path / 'scores'}" in capsys.readouterr().err
    assert not (tmp_path / "scores.csv").exists()


@pytest.mark.parametrize("given", ["scores", "scores.csv"])
def test_the_folder_that_is_offered_for_the_csv_files_is_no_file(
    first: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], given: str
) -> None:
    (tmp_path / "scores").write_text("mine")
    (tmp_path / given).write_text("mine")
    assert run(first, truth, "--protocol", "davis2016", "--csv", tmp_path / given) == 2
    message = capsys.readouterr().err
    assert f"--csv {tmp_path / given} is a file that exists" in message
    assert f"give a folder: --csv {tmp_path / 'scores-csv'}\n" in message
    assert (tmp_path / "scores").read_text() == "mine"


def test_a_csv_of_another_run_is_not_reused_or_replaced(first: Path, truth: Path, tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    assert run(first, truth, "--protocol", "davis2016", "--csv", folder) == 0
    before = (folder / "global_results-all.csv").read_text()
    assert run(truth, truth, "--protocol", "davis2016", "--csv", folder) == 2
    assert (folder / "global_results-all.csv").read_text() == before
    assert run(truth, truth, "--protocol", "davis2016", "--csv", folder, "-y") == 0
    assert (folder / "global_results-all.csv").read_text().splitlines()[1].startswith("1.000,1.000")


def test_several_results_side_by_side(
    first: Path, second: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ["--json", tmp_path / "both.json", "--csv", tmp_path / "csv", "--html", tmp_path / "both.html"]
    assert run(first, second, "--gt", truth, "--protocol", "davis2016", *files) == 0
    printed = capsys.readouterr().out
    assert "second is 0." in printed
    assert "worse than first" in printed
    assert [each["name"] for each in json.loads((tmp_path / "both.json").read_text())["results"]] == ["first", "second"]
    assert sorted(entry.name for entry in (tmp_path / "csv").iterdir()) == ["first", "second"]
    assert "Side by side" in (tmp_path / "both.html").read_text()


def test_any_of_the_results_can_be_what_the_others_are_compared_with(
    first: Path, second: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = [first, second, "--gt", truth, "--protocol", "davis2016", "-q"]
    for number, name in enumerate(("second", second)):
        file = tmp_path / f"{number}.json"
        assert run(*line, "--baseline", name, "--json", file, "--html", tmp_path / f"{number}.html") == 0
        assert "better than second" in capsys.readouterr().out
        (change,) = json.loads(file.read_text())["differences"]
        assert (change["result"], change["from"]) == ("first", "second")
        assert "to second" in (tmp_path / f"{number}.html").read_text()
    assert run(*line, "--baseline", truth) == 2
    assert "none of the predictions" in capsys.readouterr().err
    assert run(first, truth, "--protocol", "davis2016", "--baseline", first) == 2
    assert "nothing to be compared with" in capsys.readouterr().err


@pytest.mark.parametrize("count", [1, 3])
def test_without_a_named_ground_truth_two_paths_are_needed(
    first: Path, truth: Path, capsys: pytest.CaptureFixture[str], count: int
) -> None:
    assert run(*[first] * (count - 1), truth, "--protocol", "davis2016") == 2
    assert "--gt" in capsys.readouterr().err


def test_a_result_given_twice(first: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for again in (first, first / ".", os.path.relpath(first), first / ".." / first.name):
        assert run(first, again, "--gt", truth, "--protocol", "davis2016") == 2
        assert f"{first} is given twice" in capsys.readouterr().err


def test_protocol_must_be_named(first: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(first, truth) == 2
    assert "--protocol" in capsys.readouterr().err
    assert run(first, truth, "--protocol", "davis") == 2
    assert "davis2017-semi" in capsys.readouterr().err


def test_what_does_not_fit_ends_with_3_and_leaves_nothing(
    first: Path, truth: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (first / "s1" / "00002.png").unlink()
    assert run(first, truth, "--protocol", "davis2016", "--json", tmp_path / "scores.json") == 3
    printed = capsys.readouterr()
    assert "first/s1 lacks 1 of the 3 frames to score: 00002" in printed.err
    assert printed.out == ""
    assert not (tmp_path / "scores.json").exists()


def test_progress_goes_to_stderr(first: Path, truth: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(first), str(truth), "--protocol", "davis2016", "--workers", "1"]) == 0
    assert "2/2 sequences" in capsys.readouterr().err


def test_the_ground_truth_may_be_shards_at_a_url(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fsspec

    from covos.data import pack

    root = Path(__file__).parents[1] / "fixtures" / "tianchi"
    pack(root, tmp_path / "shards")
    system = fsspec.filesystem("memory")
    system.put(str(tmp_path / "shards"), "/bucket/truth", recursive=True)
    try:
        options = ("--protocol", "davis2016", "--subset", "train")
        assert run(root / "Annotations", "--gt", "memory://bucket/truth", *options) == 0
        assert "J&F" in capsys.readouterr().out
        assert run(root / "Annotations", "--gt", "memory://bucket/none", *options) == 3
    finally:
        system.rm("/bucket", recursive=True)
