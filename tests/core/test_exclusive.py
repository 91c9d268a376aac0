"""One holder at a time; a dead one holds nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from covos.core.errors import EnvironmentProblem
from covos.core.files import exclusive

_HOLD = """
import sys, time
from pathlib import Path
from covos.core.files import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_file_goes_with_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    for _ in range(2):
        with exclusive(lock):
            assert lock.exists()
        assert not lock.exists()
    with pytest.raises(ZeroDivisionError), exclusive(lock):
        _ = 1 / 0
    assert not lock.exists()


def test_a_second_holder_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock"):
        for _ in range(2):  # a refusal leaves the holder's name in the file
            with pytest.raises(EnvironmentProblem, match="in use") as caught, exclusive(tmp_path / "lock"):
                pass
            assert f"process {os.getpid()} on " in caught.value.why
        assert (tmp_path / "lock").exists()
    with exclusive(tmp_path / "other"), exclusive(tmp_path / "lock"):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(lock)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(EnvironmentProblem, match="in use") as caught, exclusive(lock):
            pass
        assert f"process {process.pid} on " in caught.value.why
        process.send_signal(signal.SIGKILL)
    assert lock.exists()
    with exclusive(lock):
        pass
    assert not lock.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be made or locked"), exclusive(tmp_path / "none" / "lock"):
        pass
