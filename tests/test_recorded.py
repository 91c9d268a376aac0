"""Results that are kept, and the tables of the documents that are made of them."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loaded import ROOT, load_module


@pytest.fixture(scope="module")
def recorded() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield load_module(ROOT / "benchmarks" / "recorded.py")


@pytest.fixture(scope="module")
def tables() -> Any:
    return load_module(ROOT / "benchmarks" / "tables.py")


def test_the_tables_of_the_documents_are_those_of_the_results(recorded: Any) -> None:
    """After new results:  make numbers."""
    stale = [page.name for page in recorded.pages() if recorded.filled(page.read_text()) != page.read_text()]
    assert not stale, f"run make numbers: {stale}"


def test_the_table_of_the_readme_is_a_part_of_that_of_the_comparison(recorded: Any) -> None:
    def tools(name: str) -> list[str]:
        lines = recorded.filled(f"<!-- numbers: comparison.{name} -->\n<!-- end -->").splitlines()
        return [line.split(" | ")[0] for line in lines if line.startswith("| ")][1:]

    assert tools("short") == [name for name in tools("whole") if "XMem" not in name]
    assert "**covos**" in tools("short")[0]


def test_the_comparison_has_the_numbers_of_the_results(recorded: Any) -> None:
    results = {
        "reproduce.val_open": [["J", "0.8"], ["J&F", 0.61, "**0.9123**"]],
        "beside_rembg.scores": [["rembg u2netp", 0.6541, 1.64], ["covos, balanced", 0.9, 7.77]],
        "segment.speed": [["frames a second once it runs", "31.4"]],
    }
    covos, rembg, *cited = recorded.comparison.tools(results.__getitem__)
    assert (covos.score, covos.rate) == ("0.912", "7.8")
    assert "31.4" in covos.timed_on
    assert (rembg.score, rembg.rate) == ("0.654", "1.6")
    rates = [tool.rate for tool in (covos, rembg, *cited)]
    assert all(rate == recorded.comparison.NONE or float(rate) for rate in rates)  # one unit in the column


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


def test_nothing_is_kept_unasked(recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "RESULTS", tmp_path)
    monkeypatch.chdir(tmp_path)
    recorded.keep(None, "speed", columns=["", "s"], rows=[["a", 1.0]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("changed", [False, True])
def test_the_commit_is_that_of_the_tree_that_was_measured(recorded: Any, tmp_path: Path, changed: bool) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(
            ["git", *identity, *words], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout

    git("init", "-q")
    (tmp_path / "a.txt").write_text("1")
    git("add", "a.txt")
    git("commit", "-q", "-m", "a")
    (tmp_path / "a.txt").write_text("2" if changed else "1")
    recorded.keep(tmp_path / "some.json", "speed", columns=["", "s"], rows=[["a", 1.0]], tree=tmp_path)
    commit = recorded.read(tmp_path / "some.json")["speed"].commit
    assert commit == git("rev-parse", "--short", "HEAD").strip() + "+" * changed


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


HISTORY = {
    "covos-follow.md": {
        "| objects | processor ms a frame |": "needs a quiet machine",
        "| | first mask | round 1 |": "a simulated user, hours",
        "| on the page | first mask |": "a simulated user, hours",
    },
    "damage.md": {
        "| | before | since |": "compares with older code",
        "| | |": "counts of fuzzing runs",
        "| | N27 | N28 |": "counts before the findings were mended",
    },
    "evaluation.md": {"| workers | processor time |": "needs another program"},
    "follow.md": {"| first mask; nothing shown: J |": "two commands side by side"},
    "from-cosnet.md": {"| | s a frame | speed |": "needs a quiet machine"},
    "large-training.md": {"| | loose files | shards |": "needs a quiet machine"},
    "long.md": {
        "| frames taken | cuts missed |": "set the thresholds, hours",
        "| frames of the fade | found |": "set the thresholds, hours",
        "| | J&F, one shot": "hours",
        "| | frames | MB at frame 500 |": "hours",
        "| frames | processor ms a frame |": "hours",
        "| | found | one object followed |": "runtimes that need not be installed",
    },
    "model.md": {
        "| all frames of `val_open` | doubt up to |": "chose the default, by values that are no longer choices",
        "| recipe | step |": "of the trainings of older weights",
        "| references, motion |": "the data set is not public",
        "| 600 steps |": "trainings, hours",
    },
    "prompt.md": {
        "| `auto` | whole answer |": "chose the default",
        "| share of the picture |": "the data set is not public",
    },
    "speed.md": {
        "| machine, 854 x 480": "several machines",
        "| processor ms a frame | `balanced` |": "needs a quiet machine",
        "| processor ms a frame | find |": "needs a quiet machine",
        "| change | commit before it |": "compares with older code",
    },
    "tried.md": {
        "| | before | since | command |": "compares with older code",
        "| | `grabcut` |": "of older weights",
        "| | none: J |": "of older weights",
        "| fitted on |": "fits that were dropped",
        "| | packaged | trained on |": "of weights that were dropped",
    },
}
"""Tables that were measured once, which the page says beside them; with the reason why no benchmark keeps them."""
NOT_MEASURED = {
    "data.md": ["| data set | an item |"],
    "editors.md": ["| format | file | steps", "| source | what is written |", "| format | colours | bits |"],
    "evaluation.md": ["| method | J&F |"],
    "follow.md": ["| quality | views (area) |"],
    "formats.md": ["| option | file | bits |"],
    "from-cosnet.md": ["| | paper, the default here |"],
    "from-the-seed.md": ["| | on the tree of the tests |"],
    "large-training.md": ["| | YouTube-VOS"],
    "model.md": ["| quality | the network looks at |"],
    "recipes.md": ["| field |"],
    "speed.md": ["| processors | frames side by side |"],
    "training.md": ["| `target` | `outputs` |"],
}
"""Tables of choices, of published numbers and of sums, which no command measures."""
ONCE = "not made anew.*"


def tables_of_numbers(page: Path, marked: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    """Yield the first line of each table of which no benchmark writes the numbers, and the first line below it.

    A third of the cells beside the first column begin with a digit.
    """
    lines = marked.sub("", page.read_text(encoding="utf-8")).splitlines()
    ends = [at for at, line in enumerate([*lines, ""]) if not line.startswith("|")]
    for before, end in pairwise([-1, *ends]):
        rows = lines[before + 1 : end]
        cells = [cell.strip() for row in rows[2:] for cell in row.strip("|").split("|")[1:]]
        if cells and 3 * sum(bool(re.match(r"\**\d", cell)) for cell in cells) >= len(cells):
            yield rows[0], next((line for line in lines[end:] if line), "")


def test_tables_of_numbers_are_made_from_results_or_say_that_they_are_not(recorded: Any) -> None:
    """Let the benchmark keep a new table (benchmarks/tables.py); one that is measured once stands in HISTORY."""
    found: dict[str, set[str]] = {}
    for page in recorded.pages():
        known, apart = HISTORY.get(page.name, {}), NOT_MEASURED.get(page.name, [])
        for head, below in tables_of_numbers(page, recorded.MARKED):
            listed = [each for each in (*known, *apart) if head.startswith(each)]
            assert listed, f"{page.name}: {head}"
            found.setdefault(page.name, set()).update(listed)
            assert below.endswith(ONCE) == any(each in known for each in listed), f"{page.name}: {head}"
    assert found == {page: {*HISTORY.get(page, {}), *NOT_MEASURED.get(page, [])} for page in {*HISTORY, *NOT_MEASURED}}


def test_kept_tables_have_the_columns_that_their_benchmarks_keep(tables: Any, recorded: Any) -> None:
    kept = {
        f"{file.stem}.{name}": table
        for file in recorded.RESULTS.glob("*.json")
        for name, table in recorded.read(file).items()
    }
    assert set(kept) == set(tables.TABLES)
    others = {name for name, table in kept.items() if not tables.fits(name, table.columns)}
    assert others <= set(tables.OLDER) <= set(kept)


def test_a_table_that_was_made_anew_is_not_called_an_older_one(tables: Any) -> None:
    assert "not made anew" in tables.said_of_older("newcomer.steps", ["goal", "commands", "minutes", "MB"])
    assert tables.said_of_older("newcomer.steps", tables.TABLES["newcomer.steps"]) == ""
    assert tables.said_of_older("segment.speed", []) == ""


def test_each_table_that_is_kept_has_its_place_on_a_page(tables: Any, recorded: Any) -> None:
    """So `make bench RECORD=1` and `make numbers` leave nothing that no page shows."""
    shown = {name for page in recorded.pages() for name in re.findall(r"<!-- numbers: (\S+)", page.read_text())}
    assert shown == {*tables.TABLES, "comparison.short", "comparison.whole"}


def test_results_take_no_other_tables_and_no_other_columns(
    recorded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(recorded, "RESULTS", tmp_path)
    recorded.keep(tmp_path / "live.json", "unheard", columns=["", "s"], rows=[["a", 1.0]])
    assert not (tmp_path / "live.json").exists()
    assert "not kept: live.unheard" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"live\.davis has the columns"):
        recorded.keep(tmp_path / "live.json", "davis", columns=["", "J", "F"], rows=[["a", 1.0, 1.0]])
    recorded.keep(tmp_path / "live.json", "davis", columns=["", "J&F", "J", "F"], rows=[["a", 1.0, 1.0, 1.0]])
    assert set(recorded.read(tmp_path / "live.json")) == {"davis"}


@pytest.mark.parametrize(
    ("name", "columns", "fitting"),
    [
        ("accuracy.parts", ["", "J&F", "J", "F", "cat", "dog", "ms"], True),
        ("accuracy.parts", ["", "J&F", "J", "F", "ms"], False),
        ("batch.ways", ["8 clips of 60 frames", "seconds", "clips a minute", "speed over one process"], True),
        ("batch.ways", ["clips of frames", "seconds", "clips a minute", "speed over one process"], False),
        ("memory_long.floor", ["", "MB", "more"], False),
    ],
)
def test_columns_that_the_data_name_fit(name: str, columns: list[str], fitting: bool, tables: Any) -> None:
    assert tables.fits(name, columns) == fitting


def test_the_views_of_a_quality_are_those_of_the_kept_table(recorded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    accuracy = load_module(ROOT / "benchmarks" / "accuracy.py")
    rows = recorded.read(recorded.RESULTS / "accuracy.json")["quality"].rows
    assert [row[1] for row in rows] == [accuracy.views_of(row[0].strip("`")) for row in rows]


def test_scores_of_a_benchmark_become_a_row_for_each_measure(tables: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    reproduce = load_module(ROOT / "benchmarks" / "reproduce.py")

    def scores(j: float, f: float, flicker: float | None) -> SimpleNamespace:
        return SimpleNamespace(j=SimpleNamespace(mean=j), f=SimpleNamespace(mean=f), jf=(j + f) / 2, flicker=flicker)

    sequences = [SimpleNamespace(name="cat", scores=scores(0.5, 0.7, 0.1))]
    rows = reproduce.rows_of(SimpleNamespace(sequences=sequences, scores=scores(0.4, 0.6, None)))
    assert rows == [["J", 0.5, 0.4], ["F", 0.7, 0.6], ["J&F", 0.6, 0.5], ["flicker", 0.1, ""]]
    assert tables.fits("reproduce.val_open", tables.columns_of("reproduce.val_open", "cat"))
