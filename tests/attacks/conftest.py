"""What the attacks share: no test may hang, and the command line is run in this process."""

from __future__ import annotations

import faulthandler
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.results import Run
from covos import cli

SECONDS = 60
"""The most that an attack may take; an attack that is stopped takes some hundredths."""


@pytest.fixture(autouse=True, scope="module")
def _small(small_networks: None) -> None:
    """No attack asks how good masks are."""


@pytest.fixture(autouse=True)
def _must_end() -> Iterator[None]:
    # Ends the whole run, with the traceback: what hangs in a library cannot be interrupted otherwise.
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def covos(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command line; return its exit code and what stood on stderr."""

    def run(*arguments: object) -> tuple[int, str]:
        code = cli.main([str(each) for each in arguments])
        return code, capsys.readouterr().err

    return run


@pytest.fixture
def endless(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A path that is no file, by its kind: a device, a pipe, a socket, a folder."""
    place = tmp_path / "endless"
    kind = request.param
    held: socket.socket | None = None
    if kind == "device":
        place.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        before = Path.cwd()
        os.chdir(tmp_path)  # the name of a socket is short
        held = socket.socket(socket.AF_UNIX)
        held.bind("endless")
        os.chdir(before)
    else:
        place.mkdir()
    yield place
    if held is not None:
        held.close()
