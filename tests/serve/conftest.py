"""A server as users start it, once for all tests of the API and of the page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra serve is not installed")


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of ``covos serve``, with a folder of media."""
    root = tmp_path_factory.mktemp("server")
    media = root / "media"
    media.mkdir()
    command = [sys.executable, "-m", "covos", "serve", "--root", str(root / "clips"), "--port", "0"]
    with subprocess.Popen(
        [*command, "--media-root", str(media), "--max-upload", "0.002", "--waiting", "3"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"http://127\.0\.0\.1:\d+/", line)
            assert found, line
            yield found[0], root
        finally:
            process.terminate()
            try:
                assert process.wait(30) == 0
            finally:
                process.kill()
