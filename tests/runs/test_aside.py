"""A result that is made beside its folder takes its place as a whole, and never that of a run that is at work."""

from __future__ import annotations

from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem
from covos.runs.aside import made_aside
from covos.runs.folder import LIST, LOCK, OutputFolder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LOCK
    }


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """A folder with an earlier result, beside which nothing lies."""
    folder = OutputFolder(tmp_path / "all" / "out")
    for name in ("covos.json", "masks/0.png", "masks/1.png", "report.json"):
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
