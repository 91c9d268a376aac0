"""Windows and macOS, simulated: the calls that they lack are taken away, and their refusals are raised.

The workflow of each change runs the quick tests on both, that of each night the slow ones; these tell before, on the
machine where the change is made.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from covos import cli
from covos.core import files, memory, process
from covos.core.device import usable_cpus
from covos.core.errors import EnvironmentProblem
from covos.core.files import atomic_path, exclusive, open_own
from covos.core.fresh import fork_server
from covos.evaluation.evaluator import _executor

NOT_ON_WINDOWS = (
    "fork", "forkpty", "getegid", "geteuid", "getgid", "getpgid", "getpriority",
    "getuid", "killpg", "mkfifo", "nice", "sched_getaffinity", "setpgid", "setsid",
)  # fmt: skip
NO_SIGNALS = ("SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "SIGUSR2", "SIGXFSZ")


@pytest.fixture
def without_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Windows lacks is missing."""
    for name in NOT_ON_WINDOWS:
        monkeypatch.delattr(os, name, raising=False)
    for name in NO_SIGNALS:
        monkeypatch.delattr(signal, name, raising=False)
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    windows = SimpleNamespace(platform="win32", modules=sys.modules)
    monkeypatch.setattr(memory, "sys", windows)
    monkeypatch.setattr(memory, "_STATUS", Path("/no/such/file"))
    monkeypatch.setattr(memory, "_MEMINFO", Path("/no/such/file"))


class WindowsError_(PermissionError):  # noqa: N801, N818
    def __init__(self, number: int, path: Path) -> None:
        super().__init__(errno.EACCES, "The process cannot access the file", str(path))
        self.winerror = number


@pytest.fixture
def refuse_renaming(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Let renamings fail as where another program has the file open; return the waits in between."""

    def refuse(*, times: int, number: int = 32) -> list[float]:
        waits: list[float] = []
        rename, left = Path.replace, [times]

        def replace(self: Path, target: Path) -> Path:
            if left[0]:
                left[0] -= 1
                raise WindowsError_(number, target)
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr(files, "time", SimpleNamespace(sleep=waits.append))
        return waits

    return refuse


def test_a_file_that_a_scanner_has_open_is_replaced_a_moment_later(
    tmp_path: Path, refuse_renaming: Callable[..., list[float]]
) -> None:
    waits = refuse_renaming(times=3)
    (tmp_path / "report.json").write_text("old")
    with atomic_path(tmp_path / "report.json") as temporary:
        temporary.write_text("new")
    assert (tmp_path / "report.json").read_text() == "new"
    assert len(waits) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_a_file_that_stays_open_is_named(tmp_path: Path, refuse_renaming: Callable[..., list[float]]) -> None:
    refuse_renaming(times=99)
    (tmp_path / "report.json").write_text("old")
    with (
        pytest.raises(EnvironmentProblem, match="another program has the file open"),
        atomic_path(tmp_path / "report.json") as temporary,
    ):
        temporary.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (tmp_path / "report.json").read_text() == "old"


def test_another_refusal_is_not_waited_for(tmp_path: Path, refuse_renaming: Callable[..., list[float]]) -> None:
    waits = refuse_renaming(times=99, number=19)  # the disk is write-protected
    with pytest.raises(EnvironmentProblem, match="that you may write to"), atomic_path(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"1")
    assert waits == []


def test_a_lock_file_that_is_open_cannot_be_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows keeps the file of a lock that is held; the next holder takes it over."""
    unlink = Path.unlink

    def refuse(self: Path, *, missing_ok: bool = False) -> None:
        if self.name == "lock":
            raise WindowsError_(32, self)
        unlink(self, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    for _ in range(2):
        with exclusive(tmp_path / "lock"):
            pass
        assert (tmp_path / "lock").exists()


def test_a_process_that_has_ended_is_signalled_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = process.Worker.__new__(process.Worker)
    worker._process = SimpleNamespace(pid=1, is_alive=lambda: True)  # type: ignore[assignment]

    def kill(_pid: int, _number: int) -> None:
        raise PermissionError(errno.EACCES, "Access is denied")

    monkeypatch.setattr(os, "kill", kill)
    worker.signal(signal.SIGTERM)


@pytest.mark.usefixtures("without_posix")
def test_limits_of_the_machine_are_unknown_and_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert memory.free_address_space() is None
    memory.refuse_small_address_space()
    assert memory.peak_of_process() is None
    assert usable_cpus() >= 1
    assert fork_server([]).get_start_method() == "spawn"
    with _executor(1, frames=1) as executor:
        assert executor.submit(int, "3").result() == 3
    for name in ("O_NOFOLLOW", "O_NONBLOCK"):  # only here: filelock, as it is on this machine, needs them
        monkeypatch.delattr(os, name, raising=False)
    with open_own(tmp_path / "a.txt", "w") as file:
        file.write("x")


@pytest.mark.usefixtures("without_posix")
def test_a_clip_is_segmented_without_what_windows_lacks(
    make_clip: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip, out = make_clip(frames=3), tmp_path / "out"
    assert cli.main(["segment", str(clip), "-o", str(out), "--references", "1", "-q"]) == 0, capsys.readouterr().err
    assert sorted(path.name for path in (out / "masks").iterdir()) == ["00000.png", "00001.png", "00002.png"]
    assert cli.main(["convert", str(out), "-o", str(tmp_path / "a.webm"), "-q"]) == 0, capsys.readouterr().err
    assert cli.main(["segment", str(clip), "-o", str(out), "--references", "1", "-f", "npz", "-q"]) == 0


def test_a_peak_of_macos_is_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource", reason="Windows has no such module")
    monkeypatch.setattr(memory, "_STATUS", Path("/no/such/file"))
    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="darwin"))
    on_macos = memory.peak_of_process()
    monkeypatch.setattr(memory, "sys", SimpleNamespace(platform="linux"))
    elsewhere = memory.peak_of_process()
    assert on_macos is not None
    assert elsewhere is not None
    assert elsewhere >= on_macos * 1024 > 0
    del resource
