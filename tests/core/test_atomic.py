from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def write_and_fail(target: Path, error: BaseException) -> None:
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"torn")
        raise error


def test_the_final_name_appears_only_when_the_block_ends(tmp_path: Path) -> None:
    target = tmp_path / "mask.png"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"half")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".png"
        assert ".partial" in temporary.name
    assert names(tmp_path) == ["mask.png"]
    assert target.read_bytes() == b"half"


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit(3)])
def test_a_failure_keeps_the_old_file_and_leaves_nothing_else(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "report.json"
    target.write_text("old")
    with pytest.raises(type(error)):
        write_and_fail(target, error)
    assert names(tmp_path) == ["report.json"]
    assert target.read_text() == "old"


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.mp4"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_names_the_file(tmp_path: Path, code: int) -> None:
    with pytest.raises(EnvironmentProblem) as caught:
        write_and_fail(tmp_path / "a.npz", OSError(code, os.strerror(code)))
    assert "a.npz" in caught.value.what
    assert os.strerror(code) in caught.value.why
    assert names(tmp_path) == []


def test_a_missing_permission_is_explained_only_for_this_file(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="Permission denied"), atomic_path(tmp_path / "a.png") as temporary:
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a.png"):
        raise PermissionError(errno.EACCES, "Permission denied", "/some/other/input")


@pytest.mark.parametrize("stem", ["x" * 251, "日" * 83, "a b\nc", "é😀"])
def test_any_name_that_the_file_system_allows(tmp_path: Path, stem: str) -> None:
    target = tmp_path / f"{stem}.png"
    with atomic_path(target) as temporary:
        temporary.write_bytes(b"1")
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with atomic_path(Path(sys.argv[1])) as temporary:
        temporary.write_bytes(bytes(5000))
except EnvironmentProblem as error:
    sys.exit(error.exit_code)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX limits")
def test_a_real_size_limit_ends_as_environment_problem(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path / "a.bin")], check=False)
    assert done.returncode == EnvironmentProblem.exit_code
    assert names(tmp_path) == []
