"""Nothing is overwritten unasked; what covos did not write is never touched; nothing is left of a bad start."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem, UsageError
from covos.runs.folder import LIST, OutputFolder


def fill(folder: OutputFolder, *names: str) -> None:
    for name in names:
        folder.file(name).write_text("new")


def test_nothing_is_made_before_the_first_file(tmp_path: Path, tree) -> None:
    folder = OutputFolder(tmp_path / "a" / "b")
    assert list(tmp_path.iterdir()) == []
    fill(folder, "masks/0.png", "masks/1.png", "report.json")
    assert tree(tmp_path / "a" / "b") == ["masks/0.png", "masks/1.png", "report.json"]


def test_an_empty_folder_is_used(tmp_path: Path, tree) -> None:
    fill(OutputFolder(tmp_path), "report.json")
    assert tree(tmp_path) == ["report.json"]


def test_a_folder_that_holds_something_is_refused(tmp_path: Path, tree) -> None:
    (tmp_path / "thesis.txt").write_text("old")
    with pytest.raises(UsageError) as caught:
        OutputFolder(tmp_path)
    assert "thesis.txt" in caught.value.why
    assert "overwrite=True" not in caught.value.fix, "what covos did not write is never replaced"
    assert tree(tmp_path) == ["thesis.txt"]
    fill(OutputFolder(tmp_path / "earlier"), "report.json")
    with pytest.raises(UsageError) as caught:
        OutputFolder(tmp_path / "earlier")
    assert "overwrite=True" in caught.value.fix


def test_a_file_is_refused_as_folder_and_as_parent(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_text("old")
    for path in (tmp_path / "out.mp4", tmp_path / "out.mp4" / "deeper"):
        for overwrite in (False, True):
            with pytest.raises(UsageError, match="is a file"):
                OutputFolder(path, overwrite=overwrite)
    assert (tmp_path / "out.mp4").read_text() == "old"


def test_overwriting_replaces_the_earlier_run_and_nothing_else(tmp_path: Path, tree) -> None:
    fill(OutputFolder(tmp_path), "masks/0.png", "masks/1.png", "masks/2.png", "overlay.mp4", "report.json")
    (tmp_path / "masks" / "mine.png").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine")
    again = OutputFolder(tmp_path, overwrite=True)
    assert "masks/2.png" in tree(tmp_path)  # a run that fails early must not have cost the old result
    fill(again, "masks/0.png")
    assert tree(tmp_path) == ["masks/0.png", "masks/mine.png", "notes.txt"]
    assert (tmp_path / "masks" / "mine.png").read_text() == "mine"


def test_a_third_run_knows_the_files_of_the_second(tmp_path: Path, tree) -> None:
    fill(OutputFolder(tmp_path), "a.png", "b.png")
    fill(OutputFolder(tmp_path, overwrite=True), "b.png", "c.png")
    fill(OutputFolder(tmp_path, overwrite=True), "d.png")
    assert tree(tmp_path) == ["d.png"]


def test_overwriting_a_folder_of_others_is_refused(tmp_path: Path, tree) -> None:
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "0.png").write_text("mine")
    with pytest.raises(UsageError, match="not a result of covos"):
        OutputFolder(tmp_path, overwrite=True)
    assert tree(tmp_path) == ["masks/0.png"]


def test_a_file_of_others_under_a_name_of_ours_is_refused(tmp_path: Path) -> None:
    fill(OutputFolder(tmp_path), "masks/0.png")
    (tmp_path / "report.json").write_text("mine")
    folder = OutputFolder(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="covos did not write this file"):
        folder.file("report.json")
    assert (tmp_path / "report.json").read_text() == "mine"


def test_two_frames_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path)
    fill(folder, "masks/0.png")
    with pytest.raises(UsageError, match="two frames"):
        folder.file("masks/0.png")


def test_what_a_killed_run_left_is_cleared(tmp_path: Path, tree) -> None:
    fill(OutputFolder(tmp_path), "masks/0.png")
    (tmp_path / "masks" / ".1.0123abcd.partial.png").write_text("torn")
    (tmp_path / ".overlay.89abcdef.partial.mp4").write_text("torn")
    (tmp_path / "song.partial.mp3").write_text("mine")
    fill(OutputFolder(tmp_path, overwrite=True), "report.json")
    assert tree(tmp_path) == ["report.json", "song.partial.mp3"]


def test_the_list_cannot_lead_outside(tmp_path: Path) -> None:
    root, outside = tmp_path / "out", tmp_path / "outside"
    outside.mkdir()
    victims = [outside / "a.txt", outside / "b.txt", outside / "c.txt"]
    for victim in victims:
        victim.write_text("mine")
    root.mkdir()
    (root / "link").symlink_to(outside)
    lines = [
        '"../outside/a.txt"',
        f'"{outside / "b.txt"}"',
        '"link/c.txt"',
        '"."',
        '"torn',
        "7",
        '"link"',
        '"gone.png"',
    ]
    (root / LIST).write_text("\n".join(lines))
    fill(OutputFolder(root, overwrite=True), "report.json")
    assert all(victim.read_text() == "mine" for victim in victims)
    assert (root / "report.json").read_text() == "new"


@pytest.mark.parametrize("stem", ["a b", "zwei\nZeilen", "é😀", "-y", "x" * 240, os.fsdecode(b"\xff\xfe")])
def test_any_name(tmp_path: Path, tree, stem: str) -> None:
    fill(OutputFolder(tmp_path), f"masks/{stem}.png")
    assert tree(tmp_path) == [f"masks/{stem}.png"]
    fill(OutputFolder(tmp_path, overwrite=True), "report.json")
    assert tree(tmp_path) == ["report.json"]


def test_discarding_leaves_nothing(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "a" / "b")
    fill(folder, "masks/0.png", "report.json")
    folder.discard()
    assert list(tmp_path.iterdir()) == []
    folder.discard()


def test_discarding_before_a_file_does_nothing(tmp_path: Path) -> None:
    OutputFolder(tmp_path / "a").discard()
    assert list(tmp_path.iterdir()) == []


def test_discarding_keeps_what_was_there(tmp_path: Path, tree) -> None:
    (tmp_path / "empty").mkdir()
    folder = OutputFolder(tmp_path / "empty")
    fill(folder, "masks/0.png")
    folder.discard()
    assert list((tmp_path / "empty").iterdir()) == []
    fill(OutputFolder(tmp_path / "used"), "report.json")
    (tmp_path / "used" / "notes.txt").write_text("mine")
    folder = OutputFolder(tmp_path / "used", overwrite=True)
    fill(folder, "masks/0.png")
    (tmp_path / "used" / "masks" / "mine.png").write_text("mine")
    folder.discard()
    assert tree(tmp_path / "used") == ["masks/mine.png", "notes.txt"]
    OutputFolder(tmp_path / "used", overwrite=True)


def test_a_discarded_folder_can_be_used_again(tmp_path: Path, tree) -> None:
    folder = OutputFolder(tmp_path / "a")
    fill(folder, "x.png")
    folder.discard()
    fill(folder, "x.png")
    assert tree(tmp_path / "a") == ["x.png"]


def test_a_name_that_the_disk_refuses(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="too long"):
        OutputFolder(tmp_path / ("x" * 300))
    with pytest.raises(EnvironmentProblem, match="too long"):
        OutputFolder(tmp_path).file("x" * 300 + "/0.png")


def test_a_folder_that_may_not_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # tests may run as root, whom no mode stops
    for path in (tmp_path, tmp_path / "new" / "deeper"):
        with pytest.raises(EnvironmentProblem, match="no permission"):
            OutputFolder(path)


_LIMITED = """
import resource, sys
from pathlib import Path
from covos.core.errors import EnvironmentProblem
from covos.runs.folder import OutputFolder
resource.setrlimit(resource.RLIMIT_FSIZE, (30, 30))
folder = OutputFolder(Path(sys.argv[1]))
try:
    for number in range(9):
        folder.file(f"masks/{number}.png")
except EnvironmentProblem as error:
    print(error)
    folder.discard()
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_full_disk(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LIMITED, str(tmp_path / "out")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == EnvironmentProblem.exit_code, done.stderr
    assert "could not be written" in done.stdout
    assert list(tmp_path.iterdir()) == []


def begun(path: Path) -> None:
    """A run that was stopped: its terms, its journal, and some of its outputs."""
    fill(OutputFolder(path), "covos.json", "journal.jsonl", "masks/0.png", "report.json")
    (path / "masks" / ".1.0123abcd.partial.png").write_text("torn")
    (path / "notes.txt").write_text("mine")


def test_a_stopped_run_goes_on_with_what_it_keeps(tmp_path: Path, tree) -> None:
    begun(tmp_path)
    with pytest.raises(UsageError, match="not empty"):
        OutputFolder(tmp_path)
    folder = OutputFolder(tmp_path, resumable=True)
    folder.resume(keep=("covos.json", "journal.jsonl"))
    assert tree(tmp_path) == ["covos.json", "journal.jsonl", "notes.txt"]
    fill(folder, "masks/0.png", "report.json")
    with pytest.raises(UsageError, match="written over"):
        folder.file("journal.jsonl")
    fill(OutputFolder(tmp_path, overwrite=True), "report.json")
    assert tree(tmp_path) == ["notes.txt", "report.json"]


def test_only_a_run_of_covos_can_go_on(tmp_path: Path) -> None:
    (tmp_path / "covos.json").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        OutputFolder(tmp_path, resumable=True)
    (tmp_path / "old").mkdir()
    fill(OutputFolder(tmp_path / "old"), "report.json")
    with pytest.raises(UsageError, match="not empty"):
        OutputFolder(tmp_path / "old", resumable=True)


def test_what_a_run_leaves_that_is_killed_at_once_counts_as_empty(tmp_path: Path, tree) -> None:
    OutputFolder(tmp_path).file("covos.json")
    (tmp_path / ".covos.89abcdef.partial.json").write_text("torn")
    (tmp_path / ".covos-lock").write_text("")
    fill(OutputFolder(tmp_path), "report.json")
    assert tree(tmp_path) == ["report.json"]


def test_a_lock_leaves_no_empty_folder(tmp_path: Path, tree) -> None:
    folder = OutputFolder(tmp_path / "a" / "b")
    with folder.locked():
        assert tree(tmp_path) == ["a/b/.covos-lock"]
        second = OutputFolder(tmp_path / "a" / "b")
        with pytest.raises(EnvironmentProblem, match="in use"), second.locked():
            pass
    assert list(tmp_path.iterdir()) == []
    with folder.locked():
        fill(folder, "x.png")
        folder.discard()
        assert tree(tmp_path) == ["a/b/.covos-lock"]
    assert list(tmp_path.iterdir()) == []
    with folder.locked():
        fill(folder, "x.png")
    assert tree(tmp_path) == ["a/b/x.png"]


def test_threads_claim_files_side_by_side(tmp_path: Path) -> None:
    folder = OutputFolder(tmp_path / "out")
    names = [f"{kind}/{index}.png" for index in range(40) for kind in "abcd"]
    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(folder.file, names))) == len(names)
    assert sorted(map(json.loads, (tmp_path / "out" / LIST).read_text().splitlines())) == sorted(names)
