"""The program as the system sees it: streams, signals, locale."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from covos._version import __version__

COVOS = [sys.executable, "-m", "covos"]

_SLOW_VERB = """
import sys, time
from pathlib import Path
from covos import cli
from covos.core.files import atomic_path

@cli.app.command()
def slow(path: Path) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        print("ready", flush=True)
        time.sleep(60)

cli.run()
"""


def test_the_version_goes_to_stdout() -> None:
    done = subprocess.run([*COVOS, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"covos {__version__}\n"
    assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "terminated\n")]
)
def test_a_signal_leaves_nothing_half_written(tmp_path: Path, number: int, code: int, said: str) -> None:
    command = [sys.executable, "-c", _SLOW_VERB, "slow", str(tmp_path / "clip.mp4")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, shown = process.communicate(timeout=60)
    assert process.returncode == code
    assert shown == said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*COVOS, "models", "list", "--json"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert done.returncode == 141
    assert done.stderr == b""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams(closed: str) -> None:
    line = f"exec {sys.executable} -m covos doctor --jsn {closed}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""  # a message must not go to the data's stream instead
    assert done.stderr.count("\n") == (0 if "2>&-" in closed else 3)


@pytest.mark.parametrize(
    "locale",
    ["C", pytest.param("POSIX", marks=pytest.mark.thorough), "en_US.ISO-8859-1"],  # C has another name, too
)
def test_an_old_locale(locale: str) -> None:
    environment = {**os.environ, "LC_ALL": locale, "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    done = subprocess.run([*COVOS, "日"], env=environment, capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: No such command ")
    assert len(done.stderr.splitlines()) == 3
    assert subprocess.run([*COVOS, "--help"], env=environment, capture_output=True, check=False).returncode == 0
