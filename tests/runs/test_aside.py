"""A result that is made beside its folder takes its place as a whole, and never that of a run that is at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem, UsageError
from covos.runs.aside import made_aside
from covos.runs.folder import LIST, LOCK, OutputFolder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


def replace_by(target: Path, *names: str) -> None:
    with made_aside(target, overwrite=True) as folder:
        for name in names:
            folder.file(name).write_text("new")


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with an earlier result, beside which nothing lies."""
    folder = OutputFolder(tmp_path / "all" / "out")
    for name in ("covos.json", "masks/0.png", "masks/1.png", "deep/er/0.png", "report.json"):
        folder.file(name).write_text(f"earlier {name}")
    return folder.path


def test_a_run_that_is_at_work_keeps_its_files(earlier: Path) -> None:
    before = contents(earlier)
    with OutputFolder(earlier, resumable=True).locked():
        with pytest.raises(EnvironmentProblem, match="is in use"), made_aside(earlier, overwrite=True):
            raise AssertionError("nothing is made of what cannot be kept")
        with pytest.raises(EnvironmentProblem, match="is in use"):
            OutputFolder(earlier, overwrite=True).file("report.json")
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]


def test_no_run_begins_where_a_result_will_be(earlier: Path) -> None:
    with made_aside(earlier, overwrite=True) as folder:
        with pytest.raises(EnvironmentProblem, match="is in use"), OutputFolder(earlier, resumable=True).locked():
            pass
        folder.file("npz/0.npz").write_text("new")
    assert contents(earlier) == {LIST: b'"npz/0.npz"\n', "npz/0.npz": b"new"}
    assert list(earlier.parent.iterdir()) == [earlier]


@pytest.mark.parametrize("place", ["zoo.json", "masks/0.png/deep", "npz/0.npz"])
def test_a_file_of_the_user_that_is_in_the_way_costs_nothing(earlier: Path, place: str) -> None:
    if place.startswith("masks"):
        (earlier / "masks" / "0.png").unlink()
    (earlier / place).parent.mkdir(parents=True, exist_ok=True)
    (earlier / place).write_text("mine")
    before = contents(earlier)
    with pytest.raises(UsageError, match="would be written over"):
        replace_by(earlier, "masks/0.png", "masks/1.png", "npz/0.npz", "zoo.json", "report.json")
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]
    # What is in place again is known as covos's.
    replace_by(earlier, "new.png")
    assert contents(earlier) == {LIST: b'"new.png"\n', "new.png": b"new", place: b"mine"}
    assert list(earlier.parent.iterdir()) == [earlier]


def test_what_a_run_left_that_was_killed_as_it_took_its_place_is_removed(earlier: Path) -> None:
    place = earlier.with_name(".out.earlier")
    place.mkdir()
    (place / LIST).write_text('"masks/0.png"\n')
    (place / "masks").mkdir()
    (place / "masks" / "0.png").write_text("of an earlier result")
    replace_by(earlier, "new.png")
    assert list(earlier.parent.iterdir()) == [earlier]
    assert sorted(contents(earlier)) == [LIST, "new.png"]
