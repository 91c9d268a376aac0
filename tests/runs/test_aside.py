"""A result that is made beside its folder takes its place as a whole, and never that of a run that is at work."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem, UsageError
from covos.core.files import LOCK
from covos.runs.aside import made_aside
from covos.runs.folder import LIST, OutputFolder


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


class KilledError(BaseException):
    """Stands for a kill: no handler of the code runs."""


@pytest.mark.parametrize("moves", range(1, 9))
def test_a_kill_at_any_move_costs_no_result(earlier: Path, moves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before, left = contents(earlier), [moves]

    def counted(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moving(self: Path, target: Path) -> Path:
            left[0] -= 1
            if left[0] < 0:
                raise KilledError
            return move(self, target)

        return moving

    with monkeypatch.context() as killing:
        killing.setattr(Path, "rename", counted(Path.rename))
        killing.setattr(Path, "replace", counted(Path.replace))
        killing.setattr(OutputFolder, "discard", lambda _: None)
        killing.setattr(OutputFolder, "take_back", lambda *_, **__: None)
        with suppress(KilledError):
            replace_by(earlier, "new.png", "report.json")
    is_new = (earlier / "report.json").is_file() and (earlier / "report.json").read_text() == "new"
    with pytest.raises(UsageError, match="earlier result"), made_aside(earlier, overwrite=False):
        pass
    assert contents(earlier) == before or is_new
    replace_by(earlier, "new.png")
    assert list(earlier.parent.iterdir()) == [earlier]
    assert sorted(contents(earlier)) == [LIST, "new.png"]


def test_a_result_is_put_back_where_nothing_can_be_written(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(earlier)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def filling(self: OutputFolder, name: str) -> Path:
        monkeypatch.setattr(Path, "write_bytes", full)
        monkeypatch.setattr("covos.runs.folder.atomic_path", full)
        return full()  # type: ignore[return-value]

    def replace() -> None:
        with made_aside(earlier, overwrite=True) as folder:
            folder.file("new.png").write_text("new")
            monkeypatch.setattr(OutputFolder, "file", filling)

    with pytest.raises(EnvironmentProblem):
        replace()
    assert contents(earlier) == before
    assert list(earlier.parent.iterdir()) == [earlier]
