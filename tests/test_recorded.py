"""Results that are kept, and the tables of the documents that are made of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loaded import ROOT, load_module


@pytest.fixture(scope="module")
def recorded() -> Any:
    return load_module(ROOT / "benchmarks" / "recorded.py")


def test_the_tables_of_the_documents_are_those_of_the_results(recorded: Any) -> None:
    """After new results:  make numbers."""
    stale = [page.name for page in recorded.pages() if recorded.filled(page.read_text()) != page.read_text()]
    assert not stale, f"run make numbers: {stale}"


def beside_others(page: Path) -> dict[str, dict[str, str]]:
    """The table of a page that has covos beside other tools: by tool, then by column."""
    lines = [line for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    begins = next(number for number, line in enumerate(lines) if line.startswith("| | you show |"))
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[begins:]]
    return {row[0]: dict(zip(cells[0], row, strict=True)) for row in cells[2:]}


def test_the_table_of_the_readme_is_a_part_of_that_of_the_comparison() -> None:
    whole = beside_others(ROOT / "docs" / "comparison.md")
    part = beside_others(ROOT / "README.md")
    assert len(part) == len(whole) - 1  # XMem is on the page alone
    for tool, cells in part.items():
        assert cells == {column: whole[tool][column] for column in cells}


def test_the_comparison_states_the_numbers_of_the_results(recorded: Any) -> None:
    names = ("reproduce", "follow", "segment", "beside_rembg")
    tables = {name: recorded.read(recorded.RESULTS / f"{name}.json") for name in names}

    def number(value: object) -> str:
        return re.search(r"\d+\.\d+", str(value))[0]  # type: ignore[index]

    rows = beside_others(ROOT / "docs" / "comparison.md")
    scores = {
        name: {row[0]: row[-1] for row in tables["reproduce"][name].rows}["J&F"]
        for name in ("val_open", "val_open_best")
    }
    speed = number(dict(tables["segment"]["speed"].rows)["frames a second once it runs"])
    assert rows["**covos**"]["J&F"] == number(scores["val_open"])
    assert rows["**covos**"]["frames a second"].endswith(f" to {speed}")
    beside = {row[0]: row for row in tables["beside_rembg"]["scores"].rows}
    theirs, ours = beside["rembg u2netp"], beside["covos, balanced"]
    assert rows["rembg, `u2netp`"]["J&F"] == f"{theirs[1]:.3f}"
    assert rows["rembg, `u2netp`"]["frames a second"] == f"{theirs[-1]:.1f}"
    assert rows["rembg, `u2netp`"]["timed on"].endswith(f"(covos: {ours[-1]:.1f})")
    followed = next(row[1] for row in tables["follow"]["davis"].rows if row[0].startswith("mean"))
    (said,) = re.findall(r"^- \*\*covos\*\*:.*?(?=^- )", (ROOT / "docs" / "comparison.md").read_text(), re.M | re.S)
    assert all(number(each) in said for each in (*scores.values(), followed, speed))


@pytest.mark.parametrize(("score", "spent", "status"), [(0.9, 50.0, 0), (0.93, 900.0, 0), (0.7, 50.0, 1)])
def test_scores_are_compared_with_older_ones_and_times_are_not(
    score: float, spent: float, status: int, recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, values in (("old", (0.92, 50.0)), ("new", (score, spent))):
        recorded.keep(tmp_path / folder / "some.json", "scores", columns=["", "J", "ms"], rows=[["clip", *values]])
    monkeypatch.setattr(recorded, "RESULTS", tmp_path / "new")
    by = ["--by", "0.03"]
    monkeypatch.setattr(sys, "argv", ["recorded.py", "--against", str(tmp_path / "old"), *by])
    with pytest.raises(SystemExit) as ended:
        recorded.main()
    assert int(ended.value.code or 0) == status


def test_results_of_nothing_in_common_are_no_agreement(
    recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["recorded.py", "--against", str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        recorded.main()
    assert ended.value.code


def test_the_page_of_mattes_prints_the_command_that_was_measured(recorded: Any) -> None:
    page = (ROOT / "docs" / "matte.md").read_text().replace("\\\n    ", "")
    tables = recorded.read(recorded.RESULTS / "matte.json")
    assert f"\n{tables['whole'].command}\n" in page
    assert tables["whole"].command == tables["composed"].command == tables["alphamatting"].command


def test_every_result_is_shown_somewhere_and_has_an_origin(recorded: Any) -> None:
    shown = {name for page in recorded.pages() for name in re.findall(r"<!-- numbers: (\S+)", page.read_text())}
    for file in sorted(recorded.RESULTS.glob("*.json")):
        for name, table in recorded.read(file).items():
            assert f"{file.stem}.{name}" in shown
            assert all((table.command, table.machine, table.commit, table.date, table.rows)), (file, name)
            assert {len(row) for row in table.rows} == {len(table.columns)}


def test_the_commits_that_results_name_are_in_the_history(recorded: Any) -> None:
    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)

    if git("rev-parse", "--is-shallow-repository").stdout.strip() != "false":
        pytest.skip("the history is not here")
    tables = [table for file in recorded.RESULTS.glob("*.json") for table in recorded.read(file).values()]
    named = {table.commit.rstrip("+") for table in tables}
    assert named
    unknown = {commit for commit in named if git("merge-base", "--is-ancestor", commit, "HEAD").returncode}
    assert not unknown


def test_a_table_that_is_measured_again_takes_the_place_of_the_old_one_alone(
    recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "results" / "speed.json"
    monkeypatch.setattr(sys, "argv", ["/x/speed.py", "--data", "/home/me/davis", "--json", str(file), "--runs", "2"])
    for name, seconds in (("short", 1.0), ("long", 2.0), ("long", 2.5)):
        recorded.keep(file, name, columns=["", "s", "n"], rows=[["a", seconds, 3]], digits=[0, 2, 0])
    kept = recorded.read(file)
    assert kept["short"].rows == [["a", 1.0, 3]]
    # Names of folders of this machine, and the file of results, are nobody's business.
    assert kept["long"].command == "python benchmarks/speed.py --data DAVIS --runs 2"
    monkeypatch.setattr(recorded, "RESULTS", file.parent)
    page = "before\n<!-- numbers: speed.long bare -->\nstale\n<!-- end -->\nafter\n"
    filled = recorded.filled(page)
    assert filled.splitlines()[2:6] == ["", "| | s | n |", "|---|--:|--:|", "| a | 2.50 | 3 |"]
    assert filled.endswith("\n\n<!-- end -->\nafter\n")
    assert recorded.filled(filled) == filled
    assert kept["long"].origin() in recorded.filled(page.replace(" bare", ""))


def test_nothing_is_kept_unasked(recorded: Any) -> None:
    recorded.keep(None, "speed", columns=["", "s"], rows=[["a", 1.0]])


def test_sentences_of_a_page_are_told_from_its_code(readability: Any) -> None:
    page = (
        "# A title here\n\nIt is `one <x>` of [two words](x.md). What follows\nis turned.\n\n"
        "```sh\nno words here. None.\n```\n\n| a | b c d |\n\n"
        "- An item of `<x>` and ``a`b`` stands <br>alone. What is a question?\n"
    )
    assert list(readability.sentences(page)) == [
        "It is Code of two words.", "What follows is turned.",
        "An item of Code and Code stands alone.", "What is a question?",
    ]  # fmt: skip
    found = readability.measured([page])
    assert (found["sentences"], found["median"], found["turned"]) == (4, 5, pytest.approx(1 / 4))


LONGEST = {
    "README": 0.0,
    "other pages beside it": 0.005,
    "docs": 0.005,
    "help texts": 0.0,
    "errors": 0.001,
    "docstrings": 0.015,
}
"""The share of sentences above 30 words that each may have: about as much as it has now. Lower it if it falls."""


@pytest.fixture(scope="module")
def readability() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield load_module(ROOT / "benchmarks" / "readability.py")


@pytest.fixture(scope="module")
def texts(readability: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = readability.texts(ROOT)
    return found


def test_all_texts_are_bounded(texts: dict[str, list[str]]) -> None:
    assert set(texts) == set(LONGEST)


@pytest.mark.parametrize("part", LONGEST)
def test_words_stay_plain(part: str, texts: dict[str, list[str]], readability: Any) -> None:
    """The sentences at fault:  python benchmarks/readability.py --show PAGE, or the name of the part."""
    found = readability.measured(texts[part])
    assert not found["turned"], [
        each for text in texts[part] for each in readability.sentences(text) if readability.is_turned(each)
    ]
    assert found["long"] <= LONGEST[part]
